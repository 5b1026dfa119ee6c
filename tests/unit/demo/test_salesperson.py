"""Which leads the salesperson moves, and what of it Chatwoot must show and tell."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.demo.salesperson import EACH, TALKING, Move, _chosen, _unseen

NAMES = {"won": "Won", TALKING: "Negotiation"}
MOVES = [Move(11, 1, 81, "won"), Move(12, 2, 82, TALKING)]


def note(stage: str, **more: Any) -> dict[str, Any]:
    content = f"Lead in Krayin: New → {stage}"
    return {"content": content, "private": True, "content_attributes": {"crm_sync": {"key": "x"}}, **more}


def dump() -> dict[str, Any]:
    """A Chatwoot that shows and tells both moves."""
    return {
        "contacts": [
            {"id": number, "custom_attributes": {"krayin_lead_id": 10 + number, "krayin_lead_stage": stage}}
            for number, stage in ((1, "Won"), (2, "Negotiation"))
        ],
        "conversations": [
            {
                "id": 81,
                "status": "resolved",
                "messages": [note("Won"), {"content": "I have Won", "private": False}],
            },
            {"id": 82, "status": "open", "messages": [note("Negotiation")]},
        ],
    }


def conversation(number: int, contact: int, status: str = "open") -> dict[str, Any]:
    return {"id": number, "status": status, "meta": {"sender": {"id": contact}}, "messages": []}


def test_leads_of_contacts_with_one_open_conversation_are_moved_some_of_them_to_won() -> None:
    contacts = [
        {"id": number, "custom_attributes": {"krayin_lead_id": 100 + number} if number != 3 else {}}
        for number in range(1, 12)
    ]
    conversations = [
        conversation(99, 1),
        conversation(98, 1),
        conversation(97, 2, "resolved"),
        *(conversation(80 + number, number) for number in range(3, 12)),
    ]
    moves = _chosen({"contacts": contacts, "conversations": conversations})
    assert [move.contact for move in moves] == [4, 5, 6, 7, 8, 9]
    assert {(move.lead - move.contact, move.conversation - move.contact) for move in moves} == {(100, 80)}
    assert [move.stage for move in moves] == ["won"] * EACH + [TALKING] * EACH


def test_what_is_shown_and_told_once_is_no_problem() -> None:
    assert list(_unseen(dump(), MOVES, NAMES)) == []


@pytest.mark.parametrize(
    ("messages", "kind"),
    [([], "lost"), ([note("Won"), note("Won")], "duplicate"), ([note("Won", private=False)], "duplicate")],
)
def test_a_move_that_is_not_told_once_in_private_is_found(messages: list[Any], kind: str) -> None:
    found = dump()
    found["conversations"][0]["messages"] = messages
    assert [problem.kind for problem in _unseen(found, MOVES, NAMES)] == [kind]


def test_a_move_that_is_not_shown_is_lost() -> None:
    found = dump()
    found["contacts"][1]["custom_attributes"]["krayin_lead_stage"] = "New"
    (problem,) = _unseen(found, MOVES, NAMES)
    assert (problem.kind, "contact 2" in problem.words) == ("lost", True)
