"""What Krayin calls a value where people or webhooks read it: names instead of ids, money, dates (123, 124)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from crm_sync.sandbox.krayin.errors import Crashed
from crm_sync.sandbox.krayin.sql import Row, number_in
from crm_sync.sandbox.krayin.state import State

#: The tables behind what a select or lookup chooses from.
LOOKUPS = {
    "users": "users",
    "lead_sources": "lead_sources",
    "lead_types": "lead_types",
    "lead_pipelines": "lead_pipelines",
    "lead_pipeline_stages": "lead_pipeline_stages",
    "persons": "persons",
    "organizations": "organizations",
    "leads": "leads",
    "products": "products",
}


def money(value: Any) -> str:
    """An amount with the currency's sign."""
    return f"${number_in(str(value or 0)):,.2f}"


def label(state: State, attribute: Row, value: Any) -> Any:
    """A value in words.

    Raises:
        Crashed: an entry of a list has no label or no value: PHP gives up on it (32).
    """
    if value is None:
        return None
    describe = _DESCRIBED.get(attribute["type"])
    return value if describe is None else describe(state, attribute, value)


def _choice(state: State, attribute: Row, value: Any) -> str | None:
    table = LOOKUPS.get(attribute["lookup_type"] or "", "attribute_options")
    row = state.get(table, value)
    if row is None:
        return None
    return str(row.get("name", row.get("title")))


def _entries(value: Any) -> str:
    try:
        return ", ".join(f"{entry['value']} ({entry['label']})" for entry in value)
    except (KeyError, TypeError):
        raise Crashed from None


def _day(value: Any) -> str:
    return datetime.strptime(str(value), "%Y-%m-%d").strftime("%a %b %d, %Y")  # noqa: DTZ007 - a day


_DESCRIBED: dict[str, Callable[[State, Row, Any], Any]] = {
    "price": lambda _state, _attribute, value: money(value),
    "boolean": lambda _state, _attribute, value: "Yes" if value else "No",
    "select": _choice,
    "lookup": _choice,
    "email": lambda _state, _attribute, value: _entries(value),
    "phone": lambda _state, _attribute, value: _entries(value),
    "date": lambda _state, _attribute, value: _day(value),
}
