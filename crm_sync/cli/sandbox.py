"""``crm-sync sandbox``: stand-ins for other systems, that behave as the real ones were recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import click
from flask import Flask

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.errors import ConfigError
from crm_sync.sandbox import chatwoot as chatwoot_sandbox, glpi as glpi_sandbox, krayin as krayin_sandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.supervisor.processes import stopped_by_signals


@click.group(cls=Group)
def sandbox() -> None:
    """Run a stand-in for another system until SIGTERM or Ctrl-C."""


def _serving(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every sandbox takes."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Makes its choices repeatable."),
        click.option(
            "--fail-rate",
            type=click.FloatRange(0, 1),
            default=0.0,
            show_default=True,
            help="Share of calls that fail.",
        ),
        click.option(
            "--latency-ms",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="How long a call takes at least.",
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=0,
            help="Port on 127.0.0.1 (default: any free one).",
        ),
    ):
        command = option(command)
    return command


@sandbox.command()
@_serving
@click.option("--account-id", type=click.IntRange(min=1), default=3, show_default=True)
def chatwoot(port: int, latency_ms: int, fail_rate: float, seed: int, account_id: int) -> None:
    """A Chatwoot that signs and sends webhooks."""
    app = chatwoot_sandbox.create_app(
        latency_ms=latency_ms, fail_rate=fail_rate, seed=seed, account_id=account_id
    )
    handle: chatwoot_sandbox.ChatwootSandbox = app.extensions["sandbox"]
    _serve(app, port, lambda _url: {"api_token": handle.api_token, "account_id": handle.account_id})


@sandbox.command()
@_serving
@click.option(
    "--flavour",
    type=click.Choice(list(glpi_sandbox.FLAVOURS)),
    default=glpi_sandbox.FLAVOURS[0],
    show_default=True,
)
def glpi(port: int, latency_ms: int, fail_rate: float, seed: int, flavour: str) -> None:
    """A GLPI with its legacy REST API."""
    app = glpi_sandbox.create_app(flavour=flavour, latency_ms=latency_ms, fail_rate=fail_rate, seed=seed)
    handle: glpi_sandbox.GlpiSandbox = app.extensions["sandbox"]
    _serve(
        app,
        port,
        lambda url: {
            "api_url": f"{url}/apirest.php",
            "app_token": handle.app_token,
            "user_tokens": handle.user_tokens,
        },
    )


@sandbox.command()
@_serving
@click.option(
    "--flavour",
    type=click.Choice(list(krayin_sandbox.FLAVOURS)),
    default=krayin_sandbox.FLAVOURS[0],
    show_default=True,
)
@click.option(
    "--rate-limit",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Calls a minute a user has, 60 on a real 2.1.0; 0 for no limit.",
)
def krayin(port: int, latency_ms: int, fail_rate: float, seed: int, flavour: str, rate_limit: int) -> None:
    """A Krayin with its REST API."""
    app = krayin_sandbox.create_app(
        flavour=flavour, latency_ms=latency_ms, fail_rate=fail_rate, seed=seed, rate_limit=rate_limit
    )
    handle: krayin_sandbox.KrayinSandbox = app.extensions["sandbox"]
    _serve(
        app,
        port,
        lambda url: {
            "api_url": f"{url}/api/v1",
            "token": handle.token,
            "email": handle.email,
            "password": handle.password,
        },
    )


def _serve(app: Flask, port: int, credentials: Callable[[str], dict[str, Any]]) -> None:
    """Answer until we are told to stop."""
    stopping = threading.Event()
    try:
        server = SandboxServer(app, port=port)
    except (OSError, SystemExit):
        # werkzeug explains a port that is taken on standard error, and exits.
        raise ConfigError(f"Port {port} is taken; choose another with --port.", setting="port") from None
    with stopped_by_signals(stopping.set), server:
        found = {"ready": server.url, **credentials(server.url)}
        output.answer(found, "\n".join(f"{key} {output.cell(value)}" for key, value in found.items()))
        stopping.wait()
