"""The judge of the fault run sees what is wrong, and does not call wrong what was never promised."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.sandbox.chatwoot.outbox import Delivery, rails_json
from tests.chaos.judge import Promises, out_of_order, trimmed
from tests.chaos.shown import in_glpi, in_krayin
from tests.payloads import conversation_status_changed, message_created

SETTLE_S = 1.0


def delivery(payload: dict[str, Any], *, at: float, status: int = 202) -> Delivery:
    return Delivery(
        payload["event"], 0, "id", "", "", dict, status=status, body=rails_json(payload), answered_at=at
    )


def message(number: int, *, at: float, status: int = 202) -> Delivery:
    return delivery(message_created(number), at=at, status=status)


def followup(number: int, message_id: int, second: int = 0) -> dict[str, Any]:
    content = f"<p>text {message_id}</p><!-- crm-sync/example.com/3/message/{message_id}/ -->"
    return {"id": number, "items_id": 1, "date": f"2026-11-01 09:00:{second:02}", "content": content}


def ticket(first: int) -> dict[str, Any]:
    return {"id": 1, "content": f"<p>text</p><!-- crm-sync/example.com/3/conversation/10/first/{first}/ -->"}


def shown(chatwoot_status: str = "open", messages: tuple[int, ...] = (101, 102)) -> dict[str, Any]:
    """Chatwoot's dump: a conversation with messages."""
    sender = {"id": 1, "email": "ana@example.com"}
    rows = [
        {"id": number, "content": f"text {number}", "message_type": 0, "private": False}
        for number in messages
    ]
    conversation = {"id": 10, "status": chatwoot_status, "meta": {"sender": sender}, "messages": rows}
    return {"account_id": 3, "contacts": [sender], "conversations": [conversation]}


@pytest.mark.parametrize(
    ("followups", "answered", "received", "wrong"),
    [
        ([followup(1, 101), followup(2, 102)], (10.0, 10.0), 10.0, False),
        ([followup(1, 102), followup(2, 101)], (10.5, 10.0), 10.0, True),
        ([followup(1, 102), followup(2, 101)], (11.5, 10.0), 10.0, False),
        ([followup(1, 102, second=5), followup(2, 101, second=4)], (10.5, 10.0), 10.0, False),
        ([followup(1, 102, second=4), followup(2, 101, second=5)], (10.5, 10.0), 10.0, True),
    ],
    ids=["in order", "in hand", "came after the other had settled", "dates tell", "dates do not help"],
)
def test_a_message_is_out_of_order_only_when_both_were_in_hand(
    followups: list[dict[str, Any]], answered: tuple[float, float], received: float, *, wrong: bool
) -> None:
    promises = Promises([message(101, at=answered[0]), message(102, at=answered[1])])
    found = out_of_order(
        shown(), in_glpi({"ITILFollowup": followups}), promises, {101: answered[0], 102: received}, SETTLE_S
    )
    assert bool(found) is wrong


@pytest.mark.parametrize(("first", "wrong"), [(101, False), (0, False), (102, True)])
def test_a_ticket_begins_with_the_first_message_of_its_conversation(first: int, *, wrong: bool) -> None:
    found = out_of_order(shown(), in_glpi({"Ticket": [ticket(first)]}), Promises([]), {}, SETTLE_S)
    assert bool(found) is wrong


def activity(number: int, mark: str, first: int | None = None) -> dict[str, Any]:
    tag = {"crm_sync": f"cw-example.com-3-{mark}", **({"first_message": first} if first else {})}
    return {"id": number, "additional": tag}


@pytest.mark.parametrize(("order", "wrong"), [((101, 102), False), ((102, 101), True)])
def test_notes_are_out_of_order_by_the_order_they_were_made_in(
    order: tuple[int, int], *, wrong: bool
) -> None:
    notes = [activity(number, f"message-{message_id}") for number, message_id in enumerate(order, start=5)]
    there = in_krayin({"activities": [*notes, {"id": 9, "additional": None}]}, {101: 10, 102: 10})
    assert there.messages == {101, 102}
    promises = Promises([message(101, at=10.5), message(102, at=10.0)])
    found = out_of_order(shown(), there, promises, {101: 10.5, 102: 10.0}, SETTLE_S)
    assert bool(found) is wrong


@pytest.mark.parametrize(("first", "wrong"), [(101, False), (None, False), (102, True)])
def test_an_activity_begins_with_the_first_message_of_its_conversation(
    first: int | None, *, wrong: bool
) -> None:
    there = in_krayin({"activities": [activity(5, "conversation-10", first)]}, {})
    assert bool(out_of_order(shown(), there, Promises([]), {}, SETTLE_S)) is wrong


def test_a_message_that_was_refused_is_not_missed_unless_it_is_there() -> None:
    promises = Promises([message(101, at=1.0), message(102, at=2.0, status=503)])
    dump, touched = trimmed(shown(), promises, there=[])
    assert [row["id"] for row in dump["conversations"][0]["messages"]] == [101]
    assert touched == {10}
    dump, touched = trimmed(shown(), promises, there=[102])
    assert [row["id"] for row in dump["conversations"][0]["messages"]] == [101, 102]
    assert touched == set()


def test_the_last_state_that_was_taken_is_the_one_that_counts() -> None:
    taken = delivery(conversation_status_changed(status="resolved", minute=1), at=1.0)
    refused = delivery(conversation_status_changed(status="open", minute=2), at=2.0, status=0)
    promises = Promises([message(101, at=1.0), message(102, at=1.0), taken, refused])
    dump, touched = trimmed(shown("open"), promises, there=[])
    assert dump["conversations"][0]["status"] == "resolved"
    assert touched == {10}


def test_nothing_is_promised_of_what_was_never_told() -> None:
    dump, _ = trimmed(shown(), Promises([message(101, at=1.0, status=0)]), there=[])
    assert (dump["conversations"], dump["contacts"]) == ([], [])
