"""Odd, old and hostile payloads: what must be there is asked for, everything else is taken as it comes."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from crm_sync.chatwoot import payloads
from crm_sync.chatwoot.deliveries import contact_delivery, conversation_delivery, message_delivery
from crm_sync.chatwoot.payloads import delivery_key, read
from crm_sync.errors import PayloadError, Skip
from crm_sync.events import Direction, EventName, SenderKind, Status

CONTACT = {"id": 7, "name": "Ana", "email": "ana@example.com", "account": {"id": 3}}
CONVERSATION: dict[str, Any] = {
    "id": 12,
    "status": "open",
    "meta": {"sender": {"id": 7, "name": "Ana", "type": "contact"}},
    "messages": [],
    "created_at": 1789392000,
    "updated_at": 1789392001.5,
}
MESSAGE: dict[str, Any] = {
    "id": 99,
    "message_type": "incoming",
    "content": "Hi",
    "private": False,
    "created_at": "2026-09-14T13:20:00.000Z",
    "conversation": CONVERSATION,
    "sender": {"id": 7, "name": "Ana"},
}


def contact_event(**changes: Any) -> dict[str, Any]:
    return {"event": "contact_created", **CONTACT, **changes}


def conversation_event(name: str = "conversation_updated", **changes: Any) -> dict[str, Any]:
    return {"event": name, **copy.deepcopy(CONVERSATION), **changes}


def message_event(name: str = "message_created", **changes: Any) -> dict[str, Any]:
    return {"event": name, **copy.deepcopy(MESSAGE), **changes}


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        ([], "invalid_payload", "not a JSON object"),
        ({}, "invalid_payload", '"event" is missing'),
        ({"event": 7}, "invalid_payload", '"event" is missing'),
        ({"event": "macro.executed"}, "unknown_event", "macro.executed"),
        ({"event": "automation_event.message_created"}, "unknown_event", "automation_event"),
        (contact_event(id=None), "invalid_payload", 'The key "id" is missing.'),
        (contact_event(id="x"), "invalid_payload", 'The key "id" is not the number of a record.'),
        (contact_event(id=True), "invalid_payload", 'The key "id"'),
        (contact_event(id=2**63), "invalid_payload", 'The key "id"'),
        (conversation_event(status="asleep"), "invalid_payload", 'The key "status" is none of open'),
        (conversation_event(status=None), "invalid_payload", 'The key "status" is missing.'),
        (conversation_event(meta=None), "invalid_payload", '"meta.sender" is missing'),
        (conversation_event(meta={"sender": {}}), "invalid_payload", '"meta.sender.id" is missing'),
        (message_event(conversation=None), "invalid_payload", 'The key "conversation" is missing.'),
        (message_event(conversation={"id": 1}), "invalid_payload", '"conversation.status" is missing'),
        (message_event(created_at="yesterday"), "invalid_payload", '"created_at" is not a time'),
        (message_event(created_at=None), "invalid_payload", '"created_at" is missing'),
        (message_event(message_type="loud"), "invalid_payload", '"message_type" is none of incoming'),
        (message_event(message_type=True), "invalid_payload", '"message_type" is none of'),
    ],
)
def test_what_is_essential_is_named_when_it_is_wrong(payload: Any, code: str, words: str) -> None:
    with pytest.raises(PayloadError, match=words) as caught:
        read(payload)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["activity", 2])
def test_activities_are_skipped(kind: Any) -> None:
    with pytest.raises(Skip) as caught:
        read(message_event(message_type=kind))
    assert caught.value.reason == "not_for_crms"


@pytest.mark.parametrize("kind", ["conversation_typing_on", "inbox_created", "webwidget_triggered"])
def test_events_that_concern_no_crm_are_skipped_whatever_they_hold(kind: str) -> None:
    with pytest.raises(Skip) as caught:
        read({"event": kind})
    assert caught.value.reason == "not_for_crms"


def test_a_bare_contact_is_enough() -> None:
    for number in ("7", 7.0):
        event = read({"event": "contact_created", "id": number})
        assert (event.contact.id, event.contact.name, event.account_id) == (7, None, None)


def test_odd_values_of_optional_keys_are_taken_for_none() -> None:
    contact = read(
        contact_event(
            name=["x"],
            email="  ",
            phone_number="",
            identifier=17,
            blocked="yes",
            custom_attributes=None,
            additional_attributes="text",
        )
    ).contact
    assert (contact.name, contact.email, contact.phone_number) == (None, None, None)
    assert (contact.identifier, contact.blocked) == ("17", False)
    assert contact.custom_attributes == contact.additional_attributes == {}


def test_what_no_database_can_hold_is_taken_out() -> None:
    contact = read(
        contact_event(name="A\x00na\ud83d", custom_attributes={"k\x00": ["\x00v", float("nan")]})
    ).contact
    assert contact.name == "Ana\N{REPLACEMENT CHARACTER}"
    assert contact.custom_attributes == {"k": ["v", None]}


def test_a_payload_nested_without_end_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = {"a": [deep]}
    with pytest.raises(PayloadError, match="levels deep"):
        read(contact_event(custom_attributes=deep))
    with pytest.raises(PayloadError, match="levels deep"):
        payloads.scrub(contact_event(custom_attributes=deep))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-09-14T13:20:00.000Z",
        "2026-09-14T15:20:00+02:00",
        "2026-09-14T13:20:00",
        "2026-09-14 13:20:00 UTC",
        1789392000,
        1789392000.0,
        "1789392000",
    ],
)
def test_a_time_is_understood_in_every_spelling(moment: Any) -> None:
    assert read(message_event(created_at=moment)).occurred_at == datetime(2026, 9, 14, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("moment", [0, None, "never", 1e300, float("nan"), True, []])
def test_a_time_that_is_none_is_none(moment: Any) -> None:
    event = read(conversation_event(snoozed_until=moment))
    assert event.conversation is not None
    assert event.conversation.snoozed_until is None


def test_an_update_without_a_time_takes_it_from_what_changed() -> None:
    changed = [{"updated_at": {"previous_value": None, "current_value": "2026-09-14T13:20:00Z"}}]
    event = read(conversation_event(updated_at=None, changed_attributes=changed))
    assert event.occurred_at == datetime(2026, 9, 14, 13, 20, tzinfo=UTC)
    assert delivery_key(event, conversation_event()) is None


def test_an_update_may_have_no_time_at_all() -> None:
    event = read(conversation_event(updated_at=None))
    assert event.occurred_at is None
    payload = contact_event(event="contact_updated")
    assert delivery_key(read(payload), payload) is None


def test_changes_are_understood_as_one_object_too() -> None:
    changed = {"name": {"previous_value": "A", "current_value": "B"}, "odd": 7}
    event = read(contact_event(event="contact_updated", changed_attributes=changed))
    assert {key: (change.previous, change.current) for key, change in event.changed.items()} == {
        "name": ("A", "B")
    }


def test_two_changes_within_one_snapshot_have_two_keys() -> None:
    one = conversation_event(
        changed_attributes=[{"priority": {"previous_value": None, "current_value": "low"}}]
    )
    other = conversation_event(changed_attributes=[{"team_id": {"previous_value": None, "current_value": 1}}])
    assert delivery_key(read(one), one) != delivery_key(read(other), other)


def test_created_records_are_known_by_their_id() -> None:
    keys = {
        delivery_key(read(payload), payload)
        for payload in (contact_event(), conversation_event("conversation_created"), message_event())
    }
    assert keys == {"contact_created:7", "conversation_created:12", "message_created:99"}


@pytest.mark.parametrize(
    ("account", "more", "number"),
    [
        ({"id": 3}, {}, 3),
        (None, {"account_id": 4}, 4),
        (None, {"messages": [{"id": 1, "account_id": 5}]}, 5),
        ({"name": "x"}, {"messages": ["odd"]}, None),
    ],
)
def test_the_account_is_found_in_older_shapes(account: Any, more: dict[str, Any], number: int | None) -> None:
    assert read(conversation_event(account=account, **more)).account_id == number


def test_the_sender_of_an_incoming_message_stands_in_for_a_missing_customer() -> None:
    around = {**CONVERSATION, "meta": {"team": {"id": 2, "name": "sales"}}}
    event = read(message_event(conversation=around))
    assert event.contact.id == 7
    assert event.conversation is not None
    assert event.conversation.team is not None


def test_the_sender_of_an_outgoing_message_is_never_taken_for_the_customer() -> None:
    around = {**CONVERSATION, "meta": {}}
    with pytest.raises(PayloadError, match=r"meta\.sender"):
        read(message_event(conversation=around, message_type="outgoing", sender={"id": 31, "type": "user"}))


def test_a_customer_is_found_among_the_messages_of_a_conversation() -> None:
    messages = [
        {"id": 1, "sender": {"id": 31, "type": "user"}},
        {"id": 2, "sender": {"id": 7, "type": "contact"}},
    ]
    assert read(conversation_event(meta={}, messages=messages)).contact.id == 7


def test_nested_messages_that_cannot_be_read_are_left_out() -> None:
    good = {"id": 1, "message_type": 0, "created_at": 1789392000, "content": "a"}
    event = read(
        conversation_event(messages=[good, {"id": 2, "message_type": 2, "created_at": 1}, {"id": 3}, "x"])
    )
    assert event.conversation is not None
    assert [message.id for message in event.conversation.messages] == [1]


@pytest.mark.parametrize(
    ("more", "kind", "number"),
    [
        ({"sender": None}, SenderKind.SYSTEM, None),
        ({"sender": None, "sender_type": "User", "sender_id": 31}, SenderKind.AGENT, 31),
        ({"sender": {"id": 31, "type": "user"}}, SenderKind.AGENT, 31),
        ({"sender": {"id": 5, "type": "captain_assistant"}}, SenderKind.BOT, 5),
        ({"sender": {"id": 5}, "sender_type": "Captain::Assistant"}, SenderKind.BOT, 5),
        ({"sender": {"id": 31, "type": "new kind"}}, SenderKind.AGENT, 31),
    ],
)
def test_senders(more: dict[str, Any], kind: SenderKind, number: int | None) -> None:
    message = read(message_event(message_type="outgoing", **more)).message
    assert message is not None
    assert (message.sender.kind, message.sender.id) == (kind, number)


def test_labels_and_people_of_odd_shapes() -> None:
    meta = {"sender": {"id": 7}, "assignee": {"name": "nobody"}, "team": "none"}
    event = read(conversation_event(labels=["a", "", None, 5], meta=meta))
    assert event.conversation is not None
    assert event.conversation.labels == ("a", "5")
    assert event.conversation.assignee is event.conversation.team is None


def test_a_place_has_its_coordinates() -> None:
    place = {
        "id": 1,
        "file_type": "location",
        "coordinates_lat": "47.5",
        "coordinates_long": 8,
        "fallback_title": "X",
    }
    odd = {
        "file_type": None,
        "coordinates_lat": "north",
        "coordinates_long": True,
        "data_url": "https://h/a%20b.pdf?x=1",
    }
    message = read(message_event(attachments=[place, odd, 7])).message
    assert message is not None
    first, second = message.attachments
    assert (first.latitude, first.longitude, first.name) == (47.5, 8.0, "X")
    assert (second.file_type, second.latitude, second.longitude, second.name) == (
        "file",
        None,
        None,
        "a b.pdf",
    )


def test_a_card_without_a_number_is_named_after_its_person() -> None:
    card = {"id": 1, "file_type": "contact", "meta": {"firstName": "Davi"}}
    empty = {"id": 2, "file_type": "contact", "meta": {}}
    message = read(message_event(attachments=[card, empty])).message
    assert message is not None
    assert [item.name for item in message.attachments] == ["Davi", None]


def test_answers_of_the_api_are_read_too() -> None:
    assert payloads.contact({"id": 7, "created_at": 1}).id == 7
    assert payloads.conversation({**CONVERSATION, "status": "snoozed"}).status is Status.SNOOZED
    row = {"id": 1, "conversation_id": 12, "message_type": 3, "created_at": 1789392000}
    found = payloads.message(row)
    assert (found.direction, found.conversation_id, found.content_type) == (Direction.TEMPLATE, 12, "text")


def test_answers_of_the_api_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(PayloadError):
        payloads.contact({})
    with pytest.raises(PayloadError):
        payloads.conversation({})
    with pytest.raises(PayloadError):
        payloads.message({"id": 1})
    with pytest.raises(PayloadError, match="JSON object"):
        payloads.contact([])  # type: ignore[arg-type]
    with pytest.raises(Skip):
        payloads.message({"message_type": 2})


def test_rows_of_the_api_become_deliveries() -> None:
    contact = read(contact_delivery(EventName.CONTACT_UPDATED, {"id": 7}, account_id=3))
    assert (contact.name, contact.contact.id, contact.account_id) == (EventName.CONTACT_UPDATED, 7, 3)
    conversation = read(conversation_delivery(EventName.CONVERSATION_CREATED, CONVERSATION, account_id=3))
    assert (conversation.name, conversation.account_id) == (EventName.CONVERSATION_CREATED, 3)
    row = {"id": 1, "conversation_id": 12, "message_type": 1, "created_at": 1789392000, "content": "x"}
    around = {**CONVERSATION, "inbox_id": 4}
    message = read(
        message_delivery(EventName.MESSAGE_CREATED, row, around, account_id=3, inbox_name="Website")
    )
    assert message.message is not None
    assert message.conversation is not None
    assert (message.message.id, message.conversation.inbox_name, message.account_id) == (1, "Website", 3)


def test_an_inbox_may_stand_only_next_to_the_message() -> None:
    event = read(message_event(inbox={"id": 4, "name": "Website"}))
    assert event.conversation is not None
    assert (event.conversation.inbox_id, event.conversation.inbox_name) == (4, "Website")


def test_an_update_of_a_message_falls_back_to_its_creation() -> None:
    for messages in ([{"id": 5}], [{"id": 99, "updated_at": None}], None):
        event = read(message_event("message_updated", conversation={**CONVERSATION, "messages": messages}))
        assert event.message is not None
        assert event.occurred_at == event.message.created_at
