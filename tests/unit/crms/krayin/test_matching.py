"""Who is who: nothing that Krayin finds is believed unseen."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms.krayin import matching
from crm_sync.crms.krayin.mapping import PERSON_MARKER

MARK = "cw-chat-1-contact-5"


def row(number: int, *emails: str, phones: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "emails": [{"value": email, "label": "work"} for email in emails],
        "contact_numbers": [{"value": phone, "label": "work"} for phone in phones] or None,
        **more,
    }


@pytest.mark.parametrize(
    ("email", "phone", "expected"),
    [
        ("ana@example.com", "", {"emails": '"ana@example.com"'}),
        ("ana+b@example.com", "", {"emails": '"ana+b@example.com"'}),
        ("o'hara@example.com", "", {"emails": '"o\'hara@example.com"'}),
        ("", "+5511988887777", {"contact_numbers": "1%1%9%8%8%8%8%7%7%7%7"}),
        ('"a:b"@example.com', "", {}),
        ("", "12345", {}),
        ("", "", {}),
    ],
)
def test_what_is_searched_for_is_anchored_or_not_searched_for(
    email: str, phone: str, expected: dict[str, str]
) -> None:
    # The column that tells capitals from small letters is not the only one.
    wide = {"unique_id": email} if "emails" in expected else {}
    assert matching.conditions(email, phone) == expected | wide


def test_unfiltered_results_are_nobody() -> None:
    everybody = [
        row(number, f"p{number}@example.com", phones=(f"+55119999900{number}",)) for number in range(10, 20)
    ]
    assert matching.choose(everybody, "ana@example.com", "+5511988887777", MARK) is None


@pytest.mark.parametrize("other", ["ana@example.com.br", "xana@example.com", "ana@example.co"])
def test_a_part_of_an_address_is_no_match(other: str) -> None:
    assert matching.choose([row(1, other)], "ana@example.com", "", MARK) is None


def test_an_address_matches_whatever_its_case_and_also_as_a_second_one() -> None:
    found = matching.choose([row(1, "first@x.example", "ANA@example.com")], "ana@example.com", "", MARK)
    assert found is not None
    assert found["id"] == 1


def test_the_address_comes_before_the_number_and_the_oldest_before_the_others() -> None:
    rows = [
        row(3, "ana@example.com"),
        row(2, "ana@example.com"),
        row(1, "b@example.com", phones=("+5511988887777",)),
    ]
    found = matching.choose(rows, "ana@example.com", "+5511988887777", MARK)
    assert found is not None
    assert found["id"] == 2


@pytest.mark.parametrize(
    ("kept", "same"),
    [
        ("+5511988887777", True),
        ("+55 (11) 98888-7777", True),
        ("(11) 98888-7777", True),
        ("011 98888-7777", True),
        ("+351 11 98888 7777", False),
        ("988887777", False),
        ("+55119888877771", False),
    ],
)
def test_a_number_matches_however_it_was_typed_and_no_other(kept: str, *, same: bool) -> None:
    found = matching.choose([row(1, phones=(kept,))], "", "+5511988887777", MARK)
    assert (found is not None) is same


def test_our_own_person_comes_before_anothers_with_the_same_address() -> None:
    theirs = row(1, "ana@example.com", **{PERSON_MARKER: "cw-chat-1-contact-6"})
    ours = row(2, "ana@example.com", **{PERSON_MARKER: MARK})
    assert matching.choose([theirs], "ana@example.com", "", MARK) == theirs
    assert matching.choose([theirs, ours], "ana@example.com", "", MARK) == ours
