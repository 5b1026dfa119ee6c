"""Custom attributes of a contact as further fields of its User or GLPI Contact (setting ``person_fields``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.crms.glpi.mapping import COMMENT_LIMIT, NAME_LIMIT


@dataclass(frozen=True, slots=True)
class PersonFields:
    """What attributes say of a person's record, and in a sentence each what of them cannot be written."""

    values: Mapping[str, Any]
    wrong: tuple[str, ...]


class _WrongError(Exception):
    """Why an attribute cannot be written."""


def person_fields(attributes: Mapping[str, Any], wanted: Mapping[str, str]) -> PersonFields:
    """The fields that attributes fill, by the setting's pairs of attribute and field.

    An attribute that is missing or empties makes its field empty; a wrong one is left out. Of several attributes for
    one field the last that says something counts.
    """
    values: dict[str, Any] = {}
    wrong = []
    for key, field in wanted.items():
        said = attributes.get(key)
        try:
            value = _value(field, "" if said is None else said)
        except _WrongError as why:
            wrong.append(f"The attribute {key} was left out: {why}")
            continue
        values[field] = value or values.get(field, value)
    return PersonFields(values, tuple(wrong))


def _value(field: str, said: Any) -> Any:
    if isinstance(said, dict | list):
        raise _WrongError(f"{field} takes a single value.")
    if field.endswith("_id"):
        return _number(field, said)
    text = {True: "true", False: "false"}[said] if isinstance(said, bool) else str(said).strip()
    return text[: COMMENT_LIMIT if field == "address" else NAME_LIMIT]


def _number(field: str, said: Any) -> int:
    """The id of a drop-down's entry; 0 for none. GLPI itself does not look whether there is such an entry."""
    text = str(said).strip()
    if text == "":
        return 0
    whole = text.removesuffix(".0") if isinstance(said, float) else text
    if not (whole.isascii() and whole.isdigit()):
        raise _WrongError(f"{field} takes a whole number.")
    return int(whole)
