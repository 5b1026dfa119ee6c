"""One attempt ends in one verdict, whatever the processor raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync.chatwoot import payloads
from crm_sync.crms.http import Call
from crm_sync.engine.dispatch import ATTENTION_WAIT_S, CHATWOOT, AttemptLog, Policy, attempt
from crm_sync.errors import (
    ClaimLost,
    ConfigError,
    Defer,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    PayloadError,
    Rejected,
    ServerFault,
    Skip,
    Unauthorized,
)
from crm_sync.store.models import EventState
from tests.payloads import contact_created

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=7)
EVENT = payloads.read(contact_created())
POLICY = Policy(tries=1, now=lambda: NOW, delays_s=[5.0, 30.0])


class Ends:
    """A processor that ends in one way, after a call to a system."""

    def __init__(self, how: BaseException | str, after_calling: str | None = None) -> None:
        self.how = how
        self.called = after_calling

    def handle(self, _event: Any) -> str:
        if isinstance(self.how, BaseException):
            raise self.how
        return self.how


def a_log(**more: Any) -> AttemptLog:
    parts = {"renew": lambda: None, "begin": lambda _first: None, "end": lambda _left: None, **more}
    return AttemptLog(lease_s=60.0, call_s=parts.pop("call_s", 10.0), **parts)


@pytest.mark.parametrize(
    ("how", "outcome", "state", "wait", "counted"),
    [
        ("It is done.", "done", EventState.DONE, None, True),
        (Skip("why", "Because."), "skipped", EventState.SKIPPED, None, True),
        (Rejected("No."), "failed", EventState.FAILED, None, True),
        (NotFound("Gone."), "failed", EventState.FAILED, None, True),
        (Duplicate("There."), "failed", EventState.FAILED, None, True),
        (PayloadError("What?"), "failed", EventState.FAILED, None, True),
        (Defer(LATER, "Not yet."), "deferred", None, LATER, False),
        (Unauthorized("Who?"), "unauthorized", None, NOW + timedelta(seconds=ATTENTION_WAIT_S), False),
    ],
)
def test_every_end_has_its_verdict(
    how: BaseException | str, outcome: str, state: EventState | None, wait: datetime | None, *, counted: bool
) -> None:
    found = attempt(EVENT, Ends(how), a_log(), POLICY)
    assert (found.attempt, found.state, found.wait_until, found.counted) == (outcome, state, wait, counted)


@pytest.mark.parametrize(
    "error", [ServerFault("x"), OutcomeUnknown("x"), ZeroDivisionError(), ConfigError("x")]
)
def test_what_may_be_cured_is_tried_again_and_counted(error: Exception) -> None:
    found = attempt(EVENT, Ends(error), a_log(), POLICY)
    assert found.state is None
    assert found.wait_until is not None
    assert found.counted


def test_an_unauthorized_hook_says_what_a_person_must_mend() -> None:
    assert (
        attempt(EVENT, Ends(Unauthorized("The token is wrong.")), a_log(), POLICY).attention
        == "The token is wrong."
    )


def test_a_fault_of_ours_shows_nothing_of_its_words() -> None:
    found = attempt(EVENT, Ends(ValueError("secret-token")), a_log(), POLICY)
    assert found.attempt == "crashed"
    assert "secret-token" not in f"{found.outcome} {found.error}"


def test_a_lost_claim_has_no_verdict() -> None:
    with pytest.raises(ClaimLost):
        attempt(EVENT, Ends(ClaimLost("gone")), a_log(), POLICY)


@pytest.mark.parametrize(("system", "kind"), [("GLPI", "retriable"), (CHATWOOT, "chatwoot_failed")])
def test_a_failure_is_put_down_to_whoever_was_called_last(system: str, kind: str) -> None:
    log = a_log()
    log.after_call(Call("GLPI", "GET", "/x", 200, 1))
    log.after_call(Call(system, "GET", "/x", 503, 1))
    assert attempt(EVENT, Ends(ServerFault("x")), log, POLICY).attempt == kind


# -- the log of an attempt -------------------------------------------------------------------------------------------


def test_only_calls_to_the_crm_take_a_place_below_the_ceiling() -> None:
    taken: list[str] = []
    log = a_log(begin=lambda _first: taken.append("begin"), end=lambda _left: taken.append("end"))
    for system in ("GLPI", CHATWOOT):
        log.before_call(system, "POST")
        log.after_call(Call(system, "POST", "/x", 200, 3))
    assert taken == ["begin", "end"]
    assert [call["system"] for call in log.as_json()] == ["GLPI", CHATWOOT]


def test_a_call_that_might_outlive_the_lease_is_made_only_after_it_was_renewed() -> None:
    renewed: list[int] = []
    log = a_log(call_s=61.0, renew=lambda: renewed.append(1))
    log.before_call("GLPI", "GET")
    assert renewed


def test_a_call_that_is_not_made_takes_no_place_below_the_ceiling() -> None:
    taken: list[str] = []

    def lost() -> None:
        raise ClaimLost("gone")

    log = a_log(
        call_s=61.0,
        renew=lost,
        begin=lambda _first: taken.append("begin"),
        end=lambda _left: taken.append("end"),
    )
    with pytest.raises(ClaimLost):
        log.before_call("GLPI", "POST")
    assert taken == ["begin", "end"]
