"""``crm-sync stats``: everything in figures."""

from __future__ import annotations

from typing import Any

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Command
from crm_sync.cli.surroundings import opened
from crm_sync.engine import operate

COLUMNS = ("hook", "app_id", "state", "pending", "failed", "oldest_pending_s", "breaker", "state_reason")


@click.command(cls=Command)
def stats() -> None:
    """Count events, deliveries and hooks."""
    with opened() as runtime:
        found = operate.stats(runtime)
    if output.is_json():
        output.emit(found)
        return
    for name in ("events", "deliveries"):
        click.echo(f"{name:<20}{_counted(found[name])}")
    for name in ("oldest_pending_s", "spool", "write_backs_waiting"):
        click.echo(f"{name:<20}{found[name]}")
    output.rows(found["hooks"], COLUMNS, empty="There is no hook; see crm-sync hooks add.")


def _counted(figures: dict[str, Any]) -> str:
    parts = []
    for name, figure in figures.items():
        if isinstance(figure, dict):
            reasons = ", ".join(f"{number} {reason}" for reason, number in figure.items())
            parts.append(f"{sum(figure.values())} {name}" + (f" ({reasons})" if reasons else ""))
        else:
            parts.append(f"{figure} {name}")
    return ", ".join(parts)
