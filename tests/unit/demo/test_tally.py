"""The demo's figures tell equal outcomes together and account for every delivery."""

from __future__ import annotations

import pytest

from crm_sync.demo.tally import Tally, alike


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        ("User 7 created.", "User … created."),
        ("Followup 12 added to ticket 3.", "Followup … added to ticket …."),
        ("Nothing to do.", "Nothing to do."),
    ],
)
def test_outcomes_are_alike_when_only_their_numbers_differ(outcome: str, shown: str) -> None:
    assert alike(outcome) == shown


def test_a_delivery_is_unaccounted_for_when_it_is_neither_stored_nor_ignored_nor_refused() -> None:
    tally = Tally(
        sent=10,
        stored=5,
        ignored={"repeat": 2},
        refused={"unknown_token": 1},
        stored_by_event={},
        states={"done": 5},
        by_crm={},
    )
    assert tally.unaccounted == 2
    assert tally.as_journal() == {"deliveries": 10, "unaccounted": 2, "done": 5}
