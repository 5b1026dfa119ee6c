"""One attempt at one event: hand it to the processor of its hook, and turn what comes back into a verdict.

Whatever happens, exactly one verdict comes out, and the calls made are known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import structlog

from crm_sync.crms.base import Processor
from crm_sync.crms.http import SAFE_METHODS, Call, observed
from crm_sync.engine import breaker, retry
from crm_sync.errors import (
    ApiError,
    ClaimLost,
    CrmSyncError,
    Defer,
    PayloadError,
    Permanent,
    Retriable,
    Skip,
    Unauthorized,
)
from crm_sync.events import Event, RemoteUpdate
from crm_sync.store import DatabaseDown
from crm_sync.store.models import EventState
from crm_sync.telemetry import metrics

log = structlog.get_logger(__name__)

#: The name Chatwoot has among the systems called, and how an attempt is written down that failed because of it.
CHATWOOT = "Chatwoot"
CHATWOOT_FAILED = "chatwoot_failed"

#: A hook whose credentials are refused is mended by a person; until then its events wait this long at a time.
ATTENTION_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended: a final ``state``, or ``wait_until`` with ``counted`` telling whether the try counts.

    ``attempt`` is the attempt's own outcome, ``attention`` what a person must mend, if anything.
    """

    attempt: str
    outcome: str
    state: EventState | None = None
    reason: str | None = None
    wait_until: datetime | None = None
    counted: bool = True
    attention: str | None = None
    error: str | None = None


class AttemptLog:
    """Takes down the calls of an attempt, keeps them below the ceiling, and stops a worker whose claim is in danger.

    ``renew`` is called before a call that might outlive the lease; it raises ClaimLost. ``begin`` waits until
    a call to the CRM may be made (it is told whether that is the first one), and ``end`` lets another one (it is told
    how many more the CRM takes); Chatwoot has no ceiling.
    """

    def __init__(
        self,
        *,
        lease_s: float,
        call_s: float,
        renew: Callable[[], None],
        begin: Callable[[bool], None],
        end: Callable[[int | None], None],
    ) -> None:
        self.calls: list[Call] = []
        self._lease_s = lease_s
        self._call_s = call_s
        self._renew = renew
        self._begin = begin
        self._end = end
        self._since = time.monotonic()
        self._begun = False

    def before_call(self, system: str, method: str) -> None:
        """See CallObserver.before_call."""
        if system != CHATWOOT:
            self._begin(not self._begun)
            self._begun = True
        left_s = self._since + self._lease_s - time.monotonic()
        if left_s < self._call_s or (left_s < self._lease_s / 2 and method not in SAFE_METHODS):
            try:
                self._renew()
            except ClaimLost:
                # The call will not be made, so nobody will say that it is over.
                if system != CHATWOOT:
                    self._end(None)
                raise
            self._since = time.monotonic()

    def after_call(self, call: Call) -> None:
        """See CallObserver.after_call."""
        if call.system != CHATWOOT:
            self._end(call.remaining)
        self.calls.append(call)
        metrics.CRM_CALLS.labels(call.system, call.method, str(call.status)).inc()
        metrics.CRM_CALL_DURATION.labels(call.system).observe(call.duration_ms / 1000)

    @property
    def last_system(self) -> str | None:
        """Who was called last."""
        return self.calls[-1].system if self.calls else None

    def as_json(self) -> list[dict[str, Any]]:
        """The calls for the journal."""
        told = (asdict(call) for call in self.calls)
        return [{key: value for key, value in call.items() if value is not None} for call in told]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verdict depends on besides the error: the tries so far, the time, and the waits between tries."""

    tries: int
    now: Callable[[], datetime]
    delays_s: list[float]
    context: dict[str, Any] = field(default_factory=dict)


def attempt(
    event: Event | RemoteUpdate, processor: Processor, observer: AttemptLog, policy: Policy
) -> Verdict:
    """Handle an event. Raises ClaimLost, and what says that the journal is away; all else becomes a verdict."""
    try:
        with observed(observer):
            outcome = processor.apply(event) if isinstance(event, RemoteUpdate) else processor.handle(event)
    except (ClaimLost, *DatabaseDown):
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event either
        return verdict(error, policy, failing=observer.last_system)
    return Verdict(attempt="done", outcome=outcome, state=EventState.DONE)


def verdict(error: Exception, policy: Policy, *, failing: str | None = None) -> Verdict:
    """What an error means for the event. ``failing`` is the system called last: Chatwoot's faults open no breaker."""
    words = str(error) if isinstance(error, CrmSyncError) else f"{type(error).__name__} in crm_sync itself."
    if isinstance(error, Skip):
        return Verdict(attempt="skipped", outcome=words, state=EventState.SKIPPED, reason=error.reason)
    if isinstance(error, Defer):
        return Verdict(attempt="deferred", outcome=words, wait_until=error.until, counted=False)
    if isinstance(error, Unauthorized):
        until = retry.later(policy.now(), ATTENTION_WAIT_S)
        return Verdict(
            attempt="unauthorized",
            outcome=words,
            wait_until=until,
            counted=False,
            attention=words,
            error=words,
        )
    if isinstance(error, Permanent | PayloadError):
        reason = type(error).__name__.lower()
        return Verdict(attempt="failed", outcome=words, state=EventState.FAILED, reason=reason, error=words)
    if not isinstance(error, ApiError):
        log.error("processor_crashed", exc_info=error, **policy.context)
    kind = _kind(error, failing)
    again = retry.next_attempt(error, policy.tries, now=policy.now(), delays_s=policy.delays_s)
    if again is None:
        outcome = f"Given up after {policy.tries} tries. {words}"
        return Verdict(attempt=kind, outcome=outcome, state=EventState.FAILED, reason="given_up", error=words)
    return Verdict(attempt=kind, outcome=words, wait_until=again, error=words)


def _kind(error: Exception, failing: str | None) -> str:
    """How an attempt that is to be repeated is written down."""
    if not isinstance(error, Retriable):
        return "crashed"
    return CHATWOOT_FAILED if failing == CHATWOOT else breaker.RETRIABLE
