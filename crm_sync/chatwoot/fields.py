"""The kinds of value in Chatwoot's JSON, as marshmallow fields.

Essential kinds (:class:`Id`, :class:`Choice`, :class:`Moment` with ``essential``) refuse what they cannot
read. All others never refuse a delivery: Chatwoot does not send it again, so an odd avatar must not cost a
ticket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from marshmallow import ValidationError, fields

from crm_sync.chatwoot.text import storable, storable_json

#: Largest id a database column of Chatwoot can hold (bigint).
_MAX_ID = 2**63 - 1
#: Digits of that number.
_MAX_DIGITS = 19


class Id(fields.Field[int]):
    """The number of a record. Text made of digits counts as a number."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        number = whole(value)
        if number is None or not 0 < number <= _MAX_ID:
            raise ValidationError("is not the number of a record")
        return number


class LaxId(fields.Field["int | None"]):
    """The number of a record that the delivery can do without."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int | None:
        number = whole(value)
        return number if number is not None and 0 < number <= _MAX_ID else None


class Text(fields.Field["str | None"]):
    """A text; an empty one counts as none (the dashboard writes empty strings for fields left blank)."""

    def __init__(self, *, strip: bool = True, **kwargs: Any) -> None:
        super().__init__(allow_none=True, load_default=None, **kwargs)
        self.strip = strip

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str | None:
        return text(value, strip=self.strip)


class Flag(fields.Field[bool]):
    """True or false; anything else counts as false."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_default=False, allow_none=True, **kwargs)

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        return value is True


class Object(fields.Field[dict[str, Any]]):
    """A JSON object; anything else, null too, counts as an empty one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_default=dict, **kwargs)

    def deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Null is an empty object too, so marshmallow's own handling of null is left out."""
        if not value or not isinstance(value, dict):
            return {}
        copy: dict[str, Any] = storable_json(value)
        return copy


class Choice(fields.Field[Any]):
    """A member of an enumeration, by its value or by an alias (Rails sends enums as text and as number)."""

    def __init__(self, enum: type[Enum], *, aliases: Mapping[Any, Enum] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members: dict[Any, Enum] = {member.value: member for member in enum} | dict(aliases or {})

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Enum:
        # True == 1 would otherwise be found among the aliases.
        if isinstance(value, str | int) and not isinstance(value, bool) and value in self.members:
            return self.members[value]
        raise ValidationError(
            f"is none of {', '.join(str(key) for key in self.members if isinstance(key, str))}"
        )


class Moment(fields.Field["datetime | None"]):
    """A time: ISO text, or seconds since 1970 as a whole or a broken number; 0 is Chatwoot's "never"."""

    def __init__(self, *, essential: bool = False, **kwargs: Any) -> None:
        if not essential:
            kwargs = {"allow_none": True, "load_default": None} | kwargs
        super().__init__(**kwargs)
        self.essential = essential

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime | None:
        found = moment(value)
        if found is None and self.essential:
            raise ValidationError("is not a time")
        return found


def whole(value: Any) -> int | None:
    """The whole number a value stands for, if it stands for one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
        return int(value)
    return None


def text(value: Any, *, strip: bool = True) -> str | None:
    """The text a value stands for; ``None`` for anything empty or structured."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    value = storable(value)
    if strip:
        value = value.strip()
    return value or None


def moment(value: Any) -> datetime | None:
    """The time a value stands for, in UTC; ``None`` where it stands for none."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC) if value > 0 else None
        if not isinstance(value, str):
            return None
        number = whole(value)
        if number is not None:
            return moment(number)
        found = datetime.fromisoformat(value.removesuffix(" UTC"))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def number(value: Any) -> float | None:
    """A coordinate; Chatwoot sends numbers, forks also text."""
    try:
        found = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return found if found is not None and math.isfinite(found) else None
