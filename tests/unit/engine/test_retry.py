"""When an event is tried again: a table of decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from crm_sync.config import Config
from crm_sync.engine.retry import LONGEST_RETRY_AFTER_S, TRIES_AFTER_A_CRASH, next_attempt
from crm_sync.errors import (
    ApiError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    Timeout,
    Unauthorized,
    Unreachable,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DELAYS = [5.0, 30.0, 120.0, 600.0, 1800.0]


def wait_s(error: Exception, tries: int, jitter: float = 0.0) -> float | None:
    found = next_attempt(error, tries, now=NOW, delays_s=DELAYS, jitter=lambda: jitter)
    return None if found is None else (found - NOW).total_seconds()


@pytest.mark.parametrize(
    "error", [Unreachable("x"), Timeout("x"), ServerFault("x"), OutcomeUnknown("x"), RateLimited("x")]
)
@pytest.mark.parametrize(("tries", "wait"), list(enumerate(DELAYS, start=1)))
def test_what_may_succeed_later_is_tried_again_after_the_wait_of_its_turn(
    error: Exception, tries: int, wait: float
) -> None:
    assert wait_s(error, tries) == wait


@pytest.mark.parametrize("error", [Rejected("x"), NotFound("x"), Unauthorized("x"), ApiError("x")])
def test_what_cannot_succeed_is_not_tried_again(error: Exception) -> None:
    assert wait_s(error, 1) is None


def test_an_event_is_given_up_after_the_last_wait() -> None:
    assert wait_s(ServerFault("x"), len(DELAYS)) is not None
    assert wait_s(ServerFault("x"), len(DELAYS) + 1) is None


@pytest.mark.parametrize(
    ("tries", "again"), [(1, True), (TRIES_AFTER_A_CRASH, True), (TRIES_AFTER_A_CRASH + 1, False)]
)
def test_a_fault_of_our_own_is_given_up_early(tries: int, *, again: bool) -> None:
    assert (wait_s(ZeroDivisionError(), tries) is not None) is again


@pytest.mark.parametrize(
    ("asked", "tries", "wait"),
    [
        (None, 1, 5.0),
        (2.0, 1, 5.0),
        (90.0, 1, 90.0),
        (90.0, 4, 600.0),
        (10_000_000.0, 1, LONGEST_RETRY_AFTER_S),
    ],
)
def test_it_waits_as_long_as_it_was_asked_to_but_not_for_ever(
    asked: float | None, tries: int, wait: float
) -> None:
    assert wait_s(RateLimited("x", retry_after_s=asked), tries) == wait


@given(tries=st.integers(1, len(DELAYS)), jitter=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_lengthened_by_a_fifth_at_most_and_never_shortened(tries: int, jitter: float) -> None:
    found = wait_s(ServerFault("x"), tries, jitter)
    assert found is not None
    assert DELAYS[tries - 1] <= found <= DELAYS[tries - 1] * 1.2


def test_the_default_waits_outlast_a_day_on_which_nobody_looks() -> None:
    delays = Config().retry_delays_s
    now, tries = NOW, 0
    while (
        again := next_attempt(ServerFault("x"), tries + 1, now=now, delays_s=delays, jitter=lambda: 0)
    ) is not None:
        now, tries = again, tries + 1
    assert tries == len(delays)
    assert now - NOW > timedelta(hours=27)
