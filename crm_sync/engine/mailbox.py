"""drain(mailbox): the events of one contact, one after another, by one worker at a time.

Take the mutex without waiting; if somebody has it, stop: the holder looks once more after it lets go, so nothing is
left behind. Holding it, process what is due, oldest first, and commit each outcome. A wake-up carries no data: a
lost, doubled or late one does no harm, and neither does Redis forgetting everything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from crm_sync import keys, owner
from crm_sync.chatwoot import payloads
from crm_sync.crms.base import NOT_MIRRORED, HookView, Link, LinkKey, Local, Pace
from crm_sync.engine import apps, breaker, features, mirror, remote
from crm_sync.engine.dispatch import AttemptLog, Policy, Verdict, attempt, verdict
from crm_sync.engine.ensure import JournalPort, as_link, records_of
from crm_sync.engine.order import Waiting, in_order, superseding
from crm_sync.engine.waking import hook_of, wake_all
from crm_sync.errors import ClaimLost, CrmSyncError
from crm_sync.events import Event as HappenedEvent, EventName, RemoteUpdate
from crm_sync.locks import Busy, Mutex
from crm_sync.store import journal, links
from crm_sync.store.journal import Gate, PendingRow
from crm_sync.store.links import LinkRow
from crm_sync.store.models import Account, EventState, Hook, HookState, LinkState
from crm_sync.telemetry import metrics

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from crm_sync.engine.runtime import Runtime

log = structlog.get_logger(__name__)

#: How many events of one mailbox are processed before others get a turn.
TURN = 50
#: What is due sooner than this, in seconds, is worth a wake-up of its own; the sweep finds the rest.
SOON_S = 15.0
#: Slack for one call beyond its time limits, in seconds.
MARGIN_S = 1.0


def mailbox_of(hook_id: int, contact_id: int) -> str:
    """The mailbox of a contact at a hook."""
    return f"{hook_id}:{contact_id}"


@dataclass(frozen=True, slots=True)
class LoadedHook:
    """A hook with what is needed to work for it, as of a version of its settings."""

    row: Hook
    account: Account
    view: HookView


@dataclass(frozen=True, slots=True)
class Candidate:
    """The event whose turn it is, as it was seen; and those before it that it makes needless.

    ``event`` may be the reason why it cannot be read. ``foreseen`` are the links it will most likely make.
    """

    row: PendingRow
    merged: list[PendingRow]
    gate: Gate
    hook: LoadedHook
    event: HappenedEvent | RemoteUpdate | CrmSyncError
    foreseen: Sequence[LinkKey]


@dataclass(frozen=True, slots=True)
class Taken:
    """An event this worker holds, with all it needs to be processed; or the reason why it cannot be read.

    ``foreseen`` are the links that were claimed with it, by their ids.
    """

    row: PendingRow
    token: str
    hook: LoadedHook
    event: HappenedEvent | RemoteUpdate | CrmSyncError
    known: list[LinkRow]
    foreseen: dict[LinkKey, int]


def drain(runtime: Runtime, mailbox: str) -> None:
    """Process what is due in a mailbox; see this module."""
    runtime.alarm.disarm(mailbox)
    while True:
        turn = _Turn(runtime, mailbox)
        if not turn.take_place():
            return
        try:
            with runtime.mutexes.hold(keys.mailbox_lock(mailbox), turn.token) as mutex:
                ours = turn.run(mutex)
        except Busy:
            return
        finally:
            turn.leave_place()
        # Only now: whoever came while we held the mutex has gone away again, and counts on us.
        again = turn.due_in() if ours else None
        if again is None:
            return
        if again > 0:
            if again <= SOON_S:
                runtime.alarm.wake([mailbox], delay_s=again)
            return


class _Turn:
    """One stay in a mailbox, under its mutex."""

    def __init__(self, runtime: Runtime, mailbox: str) -> None:
        self.runtime = runtime
        self.mailbox = mailbox
        self.hook_id = hook_of(mailbox)
        self.token = owner.new_claim()
        self.mutex: Mutex | None = None
        self.loaded: LoadedHook | None = None
        #: Whether the event in hand tries a resting hook.
        self.probing = False
        self.has_place = False
        self.held_since = time.monotonic()

    def run(self, mutex: Mutex) -> bool:
        """Process what is due; False when another worker has taken over."""
        self.mutex = mutex
        try:
            self._process()
        except ClaimLost as lost:
            metrics.LOCK_LOST.inc()
            log.warning("claim_lost", mailbox=self.mailbox, reason=str(lost))
            return False
        # What is written to Chatwoot needs no place at the CRM.
        self.leave_place()
        mirror.write_back(self.runtime, self.mailbox)
        return True

    def take_place(self) -> bool:
        """Take one of the hook's places; where there is none the mailbox waits in line, and is woken in its turn."""
        places, alarm = self.runtime.places, self.runtime.alarm
        self.has_place = places.take(self.hook_id, self.token)
        if not self.has_place:
            # Before it lines up: once it stands there it may be woken, and must not seem to be armed after that.
            alarm.hold([self.mailbox])
            self.has_place = places.take_or_line_up(self.hook_id, self.token, self.mailbox)
            if self.has_place:
                alarm.disarm(self.mailbox)
        return self.has_place

    def leave_place(self) -> None:
        """Let the place go, if held, and wake the mailbox that has waited longest for one."""
        if not self.has_place:
            return
        self.has_place = False
        woken = self.runtime.places.leave(self.hook_id, self.token)
        if woken is not None:
            self.runtime.alarm.disarm(woken)
            self.runtime.alarm.wake([woken])

    def due_in(self) -> float | None:
        """In how many seconds the first event is due; None when there is none, or the hook does not take any."""
        now = self.runtime.now()
        with self.runtime.store.read() as session:
            rows = _sorted(journal.pending(session, self.mailbox))
            if not rows:
                return None
            gate = journal.gate(session, self.hook_id)
            if gate is None or gate.state != HookState.ACTIVE:
                return None
            if gate.breaker_until is not None and _rests(gate, now):
                return (gate.breaker_until - now).total_seconds()
        return max(0.0, _wait_s(rows[0], now))

    # -- the stay ------------------------------------------------------------------------------------------------

    def _process(self) -> None:
        """Take and process events until none is due; each outcome is committed with the next claim."""
        taken = self._take()
        for _ in range(TURN):
            if taken is None:
                return
            taken = self._work(taken)
        if taken is not None:
            with self.runtime.store.write(durable=False) as session:
                journal.wait(
                    session,
                    taken.row.id,
                    taken.token,
                    until=taken.row.next_attempt_at,
                    outcome="Others have their turn first.",
                    counted=False,
                )
                for link_id in taken.foreseen.values():
                    links.release(session, link_id)

    def _take(self) -> Taken | None:
        candidate = self._look()
        if candidate is None:
            return None
        return self.runtime.store.write_together(
            lambda session: self._claim(session, candidate), durable=bool(candidate.foreseen)
        )

    def _look(self, ended: int | None = None, port: JournalPort | None = None) -> Candidate | None:
        """Whose turn it is, once the event ``ended`` has ended. Only reads, so that no writer waits for it.

        ``port`` knows links that are not written down yet.
        """
        now = self.runtime.now()
        with self.runtime.store.read() as session:
            gate = journal.gate(session, self.hook_id)
            if gate is None or gate.state != HookState.ACTIVE or _rests(gate, now):
                return None
            waiting = _sorted([row for row in journal.pending(session, self.mailbox) if row.id != ended])
            merged, rows = _merged(waiting, now)
            if not rows or _wait_s(rows[0], now) > 0:
                return None
            hook = self._hook(session, gate.version)
            event = _read(journal.payload(session, rows[0].id))
            foreseen = self._foresee(session, hook, event, port)
            return Candidate(rows[0], merged, gate, hook, event, foreseen)

    def _foresee(
        self,
        session: Session,
        hook: LoadedHook,
        event: HappenedEvent | RemoteUpdate | CrmSyncError,
        port: JournalPort | None,
    ) -> Sequence[LinkKey]:
        if not isinstance(event, HappenedEvent):
            return ()
        rows = links.load(session, self.hook_id, records_of(event))
        written = {(row.local_type, row.local_id, row.remote_type): row for row in rows}

        def link(local: Local, remote_type: str) -> Link | None:
            remembered = port.remembered(local, remote_type) if port is not None else None
            row = written.get((local.type, local.id, remote_type))
            return remembered or (as_link(row) if row is not None and row.state == LinkState.LINKED else None)

        try:
            return apps.find(hook.view.app_id).foresees(event, hook.view, link)
        except Exception as error:  # noqa: BLE001 - a guess must not stop an event; its attempt will tell
            log.warning("nothing_foreseen", hook=self.hook_id, error=type(error).__name__)
            return ()

    def _claim(self, session: Session, candidate: Candidate) -> Taken | None:
        """Claim it with what it will make, unless somebody was quicker, and end what it makes needless."""
        now = self.runtime.now()
        gate = candidate.gate
        if gate.breaker_until is not None and not breaker.may_probe(
            session, self.hook_id, gate.breaker_until, now=now, rest_s=self.runtime.config.breaker_rest_s
        ):
            return None
        self.probing = gate.breaker_until is not None
        if not journal.claim(session, candidate.row, self.token, now + self._lease):
            return None
        for row in candidate.merged:
            journal.supersede(session, row, candidate.row.id, now)
        known: list[LinkRow] = []
        if not isinstance(candidate.event, CrmSyncError):
            known = links.load(session, self.hook_id, records_of(candidate.event))
        foreseen = self._claim_links(session, candidate, known)
        return Taken(candidate.row, self.token, candidate.hook, candidate.event, known, foreseen)

    def _claim_links(
        self, session: Session, candidate: Candidate, known: list[LinkRow]
    ) -> dict[LinkKey, int]:
        """Claim the links the event will make, but for those that are there, be it as somebody's claim."""
        there = {(row.local_type, row.local_id, row.remote_type) for row in known}
        claimed: dict[LinkKey, int] = {}
        for local, remote_type in candidate.foreseen:
            if (local.type, local.id, remote_type) in there:
                continue
            link_id = links.claim_new(
                session,
                hook_id=self.hook_id,
                mailbox=self.mailbox,
                record=(local.type, local.id),
                remote_type=remote_type,
                token=self.token,
                now=self.runtime.now(),
            )
            if link_id is not None:
                claimed[local, remote_type] = link_id
        return claimed

    def _hook(self, session: Session, version: int) -> LoadedHook:
        """The hook, loaded anew when its settings have changed."""
        if self.loaded is None or self.loaded.row.version != version:
            row = session.get_one(Hook, self.hook_id)
            self.loaded = LoadedHook(row, row.account, self.runtime.view(row, row.account))
        return self.loaded

    def _work(self, taken: Taken) -> Taken | None:
        """Process an event, commit its outcome and claim the next one."""
        started_at, started = self.runtime.now(), time.monotonic()
        if started - self.held_since > self.runtime.config.lease_s / 3:
            self._keep()
        pace: Pace | None = None
        observer = AttemptLog(
            lease_s=self.runtime.config.lease_s,
            call_s=self._call_s,
            renew=lambda: self._renew(taken),
            begin=lambda first: self.runtime.ceiling.begin(self.hook_id, self.token, pace, begins=first),
            end=lambda left: self.runtime.ceiling.end(self.hook_id, self.token, pace, remaining=left),
        )
        policy = Policy(
            tries=taken.row.tries + 1,
            now=self.runtime.now,
            delays_s=self.runtime.config.retry_delays_s,
            context={"event_id": taken.row.id, "hook": self.hook_id},
        )
        port: JournalPort | None = None
        try:
            if isinstance(taken.event, CrmSyncError):
                raise taken.event
            view = taken.hook.view
            app = apps.find(view.app_id)
            features.skip_if_off(taken.hook.account, app.manifest)
            pace = app.pace(view)
            port = self._port(taken, taken.event)
            client = self.runtime.client(view, taken.hook.row.version)
            processor = app.processor(client, port)
            result = attempt(taken.event, processor, observer, policy)
        except CrmSyncError as error:
            if isinstance(error, ClaimLost):
                raise
            result = verdict(error, policy)
        duration_ms = round((time.monotonic() - started) * 1000)
        candidate = self._look(taken.row.id, port) if result.state is not None else None

        def write(session: Session) -> tuple[list[str], Taken | None]:
            self._end(session, taken, result)
            if port is not None:
                port.finish(session)
            journal.record_attempt(
                session,
                event_id=taken.row.id,
                hook_id=self.hook_id,
                started_at=started_at,
                duration_ms=duration_ms,
                outcome=result.attempt,
                error=result.error,
                calls=observer.as_json(),
            )
            woken = self._learn(session, result)
            return woken, self._claim(session, candidate) if candidate is not None else None

        # An outcome need not be durable: after a power cut the claims say what has to be looked up and done again.
        durable = candidate is not None and bool(candidate.foreseen)
        woken, following = self.runtime.store.write_together(write, durable=durable)
        self._tell(taken, result)
        if woken:
            wake_all(self.runtime, woken)
        return following

    def _end(self, session: Session, taken: Taken, result: Verdict) -> None:
        if result.state is not None:
            journal.finish(
                session,
                taken.row.id,
                taken.token,
                state=result.state,
                reason=result.reason,
                outcome=result.outcome,
                now=self.runtime.now(),
            )
            if taken.row.name == EventName.MESSAGE_CREATED and result.state is EventState.DONE:
                self._take_up_again(session, taken.row)
        else:
            assert result.wait_until is not None  # noqa: S101 - a verdict ends an event or says until when it waits
            journal.wait(
                session,
                taken.row.id,
                taken.token,
                until=result.wait_until,
                outcome=result.outcome,
                counted=result.counted,
            )

    def _take_up_again(self, session: Session, message: PendingRow) -> None:
        """What was told of a message before the CRM showed it had nothing to change; now it has."""
        journal.reopen(
            session,
            self.mailbox,
            message_id=message.message_id,
            reason=NOT_MIRRORED,
            outcome=f"To be done again, since event {message.id} has brought its message.",
            now=self.runtime.now(),
        )

    def _learn(self, session: Session, result: Verdict) -> list[str]:
        """What the attempt tells about the hook. Returns the mailboxes to wake when the CRM is back."""
        now = self.runtime.now()
        if result.attention is not None:
            hook = session.get_one(Hook, self.hook_id, with_for_update=True)
            # What an operator paused meanwhile stays so.
            if hook.state == HookState.ACTIVE:
                hook.state, hook.state_reason, hook.updated_at = (
                    HookState.NEEDS_ATTENTION,
                    result.attention,
                    now,
                )
            log.error("hook_needs_attention", hook=hook.id, app_id=hook.app_id, reason=result.attention)
        elif result.attempt == breaker.RETRIABLE:
            if breaker.after_failure(
                session, self.hook_id, now=now, rest_s=self.runtime.config.breaker_rest_s
            ):
                log.error("breaker_opened", hook=self.hook_id, reason=result.outcome)
        elif self.probing and result.attempt in {"skipped", "deferred"}:
            # It asked nobody whether the CRM is back; the next one is to do so at once.
            breaker.try_again(session, self.hook_id, now=now)
        elif (
            self.probing
            and result.attempt in {"done", "failed"}
            and breaker.after_success(session, self.hook_id)
        ):
            log.warning("breaker_closed", hook=self.hook_id)
            return journal.waiting_mailboxes(session, self.hook_id)
        return []

    def _tell(self, taken: Taken, result: Verdict) -> None:
        metrics.ATTEMPTS.labels(taken.hook.view.app_id, result.attempt).inc()
        if result.state is not None:
            metrics.EVENTS.labels(taken.hook.view.app_id, result.state.value, result.reason or "").inc()
        level = log.warning if result.error else log.info
        level(
            "attempt",
            event_id=taken.row.id,
            hook=self.hook_id,
            mailbox=self.mailbox,
            attempt=result.attempt,
            outcome=result.outcome,
        )

    # -- parts ---------------------------------------------------------------------------------------------------

    def _port(self, taken: Taken, event: HappenedEvent | RemoteUpdate) -> JournalPort:
        def fence(session: Session) -> None:
            journal.renew(session, taken.row.id, taken.token, self.runtime.now() + self._lease)

        return JournalPort(
            store=self.runtime.store,
            mutexes=self.runtime.mutexes,
            hook=taken.hook.view,
            chatwoot=self.runtime.chatwoot(taken.hook.account),
            mailbox=self.mailbox,
            claim=taken.token,
            now=self.runtime.now,
            unknown_settle=timedelta(seconds=self.runtime.config.unknown_settle_s),
            fence=fence,
            event=event,
            known=taken.known,
            foreseen=taken.foreseen,
        )

    def _renew(self, taken: Taken) -> None:
        """Hold event, mutex and place longer. Raises ClaimLost."""
        with self.runtime.store.write() as session:
            journal.renew(session, taken.row.id, taken.token, self.runtime.now() + self._lease)
        self._keep()

    def _keep(self) -> None:
        """Hold mutex and place longer."""
        if self.mutex is not None and not self.mutex.renew():
            metrics.LOCK_LOST.inc()
        self.runtime.places.take(self.hook_id, self.token)
        self.held_since = time.monotonic()

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.runtime.config.lease_s)

    @property
    def _call_s(self) -> float:
        config = self.runtime.config
        return min(config.connect_timeout_s + config.read_timeout_s + MARGIN_S, config.lease_s)


