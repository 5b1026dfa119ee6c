"""What people do in Chatwoot, and what follows from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync.sandbox.chatwoot import ChatwootSandbox


def events(sandbox: ChatwootSandbox) -> list[str]:
    return [delivery.event for delivery in sandbox.deliveries]


def last(sandbox: ChatwootSandbox, event: str) -> dict[str, Any]:
    bodies = [delivery.body for delivery in sandbox.deliveries if delivery.event == event]
    found: dict[str, Any] = json.loads(bodies[-1])
    return found


@pytest.fixture
def conversation_id(silent: ChatwootSandbox) -> int:
    contact = silent.create_contact(name="Ana", phone_number="+12025550101")
    return silent.create_conversation(contact.id, 12, "Hi").id


@pytest.mark.parametrize("status", ["resolved", "snoozed"])
def test_a_customer_who_writes_reopens_a_conversation(
    silent: ChatwootSandbox, conversation_id: int, status: str
) -> None:
    silent.set_status(conversation_id, status, snoozed_until=datetime(2030, 1, 1, tzinfo=UTC))
    silent.add_message(conversation_id, "again")
    row = silent.state.conversations[conversation_id]
    assert (row.status, row.snoozed_until) == ("open", None)
    assert last(silent, "conversation_status_changed")["status"] == "open"


def test_a_pending_conversation_stays_pending(silent: ChatwootSandbox, conversation_id: int) -> None:
    silent.set_status(conversation_id, "pending")
    silent.add_message(conversation_id, "again")
    assert silent.state.conversations[conversation_id].status == "pending"


def test_a_blocked_customer_reopens_nothing(silent: ChatwootSandbox, conversation_id: int) -> None:
    row = silent.state.conversations[conversation_id]
    silent.set_status(conversation_id, "resolved")
    silent.update_contact(row.contact_id, blocked=True)
    silent.add_message(conversation_id, "again")
    assert row.status == "resolved"
    assert silent.create_conversation(row.contact_id, 12, "new").status == "resolved"


def test_every_message_of_a_customer_updates_the_contact(
    silent: ChatwootSandbox, conversation_id: int
) -> None:
    before = events(silent).count("contact_updated")
    silent.add_message(conversation_id, "a")
    silent.add_message(conversation_id, "b")
    assert events(silent).count("contact_updated") == before + 2


def test_nothing_is_told_when_nothing_changes(silent: ChatwootSandbox, conversation_id: int) -> None:
    silent.set_labels(conversation_id, ["a"])
    silent.set_custom_attributes(conversation_id, {"k": 1})
    before = len(silent.deliveries)
    row = silent.state.conversations[conversation_id]
    silent.set_labels(conversation_id, ["a"])
    silent.set_status(conversation_id, "open")
    silent.set_custom_attributes(conversation_id, {"k": 1})
    silent.update_contact(row.contact_id, name="Ana", custom_attributes={})
    silent.set_priority(conversation_id, None)
    assert len(silent.deliveries) == before


def test_labels_are_told_twice_in_the_same_words(silent: ChatwootSandbox, conversation_id: int) -> None:
    before = len(silent.deliveries)
    silent.set_labels(conversation_id, ["vip", "bug"])
    first, second = silent.deliveries[before:]
    assert first.body == second.body
    assert first.delivery_id != second.delivery_id


def test_a_private_note_is_told_once_and_changes_nothing(
    silent: ChatwootSandbox, conversation_id: int
) -> None:
    before = len(silent.deliveries)
    silent.add_message(conversation_id, "note", direction="outgoing", private=True)
    assert events(silent)[before:] == ["message_created"]
    payload = last(silent, "message_created")
    assert payload["conversation"]["messages"][0]["content"] == "Hi"
    assert payload["source_id"] is None


def test_a_second_reply_is_no_first_reply(silent: ChatwootSandbox, conversation_id: int) -> None:
    silent.receipts = False
    silent.add_message(conversation_id, "one", direction="outgoing")
    before = len(silent.deliveries)
    silent.add_message(conversation_id, "two", direction="outgoing")
    assert events(silent)[before:] == ["message_created"]


def test_an_edited_message_is_told_without_a_time(silent: ChatwootSandbox, conversation_id: int) -> None:
    message = silent.add_message(conversation_id, "one", direction="outgoing")
    silent.edit_message(message.id, "two")
    payload = last(silent, "message_updated")
    assert payload["content"] == "two"
    assert "updated_at" not in payload
    with pytest.raises(KeyError):
        silent.edit_message(1, "x")


def test_attributes_are_replaced_or_merged_as_the_release_can(
    silent: ChatwootSandbox, conversation_id: int
) -> None:
    row = silent.state.conversations[conversation_id]
    silent.set_custom_attributes(conversation_id, {"a": 1})
    silent.set_custom_attributes(conversation_id, {"b": 2}, merge=True)
    assert row.custom_attributes == {"a": 1, "b": 2}
    silent.version = "4.16.2"
    silent.set_custom_attributes(conversation_id, {"c": 3}, merge=True)
    assert row.custom_attributes == {"c": 3}
    silent.remove_custom_attributes(conversation_id, ["c"])
    assert row.custom_attributes == {}


def test_attributes_of_a_contact_are_merged_one_level_deep(silent: ChatwootSandbox) -> None:
    row = silent.create_contact(name="x", additional_attributes={"city": "A", "external": {"a": 1}})
    silent.update_contact(row.id, additional_attributes={"external": {"b": 2}})
    assert row.additional_attributes == {"city": "A", "external": {"b": 2}}
    silent.update_contact(row.id, custom_attributes={"a": 1})
    silent.remove_contact_attributes(row.id, ["a"])
    assert row.custom_attributes == {}


def test_a_merge_keeps_what_the_base_has(silent: ChatwootSandbox) -> None:
    base = silent.create_contact(name="Base", email="base@example.com", custom_attributes={"a": 1})
    other = silent.create_contact(
        name="Other", email="other@example.com", identifier="o", custom_attributes={"a": 2, "b": 3}
    )
    silent.merge_contacts(base.id, other.id)
    assert (base.email, base.identifier, base.custom_attributes) == (
        "base@example.com",
        "o",
        {"a": 1, "b": 3},
    )


def test_a_deleted_contact_takes_his_conversations_along(
    silent: ChatwootSandbox, conversation_id: int
) -> None:
    before = len(silent.deliveries)
    silent.delete_contact(silent.state.conversations[conversation_id].contact_id)
    assert conversation_id not in silent.state.conversations
    assert len(silent.deliveries) == before


def test_two_changes_never_share_a_time() -> None:
    sandbox = ChatwootSandbox(deliver=False)
    sandbox.state._now = lambda: datetime(2026, 1, 1, tzinfo=UTC)
    first, second = sandbox.state.tick(), sandbox.state.tick()
    assert second - first == timedelta(milliseconds=1)


def test_a_place_and_a_card_are_told_as_such(silent: ChatwootSandbox, conversation_id: int) -> None:
    place = {"file_type": "location", "coordinates_lat": 1.5, "coordinates_long": 2.5, "fallback_title": "X"}
    silent.add_message(
        conversation_id, attachments=[place, {"file_type": "contact", "fallback_title": "+1"}, {}]
    )
    first, second, third = last(silent, "message_created")["attachments"]
    assert (first["coordinates_lat"], first["fallback_title"]) == (1.5, "X")
    assert second["meta"] == {}
    assert (third["file_type"], third["extension"]) == ("file", "pdf")


def test_an_empty_list_of_labels_is_no_change(silent: ChatwootSandbox, conversation_id: int) -> None:
    before = len(silent.deliveries)
    silent.set_labels(conversation_id, [])
    assert len(silent.deliveries) == before
