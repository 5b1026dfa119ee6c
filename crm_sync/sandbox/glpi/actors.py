"""Who acts on a ticket: requesters, assignees and observers.

The three ways a client names actors (``_users_id_…`` keys, ``_actors`` lists and Ticket_User rows) end in
the same rows; :func:`actors_in` reads the first two.
"""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.sandbox.glpi import lifecycle
from crm_sync.sandbox.glpi.errors import Crashed, Refused
from crm_sync.sandbox.glpi.kinds import Context, ItemKind
from crm_sync.sandbox.glpi.rights import ASSIGNED, OBSERVER, REQUESTER
from crm_sync.sandbox.glpi.schema import Row

ROLES = {"requester": REQUESTER, "assign": ASSIGNED, "observer": OBSERVER}
_TABLES = {
    "User": ("Ticket_User", "users_id"),
    "Group": ("Group_Ticket", "groups_id"),
    "Supplier": ("Supplier_Ticket", "suppliers_id"),
}


@dataclass(frozen=True)
class Actor:
    """One actor as a client named it."""

    itemtype: str
    number: int
    role: int
    use_notification: int = 1
    alternative_email: str = ""


def actors_in(values: Mapping[str, Any]) -> list[Actor]:
    """The actors of a ticket's input; an itemtype that cannot act makes the server crash."""
    found: list[Actor] = []
    for name, role in ROLES.items():
        for itemtype, prefix in (
            ("User", "_users_id"),
            ("Group", "_groups_id"),
            ("Supplier", "_suppliers_id"),
        ):
            key = f"{prefix}_{name}"
            if key in values:
                found.extend(_from_keys(itemtype, role, values[key], values.get(f"{key}_notif")))
    given = values.get("_actors")
    if isinstance(given, dict):
        for name, role in ROLES.items():
            found.extend(_from_form(role, given.get(name) or []))
    return found


def _from_keys(itemtype: str, role: int, numbers: Any, notif: Any) -> list[Actor]:
    settings = notif if isinstance(notif, dict) else {}
    found = []
    for position, number in enumerate(numbers if isinstance(numbers, list) else [numbers]):
        use = _at(settings.get("use_notification", 1), position, 1)
        address = _at(settings.get("alternative_email", ""), position, "")
        found.append(Actor(itemtype, _number(number), role, _number(use), str(address or "")))
    return found


def _from_form(role: int, entries: Any) -> list[Actor]:
    found = []
    for entry in entries:
        itemtype = str(entry.get("itemtype", "User"))
        if itemtype not in _TABLES:
            raise Crashed
        found.append(
            Actor(
                itemtype,
                _number(entry.get("items_id")),
                role,
                _number(entry.get("use_notification", 1)),
                str(entry.get("alternative_email") or ""),
            )
        )
    return found


def _at(value: Any, position: int, default: Any) -> Any:
    if isinstance(value, list):
        return value[position] if position < len(value) else default
    return value


def _number(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def is_fit(ctx: Context, user: Row, entity: int) -> bool:
    """11's test of a user named as an actor: alive, and with a profile that reaches the ticket's entity."""
    if not user["is_active"] or user["is_deleted"] or (user.get("end_date") and user["end_date"] < ctx.now):
        return False
    lineage: list[int] = []
    above = ctx.state.get("Entity", entity)
    while above is not None:
        lineage.append(above["id"])
        above = ctx.state.get("Entity", above["entities_id"])
    return any(
        row["entities_id"] == entity or (row["is_recursive"] and row["entities_id"] in lineage)
        for row in ctx.state["Profile_User"].where("users_id", user["id"])
    )


def _is_welcome(ctx: Context, user: Row, ticket: Row) -> bool:
    return not ctx.state.flavour.drops_unfit_actors or is_fit(ctx, user, ticket["entities_id"])


def add_actors(ctx: Context, ticket: Row, actors: list[Actor]) -> list[Actor]:
    """Stores the actors that are new and known; returns those."""
    added = []
    for actor in actors:
        table_name, column = _TABLES[actor.itemtype]
        table = ctx.state[table_name]
        if actor.number:
            known = ctx.state.get(actor.itemtype, actor.number)
            if known is None:
                continue
            if actor.itemtype == "User" and not _is_welcome(ctx, known, ticket):
                continue
        elif actor.itemtype != "User" or not actor.alternative_email:
            continue
        if _present(table.where("tickets_id", ticket["id"]), column, actor):
            continue
        row: Row = {"tickets_id": ticket["id"], column: actor.number, "type": actor.role}
        if actor.itemtype == "User":
            row.update(use_notification=actor.use_notification, alternative_email=actor.alternative_email)
        table.insert(row)
        added.append(actor)
    return added


def _present(rows: list[Row], column: str, actor: Actor) -> bool:
    return any(
        row[column] == actor.number
        and row["type"] == actor.role
        and (actor.number or row["alternative_email"] == actor.alternative_email)
        for row in rows
    )


def drop_missing(ctx: Context, ticket: Row, values: Mapping[str, Any]) -> bool:
    """An update's ``_actors`` list is the whole list of its roles: others leave."""
    given = values.get("_actors")
    if not isinstance(given, dict):
        return False
    dropped = False
    for name, role in ROLES.items():
        if name not in given:
            continue
        keep = {(actor.itemtype, actor.number) for actor in _from_form(role, given[name])}
        for itemtype, (table_name, column) in _TABLES.items():
            for row in ctx.state[table_name].where("tickets_id", ticket["id"]):
                if row["type"] == role and (itemtype, row[column]) not in keep:
                    ctx.state[table_name].delete(row)
                    dropped = True
    return dropped


def has_assignee(ctx: Context, ticket: Row) -> bool:
    """Whether anybody, a group or a supplier is assigned."""
    return any(
        row["type"] == ASSIGNED
        for table_name, _ in _TABLES.values()
        for row in ctx.state[table_name].where("tickets_id", ticket["id"])
    )


class ActorKind(ItemKind):
    """Ticket_User, Group_Ticket and Supplier_Ticket rows, written one by one; never filtered, even on 11."""

    announces = False

    def __init__(self, itemtype: str, column: str) -> None:
        super().__init__(itemtype)
        self.column = column

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        columns.setdefault("type", REQUESTER if self.itemtype != "Supplier_Ticket" else ASSIGNED)
        if "alternative_email" in ctx.state[self.itemtype].columns:
            columns["alternative_email"] = columns.get("alternative_email") or ""
        actor = Actor(
            "", columns.get(self.column, 0), columns["type"], 1, str(columns.get("alternative_email") or "")
        )
        if not actor.number and not actor.alternative_email:
            raise Refused("")
        if _present(ctx.state[self.itemtype].where("tickets_id", columns["tickets_id"]), self.column, actor):
            raise Refused("")

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        ticket = ctx.state["Ticket"].rows[row["tickets_id"]]
        lifecycle.touch(ctx, ticket)
        if row["type"] == ASSIGNED:
            lifecycle.assigned(ctx, ticket)

    def after_purge(self, ctx: Context, row: Row) -> None:
        ticket = ctx.state.get("Ticket", row["tickets_id"])
        if ticket is not None:
            lifecycle.touch(ctx, ticket)
            if row["type"] == ASSIGNED and not has_assignee(ctx, ticket):
                lifecycle.unassigned(ctx, ticket)
