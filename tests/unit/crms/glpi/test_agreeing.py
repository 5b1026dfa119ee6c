"""What is agreed, what the conversation was heard to want, and what of both is news: as tables."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms.glpi import choices

AGREED = {"status": 2, "urgency": 3}


@pytest.mark.parametrize(
    ("agreed", "key", "expected"),
    [
        ({}, "status", None),
        ({"status": 2}, "status", 2),
        ({"status": 6, "heard": {"status": 5}}, "status", 5),
        ({"status": 6, "heard": {"status": None}}, "status", None),
        ({"status": 6, "heard": {"urgency": 5}}, "status", 6),
        ({"status": 6, "heard": None}, "status", 6),
    ],
)
def test_what_was_heard_is_what_was_written_unless_glpi_chose_otherwise(
    agreed: dict[str, Any], key: str, expected: Any
) -> None:
    assert choices.heard(agreed, key) == expected


@pytest.mark.parametrize(
    ("agreed", "there", "wanted", "expected"),
    [
        # As it was.
        (AGREED, {"status": 2}, {}, {"status": 2, "heard": None}),
        # GLPI's change, which the conversation followed: both are the same.
        (AGREED, {"status": 4}, {"status": 4}, {"status": 4, "heard": None}),
        # Closed there is resolved here, which says solved.
        (AGREED, {"status": 6}, {"status": 5}, {"status": 6, "heard": {"status": 5}}),
        # GLPI's change that does not come back: the conversation wants what it wanted.
        (AGREED, {"urgency": 5}, {}, {"urgency": 5, "heard": {"urgency": 3}}),
        # GLPI comes back to what the conversation wants.
        ({"urgency": 5, "heard": {"urgency": 3}}, {"urgency": 3}, {}, {"urgency": 3, "heard": None}),
        # GLPI changes once more.
        (
            {"urgency": 5, "heard": {"urgency": 3}},
            {"urgency": 1},
            {},
            {"urgency": 1, "heard": {"urgency": 3}},
        ),
        # What is wanted of a field that was not read counts for nothing.
        (AGREED, {"status": 2}, {"urgency": 5}, {"status": 2, "heard": None}),
    ],
)
def test_the_ticket_may_be_as_it_is_while_the_conversation_wants_what_it_wants(
    agreed: dict[str, Any], there: dict[str, Any], wanted: dict[str, Any], expected: dict[str, Any]
) -> None:
    adopted = choices.adopted(agreed, there, wanted)
    assert adopted == expected
    after = {**agreed, **adopted}
    assert choices.adopted(after, there, wanted) == expected
    # Nothing that was adopted is written back by what the conversation says anyway.
    heard = {key: choices.heard(after, key) for key in there}
    assert choices.changes(after, heard) == {}


@pytest.mark.parametrize(
    ("agreed", "wanted", "expected"),
    [
        (AGREED, {"status": 2, "urgency": 3}, {}),
        (AGREED, {"status": 5, "urgency": 3}, {"status": 5}),
        ({"status": 6, "heard": {"status": 5}}, {"status": 5}, {}),
        ({"status": 6, "heard": {"status": 5}}, {"status": 2}, {"status": 2}),
        ({"status": 6}, {"status": 5}, {}),
        ({"status": 5}, {"status": 6}, {}),
        ({"urgency": 5, "heard": {"urgency": 3}}, {"urgency": 3}, {}),
        ({"urgency": 5, "heard": {"urgency": 3}}, {"urgency": 5}, {"urgency": 5}),
        ({"urgency": 5, "heard": {"urgency": 3}}, {"urgency": 4}, {"urgency": 4}),
    ],
)
def test_only_what_was_not_heard_before_is_a_change(
    agreed: dict[str, Any], wanted: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert choices.changes(agreed, wanted) == expected


@pytest.mark.parametrize(
    ("agreed", "wanted", "written", "expected"),
    [
        (AGREED, {"status": 5}, {"status": 5}, {"status": 5, "heard": None}),
        (AGREED, {"status": 2}, {}, {"status": 2, "heard": None}),
        # What GLPI chose stays remembered beside what the conversation wants.
        ({"urgency": 5, "heard": {"urgency": 3}}, {"urgency": 3}, {}, {"heard": {"urgency": 3}}),
        # Until the conversation's change is written.
        (
            {"urgency": 5, "heard": {"urgency": 3}},
            {"urgency": 4},
            {"urgency": 4},
            {"urgency": 4, "heard": None},
        ),
        (
            {"status": 6, "urgency": 5, "heard": {"status": 5, "urgency": 3}},
            {"status": 2, "urgency": 3},
            {"status": 2},
            {"status": 2, "heard": {"urgency": 3}},
        ),
    ],
)
def test_what_was_seen_to_is_agreed_and_not_seen_to_again(
    agreed: dict[str, Any], wanted: dict[str, Any], written: dict[str, Any], expected: dict[str, Any]
) -> None:
    news = choices.news(agreed, wanted, written)
    assert news == expected
    assert choices.changes({**agreed, **news}, wanted) == {}
