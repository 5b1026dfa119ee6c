"""The ticket: what a POST and a PUT of it store, compute and set off.

Guarantees: the writer is the session's user whatever the client says; priority follows urgency and impact
by the matrix of the configuration unless the rules of the recordings keep a given one.
"""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crm_sync.sandbox.glpi import lifecycle, webhooks
from crm_sync.sandbox.glpi.actors import actors_in, add_actors, drop_missing, has_assignee
from crm_sync.sandbox.glpi.errors import NOT_ALLOWED, Refused
from crm_sync.sandbox.glpi.kinds import Context, ItemKind, SilentKind
from crm_sync.sandbox.glpi.rights import ASSIGNED, CHANGE_PRIORITY
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.state import DATETIME_FORMAT, moment
from crm_sync.sandbox.glpi.text import without_tags

#: How two tickets may be linked; a parent is kept as its son's parent.
LINK_TO, _, SON_OF, PARENT_OF = range(1, 5)

_TITLE_FROM_CONTENT = 70
_UNITS = {"minute": "minutes", "hour": "hours", "day": "days"}

#: What a requester without the right to update may still change on a new ticket.
_OWN_FIELDS = {"name", "content", "urgency", "itilcategories_id", "type"}


class TicketKind(ItemKind):
    """Tickets."""

    def name(self, ctx: Context, row: Row) -> str:
        return str(row["name"] or "")

    def title(self, ctx: Context, row: Row) -> str:
        title = super().title(ctx, row)
        return title if ctx.state.flavour.is_11 else f"{title} ({row['id']})"

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        actors_in(values)  # an impossible actor breaks the call before anything is stored
        now = ctx.now
        columns.update(users_id_recipient=ctx.session.user_id, users_id_lastupdater=ctx.session.user_id)
        columns["date"] = columns.get("date") or now
        if not columns.get("name"):
            columns["name"] = self._title_from(ctx, columns.get("content") or "")
        status = columns.setdefault("status", lifecycle.NEW)
        if status in (lifecycle.SOLVED, lifecycle.CLOSED):
            columns["solvedate"] = columns.get("solvedate") or now
        if status == lifecycle.CLOSED:
            columns["closedate"] = columns.get("closedate") or now
        columns["priority"] = self._first_priority(ctx, columns)
        self._apply_sla(ctx, columns)

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        added = add_actors(ctx, row, actors_in(values))
        if any(actor.role == ASSIGNED for actor in added):
            lifecycle.assigned(ctx, row)
        items = values.get("items_id")
        if isinstance(items, dict):
            for itemtype, numbers in items.items():
                for number in numbers if isinstance(numbers, list) else [numbers]:
                    link = {"tickets_id": row["id"], "itemtype": itemtype, "items_id": int(number)}
                    ctx.state["Item_Ticket"].insert(link)
        webhooks.notice(ctx, "Ticket", row, "new")

    def before_update(self, ctx: Context, row: Row, columns: Row, values: Mapping[str, Any]) -> None:
        if not ctx.session.right("ticket") & 2:
            for name in set(columns) - _OWN_FIELDS:
                del columns[name]
        actors_in(values)
        if any(columns.get(name, row[name]) != row[name] for name in ("urgency", "impact")):
            columns["priority"] = self._matrix(ctx, {**row, **columns})
        if columns.get("status", row["status"]) != row["status"]:
            for name, value in lifecycle.status_changes(row, columns["status"], ctx.now).items():
                columns.setdefault(name, value)
        self._apply_sla(ctx, columns, row)

    def after_update(self, ctx: Context, row: Row, values: Mapping[str, Any], old: Row) -> bool:
        dropped = drop_missing(ctx, row, values)
        added = add_actors(ctx, row, actors_in(values))
        if any(actor.role == ASSIGNED for actor in added):
            lifecycle.assigned(ctx, row)
        elif dropped and not has_assignee(ctx, row):
            lifecycle.unassigned(ctx, row)
        touched = bool(old or dropped or added)
        if touched:
            lifecycle.touch(ctx, row, takes_charge=row["status"] != lifecycle.NEW)
            webhooks.notice(ctx, "Ticket", row, "update")
        if "status" in old:
            lifecycle.after_status(ctx, row, old["status"])
        return touched

    def delete(self, ctx: Context, row: Row, *, purge: bool) -> None:
        super().delete(ctx, row, purge=purge)
        if not purge:
            webhooks.notice(ctx, "Ticket", row, "delete")

    def after_purge(self, ctx: Context, row: Row) -> None:
        for child in ("Ticket_User", "Group_Ticket", "Supplier_Ticket", "Item_Ticket", "TicketTask"):
            for belonging in ctx.state[child].where("tickets_id", row["id"]):
                ctx.state[child].delete(belonging)
        for link in list(ctx.state["Ticket_Ticket"].all()):
            if row["id"] in (link["tickets_id_1"], link["tickets_id_2"]):
                ctx.state["Ticket_Ticket"].delete(link)
        for child in ("ITILFollowup", "ITILSolution", "Document_Item"):
            for belonging in ctx.state[child].where("items_id", row["id"]):
                if belonging["itemtype"] == "Ticket":
                    ctx.state[child].delete(belonging)

    def _title_from(self, ctx: Context, content: str) -> str:
        flavour = ctx.state.flavour
        return flavour.stored(without_tags(flavour.read(content))[:_TITLE_FROM_CONTENT])

    def _first_priority(self, ctx: Context, columns: Row) -> int:
        given = columns.get("priority")
        if given and ctx.session.right("ticket") & CHANGE_PRIORITY:
            return int(given)
        return self._matrix(ctx, columns)

    def _matrix(self, ctx: Context, columns: Row) -> int:
        matrix = ctx.state.flavour.stock["config"]["priority_matrix"]
        urgency, impact = columns.get("urgency", 3), columns.get("impact", 3)
        return int(matrix.get(str(urgency), {}).get(str(impact), 3))

    def _apply_sla(self, ctx: Context, columns: Row, row: Row | None = None) -> None:
        for column, deadline in (("slas_id_ttr", "time_to_resolve"), ("slas_id_tto", "time_to_own")):
            sla = ctx.state.get("SLA", columns.get(column))
            if sla is None or (row is not None and row[column] == sla["id"]):
                continue
            unit = _UNITS.get(sla["definition_time"] or "hour", "hours")
            opened = moment((row or columns)["date"])
            due = opened + timedelta(**{unit: sla["number_time"]})
            columns[deadline] = due.strftime(DATETIME_FORMAT)


