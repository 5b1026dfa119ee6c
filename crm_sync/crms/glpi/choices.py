"""What a ticket is to be, as the settings have it: state, type, category, group, fields. Pure functions: no call.

Where an inbox or a team is named in a setting, its number or its name will do; of names, upper and lower case and
accents make no difference, as they make none to GLPI.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm_sync.crms.glpi import mapping
from crm_sync.events import Conversation, Message, SenderKind, Team

#: The words for a ticket's type, urgency and impact, as Chatwoot shows them (see the attributes in app.yml).
TYPES = {1: "Incident", 2: "Request"}
LEVELS = {1: "Very Low", 2: "Low", 3: "Medium", 4: "High", 5: "Very High"}

#: The settings that say something by inbox.
BY_INBOX = ("type_by_inbox", "category_by_inbox")

#: Between what a number of a ticket's field lies.
_RANGES = {
    "itilcategories_id": (1, 2**31 - 1),
    "locations_id": (1, 2**31 - 1),
    "type": (1, 2),
    "urgency": (1, 5),
    "impact": (1, 5),
}
_WORDS = {"type": TYPES, "urgency": LEVELS, "impact": LEVELS}

#: The field that holds a date: until when a ticket is to be resolved.
DEADLINE = "time_to_resolve"

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SOLVED = frozenset({mapping.SOLVED, mapping.CLOSED})


# -- state ---------------------------------------------------------------------------------------------------------


def state(conversation: Conversation, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a ticket that follows its conversation: status, urgency and impact; never GLPI's own priority."""
    return {
        "status": mapping.status(conversation),
        "urgency": _level(conversation.priority, settings.get("urgency_by_priority")),
        "impact": _level(conversation.priority, settings.get("impact_by_priority")),
    }


def _level(priority: str | None, table: Mapping[str, int] | None) -> int:
    usual = mapping.PRIORITY.get(priority, mapping.PRIORITY[None])
    return (table or {}).get(priority or "none", usual)


def is_solved(status: Any) -> bool:
    """Whether a ticket in this status is solved: GLPI closes solved ones by itself (facts: auto-close)."""
    return status in _SOLVED


def heard(agreed: Mapping[str, Any], key: str) -> Any:
    """What the conversation was last heard to want of the ticket.

    That is what was written, unless somebody in GLPI has chosen otherwise since: then both are remembered.
    """
    return (agreed.get("heard") or {}).get(key, agreed.get(key))


