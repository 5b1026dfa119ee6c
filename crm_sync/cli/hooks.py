"""``crm-sync hooks``: the CRMs connected to an account."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.cli.parameters import Setting, as_mapping
from crm_sync.cli.surroundings import opened
from crm_sync.cli.troubles import Trouble
from crm_sync.engine import apps, hooks as engine, operate
from crm_sync.engine.hooks import HookReport
from crm_sync.errors import ConfigError
from crm_sync.store.models import Hook, HookState

COLUMNS = ("hook", "account", "app_id", "state", "state_reason", "breaker")

_set = click.option(
    "--set",
    "settings",
    multiple=True,
    type=Setting(),
    metavar="KEY=VALUE",
    help="A setting of the app; may be repeated.",
)


@click.group(cls=Group)
def hooks() -> None:
    """Connect CRMs to an account."""


@hooks.command()
@click.argument("app_id")
@click.option("--account", required=True, type=int, help="Our number of the account.")
@_set
@click.option("--no-setup", is_flag=True, help="Store it without trying the CRM.")
def add(app_id: str, account: int, settings: tuple[tuple[str, str], ...], no_setup: bool) -> None:
    """Check the settings, store the hook and set it up."""
    given = as_mapping(settings)
    with opened(wakes=True) as runtime:
        report = engine.add(runtime, app_id, account, given, run_setup=not no_setup)
    _tell(report)


@hooks.command("list")
@click.option("--account", type=int, help="Only those of this account.")
def list_hooks(account: int | None) -> None:
    """List the hooks."""
    statement = select(Hook).order_by(Hook.id)
    if account is not None:
        statement = statement.where(Hook.account_id == account)
    with opened() as runtime, runtime.store.read() as session:
        now = runtime.now()
        found = [
            _shown(hook) | {"breaker": operate.breaker_state(hook, now)}
            for hook in session.scalars(statement)
        ]
    output.rows(found, COLUMNS, empty="There is no hook; see crm-sync hooks add.")


@hooks.command()
@click.argument("hook", type=int)
def show(hook: int) -> None:
    """Show one hook with its settings, without the secret ones."""
    with opened() as runtime, runtime.store.read() as session:
        row = engine.get(session, hook)
        address = runtime.view(row, row.account).notice_url
        shown = {
            **_shown(row),
            "notice_url": address if _takes_notices(row) else None,
            "pulled_at": row.pulled_at,
            "breaker": operate.breaker_state(row, runtime.now()),
            "settings": _visible(row),
            "facts": row.facts,
        }
    output.details(shown)


@hooks.command("set")
@click.argument("hook", type=int)
@_set
@click.option("--no-setup", is_flag=True, help="Store the settings without trying the CRM.")
def set_(hook: int, settings: tuple[tuple[str, str], ...], no_setup: bool) -> None:
    """Change settings (an empty value takes one away) and set the hook up again."""
    given = as_mapping(settings)
    if not given:
        raise click.UsageError("Nothing to set: name a setting with --set key=value.")
    with opened(wakes=True) as runtime:
        report = engine.change(runtime, hook, given, run_setup=not no_setup)
    _tell(report)


@hooks.command()
@click.argument("hook", type=int)
def test(hook: int) -> None:
    """Try the credentials and rights; changes nothing."""
    with opened() as runtime:
        result = engine.test(runtime, hook)
    for words in result.notes:
        output.note(words)
    output.answer(
        {"hook": hook, "ok": True, "facts": dict(result.facts), "notes": list(result.notes)},
        f"Hook {hook} is let in and has the rights it needs.",
    )


@hooks.command()
@click.argument("hook", type=int)
def pause(hook: int) -> None:
    """Let the hook's events wait."""
    with opened() as runtime:
        report = engine.pause(runtime, hook)
    _tell(report)


@hooks.command()
@click.argument("hook", type=int)
def resume(hook: int) -> None:
    """Set the hook up again and let its events go on."""
    with opened(wakes=True) as runtime:
        report = engine.resume(runtime, hook)
    _tell(report)


@hooks.command()
@click.argument("hook", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(hook: int, yes: bool) -> None:
    """Forget a hook with its events and links. What is in the CRM stays there."""
    with opened() as runtime:
        with runtime.store.read() as session:
            app_id = engine.get(session, hook).app_id
        output.confirm(f"Forget hook {hook} ({app_id}) with its events and links?", yes=yes)
        engine.remove(runtime, hook)
    output.answer({"hook": hook, "removed": True}, f"Hook {hook} is removed.")


def _tell(report: HookReport) -> None:
    """Print how a hook stands; one that needs attention was not brought where it was to be."""
    notes: dict[str, Any] = {"notes": list(report.notes)} if report.notes else {}
    code = {"code": report.code} if report.code else {}
    for words in report.notes:
        output.note(words)
    shown = {"hook": report.hook, "state": report.state, "state_reason": report.state_reason, **code, **notes}
    because = f": {report.state_reason}" if report.state_reason else "."
    output.answer(shown, f"Hook {report.hook} is {report.state.replace('_', ' ')}{because}")
    if report.state == HookState.NEEDS_ATTENTION:
        words = report.state_reason or "The hook needs attention."
        output.fail(Trouble("needs_attention", words, code=report.code))
        click.get_current_context().exit(1)


def _shown(hook: Hook) -> dict[str, Any]:
    return {
        "hook": hook.id,
        "account": hook.account_id,
        "app_id": hook.app_id,
        "name": _name(hook),
        "state": hook.state,
        "state_reason": hook.state_reason,
        "created_at": hook.created_at,
        "updated_at": hook.updated_at,
    }


def _name(hook: Hook) -> str:
    try:
        return apps.find(hook.app_id).manifest.name
    except ConfigError:
        return f"{hook.app_id} (not installed)"


def _takes_notices(hook: Hook) -> bool:
    try:
        return apps.find(hook.app_id).notices is not None
    except ConfigError:
        return False


def _visible(hook: Hook) -> dict[str, Any]:
    try:
        return engine.visible_settings(hook)
    except ConfigError:
        return {}
