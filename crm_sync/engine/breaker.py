"""The breaker: when a CRM keeps failing, its hook rests, and one event at a time tries whether it is back.

A resting hook costs nothing and loses nothing. What to decide from is read from the journal's attempts, so all
workers see the same and nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Executable, select, update
from sqlalchemy.orm import Session

from crm_sync.store.models import Attempt, Hook

#: Open after this many failures in a row …
IN_A_ROW = 10
#: … or when this share of at least as many attempts within the window failed.
SHARE = 0.7
WINDOW = timedelta(minutes=5)

#: How an attempt is written down whose error was Retriable.
RETRIABLE = "retriable"
#: Attempts that tell something about the CRM. Others (skipped, deferred, failed at Chatwoot) need not have called it.
TELLING = (RETRIABLE, "done", "failed", "unauthorized")


def should_open(outcomes: Sequence[str]) -> bool:
    """Whether the attempts within the window, newest first, are a reason to rest."""
    if len(outcomes) < IN_A_ROW:
        return False
    failures = sum(outcome == RETRIABLE for outcome in outcomes)
    in_a_row = all(outcome == RETRIABLE for outcome in outcomes[:IN_A_ROW])
    return in_a_row or failures / len(outcomes) >= SHARE


def after_failure(session: Session, hook_id: int, *, now: datetime, rest_s: float) -> bool:
    """Open the breaker if there is reason to, or keep it open; tells whether it opened just now."""
    hook = session.get_one(Hook, hook_id)
    if hook.breaker_until is None:
        outcomes = session.scalars(
            select(Attempt.outcome)
            .where(
                Attempt.hook_id == hook_id, Attempt.started_at > now - WINDOW, Attempt.outcome.in_(TELLING)
            )
            .order_by(Attempt.id.desc())
            .limit(200)
        ).all()
        if not should_open(outcomes):
            return False
    opened = hook.breaker_until is None
    session.execute(
        update(Hook)
        .where(Hook.id == hook_id)
        .values(
            breaker_until=now + timedelta(seconds=rest_s), breaker_opened_at=hook.breaker_opened_at or now
        )
    )
    return opened


def after_success(session: Session, hook_id: int) -> bool:
    """Close the breaker; tells whether it was open."""
    return _changed(
        session,
        update(Hook)
        .where(Hook.id == hook_id, Hook.breaker_until.is_not(None))
        .values(breaker_until=None, breaker_opened_at=None),
    )


def try_again(session: Session, hook_id: int, *, now: datetime) -> None:
    """The one that was to try a resting hook did not; the next may."""
    session.execute(
        update(Hook).where(Hook.id == hook_id, Hook.breaker_until.is_not(None)).values(breaker_until=now)
    )


def may_probe(session: Session, hook_id: int, seen: datetime, *, now: datetime, rest_s: float) -> bool:
    """Take the one turn to try a resting hook whose rest is over; False when another worker took it."""
    return _changed(
        session,
        update(Hook)
        .where(Hook.id == hook_id, Hook.breaker_until == seen)
        .values(breaker_until=now + timedelta(seconds=rest_s)),
    )


def _changed(session: Session, statement: Executable) -> bool:
    return bool(cast("CursorResult[Any]", session.execute(statement)).rowcount)
