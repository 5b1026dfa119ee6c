"""Followups and solutions: their rows, and what they do to the ticket they hang on."""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.glpi import lifecycle, webhooks
from crm_sync.sandbox.glpi.actors import has_assignee
from crm_sync.sandbox.glpi.errors import Refused
from crm_sync.sandbox.glpi.kinds import Context, ItemKind, SilentKind
from crm_sync.sandbox.glpi.rights import ASSIGNED, REQUESTER
from crm_sync.sandbox.glpi.schema import Row

_REOPENABLE = (lifecycle.PENDING, lifecycle.SOLVED, lifecycle.CLOSED)


def _ticket_of(ctx: Context, row: Row) -> Row | None:
    return ctx.state.get("Ticket", row["items_id"]) if row["itemtype"] == "Ticket" else None


class FollowupKind(SilentKind):
    """Followups; the old type TicketFollowup ends here too."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        if not columns.get("content"):
            raise Refused(ctx.state.flavour.message("You can't add a followup without description"))
        columns["users_id"] = columns.get("users_id") or ctx.session.user_id
        columns["date"] = columns.get("date") or ctx.now

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        ticket = _ticket_of(ctx, row)
        if ticket is None:
            return
        before = ticket["status"]
        lifecycle.touch(ctx, ticket, takes_charge=True)
        if values.get("add_close") and before == lifecycle.SOLVED:
            lifecycle.judge_solution(ctx, ticket, lifecycle.ACCEPTED)
            lifecycle.set_status(ctx, ticket, lifecycle.CLOSED)
        elif before in _REOPENABLE and self._reopens(ctx, ticket, values):
            lifecycle.set_status(
                ctx, ticket, lifecycle.PROCESSING if has_assignee(ctx, ticket) else lifecycle.NEW
            )
        elif values.get("_status"):
            lifecycle.set_status(ctx, ticket, int(values["_status"]))
        webhooks.notice(ctx, "ITILFollowup", row, "new")
        if ticket["status"] != before:
            webhooks.notice(ctx, "Ticket", ticket, "update")

    def before_update(self, ctx: Context, row: Row, columns: Row, values: Mapping[str, Any]) -> None:
        if "content" in columns and columns["content"] != row["content"]:
            columns["users_id_editor"] = ctx.session.user_id

    def after_update(self, ctx: Context, row: Row, values: Mapping[str, Any], old: Row) -> bool:
        ticket = _ticket_of(ctx, row)
        if old and ticket is not None:
            lifecycle.touch(ctx, ticket)
            webhooks.notice(ctx, "ITILFollowup", row, "update")
        return False

    def after_purge(self, ctx: Context, row: Row) -> None:
        ticket = _ticket_of(ctx, row)
        if ticket is not None:
            lifecycle.touch(ctx, ticket)

    def _reopens(self, ctx: Context, ticket: Row, values: Mapping[str, Any]) -> bool:
        """On demand, or because the caller (not the author) is a requester and nobody's assignee."""
        if values.get("add_reopen"):
            return True
        if values.get("_no_reopen") or values.get("_status"):
            return False
        return ctx.rights.acts_as(ticket, REQUESTER) and not ctx.rights.acts_as(ticket, ASSIGNED)


class SolutionKind(ItemKind):
    """Solutions: a new one solves its ticket and waits for approval; a PUT only writes columns."""

    def title(self, ctx: Context, row: Row) -> str:
        return str(row["id"])

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        ticket = ctx.state.get("Ticket", columns.get("items_id"))
        if ticket is None and not ctx.state.flavour.keeps_orphan_solutions:
            raise Refused("")
        if ticket is not None and ticket["status"] == lifecycle.SOLVED:
            raise Refused("The item is already solved, did anyone pushed a solution before you?")
        columns["users_id"] = columns.get("users_id") or ctx.session.user_id
        columns["status"] = lifecycle.WAITING

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        ticket = _ticket_of(ctx, row)
        if ticket is not None:
            lifecycle.set_status(ctx, ticket, lifecycle.SOLVED)
            webhooks.notice(ctx, "ITILSolution", row, "new")
            webhooks.notice(ctx, "Ticket", ticket, "update")


def legacy_row(row: Row) -> Row:
    """A followup as the 9.3 type shows it (case ``ticketfollowup-legacy-get``)."""
    hidden = ("itemtype", "items_id", "sourceitems_id", "sourceof_items_id")
    shown = {name: value for name, value in row.items() if name not in hidden}
    shown["tickets_id"] = row["items_id"]
    return shown
