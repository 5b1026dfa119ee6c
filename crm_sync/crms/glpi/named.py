"""The records that settings name by their ids. GLPI itself checks none of these when a ticket is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.rights import READ, Profile
from crm_sync.errors import ConfigError, NotFound, Rejected

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of record: the entry of profiles that says who may see it, and what people call one."""

    itemtype: str
    entry: str
    words: str


_CATEGORY = _Kind("ITILCategory", "itilcategory", "ITIL category")
_SOURCE = _Kind("RequestType", "dropdown", "request source")
_USER = _Kind("User", "user", "user")
_GROUP = _Kind("Group", "group", "group")
_SLA = _Kind("SLA", "slm", "SLA")

#: The settings that name records: by one id, by a list of ids, or by an id for each inbox or team.
NAMED = {
    "category_id": _CATEGORY,
    "category_by_inbox": _CATEGORY,
    "request_source_id": _SOURCE,
    "default_user_id": _USER,
    "observer_ids": _USER,
    "group_by_team": _GROUP,
    "sla_id": _SLA,
}

#: What an SLA is about, as GLPI numbers it: until when a ticket is to be resolved, or taken up.
TIME_TO_RESOLVE = 0


@dataclass(frozen=True, slots=True)
class Named:
    """What is known of the records named: the categories, and a note for each that the account may not look at."""

    categories: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One place of the settings that names a record. ``where`` is the inbox or team, if it is for one."""

    setting: str
    where: str
    id: int

    def wrong(self, words: str) -> ConfigError:
        place = f" ({self.where})" if self.where else ""
        return ConfigError(f"{self.setting}{place}: {words}", setting=self.setting, code="record_not_found")


def checked(client: GlpiClient, profile: Profile, settings: Mapping[str, Any]) -> Named:
    """See that what the settings name is there, a call for each type. Raises ConfigError naming setting and entry."""
    categories: list[Row] = []
    notes: list[str] = []
    for kind in dict.fromkeys(NAMED.values()):
        entries = list(_entries(settings, kind))
        if not entries:
            continue
        rows = _rows(client, kind, entries) if profile.may(kind.entry, READ) else {}
        for entry in entries:
            row = rows.get(entry.id)
            if row is None:
                place = f"{entry.setting}, {entry.where}" if entry.where else entry.setting
                notes.append(
                    f"Whether GLPI has the {kind.words} {entry.id} ({place}) this account may not see."
                )
            else:
                _check_usable(entry, kind, row)
        if kind is _CATEGORY:
            categories.extend(rows.values())
    return Named(tuple(categories), tuple(notes))


def _entries(settings: Mapping[str, Any], kind: _Kind) -> Iterator[_Entry]:
    for setting, its_kind in NAMED.items():
        value = settings.get(setting)
        if its_kind is not kind or not value:
            continue
        if isinstance(value, Mapping):
            yield from (_Entry(setting, str(where), int(number)) for where, number in value.items())
        else:
            numbers = value if isinstance(value, list | tuple) else [value]
            yield from (_Entry(setting, "", int(number)) for number in numbers)


def _rows(client: GlpiClient, kind: _Kind, entries: list[_Entry]) -> dict[int, Row]:
    """The records by id, without those that the account may not see. Raises ConfigError for one that is missing."""
    try:
        return {int(row["id"]): row for row in client.several(kind.itemtype, [entry.id for entry in entries])}
    except (NotFound, Rejected):
        # GLPI refuses all for one; asked for each, it tells which.
        return dict(_one_by_one(client, kind, entries))


def _one_by_one(client: GlpiClient, kind: _Kind, entries: list[_Entry]) -> Iterator[tuple[int, Row]]:
    for entry in entries:
        try:
            yield entry.id, client.item(kind.itemtype, entry.id)
        except NotFound as error:
            raise entry.wrong(f"GLPI has no {kind.words} {entry.id}.") from error
        except Rejected as refused:
            if refused.code != "ERROR_RIGHT_MISSING":
                raise


def _check_usable(entry: _Entry, kind: _Kind, row: Row) -> None:
    """Raises ConfigError for a record that is there and of no use."""
    if row.get("is_deleted") == 1:
        raise entry.wrong(f"the {kind.words} {entry.id} is in GLPI's bin.")
    # Nobody needs to log in to be named as an author, but GLPI 11 takes no such observer.
    if entry.setting == "observer_ids" and row.get("is_active") == 0:
        raise entry.wrong(f"the user {entry.id} is switched off in GLPI.")
    if kind is _SLA and row.get("type", TIME_TO_RESOLVE) != TIME_TO_RESOLVE:
        raise entry.wrong(f"the SLA {entry.id} is not about the time to resolve.")
