"""How commands print: results on standard output (JSON when asked for), everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crm_sync.cli.troubles import Trouble

_JSON = "crm_sync.json"

#: Columns of a table that goes to a file or a pipe: wide enough that nothing is broken up.
_PIPE_WIDTH = 240


def want_json(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Remember that the command was given ``--json``."""
    if value:
        ctx.meta[_JSON] = True


def is_json() -> bool:
    """Whether the answer is to be JSON."""
    return bool(click.get_current_context().meta.get(_JSON))


def emit(value: Mapping[str, Any]) -> None:
    """One JSON object on a line of its own."""
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def answer(value: Mapping[str, Any], words: str) -> None:
    """The result: as JSON, or in words for a person."""
    if is_json():
        emit(value)
    else:
        click.echo(words)


def rows(found: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Several results: one JSON object a line, or a table of these columns; ``empty`` is said when there are none."""
    if is_json():
        for row in found:
            emit(row)
        return
    listed = list(found)
    if not listed:
        note(empty)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in listed:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    console().print(table)


def details(value: Mapping[str, Any]) -> None:
    """One result with many parts: as JSON, or one part a line."""
    if is_json():
        emit(value)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for key, part in value.items():
        table.add_row(Text(key, style="bold"), Text(cell(part)))
    console().print(table)


def note(words: str) -> None:
    """Something a person should know, apart from the result."""
    click.echo(words, err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; only a person at a terminal is asked."""
    if not yes and not is_json() and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def fail(trouble: Trouble) -> None:
    """Say why the command could not be done; the caller sets the exit status."""
    note(trouble.message)
    if is_json():
        told = asdict(trouble)
        emit({key: value for key, value in told.items() if value is not None})


def console(*, stderr: bool = False) -> Console:
    """A console for tables and progress."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
