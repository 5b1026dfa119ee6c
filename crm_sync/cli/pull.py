"""``crm-sync pull``: what the beat does, now."""

from __future__ import annotations

from dataclasses import asdict

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Command
from crm_sync.cli.surroundings import opened
from crm_sync.engine import pull as pulling


@click.command(cls=Command)
@click.argument("hook", type=int)
def pull(hook: int) -> None:
    """Bring what changed in the CRM of HOOK into the journal, without waiting for its interval."""
    with opened(wakes=True) as runtime:
        pulled = pulling.pull(runtime, hook)
    if output.is_json():
        output.emit({"hook": hook, **asdict(pulled)})
        return
    click.echo(
        f"{pulled.seen} changed records, {pulled.linked} of them linked here; {pulled.events} new events, "
        f"{pulled.repeated} in the journal already."
    )
