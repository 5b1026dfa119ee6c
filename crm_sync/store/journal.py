"""The journal's statements: take an event, end it, let it wait. Each is safe against another worker doing the same.

All of them work within a transaction of the caller. What is written on behalf of a claim is written with a
compare-and-set on it and raises ClaimLost when the claim was taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Executable, and_, exists, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from crm_sync import owner
from crm_sync.errors import ClaimLost
from crm_sync.store.models import Attempt, Delivery, Event, EventState, Hook, HookState

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
    rows = session.execute(
        select(
            Event.id,
            Event.position,
            Event.name,
            Event.conversation_id,
            Event.message_id,
            Event.next_attempt_at,
            Event.tries,
            Event.claim,
            Event.claimed_until,
        )
        .where(Event.mailbox == mailbox, Event.state == EventState.PENDING)
        .order_by(Event.position)
        .limit(LOOK_AHEAD)
    )
    return [PendingRow(*row) for row in rows]


def claim(session: Session, row: PendingRow, token: str, until: datetime) -> bool:
    """Take an event, if it is still as it was seen; False when another worker was quicker."""
    return _changed(
        session,
        update(Event)
        .where(
            Event.id == row.id,
            Event.state == EventState.PENDING,
            Event.claim.is_(None) if row.claim is None else Event.claim == row.claim,
        )
        .values(claim=token, claimed_until=until, tries=Event.tries + 1),
    )


def renew(session: Session, event_id: int, token: str, until: datetime) -> None:
    """Hold an event longer; raises ClaimLost."""
    _held(session, event_id, token, claimed_until=until)


def is_held(session: Session, token: str, now: datetime) -> bool:
    """Whether a claim still stands: its worker is not known to be dead and its lease has not run out."""
    until = session.scalar(select(Event.claimed_until).where(Event.claim == token))
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
    _held(
        session,
        event_id,
        token,
        state=state,
        reason=reason,
        outcome=outcome,
        finished_at=now,
        claim=None,
        claimed_until=None,
    )


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
        tries=Event.tries if counted else Event.tries - 1,
    )


def supersede(session: Session, row: PendingRow, by: int, now: datetime) -> bool:
    """End a waiting event whose change a later one carries as well; False when it is no longer waiting."""
    return _changed(
        session,
        update(Event)
        .where(Event.id == row.id, Event.state == EventState.PENDING, Event.claim.is_(None))
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
    session.execute(
        insert(Attempt).values(
            event_id=event_id,
            hook_id=hook_id,
            started_at=started_at,
            duration_ms=duration_ms,
            outcome=outcome,
            error=error,
            calls=list(calls),
        )
    )


def payload(session: Session, event_id: int) -> tuple[dict[str, Any], datetime]:
    """What was delivered for an event, and when."""
    row = session.execute(
        select(Delivery.payload, Delivery.received_at).join(Event).where(Event.id == event_id)
    ).one()
    return row[0], row[1]


def message_payloads(
    session: Session, hook_id: int, conversation_id: int, limit: int = 50
) -> list[dict[str, Any]]:
    """The delivered messages of a conversation, by their ids, oldest first."""
    return list(
        session.scalars(
            select(Delivery.payload)
            .join(Event)
            .where(
                Event.hook_id == hook_id,
                Event.conversation_id == conversation_id,
                Event.name == "message_created",
            )
            .order_by(Event.message_id)
            .limit(limit)
        )
    )


def due_mailboxes(session: Session, now: datetime, *, late: timedelta, limit: int) -> list[str]:
    """Mailboxes whose first event has been due for ``late`` and whose hook can take it, oldest first.

    Left out are those behind an event that waits for its next attempt, and those another worker is busy with.
    """
    earlier = aliased(Event)
    held_back = exists().where(
        earlier.mailbox == Event.mailbox,
        earlier.state == EventState.PENDING,
        earlier.position < Event.position,
        or_(earlier.next_attempt_at > now, earlier.claimed_until > now),
    )
    rows = session.execute(
        select(Event.mailbox)
        .join(Hook)
        .where(
            Event.state == EventState.PENDING,
            Event.next_attempt_at <= now - late,
            Hook.state == HookState.ACTIVE,
            or_(Hook.breaker_until.is_(None), Hook.breaker_until <= now),
            ~held_back,
        )
        .group_by(Event.mailbox)
        .order_by(Event.mailbox)
        .limit(limit)
    )
    return [row[0] for row in rows]


def waiting_mailboxes(session: Session, hook_id: int, limit: int = 10_000) -> list[str]:
    """All mailboxes of a hook with something waiting."""
    rows = session.execute(
        select(Event.mailbox)
        .where(and_(Event.hook_id == hook_id, Event.state == EventState.PENDING))
        .group_by(Event.mailbox)
        .limit(limit)
    )
    return [row[0] for row in rows]


def _held(session: Session, event_id: int, token: str, **values: Any) -> None:
    statement = (
        update(Event)
        .where(Event.id == event_id, Event.claim == token, Event.state == EventState.PENDING)
        .values(**values)
    )
    if not _changed(session, statement):
        raise ClaimLost(f"Event {event_id} was taken over by another worker.")


def _changed(session: Session, statement: Executable) -> bool:
    result = cast(
        "CursorResult[Any]", session.execute(statement, execution_options={"synchronize_session": False})
    )
    return bool(result.rowcount)
