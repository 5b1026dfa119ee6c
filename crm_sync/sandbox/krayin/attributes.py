"""Attributes: their rules for a body, their values, and what is unique.

Core columns and custom attributes are alike to Krayin: both have a definition, both are checked only when their key
was sent, and the value of both is kept once more in ``attribute_values`` – which is what uniqueness asks and what
``attribute_values.text_value`` finds (81c).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import journal, rules
from crm_sync.sandbox.krayin.context import Context
from crm_sync.sandbox.krayin.errors import Crashed
from crm_sync.sandbox.krayin.rules import TAKEN, Rule
from crm_sync.sandbox.krayin.sql import Row, equals, like
from crm_sync.sandbox.krayin.state import State
from crm_sync.sandbox.krayin.times import day, wall_time

VALUE_COLUMNS = {
    "text": "text_value",
    "textarea": "text_value",
    "price": "float_value",
    "boolean": "boolean_value",
    "select": "integer_value",
    "lookup": "integer_value",
    "multiselect": "text_value",
    "checkbox": "text_value",
    "email": "json_value",
    "phone": "json_value",
    "address": "json_value",
    "datetime": "datetime_value",
    "date": "date_value",
    "image": "text_value",
    "file": "text_value",
}
_LISTS = ("email", "phone")
_ADDRESS = ("address", "country", "state", "city", "postcode")


def definitions(state: State, entity_type: str) -> list[Row]:
    """The attributes of an entity type, oldest first."""
    return state["attributes"].where(entity_type=entity_type)


def custom(state: State, entity_type: str) -> list[Row]:
    """Those that somebody added."""
    return [row for row in definitions(state, entity_type) if row["is_user_defined"]]


def rules_for(
    ctx: Context, entity_type: str, sent: Mapping[str, Any], *, own: int | None, prefix: str = ""
) -> dict[str, list[Rule]]:
    """Rules for the keys that were sent; a key that is missing has none (37, 63, 71e).

    ``own`` is the record that may keep its own values (59d, 161), ``prefix`` where the keys stand in the body.
    """
    found: dict[str, list[Rule]] = {}
    quick = "quick_add" in ctx.data
    for attribute in sorted(definitions(ctx.state, entity_type), key=lambda row: row["code"]):
        if attribute["code"] in sent and not (quick and not attribute["quick_add"]):
            found.update(_rules_of(ctx, attribute, own, prefix + attribute["code"]))
    return found


def _rules_of(ctx: Context, attribute: Row, own: int | None, field: str) -> dict[str, list[Rule]]:
    kind = attribute["type"]
    needed: list[Rule] = [rules.required] if attribute["is_required"] else []
    if kind == "boolean":
        return {}
    if kind == "address":
        return {f"{field}.{part}": [rules.required] for part in _ADDRESS} if needed else {}
    unique: list[Rule] = []
    if attribute["is_unique"]:
        unique = [rules.fresh(lambda value: is_taken(ctx.state, attribute, value, own), TAKEN)]
    if kind in _LISTS:
        form: list[Rule] = [rules.email] if kind == "email" else []
        return {
            field: list(needed),
            f"{field}.*.value": [*needed, *form, *unique],
            f"{field}.*.label": list(needed),
        }
    return {field: [*needed, *_form_of(attribute), *unique]}


def _form_of(attribute: Row) -> list[Rule]:
    if attribute["type"] == "price" or attribute["validation"] == "decimal":
        return [rules.decimal]
    forms: dict[str, Rule] = {"numeric": rules.numeric, "email": rules.email}
    form = forms.get(attribute["validation"] or "") if attribute["type"] == "text" else None
    return [form] if form else []


def is_taken(state: State, attribute: Row, value: Any, own: int | None) -> bool:
    """Whether another record has a value (39, 40, 41).

    Of addresses and numbers a part is enough: that is no recorded case, it is how the server asks its database.
    """
    column = VALUE_COLUMNS[attribute["type"]]
    values = state["attribute_values"].where(attribute_id=attribute["id"])
    others = (row[column] for row in values if row["entity_id"] != own)
    if attribute["type"] in _LISTS:
        return any(like(other, f"%{value}%") for other in others)
    return any(equals(other, value) for other in others)


def without_nulls(entries: Any) -> Any:
    """A list of addresses or numbers without the entries whose value is null.

    Raises:
        Crashed: it is no such list.
    """
    if not isinstance(entries, list):
        raise Crashed
    return [entry for entry in entries if not isinstance(entry, Mapping) or entry.get("value") is not None]


def save(
    ctx: Context, entity_type: str, number: int, sent: Mapping[str, Any], only: set[str] | None = None
) -> None:
    """Keeps the values that were sent, one attribute after the other, and writes each change down.

    Booleans that were not sent become 0. ``only`` are the codes this update is about.

    Raises:
        Crashed: a value cannot be kept, or not be described (32); the ones before it stay.
    """
    for attribute in definitions(ctx.state, entity_type):
        code = attribute["code"]
        if only is not None and code not in only:
            continue
        if attribute["type"] == "boolean":
            _save_one(ctx, attribute, number, int(bool(sent.get(code)) and sent[code] != "0"))
        elif code in sent:
            _save_one(ctx, attribute, number, _kept(attribute, sent[code]))


def _kept(attribute: Row, value: Any) -> Any:
    kind = attribute["type"]
    if value is None or (value == "" and kind in ("price", "date", "datetime", "select", "lookup")):
        return None
    if kind in ("multiselect", "checkbox"):
        return ",".join(str(each) for each in value) if isinstance(value, list) else value
    if kind in _LISTS:
        return without_nulls(value)
    if kind == "date":
        return day(value)
    if kind == "datetime":
        return wall_time(value)
    if isinstance(value, (list, dict)) and kind != "address":
        raise Crashed
    return value


def _save_one(ctx: Context, attribute: Row, number: int, value: Any) -> None:
    column = VALUE_COLUMNS[attribute["type"]]
    entity_type = attribute["entity_type"]
    key = {"entity_type": entity_type, "entity_id": number, "attribute_id": attribute["id"]}
    before = None
    known = ctx.state["attribute_values"].where(**key)
    if known:
        before = known[0][column]
        ctx.state.update("attribute_values", known[0], {column: value})
    else:
        ctx.state.insert("attribute_values", {**key, column: value})
    journal.changed(ctx, attribute, number, value, before)


def value_of(state: State, attribute: Row, number: int) -> Any:
    """The value of one attribute of one record, or None."""
    column = VALUE_COLUMNS[attribute["type"]]
    for row in state["attribute_values"].where(
        entity_type=attribute["entity_type"], entity_id=number, attribute_id=attribute["id"]
    ):
        return row[column]
    return None


def first_value(entries: Any) -> str | None:
    """The value of the first entry of a list of addresses or numbers, or None."""
    if isinstance(entries, list) and entries and isinstance(entries[0], Mapping):
        value = entries[0].get("value")
        return None if value is None else str(value)
    return None
