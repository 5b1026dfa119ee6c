"""What a ticket's status brings about: dates, durations, and the fate of its solution.

Used by the ticket itself, its actors, followups and solutions. All changes
are made as the session's user, now.
"""

from __future__ import annotations

from crm_sync.sandbox.glpi.kinds import Context
from crm_sync.sandbox.glpi.rights import ADD_TO_ALL_TICKETS, ASSIGNED, REQUESTER
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.state import seconds_between

NEW, PROCESSING, PLANNED, PENDING, SOLVED, CLOSED = 1, 2, 3, 4, 5, 6
_STOPPED = (PENDING, SOLVED, CLOSED)
WAITING, ACCEPTED, REFUSED_SOLUTION = 2, 3, 4


def status_changes(row: Row, status: int, now: str) -> Row:
    """The columns that follow when ``row`` takes a status (cases ``ticket-put-status-*``)."""
    old = row["status"]
    changes: Row = {"status": status}
    waited = row["waiting_duration"]
    if status in _STOPPED and old not in _STOPPED:
        changes["begin_waiting_date"] = now
    elif status not in _STOPPED and row["begin_waiting_date"]:
        waited += seconds_between(row["begin_waiting_date"], now)
        changes.update(begin_waiting_date=None, waiting_duration=waited)
    if status in (SOLVED, CLOSED):
        changes.update(_ended(row, status, now, waited))
    elif old in (SOLVED, CLOSED):
        changes.update(solvedate=None, closedate=None, solve_delay_stat=0, close_delay_stat=0)
    return changes


def _ended(row: Row, status: int, now: str, waited: int) -> Row:
    changes: Row = {}
    if status == SOLVED or not row["solvedate"]:
        changes["solvedate"] = now
        changes["solve_delay_stat"] = max(0, seconds_between(row["date"], now) - waited)
    if status == CLOSED:
        changes["closedate"] = now
        changes["close_delay_stat"] = max(0, seconds_between(row["date"], now) - waited)
    elif row["closedate"]:
        changes.update(closedate=None, close_delay_stat=0)
    return changes


def can_take_charge(ctx: Context, ticket: Row) -> bool:
    """Whether a deed of the session's user counts as taking the ticket into account."""
    if ctx.rights.acts_as(ticket, ASSIGNED):
        return True
    if ctx.rights.acts_as(ticket, REQUESTER):
        return False
    return bool(ctx.session.right("followup") & ADD_TO_ALL_TICKETS)


def taken_into_account(ctx: Context, ticket: Row) -> Row:
    """The columns of the first deed of somebody in charge; none once that is past."""
    if ticket["takeintoaccountdate"] or not can_take_charge(ctx, ticket):
        return {}
    now = ctx.now
    return {"takeintoaccountdate": now, "takeintoaccount_delay_stat": seconds_between(ticket["date"], now)}


def touch(ctx: Context, ticket: Row, *, takes_charge: bool = False) -> None:
    """Anything done to a ticket moves its date and its last editor."""
    changes: Row = {"date_mod": ctx.now, "users_id_lastupdater": ctx.session.user_id}
    if takes_charge:
        changes.update(taken_into_account(ctx, ticket))
    ctx.state["Ticket"].update(ticket, changes)


def set_status(ctx: Context, ticket: Row, status: int) -> None:
    """Moves a ticket to a status, with everything that hangs on it."""
    old = ticket["status"]
    if status == old:
        return
    ctx.state["Ticket"].update(ticket, status_changes(ticket, status, ctx.now))
    touch(ctx, ticket, takes_charge=status != NEW)
    after_status(ctx, ticket, old)


def after_status(ctx: Context, ticket: Row, old: int) -> None:
    """Reopening refuses the last solution, even an accepted one (cases ``ticket-solutions-after-*``)."""
    if old not in (SOLVED, CLOSED) or ticket["status"] in (SOLVED, CLOSED):
        return
    judge_solution(ctx, ticket, REFUSED_SOLUTION)


def judge_solution(ctx: Context, ticket: Row, verdict: int) -> None:
    """Accepts or refuses the last solution of a ticket, if it has one."""
    solutions = [
        s for s in ctx.state["ITILSolution"].where("items_id", ticket["id"]) if s["itemtype"] == "Ticket"
    ]
    if not solutions or solutions[-1]["status"] == verdict:
        return
    ctx.state["ITILSolution"].update(
        solutions[-1],
        {
            "status": verdict,
            "users_id_approval": ctx.session.user_id,
            "date_approval": ctx.now,
            "date_mod": ctx.now,
        },
    )


def assigned(ctx: Context, ticket: Row) -> None:
    """Somebody was assigned: a new ticket is being processed."""
    ctx.state["Ticket"].update(ticket, taken_into_account(ctx, ticket))
    if ticket["status"] == NEW:
        ctx.state["Ticket"].update(ticket, status_changes(ticket, PROCESSING, ctx.now))


def unassigned(ctx: Context, ticket: Row) -> None:
    """The last assignee left: an open ticket is new again."""
    if ticket["status"] not in (SOLVED, CLOSED):
        ctx.state["Ticket"].update(ticket, status_changes(ticket, NEW, ctx.now))
