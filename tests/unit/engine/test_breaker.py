"""When a hook rests: a table of the attempts of the last minutes, newest first."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from crm_sync.engine.breaker import IN_A_ROW, RETRIABLE, SHARE, should_open

BAD, GOOD = [RETRIABLE], ["done"]


@pytest.mark.parametrize(
    ("outcomes", "opens"),
    [
        ([], False),
        (BAD * 9, False),
        (BAD * 10, True),
        (BAD * 10 + GOOD * 90, True),
        (GOOD + BAD * 9, True),
        (GOOD + BAD * 8, False),
        ((BAD * 7 + GOOD * 3), True),
        ((BAD * 6 + GOOD * 4), False),
        ((GOOD * 3 + BAD * 7), True),
        ((BAD * 9 + GOOD) * 3, True),
        ((BAD * 2 + GOOD) * 20, False),
        (GOOD * 100, False),
        (["failed"] * 50, False),
        (["unauthorized"] * 50, False),
    ],
)
def test_a_hook_rests_after_ten_failures_in_a_row_or_seven_in_ten(
    outcomes: list[str], *, opens: bool
) -> None:
    assert should_open(outcomes) is opens


@given(st.lists(st.sampled_from([RETRIABLE, "done", "failed"]), max_size=60))
def test_a_hook_rests_only_when_enough_of_at_least_ten_attempts_failed(outcomes: list[str]) -> None:
    share = outcomes.count(RETRIABLE) / max(1, len(outcomes))
    if should_open(outcomes):
        assert len(outcomes) >= IN_A_ROW
        assert share >= SHARE or set(outcomes[:IN_A_ROW]) == {RETRIABLE}
    else:
        assert len(outcomes) < IN_A_ROW or share < SHARE
