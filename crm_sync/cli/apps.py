"""``crm-sync apps``: the CRMs that can be connected, and what they ask for. Holds no value of anybody's settings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console, Group as Stack
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.config import load
from crm_sync.crms import manifest, texts
from crm_sync.crms.base import Manifest
from crm_sync.crms.texts import LANGUAGES
from crm_sync.engine import apps as engine

COLUMNS = ("app_id", "name", "description", "feature_flag")

#: Columns and title of the picture, which documents show.
PICTURE_WIDTH = 132
#: A picture without fonts from elsewhere: a page that shows it may not be allowed to fetch them.
_PICTURE = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

_language = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="Language of labels and help. Left out: CRM_SYNC_LANGUAGE.",
)


@click.group(cls=Group)
def apps() -> None:
    """See which CRMs there are, and their settings."""


@apps.command("list")
@_language
def list_apps(language: str | None) -> None:
    """List the CRMs that can be connected."""
    chosen = language or load().language
    found = [_described(app.manifest, chosen) for _, app in sorted(engine.installed().items())]
    output.rows(found, COLUMNS, empty="No app is installed.")


@apps.command()
@click.argument("app_id")
@_language
@click.option("--markdown", is_flag=True, help="The tables of the documentation.")
@click.option("--svg", is_flag=True, help="The picture of the documentation.")
def show(app_id: str, language: str | None, markdown: bool, svg: bool) -> None:
    """Show an app with its settings and the custom attributes it fills in Chatwoot."""
    chosen = language or load().language
    found = engine.find(app_id).manifest
    if output.is_json():
        output.emit(_whole(found, chosen))
    elif markdown:
        click.echo("\n\n".join(as_markdown(found, chosen)))
    elif svg:
        click.echo(as_picture(found, chosen), nl=False)
    else:
        output.console().print(_page(found, chosen))


def as_markdown(found: Manifest, language: str) -> tuple[str, str]:
    """The settings and the custom attributes, as the documentation's tables."""
    settings = [
        (f"`{row['name']}`", "required" if row["required"] else _code(row["default"]), row["help"])
        for row in map(_setting, manifest.form_in(found, language))
    ]
    attributes = [
        (
            f"`{row['key']}`",
            row["model"].removesuffix("_attribute"),
            row["display_type"],
            row["name"],
            row["description"],
        )
        for row in _attributes(found, language)
    ]
    return (
        _markdown(("setting", "default", "meaning"), settings),
        _markdown(("attribute", "of", "type", "name", "meaning"), attributes),
    )


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def as_picture(found: Manifest, language: str) -> str:
    """What ``apps show`` prints, as SVG."""
    console = Console(record=True, width=PICTURE_WIDTH, file=io.StringIO(), highlight=False)
    console.print(_page(found, language))
    drawn = console.export_svg(
        title=f"crm-sync apps show {found.app_id}", code_format=_PICTURE, unique_id=found.app_id
    )
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def _described(found: Manifest, language: str) -> dict[str, Any]:
    words = texts.load(found.package, language) if found.package else None
    return {
        "app_id": found.app_id,
        "name": found.name,
        "description": words.find("description") if words else None,
        "feature_flag": found.feature_flag,
    }


def _whole(found: Manifest, language: str) -> dict[str, Any]:
    """Everything about an app, under the names that an app of Chatwoot gives it."""
    words = texts.load(found.package, language) if found.package else None
    return {
        **_described(found, language),
        "help_text": words.find("help_text") if words else None,
        "logo": found.logo,
        "i18n_key": found.i18n_key,
        "action": found.action,
        "hook_type": found.hook_type,
        "allow_multiple_hooks": found.allow_multiple_hooks,
        "events": sorted(found.events),
        "settings_json_schema": found.settings_schema,
        "settings_form_schema": list(manifest.form_in(found, language)),
        "visible_properties": [name for name in found.settings_schema["properties"] if name in found.visible],
        "aliases": dict(found.aliases),
        "custom_attributes": _attributes(found, language),
    }


def _attributes(found: Manifest, language: str) -> list[dict[str, Any]]:
    """The custom attributes. In Chatwoot they have their English names, whatever the language here."""
    words = texts.load(found.package, language) if found.package else None
    rows = [asdict(item) for item in found.attributes]
    for row in rows:
        for part in ("name", "description"):
            row[part] = (words.find(f"attributes.{row['key']}.{part}") if words else None) or row[part]
    return rows


def _page(found: Manifest, language: str) -> Stack:
    whole = _whole(found, language)
    return Stack(
        Text(f"{whole['name']} ({whole['app_id']})", style="bold"),
        Text(f"{whole['description'] or ''}"),
        Text(f"Feature flag {whole['feature_flag']}. Takes {', '.join(whole['events'])}."),
        Text("\nSettings (--set NAME=VALUE)", style="bold"),
        _indented(_table(map(_line, whole["settings_form_schema"]), ("name", "type", "default", "meaning"))),
        Text("\nCustom attributes in Chatwoot", style="bold"),
        _indented(_table(whole["custom_attributes"], ("key", "name", "display_type", "description"))),
    )


def _setting(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field of the form as people read it."""
    default = field.get("default")
    return {
        "name": field["name"],
        "type": field["type"],
        "required": "required" in str(field.get("validation", "")).split("|"),
        "default": json.dumps(default) if isinstance(default, bool) else output.cell(default),
        "label": field["label"],
        "help": field["help"],
        "choices": ", ".join(f"{option['value']} = {option['label']}" for option in field.get("options", ())),
    }


def _line(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field of the form as a line of the page."""
    row = _setting(field)
    meaning = Text.assemble((row["label"], "bold"), f"\n{row['help']}")
    if row["choices"]:
        meaning.append(f"\n{row['choices']}", style="italic")
    default = "required" if row["required"] else row["default"]
    return {"name": row["name"], "type": row["type"], "default": default, "meaning": meaning}


def _table(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(
            *(row[column] if isinstance(row[column], Text) else Text(str(row[column])) for column in columns)
        )
    return table


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2))
