"""What operators do with the journal: look, try again, skip, count. No payload and no secret leaves it here.

Everything is safe beside running workers: what a worker holds is changed only so that its claim is lost with it,
and a lost claim writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session

from crm_sync.engine import mirror
from crm_sync.engine.runtime import Runtime
from crm_sync.engine.waking import wake_all
from crm_sync.errors import CrmSyncError
from crm_sync.store import Store
from crm_sync.store.models import Account, Attempt, Event, EventState, Hook, HookState, Link
from crm_sync.telemetry import metrics

#: The reason of an event that a person skipped.
BY_OPERATOR = "operator"

#: Rows fetched from the database at a time, and ids named in one statement.
BATCH = 500

_UNFINISHED = (EventState.PENDING, EventState.FAILED)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are meant; what is None does not matter."""

    state: EventState | None = None
    hook: int | None = None
    mailbox: str | None = None
    since: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter for a statement on events."""
        wanted = {Event.state: self.state, Event.hook_id: self.hook, Event.mailbox: self.mailbox}
        found = [column == value for column, value in wanted.items() if value is not None]
        return found if self.since is None else [*found, Event.created_at >= self.since]


# -- looking -------------------------------------------------------------------------------------------------------


def events(store: Store, wanted: Filter, *, newest: int | None = None) -> Iterator[dict[str, Any]]:
    """The events of a filter, oldest first; with ``newest`` only the last so many."""
    statement = select(Event).where(*wanted.conditions()).order_by(Event.id)
    with store.read() as session:
        if newest is not None:
            last = select(Event.id).where(*wanted.conditions()).order_by(Event.id.desc()).limit(newest)
            statement = select(Event).where(Event.id.in_(last)).order_by(Event.id)
        for event in session.scalars(statement, execution_options={"yield_per": BATCH}):
            yield _event(event)


def count(store: Store, wanted: Filter) -> int:
    """How many events a filter finds."""
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Event).where(*wanted.conditions())) or 0


def event(store: Store, event_id: int) -> dict[str, Any]:
    """One event with where it came from and every attempt at it. Raises CrmSyncError when there is none."""
    with store.read() as session:
        found = _get(session, event_id)
        delivery = found.delivery
        attempts = session.scalars(select(Attempt).where(Attempt.event_id == event_id).order_by(Attempt.id))
        return {
            **_event(found),
            "conversation_id": found.conversation_id,
            "message_id": found.message_id,
            "held_until": found.claimed_until,
            "delivery": {
                "id": delivery.id,
                "source": delivery.source,
                "delivery_id": delivery.delivery_id,
                "event_name": delivery.event_name,
                "received_at": delivery.received_at,
            },
            "attempts": [
                {
                    "id": attempt.id,
                    "started_at": attempt.started_at,
                    "duration_ms": attempt.duration_ms,
                    "outcome": attempt.outcome,
                    "error": attempt.error,
                    "calls": attempt.calls,
                }
                for attempt in attempts
            ],
        }


def links(
    store: Store,
    *,
    local: tuple[str, int] | None = None,
    remote: tuple[str, str, str] | None = None,
) -> list[dict[str, Any]]:
    """The links of a Chatwoot record (type, id) or of a CRM record (app, type, id; letter case does not matter)."""
    statement = select(Link, Hook.app_id).join(Hook, Hook.id == Link.hook_id).order_by(Link.id)
    if local is not None:
        statement = statement.where(Link.local_type == local[0], Link.local_id == local[1])
    if remote is not None:
        app_id, remote_type, remote_id = remote
        statement = statement.where(
            Hook.app_id == app_id,
            func.lower(Link.remote_type) == remote_type.lower(),
            Link.remote_id == remote_id,
        )
    with store.read() as session:
        return [_link(link, app_id) for link, app_id in session.execute(statement)]


# -- acting --------------------------------------------------------------------------------------------------------


def retry(runtime: Runtime, event_ids: Sequence[int]) -> list[int]:
    """Have these events tried now; all of them, or none. Raises CrmSyncError for one that has ended well."""
    with runtime.store.write() as session:
        ids = _retriable(session, event_ids)
        mailboxes = _try_now(session, [Event.id.in_(ids)], runtime.now())
    wake_all(runtime, mailboxes)
    return ids


def retry_all(runtime: Runtime, wanted: Filter) -> list[int]:
    """Have all failed or all pending events of a filter tried now; returns which."""
    with runtime.store.write() as session:
        ids = _ids(session, wanted)
        mailboxes = _try_now(session, wanted.conditions(), runtime.now())
    wake_all(runtime, mailboxes)
    return ids


def check_retry(store: Store, event_ids: Sequence[int]) -> list[int]:
    """Which events ``retry`` would try again. Raises CrmSyncError as it does."""
    with store.read() as session:
        return _retriable(session, event_ids)


def would_retry(store: Store, wanted: Filter) -> list[int]:
    """Which events ``retry_all`` would try again."""
    with store.read() as session:
        return _ids(session, wanted)


def skip(runtime: Runtime, event_id: int, why: str) -> dict[str, Any]:
    """End an event that did not end by itself. A worker that holds it loses its claim and writes nothing more."""
    with runtime.store.write() as session:
        ended = session.scalar(
            update(Event)
            .where(Event.id == event_id, Event.state.in_(_UNFINISHED))
            .values(
                state=EventState.SKIPPED,
                reason=BY_OPERATOR,
                outcome=why,
                finished_at=runtime.now(),
                claim=None,
                claimed_until=None,
            )
            .returning(Event.id),
            execution_options={"synchronize_session": False},
        )
        found = _get(session, event_id)
        if ended is None:
            raise CrmSyncError(f"Event {event_id} is {found.state} already; there is nothing to skip.")
        shown, app_id = _event(found), found.hook.app_id
    metrics.EVENTS.labels(app_id, EventState.SKIPPED.value, BY_OPERATOR).inc()
    # What waited behind it may go on.
    runtime.alarm.wake([found.mailbox])
    return shown


def rotate_secrets(store: Store) -> int:
    """Re-encrypt every stored secret under the first key; returns how many. All of them, or none."""
    rotate = store.keyring.rotate
    total = 0
    with store.write() as session:
        for account in session.scalars(select(Account)):
            for column in ("api_token_secret", "signing_secret", "previous_signing_secret"):
                token = getattr(account, column)
                if token is not None:
                    setattr(account, column, rotate(token))
                    total += 1
        for hook in session.scalars(select(Hook)):
            hook.settings_secret = rotate(hook.settings_secret)
            total += 1
            if hook.notice_secret is not None:
                hook.notice_secret = rotate(hook.notice_secret)
                total += 1
    return total


# -- counting ------------------------------------------------------------------------------------------------------


def stats(runtime: Runtime) -> dict[str, Any]:
    """The state of everything in figures."""
    now = runtime.now()
    with runtime.store.read() as session:
        by_hook = _counts(session)
        waiting = _oldest(session)
        hooks = session.scalars(select(Hook).order_by(Hook.id)).all()
        write_backs = mirror.count_waiting(session)
    totals = {state.value: sum(counts.get(state, 0) for counts in by_hook.values()) for state in EventState}
    oldest = min(waiting.values(), default=None)
    return {
        "events": totals,
        "oldest_pending_s": _age_s(oldest, now),
        # Deliveries on disk that wait for the database; nothing is spooled in this version.
        "spool": 0,
        "hooks": [
            {
                "hook": hook.id,
                "account": hook.account_id,
                "app_id": hook.app_id,
                "state": hook.state,
                "state_reason": hook.state_reason,
                "pending": by_hook.get(hook.id, {}).get(EventState.PENDING, 0),
                "failed": by_hook.get(hook.id, {}).get(EventState.FAILED, 0),
                "oldest_pending_s": _age_s(waiting.get(hook.id), now),
                "breaker": breaker_state(hook, now),
                "breaker_until": hook.breaker_until,
                "pulled_at": hook.pulled_at,
            }
            for hook in hooks
        ],
        "deliveries": _deliveries(runtime),
        "write_backs_waiting": write_backs,
    }


def breaker_state(hook: Hook, now: datetime) -> str:
    """``closed``; ``open`` while the hook rests; ``half_open`` when the next event may try the CRM."""
    if hook.breaker_until is None:
        return "closed"
    return "open" if hook.breaker_until > now else "half_open"


def not_flowing(runtime: Runtime, hook_ids: Iterable[int]) -> list[str]:
    """A sentence for each of these hooks whose events wait, whatever is done to them."""
    with runtime.store.read() as session:
        hooks = session.scalars(select(Hook).where(Hook.id.in_(set(hook_ids))).order_by(Hook.id)).all()
    return [
        f"Hook {hook.id} is {hook.state.replace('_', ' ')}, so its events wait. {hook.state_reason or ''}".strip()
        for hook in hooks
        if hook.state != HookState.ACTIVE
    ]


def hooks_of(store: Store, event_ids: Sequence[int]) -> set[int]:
    """The hooks that these events belong to."""
    found: set[int] = set()
    with store.read() as session:
        for part in _parts(event_ids):
            found.update(session.scalars(select(Event.hook_id).where(Event.id.in_(part)).distinct()))
    return found


# -- parts ---------------------------------------------------------------------------------------------------------


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "hook": event.hook_id,
        "name": event.name,
        "subject": event.subject,
        "mailbox": event.mailbox,
        "state": event.state,
        "reason": event.reason,
        "outcome": event.outcome,
        "tries": event.tries,
        "next_attempt_at": event.next_attempt_at if event.state == EventState.PENDING else None,
        "created_at": event.created_at,
        "finished_at": event.finished_at,
    }


def _link(link: Link, app_id: str) -> dict[str, Any]:
    return {
        "id": link.id,
        "hook": link.hook_id,
        "local_type": link.local_type,
        "local_id": link.local_id,
        "remote": f"{app_id}.{link.remote_type.lower()}:{link.remote_id}" if link.remote_id else None,
        "remote_type": link.remote_type,
        "remote_id": link.remote_id,
        "url": link.url,
        "state": link.state,
        "mirror_error": link.mirror_error,
        "created_at": link.created_at,
        "updated_at": link.updated_at,
    }


def _get(session: Session, event_id: int) -> Event:
    found = session.get(Event, event_id)
    if found is None:
        raise CrmSyncError(f"There is no event {event_id}; see crm-sync events list.")
    return found


def _retriable(session: Session, event_ids: Sequence[int]) -> list[int]:
    """The ids, each once. Raises CrmSyncError for one that is not there, or has ended for good."""
    ids = list(dict.fromkeys(event_ids))
    states: dict[int, str] = {}
    for part in _parts(ids):
        rows = session.execute(select(Event.id, Event.state).where(Event.id.in_(part)))
        states.update((number, state) for number, state in rows)
    for number in ids:
        if number not in states:
            raise CrmSyncError(f"There is no event {number}; see crm-sync events list.")
        if states[number] not in _UNFINISHED:
            raise CrmSyncError(
                f"Event {number} is {states[number]} already; only failed and pending events can be tried again."
            )
    return ids


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _ids(session: Session, wanted: Filter) -> list[int]:
    unfinished = select(Event.id).where(*wanted.conditions(), Event.state.in_(_UNFINISHED))
    return list(session.scalars(unfinished.order_by(Event.id)))


def _try_now(session: Session, conditions: Sequence[ColumnElement[bool]], now: datetime) -> list[str]:
    """Let failed events start anew and pending ones wait no longer; returns the mailboxes to wake."""
    unheld = [*conditions, Event.state == EventState.PENDING, Event.claim.is_(None)]
    mailboxes = set(session.scalars(_mailboxes(conditions)))
    quietly = {"synchronize_session": False}
    session.execute(update(Event).where(*unheld).values(next_attempt_at=now), execution_options=quietly)
    session.execute(
        update(Event)
        .where(*conditions, Event.state == EventState.FAILED)
        .values(
            state=EventState.PENDING,
            reason=None,
            outcome="To be tried again, as an operator asked.",
            tries=0,
            next_attempt_at=now,
            finished_at=None,
            claim=None,
            claimed_until=None,
        ),
        execution_options=quietly,
    )
    return sorted(mailboxes)


def _mailboxes(conditions: Sequence[ColumnElement[bool]]) -> Select[str]:
    return select(Event.mailbox).where(*conditions, Event.state.in_(_UNFINISHED)).distinct()


def _counts(session: Session) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    rows = session.execute(
        select(Event.hook_id, Event.state, func.count()).group_by(Event.hook_id, Event.state)
    )
    for hook_id, state, number in rows:
        found.setdefault(hook_id, {})[state] = number
    return found


def _oldest(session: Session) -> dict[int, datetime]:
    rows = session.execute(
        select(Event.hook_id, func.min(Event.created_at))
        .where(Event.state == EventState.PENDING)
        .group_by(Event.hook_id)
    )
    return {row[0]: row[1] for row in rows}


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else round(max(0.0, (now - since).total_seconds()), 1)


def _deliveries(runtime: Runtime) -> dict[str, Any]:
    """What the receiver has counted since the service started."""
    directory = metrics.directory_of(runtime.config.data_dir)
    stored = metrics.counts("crm_sync_deliveries_total", directory)
    return {
        "stored": int(sum(stored.values())),
        "refused": _by_reason(metrics.counts("crm_sync_deliveries_refused_total", directory)),
        "ignored": _by_reason(metrics.counts("crm_sync_deliveries_ignored_total", directory)),
    }


def _by_reason(counts: Mapping[tuple[str, ...], float]) -> dict[str, int]:
    return {reason: int(number) for (reason,), number in sorted(counts.items())}
