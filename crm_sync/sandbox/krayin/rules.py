"""Laravel's validation, as far as Krayin uses it: rules by field, wildcards, and the English messages.

A rule is a function of a field's name and value that returns a message or None. Rules look only at what
:func:`check` finds: the caller decides which fields have rules at all, and Krayin gives them to keys that were sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from crm_sync.sandbox.krayin.body import Upload
from crm_sync.sandbox.krayin.errors import Invalid

Rule = Callable[[str, Any], str | None]

_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_DECIMAL = re.compile(r"^-?\d*(\.\d{1,4})?$")
_CODE = re.compile(r"^[a-zA-Z]+[a-zA-Z0-9_]+$")

TAKEN = "The value has already been taken."


def words(field: str) -> str:
    """A field's name in a message (31, 71c)."""
    return field.replace("_", " ")


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def is_empty(value: Any) -> bool:
    """What ``required`` does not take: null, blanks, and lists of nothing."""
    return value is None or (isinstance(value, (list, dict)) and not value) or _is_blank(value)


@dataclass(frozen=True)
class Required:
    """The field must hold something; the only rule that sees empty values. ``when`` ends the sentence (90b)."""

    when: str = ""

    def __call__(self, field: str, value: Any) -> str | None:
        """The message when the field holds nothing."""
        return f"The {words(field)} field is required{self.when}." if is_empty(value) else None


required = Required()


def email(field: str, value: Any) -> str | None:
    """An address, generously (42, 101e)."""
    if isinstance(value, str) and _EMAIL.match(value):
        return None
    return f"The {field} must be a valid email address."


def decimal(field: str, value: Any) -> str | None:
    """A number with at most four decimals; the message names the column as it is (71n)."""
    return None if _DECIMAL.match(str(value)) else f"The {field} must be a decimal."


def numeric(field: str, value: Any) -> str | None:
    """A number."""
    try:
        float(value)
    except (TypeError, ValueError):
        return f"The {words(field)} must be a number."
    return None


def boolean(field: str, value: Any) -> str | None:
    """Yes or no, as Laravel spells them."""
    # By type and text: 1.0 is no answer, and True is not to stand for every number it equals.
    known = isinstance(value, bool) or (isinstance(value, (int, str)) and str(value) in ("0", "1"))
    return None if known else f"The {words(field)} field must be true or false."


def not_negative(field: str, value: Any) -> str | None:
    """A number from 0 on; what is no number is another rule's affair."""
    negative = numeric(field, value) is None and float(value) < 0
    return f"The {words(field)} must be at least 0." if negative else None


def day_format(field: str, value: Any) -> str | None:
    """``Y-m-d`` and nothing else (71l)."""
    if isinstance(value, str) and _DAY.match(value):
        return None
    return f"The {words(field)} does not match the format Y-m-d."


def after(limit: date) -> Rule:
    """A date later than ``limit`` (71k)."""

    def rule(field: str, value: Any) -> str | None:
        try:
            late = date.fromisoformat(str(value)[:10]) > limit
        except ValueError:
            late = False
        return None if late else f"The {words(field)} must be a date after {limit.isoformat()}."

    return rule


def code(_field: str, value: Any) -> str | None:
    """A name for an attribute (80d)."""
    return None if _CODE.match(str(value)) else "The field must be a valid code."


def one_of(choices: Sequence[str]) -> Rule:
    """One of the texts (90e)."""

    def rule(field: str, value: Any) -> str | None:
        return None if value in choices else f"The selected {words(field)} is invalid."

    return rule


def exists(known: Callable[[Any], bool]) -> Rule:
    """The id of a row that is there (77e)."""

    def rule(field: str, value: Any) -> str | None:
        return None if known(value) else f"The selected {words(field)} is invalid."

    return rule


def fresh(taken: Callable[[Any], bool], message: str | None = None) -> Rule:
    """A value nobody else has, with Laravel's message or Krayin's own."""

    def rule(field: str, value: Any) -> str | None:
        if not taken(value):
            return None
        return message or f"The {words(field)} has already been taken."

    return rule


def check(data: Mapping[str, Any], rules: Mapping[str, Sequence[Rule]]) -> None:
    """Applies rules to a body; fields with wildcards come after the plain ones (38).

    A field that is empty knows only :class:`Required`: the other rules do not see it.

    Raises:
        Invalid: at least one rule is broken.
    """
    errors: dict[str, list[str]] = {}
    plain = {field: rules[field] for field in rules if "*" not in field}
    for field, its_rules in {**plain, **rules}.items():
        for name, value in _values(data, field.split("."), ""):
            messages = _messages(name, value, its_rules)
            if messages:
                errors[name] = messages
    if errors:
        raise Invalid(errors)


def _messages(name: str, value: Any, rules: Sequence[Rule]) -> list[str]:
    if is_empty(value):
        return [message for rule in rules if isinstance(rule, Required) and (message := rule(name, value))]
    return [message for rule in rules if not isinstance(value, Upload) and (message := rule(name, value))]


def _values(data: Any, parts: Sequence[str], before: str) -> Iterator[tuple[str, Any]]:
    """The places a field's name stands for, each with its value; a missing one is None."""
    if not parts:
        yield before[1:], data
        return
    head, *rest = parts
    if head != "*":
        inner = data.get(head) if isinstance(data, Mapping) else None
        yield from _values(inner, rest, f"{before}.{head}")
    elif isinstance(data, list):
        for position, each in enumerate(data):
            yield from _values(each, rest, f"{before}.{position}")
    elif isinstance(data, Mapping):
        for key, each in data.items():
            yield from _values(each, rest, f"{before}.{key}")
