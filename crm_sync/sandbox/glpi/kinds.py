"""How an item is added, changed and removed, for types without habits of their own.

:class:`ItemKind` is the frame that the modules of users, tickets, followups, documents … fill: each
overrides the step that is special for its type. :class:`Context` is what every step gets to know about the
call.
"""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crm_sync.sandbox.glpi.errors import Refused
from crm_sync.sandbox.glpi.rights import Rights
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.text import fold
from crm_sync.sandbox.glpi.write import Writer, duplicate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crm_sync.sandbox.glpi.session import Session, Sessions
    from crm_sync.sandbox.glpi.state import State


@dataclass
class Context:
    """One call: the state, who calls, and the base of the links it shows."""

    state: State
    sessions: Sessions
    session: Session
    rights: Rights
    link_base: str
    kind: Callable[[str], ItemKind]
    #: Whether texts are to be read without the encoding 10.0 stores them in.
    raw_text: bool = False
    #: Bytes of the files that came with the call, by name.
    files: Mapping[str, Any] | None = None

    @property
    def now(self) -> str:
        """The present second as the database writes it."""
        return self.state.now()


_LABELS = {"Document_Item": "Document item", "ITILFollowup": "Followup"}


class ItemKind:
    """The frame of add, update and delete; also what a plain type needs."""

    #: Whether an add says "Item successfully added: …"; rows that only link others stay silent.
    announces = True

    def __init__(self, itemtype: str) -> None:
        self.itemtype = itemtype

    def add(self, ctx: Context, values: Mapping[str, Any]) -> Row:
        """Checks, inserts and lets the follow-ups of the insert happen; Refused when the item says no."""
        columns = Writer(ctx.state.flavour, ctx.session, ctx.state[self.itemtype]).columns(values)
        table = ctx.state[self.itemtype]
        if "entities_id" in table.columns:
            columns.setdefault("entities_id", ctx.session.active_entity)
        for column in ("date_creation", "date_mod"):
            if column in table.columns:
                columns[column] = columns.get(column) or ctx.now
        self.before_add(ctx, columns, values)
        check_unicity(ctx, self.itemtype, columns)
        row = table.insert(columns)
        self.after_add(ctx, row, values)
        return row

    def update(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> bool:
        """Writes what differs; date_mod moves only when something did (case ``ticket-put-noop``)."""
        table = ctx.state[self.itemtype]
        columns = Writer(ctx.state.flavour, ctx.session, table).columns(values, row=row)
        for fixed in ("id", "date_mod"):
            columns.pop(fixed, None)
        self.before_update(ctx, row, columns, values)
        changes = {name: value for name, value in columns.items() if row[name] != value}
        old = {name: row[name] for name in changes}
        if changes:
            if "date_mod" in table.columns:
                changes["date_mod"] = ctx.now
            table.update(row, changes)
        touched = self.after_update(ctx, row, values, old)
        return bool(old) or touched

    def delete(self, ctx: Context, row: Row, *, purge: bool) -> None:
        """To the bin, or for good where there is no bin or a purge is asked for."""
        table = ctx.state[self.itemtype]
        if purge or "is_deleted" not in table.columns:
            table.delete(row)
            self.after_purge(ctx, row)
        else:
            table.update(row, {"is_deleted": 1, "date_mod": ctx.now})

    def title(self, ctx: Context, row: Row) -> str:
        """What a message calls the row."""
        return self.name(ctx, row) or f"{_LABELS.get(self.itemtype, self.itemtype)} - ID {row['id']}"

    def name(self, ctx: Context, row: Row) -> str:
        """What a drop-down shows for the row."""
        return str(row.get("name") or "")

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        """May change the columns of a new row, or refuse it."""

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        """What else an insert brings about."""

    def before_update(self, ctx: Context, row: Row, columns: Row, values: Mapping[str, Any]) -> None:
        """May change the columns about to be written, or refuse the update."""

    def after_update(self, ctx: Context, row: Row, values: Mapping[str, Any], old: Row) -> bool:
        """What else an update brings about; True when it touched more than the columns in ``old``."""
        return False

    def after_purge(self, ctx: Context, row: Row) -> None:
        """What else goes with a purged row."""


class TreeKind(ItemKind):
    """Types that hang under each other and carry a full name (categories, locations, groups)."""

    def __init__(self, itemtype: str, parent: str) -> None:
        super().__init__(itemtype)
        self.parent = parent

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        above = ctx.state.get(self.itemtype, columns.get(self.parent) or None)
        own = columns.get("name") or ""
        columns["completename"] = f"{above['completename']} > {own}" if above else own
        columns["level"] = above["level"] + 1 if above else 1

    def name(self, ctx: Context, row: Row) -> str:
        return str(row.get("completename") or row.get("name") or "")

    def title(self, ctx: Context, row: Row) -> str:
        return str(row.get("name") or super().title(ctx, row))


class EntityKind(TreeKind):
    """Entities: unique below their parent, and settings inherited unless given (cases ``entity-*``)."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        parent = columns["entities_id"]
        above = ctx.state["Entity"].rows[parent]
        name = columns.get("name") or ""
        for sibling in ctx.state["Entity"].where("entities_id", parent):
            if fold(sibling["name"]) == fold(name):
                ctx.state["Entity"].use_up_id()
                raise duplicate(ctx.state.flavour, "Entity", f"{parent}-{name}", columns)
        columns["completename"] = f"{above['completename']} > {name}"
        columns["level"] = above["level"] + 1
        ancestors = [parent]
        while above["entities_id"] is not None:
            ancestors.insert(0, above["entities_id"])
            above = ctx.state["Entity"].rows[above["entities_id"]]
        columns["ancestors_cache"] = "[" + ",".join(map(str, ancestors)) + "]"
        columns["max_closedate"] = ctx.now


class FieldUnicityKind(ItemKind):
    """Rules that make other fields unique (cases ``fieldunicity-*``); they never act on tickets."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        wanted = values.get("_fields")
        if isinstance(wanted, list):
            columns["fields"] = ",".join(str(name) for name in wanted)


class SilentKind(ItemKind):
    """Rows that link others: their add answers with an empty message."""

    announces = False


def check_unicity(ctx: Context, itemtype: str, columns: Row) -> None:
    """Refuses what an active uniqueness rule forbids (case ``contact-create-refused-by-unicity``)."""
    if itemtype == "Ticket":
        return
    for rule in ctx.state["FieldUnicity"].where("itemtype", itemtype):
        if not rule["is_active"] or not rule["action_refuse"]:
            continue
        for column in (rule["fields"] or "").split(","):
            value = columns.get(column)
            taken = ctx.state[itemtype].alike(column, fold(str(value))) if value else []
            if taken:
                raise Refused(_unicity_text(ctx, itemtype, column, str(value), taken[0]))


def _unicity_text(ctx: Context, itemtype: str, column: str, value: str, other: int) -> str:
    options = ctx.state.flavour.stock["search_options"].get(itemtype, {})
    label = next((o["name"] for o in options.values() if o.get("field") == column), column)
    row = ctx.state[itemtype].rows[other]
    entity = ctx.state.get("Entity", row.get("entities_id"))
    where = entity["completename"] if entity else ""
    holder = f"{ctx.kind(itemtype).title(ctx, row)} - ID: {other} - Entity: {where}"
    return f"Impossible record for {label} = {value}Other item exist[{holder}]"
