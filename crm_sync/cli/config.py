"""``crm-sync config``: the options, and what they are set to here."""

from __future__ import annotations

from dataclasses import asdict

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Command
from crm_sync.config import Option, load, options

COLUMNS = ("variable", "type", "default", "value", "help")


@click.command(cls=Command)
@click.option("--markdown", is_flag=True, help="The table of the documentation, without values.")
def config(markdown: bool) -> None:
    """List the options: environment variables, their types, defaults, and values (secret ones masked)."""
    declared = options(load())
    if markdown and not output.is_json():
        click.echo(as_markdown(declared))
    else:
        output.rows((asdict(option) for option in declared), COLUMNS, empty="")


def as_markdown(declared: list[Option]) -> str:
    """The options as the documentation's table."""
    lines = ["| Variable | Type | Default | What it is |", "| --- | --- | --- | --- |"]
    for option in declared:
        default = f"`{option.default}`" if option.default else ""
        lines.append(
            f"| `{option.variable}` | {option.type} | {default} | {option.help} |".replace("|  |", "| |")
        )
    return "\n".join(lines)