def adopted(agreed: Mapping[str, Any], there: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be agreed so that the ticket may be as it is there, while the conversation wants what it wants."""
    kept = {**(agreed.get("heard") or {}), **{key: heard(agreed, key) for key in there}}
    kept |= {key: value for key, value in wanted.items() if key in there}
    differing = {key: value for key, value in kept.items() if value != there.get(key, agreed.get(key))}
    return {**there, "heard": differing or None}


def news(agreed: Mapping[str, Any], wanted: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """What is agreed once a conversation's wants were seen to, of which these were written."""
    kept = {key: value for key, value in (agreed.get("heard") or {}).items() if key not in written}
    found = {key: value for key, value in wanted.items() if key not in kept}
    return {**found, "heard": kept or None}


def changes(agreed: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted and was not heard before. A closed ticket is solved already."""
    found = {key: value for key, value in wanted.items() if heard(agreed, key) != value}
    if "status" in found and is_solved(found["status"]) and is_solved(agreed.get("status")):
        del found["status"]
    return found


# -- by inbox ------------------------------------------------------------------------------------------------------


def asks_for_inbox(settings: Mapping[str, Any]) -> bool:
    """Whether a setting speaks of an inbox by its name."""
    tables = (settings.get(name) or {} for name in BY_INBOX)
    named = any(not key.strip().isdigit() for table in tables for key in table)
    return named or bool(settings.get("category_named_like_inbox"))


def ticket_type(settings: Mapping[str, Any], inbox_id: int | None, inbox: str | None) -> int:
    """The type of a new ticket: its inbox's, else the usual one."""
    chosen = _named(settings.get("type_by_inbox"), inbox_id, inbox)
    return int(chosen if chosen is not None else settings["ticket_type"])


def category_by_inbox(settings: Mapping[str, Any], inbox_id: int | None, inbox: str | None) -> int | None:
    """The category that the settings give to an inbox."""
    return _named(settings.get("category_by_inbox"), inbox_id, inbox)


def pattern(name: str) -> str:
    """What finds a category of this name, and perhaps others.

    GLPI 10 keeps three characters encoded, and so does an 11 that was a 10 once: something stands for them.
    """
    return re.sub(r"[&<>%]+", "%", name.strip())


def category_named(rows: Iterable[Mapping[str, Any]], name: str, entity: int) -> int | None:
    """Which of the categories found is called like this and can be used in an entity: the uppermost, the oldest."""
    fit = [
        (int(row.get("level") or 1), int(row["id"]))
        for row in rows
        if _folded(str(row.get("name") or "")) == _folded(name)
        and (row.get("entities_id") == entity or row.get("is_recursive"))
    ]
    return min(fit)[1] if fit else None


def group(settings: Mapping[str, Any], team: Team | None) -> int | None:
    """The group that a team stands for."""
    return _named(settings.get("group_by_team"), team.id, team.name) if team else None


def _named(table: Mapping[str, int] | None, number: int | None, name: str | None) -> int | None:
    """What a table says of something with this number and name; the number comes first."""
    for key, value in (table or {}).items():
        if key.strip() == str(number):
            return value
    for key, value in (table or {}).items():
        if name and _folded(key) == _folded(name):
            return value
    return None


def _folded(text: str) -> str:
    """A name as GLPI's database compares it: without case, accents and spaces around it."""
    apart = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


# -- fields of custom attributes -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of a ticket as custom attributes fill them. ``wrong`` names the attributes that fill none, and why.

    A deadline is a time in UTC, in ISO form, or a date of GLPI's own clock, where an attribute holds a day only.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


def fields(settings: Mapping[str, Any], attributes: Mapping[str, Any]) -> Fields:
    """What the custom attributes of a conversation say of its ticket; empty ones say nothing."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for key, name in (settings.get("ticket_fields") or {}).items():
        given = attributes.get(key)
        if given is None or given == "":
            continue
        read = _date(given) if name == DEADLINE else _number(given, name)
        if read is None:
            wrong.append(f"{key} ({str(given)[:40]!r}) is no {_KIND.get(name, 'number')} for {name}")
        else:
            values[name] = read
    return Fields(values, tuple(wrong))


_KIND = {DEADLINE: "date", "type": "type", "urgency": "level", "impact": "level"}


def _number(given: Any, name: str) -> int | None:
    lowest, highest = _RANGES[name]
    text = str(given).strip()
    number = next(
        (key for key, word in _WORDS.get(name, {}).items() if word.casefold() == text.casefold()), None
    )
    if number is None and not isinstance(given, bool) and re.fullmatch(r"\d{1,10}(?:\.0+)?", text):
        number = int(float(text))
    return number if number is not None and lowest <= number <= highest else None


def _date(given: Any) -> str | None:
    """A deadline. A day lasts until its end."""
    text = str(given).strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if _DAY.fullmatch(text):
        return f"{text} 23:59:59"
    return moment.astimezone(UTC).isoformat() if moment.tzinfo else f"{moment:%Y-%m-%d %H:%M:%S}"


# -- people and words ----------------------------------------------------------------------------------------------


def technicians(rows: Iterable[Mapping[str, Any]], email: str) -> list[int]:
    """The active users with this very address among the rows of a search (fields 2, 5 and 8)."""
    found = []
    for row in rows:
        addresses = row.get("5")
        held = addresses if isinstance(addresses, list) else [addresses]
        if email.casefold() in {str(address).casefold() for address in held} and str(row.get("8", 1)) != "0":
            found.append(int(row["2"]))
    return found


def last_answer(messages: Iterable[Message]) -> Message | None:
    """The last public words of an agent."""
    answers = [
        message
        for message in messages
        if message.sender.kind is SenderKind.AGENT
        and not message.private
        and not message.deleted
        and (message.content or message.attachments)
    ]
    return max(answers, key=lambda message: message.id, default=None)