class ItemTicketKind(ItemKind):
    """Links between tickets and other items; the message names the item (case ``item-contact-link``)."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        for other in ctx.state["Item_Ticket"].where("tickets_id", columns["tickets_id"]):
            if (other["itemtype"], other["items_id"]) == (columns.get("itemtype"), columns.get("items_id")):
                raise Refused("")
        if ctx.state.get(str(columns.get("itemtype")), columns.get("items_id")) is None:
            raise Refused("")

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        lifecycle.touch(ctx, ctx.state["Ticket"].rows[row["tickets_id"]])

    def name(self, ctx: Context, row: Row) -> str:
        item = ctx.state.get(row["itemtype"], row["items_id"])
        return ctx.kind(row["itemtype"]).title(ctx, item) if item else ""


class TicketTaskKind(SilentKind):
    """Internal work on a ticket."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        columns.setdefault("users_id", ctx.session.user_id)
        columns.setdefault("date", ctx.now)

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        lifecycle.touch(ctx, ctx.state["Ticket"].rows[row["tickets_id"]], takes_charge=True)


class TicketTicketKind(SilentKind):
    """Links between two tickets: one for a pair, whichever comes first (GLPI's Ticket_Ticket::prepareInputForAdd)."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        columns.setdefault("link", LINK_TO)
        if columns["link"] == PARENT_OF:
            columns["tickets_id_1"], columns["tickets_id_2"] = (
                columns["tickets_id_2"],
                columns["tickets_id_1"],
            )
            columns["link"] = SON_OF
        if ctx.state.get("Ticket", columns.get("tickets_id_2")) is None:
            raise Refused(NOT_ALLOWED)
        pair = {columns["tickets_id_1"], columns["tickets_id_2"]}
        rows = ctx.state["Ticket_Ticket"].all()
        if len(pair) == 1 or any({row["tickets_id_1"], row["tickets_id_2"]} == pair for row in rows):
            raise Refused("")

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        for column in ("tickets_id_1", "tickets_id_2"):
            lifecycle.touch(ctx, ctx.state["Ticket"].rows[row[column]])
