"""The activities of type ``system`` that Krayin writes about every change of a lead or person (91d).

They fill the lists of a record's activities, so a client that looks for its own must tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crm_sync.sandbox.krayin.labels import label
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.times import in_words, shown

if TYPE_CHECKING:
    from crm_sync.sandbox.krayin.context import Context

_LINKS = {"leads": ("lead_activities", "lead_id"), "persons": ("person_activities", "person_id")}
_COLUMNS = {"leads": ("lost_reason", "closed_at"), "persons": ("unique_id",)}


def created(ctx: Context, entity_type: str, number: int) -> None:
    """A record came into being."""
    _write(ctx, entity_type, number, "Created", None)


def changed(ctx: Context, attribute: Row, number: int, new: Any, old: Any) -> None:
    """An attribute has another value; nothing to nothing is no change.

    Raises:
        Crashed: the new value cannot be described (32).
    """
    if new == old or (not new and not old):
        return
    additional = {
        "attribute": attribute["name"],
        "new": {"value": new, "label": label(ctx.state, attribute, new)},
        "old": {"value": old, "label": label(ctx.state, attribute, old)},
    }
    _write(ctx, attribute["entity_type"], number, f"Updated {attribute['name']}", additional)


def columns(ctx: Context, entity_type: str, number: int, new: Row, old: Mapping[str, Any]) -> None:
    """Columns changed that are no attributes: of a lead its closing and the reason, of a person the unique key."""
    for column in _COLUMNS[entity_type]:
        if column in old and old[column] != new[column]:
            additional = {
                "attribute": column,
                "new": _described(ctx, column, new[column], fresh=True),
                "old": _described(ctx, column, old[column], fresh=False),
            }
            _write(ctx, entity_type, number, f"Updated {column}", additional)


def forget(ctx: Context, entity_type: str, number: int) -> None:
    """Removes every activity of a record that is about to be deleted – also when that fails afterwards (79d)."""
    table, column = _LINKS[entity_type]
    for link in ctx.state[table].where(**{column: number}):
        activity = ctx.state.get("activities", link["activity_id"])
        if activity is not None:
            ctx.state.delete("activities", activity)


def _described(ctx: Context, column: str, value: Any, *, fresh: bool) -> Row:
    if column != "closed_at" or value is None:
        return {"value": value, "label": value}
    utc = shown(value)
    if ctx.flavour.dates_in_words:
        return {"value": utc, "label": in_words(value)}
    written = value if fresh else utc
    return {"value": written, "label": written}


def _write(ctx: Context, entity_type: str, number: int, title: str, additional: Any) -> None:
    if entity_type not in _LINKS:
        return
    activity = ctx.state.insert(
        "activities",
        {
            "title": title,
            "type": "system",
            "additional": additional,
            "is_done": 1,
            "user_id": ctx.user["id"],
        },
    )
    table, column = _LINKS[entity_type]
    ctx.state.insert(table, {column: number, "activity_id": activity["id"]})
