"""Kinds of arguments that click does not bring: moments, settings, and CRM records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from crm_sync import clock

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d+)([smhdw])")
_REMOTE = re.compile(r"([a-z0-9_]+)\.([A-Za-z_]+):(.+)")


class Moment(click.ParamType[datetime]):
    """A moment: ``2026-11-22``, ``2026-11-22T08:30:00Z``, or how long ago: ``90s``, ``30m``, ``2h``, ``7d``."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See click."""
        if isinstance(value, datetime):
            return value
        if ago := _AGO.fullmatch(value):
            return clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a time like 2026-11-22T08:30:00Z nor one like 2h.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Setting(click.ParamType[tuple[str, str]]):
    """One setting of a hook: ``key=value``."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """See click."""
        if isinstance(value, tuple):
            return value
        key, sign, text = value.partition("=")
        if not sign or not key.strip():
            # What follows may be a secret: the sentence does not repeat it.
            self.fail("a setting is written as key=value.", param, ctx)
        return key.strip(), text


class RemoteName(NamedTuple):
    """A CRM record as people write it: ``glpi.ticket:12``."""

    app_id: str
    type: str
    id: str


class Remote(click.ParamType[RemoteName]):
    """A CRM record."""

    name = "app.type:id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RemoteName:
        """See click."""
        if isinstance(value, RemoteName):
            return value
        found = _REMOTE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a record like glpi.ticket:12.", param, ctx)
        return RemoteName(*found.groups())


def as_mapping(settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The settings given; one that is given twice is wrong usage."""
    given: dict[str, str] = {}
    for key, text in settings:
        if key in given:
            raise click.UsageError(f"The setting {key} is given twice.")
        given[key] = text
    return given
