"""A ticket that is opened later than its conversation began holds what was written before, in order, once."""

from __future__ import annotations

import pytest

from crm_sync.sandbox.server import lose, refuse
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk, once

AGENT = 31


@pytest.fixture
def conversation(desk: Desk) -> int:
    """A conversation that crm_sync was told nothing of."""
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "One").id
    desk.chatwoot.add_message(number, "Two", direction="outgoing", sender_id=AGENT)
    desk.chatwoot.add_message(number, "Three", direction="outgoing", private=True, sender_id=AGENT)
    desk.chatwoot.add_message(number, "Four")
    desk.deliveries()
    return number


def asked(desk: Desk) -> int:
    """How often Chatwoot was asked for messages since the last time."""
    count = sum(path.endswith("/messages") for method, path, _ in desk.chatwoot.requests if method == "GET")
    desk.chatwoot.calls.clear()
    return count


def test_the_message_that_opens_a_ticket_brings_those_before_it(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert desk.texts(ticket) == ["One", "Two", "Three", "Four", "Five"]
    assert [row["is_private"] for row in desk.rows("ITILFollowup")] == [0, 1, 0, 0]
    assert f"Followup 4 added to ticket {ticket}. Earlier messages added: 3." in desk.outcomes()


def test_a_change_of_status_that_opens_a_ticket_brings_all_messages(desk: Desk, conversation: int) -> None:
    desk.chatwoot.set_priority(conversation, "high")
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["One", "Two", "Three", "Four"]


def test_a_conversation_that_was_deleted_in_chatwoot_has_what_its_deliveries_tell(
    desk: Desk, conversation: int
) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    told = desk.deliveries()
    del desk.chatwoot.state.conversations[conversation]
    desk.take(told)
    desk.drain()
    assert desk.waiting() == []
    assert desk.texts(desk.row("Ticket")["id"]) == ["Five"]


def test_messages_whose_own_deliveries_come_later_are_not_written_twice(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "One").id
    for text in ("Two", "Three", "Four"):
        desk.chatwoot.add_message(number, text)
    told = [item for item in desk.deliveries() if item["event"] == "message_created"]
    desk.take([told[3]])
    desk.drain()
    desk.take(told[:3])
    desk.drain()

    assert desk.texts(desk.row("Ticket")["id"]) == ["One", "Two", "Three", "Four"]


def test_a_fresh_conversation_is_not_asked_for_its_messages(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "One")
    asked(desk)
    desk.sync()

    assert asked(desk) == 0


def test_the_history_is_asked_for_once(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    asked(desk)
    desk.sync()
    desk.chatwoot.add_message(conversation, "Six")
    desk.sync()

    assert asked(desk) == 1


def test_no_history_is_brought_while_followups_are_switched_off(desk: Desk, conversation: int) -> None:
    desk.set(enable_followup_sync="false")
    desk.chatwoot.set_priority(conversation, "high")
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["One"]


def test_surveys_deleted_and_own_messages_are_no_history(desk: Desk, conversation: int) -> None:
    rows = desk.chatwoot.state.conversations[conversation].messages
    desk.chatwoot.delete_message(rows[1].id)
    desk.chatwoot.add_message(
        conversation,
        "Ours",
        direction="outgoing",
        private=True,
        content_attributes={"crm_sync": {"key": "x"}},
    )
    desk.chatwoot.add_message(conversation, "Hello, a robot speaks", direction="template")
    desk.deliveries()
    desk.chatwoot.set_priority(conversation, "high")
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["One", "Three", "Four"]


@pytest.mark.parametrize("kind", [lose, refuse])
@pytest.mark.parametrize("write", ["POST /ITILFollowup", "POST /Ticket"])
def test_a_history_goes_on_where_a_fault_stopped_it(
    desk: Desk, conversation: int, kind: object, write: str
) -> None:
    method, path = write.split(" ")
    fault, hit = once(kind, method, path, times=3)  # type: ignore[arg-type]
    desk.strike(fault)
    desk.chatwoot.add_message(conversation, "Five")
    desk.settle()

    assert hit.is_set()
    assert desk.texts(desk.row("Ticket")["id"]) == ["One", "Two", "Three", "Four", "Five"]
    assert desk.events(EventState.FAILED) == []


def test_a_long_history_comes_whole_and_in_order(desk: Desk, conversation: int) -> None:
    for number in range(250):
        desk.chatwoot.add_message(conversation, f"No. {number}")
    desk.deliveries()
    desk.chatwoot.add_message(conversation, "Last")
    desk.settle()

    texts = desk.texts(desk.row("Ticket")["id"])
    assert texts == ["One", "Two", "Three", "Four", *(f"No. {number}" for number in range(250)), "Last"]
    ids = [row["id"] for row in desk.rows("ITILFollowup")]
    assert ids == sorted(ids)


def test_a_ticket_opened_anew_after_a_purge_holds_the_whole_history_again(
    desk: Desk, conversation: int
) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    desk.sync()
    old = desk.row("Ticket")["id"]
    for row in desk.rows("ITILFollowup"):
        desk.purge("ITILFollowup", row["id"])
    desk.purge("Ticket", old)
    desk.chatwoot.add_message(conversation, "Six")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert ticket != old
    assert desk.texts(ticket) == ["One", "Two", "Three", "Four", "Five", "Six"]
    desk.chatwoot.edit_message(desk.chatwoot.state.conversations[conversation].messages[1].id, "Second")
    desk.sync()
    assert "Second\n" in desk.texts(ticket)[1]
