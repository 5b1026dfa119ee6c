"""The journal's statements: take an event, end it, let it wait. Each is safe against another worker doing the same.

All of them work within a transaction of the caller. What is written on behalf of a claim is written with a
compare-and-set on it and raises ClaimLost when the claim was taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    Executable,
    Table,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from crm_sync import owner
from crm_sync.errors import ClaimLost
from crm_sync.store import models
from crm_sync.store.models import EventState, HookState

# Tables rather than mapped classes: an event costs many small statements, and these cost half as much.
_events = models.Event.__table__.c
_event_table = cast("Table", models.Event.__table__)
_deliveries = models.Delivery.__table__.c
_hooks = models.Hook.__table__.c

#: How many waiting events of one mailbox are looked at to find the first one.
LOOK_AHEAD = 200


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A waiting event as the mailbox sees it."""

    id: int
    position: str
    name: str
    conversation_id: int | None
    message_id: int | None
    next_attempt_at: datetime
    tries: int
    claim: str | None
    claimed_until: datetime | None


def pending(session: Session, mailbox: str) -> list[PendingRow]:
    """The waiting events of a mailbox, by position."""
    rows = session.execute(_PENDING, {"name": mailbox})
    return [PendingRow(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Gate:
    """What decides whether a hook's events may be processed now, and the version of its settings."""

    state: str
    breaker_until: datetime | None
    version: int


def gate(session: Session, hook_id: int) -> Gate | None:
    """The gate of a hook; None when the hook is gone."""
    row = session.execute(_GATE, {"hook": hook_id}).one_or_none()
    return Gate(*row) if row is not None else None


def claim(session: Session, row: PendingRow, token: str, until: datetime) -> bool:
    """Take an event, if it is still as it was seen; False when another worker was quicker."""
    seen = {"event": row.id, "seen": row.claim, "token": token, "until": until}
    return _changed(session, _CLAIM_FREE if row.claim is None else _CLAIM_TAKEN, seen)


def renew(session: Session, event_id: int, token: str, until: datetime) -> None:
    """Hold an event longer; raises ClaimLost."""
    if not _changed(session, _RENEW, {"event": event_id, "token": token, "until": until}):
        raise _lost(event_id)


def is_held(session: Session, token: str, now: datetime) -> bool:
    """Whether a claim still stands: its worker is not known to be dead and its lease has not run out."""
    until = session.scalar(select(_events.claimed_until).where(_events.claim == token))
    return until is not None and until > now and not owner.is_dead(token)


def finish(
    session: Session,
    event_id: int,
    token: str,
    *,
    state: EventState,
    reason: str | None,
    outcome: str,
    now: datetime,
) -> None:
    """End an event; raises ClaimLost."""
    values = {"event": event_id, "token": token, "to": state, "why": reason, "words": outcome, "now": now}
    if not _changed(session, _FINISH, values):
        raise _lost(event_id)


def wait(
    session: Session, event_id: int, token: str, *, until: datetime, outcome: str, counted: bool
) -> None:
    """Put an event back until a later time; ``counted`` tells whether the try counts. Raises ClaimLost."""
    _held(
        session,
        event_id,
        token,
        next_attempt_at=until,
        outcome=outcome,
        claim=None,
        claimed_until=None,
        tries=_events.tries if counted else _events.tries - 1,
    )


def reopen(
    session: Session, mailbox: str, *, message_id: int | None, reason: str, outcome: str, now: datetime
) -> None:
    """Let the updates of a message that were skipped for this reason wait anew."""
    values = {"box": mailbox, "message": message_id, "why": reason, "words": outcome, "now": now}
    session.execute(_REOPEN, values)


def gather(session: Session, hook_id: int, conversation_id: int, mailbox: str) -> None:
    """Let everything of a conversation wait in one mailbox, and what is in hand be seen from there."""
    session.execute(_GATHER, {"hook": hook_id, "conversation": conversation_id, "box": mailbox})


def supersede(session: Session, row: PendingRow, by: int, now: datetime) -> bool:
    """End a waiting event whose change a later one carries as well; False when it is no longer waiting."""
    return _changed(
        session,
        update(_event_table)
        .where(_events.id == row.id, _events.state == EventState.PENDING, _events.claim.is_(None))
        .values(
            state=EventState.DONE,
            reason="merged",
            outcome=f"Merged into event {by}, which carries the newer state.",
            finished_at=now,
        ),
    )


def record_attempt(
    session: Session,
    *,
    event_id: int,
    hook_id: int,
    started_at: datetime,
    duration_ms: int,
    outcome: str,
    error: str | None,
    calls: Sequence[dict[str, Any]],
) -> None:
    """Write one try down."""
    values = {
        "event_id": event_id,
        "hook_id": hook_id,
        "started_at": started_at,
        "duration_ms": duration_ms,
        "outcome": outcome,
        "error": error,
        "calls": list(calls),
    }
    session.execute(_ATTEMPT, values)


def payload(session: Session, event_id: int) -> dict[str, Any]:
    """What was delivered for an event."""
    (found,) = session.execute(_PAYLOAD, {"event": event_id}).one()
    return dict(found)


def message_payloads(
    session: Session, hook_id: int, conversation_id: int, limit: int = 50
) -> list[dict[str, Any]]:
    """The delivered messages of a conversation, by their ids, oldest first."""
    wanted = {"hook": hook_id, "conversation": conversation_id, "most": limit}
    return list(session.scalars(_MESSAGES, wanted))


def due_mailboxes(session: Session, now: datetime, *, late: timedelta, limit: int) -> list[str]:
    """Mailboxes whose first event has been due for ``late`` and whose hook can take it, longest waiting first.

    Left out are those behind an event that waits for its next attempt, and those a living worker is busy with.
    """
    busy = _busy_mailboxes(session, now)
    earlier = _event_table.alias().c
    held_back = exists().where(
        earlier.mailbox == _events.mailbox,
        earlier.state == EventState.PENDING,
        earlier.position < _events.position,
        earlier.next_attempt_at > now,
        # Of one conversation's messages the lower id is the first, whatever the clocks said (see in_order).
        ~and_(
            earlier.name == "message_created",
            _events.name == "message_created",
            earlier.conversation_id == _events.conversation_id,
            earlier.message_id > _events.message_id,
        ),
    )
    rows = session.execute(
        select(_events.mailbox)
        .join(models.Hook.__table__, _hooks.id == _events.hook_id)
        .where(
            _events.state == EventState.PENDING,
            _events.next_attempt_at <= now - late,
            _hooks.state == HookState.ACTIVE,
            or_(_hooks.breaker_until.is_(None), _hooks.breaker_until <= now),
            ~held_back,
        )
        .group_by(_events.mailbox)
        .order_by(func.min(_events.next_attempt_at), _events.mailbox)
        .limit(limit + len(busy))
    )
    return [row[0] for row in rows if row[0] not in busy][:limit]


def _busy_mailboxes(session: Session, now: datetime) -> set[str]:
    """Mailboxes with an event in the hand of a worker that is not known to be dead."""
    held = select(_events.mailbox, _events.claim).where(
        _events.claim.is_not(None), _events.state == EventState.PENDING, _events.claimed_until > now
    )
    return {mailbox for mailbox, claim in session.execute(held) if not owner.is_dead(claim)}


def waiting_hooks(session: Session, limit: int) -> list[int]:
    """Hooks that take events and have some waiting."""
    waits = exists().where(_events.hook_id == _hooks.id, _events.state == EventState.PENDING)
    rows = session.execute(
        select(_hooks.id)
        .where(_hooks.state == HookState.ACTIVE, _hooks.breaker_until.is_(None), waits)
        .order_by(_hooks.id)
        .limit(limit)
    )
    return [row[0] for row in rows]


def waiting_mailboxes(session: Session, hook_id: int, limit: int = 10_000) -> list[str]:
    """All mailboxes of a hook with something waiting."""
    rows = session.execute(
        select(_events.mailbox)
        .where(_events.hook_id == hook_id, _events.state == EventState.PENDING)
        .group_by(_events.mailbox)
        .limit(limit)
    )
    return [row[0] for row in rows]


def _held(session: Session, event_id: int, token: str, **values: Any) -> None:
    statement = (
        update(_event_table)
        .where(_events.id == event_id, _events.claim == token, _events.state == EventState.PENDING)
        .values(**values)
    )
    if not _changed(session, statement):
        raise _lost(event_id)


def _lost(event_id: int) -> ClaimLost:
    return ClaimLost(f"Event {event_id} was taken over by another worker.")


def _changed(session: Session, statement: Executable, values: dict[str, Any] | None = None) -> bool:
    result = cast("CursorResult[Any]", session.execute(statement, values))
    return bool(result.rowcount)


# -- the statements every event needs, built once --------------------------------------------------------------------

_GATE = select(_hooks.state, _hooks.breaker_until, _hooks.version).where(_hooks.id == bindparam("hook"))

_PENDING = (
    select(
        _events.id,
        _events.position,
        _events.name,
        _events.conversation_id,
        _events.message_id,
        _events.next_attempt_at,
        _events.tries,
        _events.claim,
        _events.claimed_until,
    )
    .where(_events.mailbox == bindparam("name"), _events.state == EventState.PENDING)
    .order_by(_events.position)
    .limit(LOOK_AHEAD)
)

_CLAIM = (
    update(_event_table)
    .where(_events.id == bindparam("event"), _events.state == EventState.PENDING)
    .values(claim=bindparam("token"), claimed_until=bindparam("until"), tries=_events.tries + 1)
)
_CLAIM_FREE = _CLAIM.where(_events.claim.is_(None))
_CLAIM_TAKEN = _CLAIM.where(_events.claim == bindparam("seen"))

_RENEW = (
    update(_event_table)
    .where(
        _events.id == bindparam("event"),
        _events.claim == bindparam("token"),
        _events.state == EventState.PENDING,
    )
    .values(claimed_until=bindparam("until"))
)

_PAYLOAD = (
    select(_deliveries.payload)
    .join(_event_table, _events.delivery_id == _deliveries.id)
    .where(_events.id == bindparam("event"))
)

_MESSAGES = (
    select(_deliveries.payload)
    .join(_event_table, _events.delivery_id == _deliveries.id)
    .where(
        _events.hook_id == bindparam("hook"),
        _events.conversation_id == bindparam("conversation"),
        _events.name == "message_created",
    )
    .order_by(_events.message_id)
    .limit(bindparam("most"))
)

_FINISH = (
    update(_event_table)
    .where(
        _events.id == bindparam("event"),
        _events.claim == bindparam("token"),
        _events.state == EventState.PENDING,
    )
    .values(
        state=bindparam("to"),
        reason=bindparam("why"),
        outcome=bindparam("words"),
        finished_at=bindparam("now"),
        claim=None,
        claimed_until=None,
    )
)

_GATHER = (
    update(_event_table)
    .where(
        _events.hook_id == bindparam("hook"),
        _events.conversation_id == bindparam("conversation"),
        _events.state == EventState.PENDING,
        _events.mailbox != bindparam("box"),
    )
    .values(mailbox=bindparam("box"))
)

_REOPEN = (
    update(_event_table)
    .where(
        _events.mailbox == bindparam("box"),
        _events.state == EventState.SKIPPED,
        _events.message_id == bindparam("message"),
        _events.name == "message_updated",
        _events.reason == bindparam("why"),
    )
    .values(
        state=EventState.PENDING,
        reason=None,
        outcome=bindparam("words"),
        tries=0,
        next_attempt_at=bindparam("now"),
        finished_at=None,
    )
)

_ATTEMPT = insert(cast("Table", models.Attempt.__table__))
