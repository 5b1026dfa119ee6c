"""``crm-sync doctor``: is everything around us as it should be, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.text import Text

from crm_sync.cli import checks, output
from crm_sync.cli.checks import Finding, Status
from crm_sync.cli.commands import Command
from crm_sync.config import load
from crm_sync.errors import CrmSyncError

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


class Unwell(CrmSyncError):
    """Something was found that keeps the service from its promise."""


@click.command(cls=Command)
@click.option("--online", is_flag=True, help="Try the credentials of each hook, too.")
def doctor(online: bool) -> None:
    """Check the surroundings: Redis, database, clock, keys, reachability."""
    failed: list[Finding] = []
    for finding in checks.run(load(), online=online):
        _show(finding)
        if finding.status is Status.FAIL:
            failed.append(finding)
    if failed:
        names = ", ".join(dict.fromkeys(finding.check for finding in failed))
        raise Unwell(f"{len(failed)} {'check' if len(failed) == 1 else 'checks'} failed: {names}.")


def _show(finding: Finding) -> None:
    if output.is_json():
        output.emit(asdict(finding))
        return
    words = Text(f"{finding.status:<5}", style=_STYLES[finding.status])
    words.append(f"{finding.check:<18}", style="bold")
    words.append(finding.message, style="default")
    console = output.console()
    console.print(words)
    if finding.remedy:
        console.print(Text(f"{'':23}→ {finding.remedy}", style="default"))
