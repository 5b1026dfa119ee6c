"""``crm-sync up``: the whole service on this machine."""

from __future__ import annotations

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Command
from crm_sync.config import load
from crm_sync.supervisor import run_up


@click.command(cls=Command)
@click.option("--bind", metavar="HOST:PORT", help="Where the web process listens (default: CRM_SYNC_BIND).")
def up(bind: str | None) -> None:
    """Run web, workers and beat until SIGTERM; without CRM_SYNC_REDIS_URL a Redis as well."""
    config = load()
    run_up(config, bind or config.bind, on_ready=lambda url: output.answer({"ready": url}, f"ready {url}"))