def _read(payload: dict[str, Any]) -> HappenedEvent | RemoteUpdate | CrmSyncError:
    """What a delivery tells, of Chatwoot or of the CRM; or why it cannot be read."""
    try:
        return remote.read(payload) if remote.is_remote(payload) else payloads.read(payload)
    except CrmSyncError as error:
        return error


def _rests(gate: Gate, now: datetime) -> bool:
    return gate.breaker_until is not None and gate.breaker_until > now


def _merged(rows: list[PendingRow], now: datetime) -> tuple[list[PendingRow], list[PendingRow]]:
    """Those of the first events whose change the next one carries as well, and the rest. All of them are due.

    One that was tried is not left out: it may have changed the CRM without our knowing, and if the next one led back to
    what was agreed on before, nobody would see to it.
    """
    needless: list[PendingRow] = []
    while (
        len(rows) > 1
        and rows[0].claim is None
        and not rows[0].tries
        and max(_wait_s(row, now) for row in rows[:2]) <= 0
    ):
        if superseding([_turn_of(row) for row in rows[:2]]) is None:
            break
        needless.append(rows[0])
        rows = rows[1:]
    return needless, rows


def _turn_of(row: PendingRow) -> Waiting:
    return Waiting(row.id, row.position, row.name, row.conversation_id, row.message_id)


def _sorted(rows: list[PendingRow]) -> list[PendingRow]:
    by_id = {row.id: row for row in rows}
    return [by_id[waiting.id] for waiting in in_order(_turn_of(row) for row in rows)]


def _wait_s(row: PendingRow, now: datetime) -> float:
    """How long until an event may be taken: until its next attempt, and until a living claim runs out."""
    wait_s = (row.next_attempt_at - now).total_seconds()
    if row.claim is not None and row.claimed_until is not None and not owner.is_dead(row.claim):
        wait_s = max(wait_s, (row.claimed_until - now).total_seconds())
    return wait_s
