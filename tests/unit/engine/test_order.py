"""Chatwoot's order, whatever the order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from crm_sync.chatwoot import payloads
from crm_sync.engine.order import Waiting, in_order, position, superseding
from crm_sync.events import EventName
from tests.payloads import (
    contact_created,
    contact_updated,
    conversation,
    conversation_created,
    conversation_status_changed,
    message_created,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def waiting(
    number: int, name: str, *, at: int = 0, conversation: int | None = 10, message: int | None = None
) -> Waiting:
    return Waiting(number, f"{at:018d}.0", name, conversation, message)


def message(number: int, message_id: int, *, at: int = 0, conversation: int = 10) -> Waiting:
    return waiting(number, EventName.MESSAGE_CREATED, at=at, conversation=conversation, message=message_id)


EVERY_KIND = {
    "contact_created": contact_created(),
    "contact_updated": contact_updated(minute=1),
    "conversation_created": conversation_created(minute=1),
    "message_created": message_created(101, minute=1),
    "message_updated": {**message_created(101, minute=1), "event": "message_updated"},
    "conversation_updated": {
        "event": "conversation_updated",
        "changed_attributes": [],
        **conversation(minute=1),
    },
    "conversation_status_changed": conversation_status_changed(minute=1),
}


def place(name: str) -> str:
    return position(payloads.read(EVERY_KIND[name]), NOW)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_kind_of_event_has_a_place_that_sorts_as_text(name: str) -> None:
    assert len(place(name)) == len(place("contact_created"))
    assert place("contact_created") <= place(name)


def test_a_contact_is_created_before_everything_else_he_does() -> None:
    later = position(payloads.read(contact_created()), NOW + timedelta(days=300))
    assert all(later <= place(name) for name in EVERY_KIND)


def test_an_event_without_a_time_takes_the_place_of_its_arrival() -> None:
    payload = {**message_created(101), "event": "conversation_updated", **conversation()}
    payload.pop("updated_at", None)
    payload["updated_at"] = None
    event = payloads.read(payload)
    if event.occurred_at is None:
        assert position(event, NOW).startswith(f"{int(NOW.timestamp() * 1_000_000):018d}")


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("contact_created", "contact_updated"),
        ("conversation_created", "conversation_updated"),
        ("conversation_updated", "conversation_status_changed"),
    ],
)
def test_what_happens_at_the_same_time_goes_in_the_order_of_its_kind(earlier: str, later: str) -> None:
    assert place(earlier) < place(later)


@given(st.permutations(range(12)))
def test_messages_of_a_conversation_go_by_their_ids_whatever_their_clocks_say(clocks: list[int]) -> None:
    rows = [message(number, 100 + number, at=clock) for number, clock in enumerate(clocks)]
    assert [row.message_id for row in in_order(rows)] == list(range(100, 112))


def test_updates_of_a_message_go_by_their_arrival_since_few_of_them_have_a_time() -> None:
    created = message(1, 101, at=1)
    edited = waiting(2, EventName.MESSAGE_UPDATED, at=5, message=101)
    of_another = waiting(3, EventName.MESSAGE_UPDATED, at=2, message=100)
    deleted = waiting(4, EventName.MESSAGE_UPDATED, at=1, message=101)
    rows = [deleted, of_another, edited, created]
    assert [row.id for row in in_order(rows)] == [1, 2, 3, 4]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [EventName.MESSAGE_CREATED, EventName.CONVERSATION_UPDATED, EventName.CONTACT_UPDATED]
            ),
            st.integers(0, 5),
            st.sampled_from([10, 11]),
        ),
        max_size=20,
    )
)
def test_nothing_is_lost_or_doubled_and_other_events_keep_the_places_of_their_times(
    kinds: list[tuple[EventName, int, int]],
) -> None:
    rows = [
        waiting(number, name, at=at, conversation=where, message=100 + number)
        for number, (name, at, where) in enumerate(kinds)
    ]
    found = in_order(rows)
    by_time = sorted(rows, key=lambda row: (row.position, row.id))
    assert sorted(row.id for row in found) == sorted(row.id for row in rows)
    assert [row.id for row in found if row.name != EventName.MESSAGE_CREATED] == [
        row.id for row in by_time if row.name != EventName.MESSAGE_CREATED
    ]
    assert [row.name for row in found] == [row.name for row in by_time]


@given(st.permutations(range(10)))
def test_the_order_does_not_depend_on_the_order_of_arrival(arrival: list[int]) -> None:
    rows = [
        message(number, 200 - number, at=number // 2, conversation=10 + number % 2) for number in range(10)
    ]
    assert in_order(rows[index] for index in arrival) == in_order(rows)


CONTACT, CONVERSATION = EventName.CONTACT_UPDATED, EventName.CONVERSATION_UPDATED
STATUS, MESSAGE = EventName.CONVERSATION_STATUS_CHANGED, EventName.MESSAGE_CREATED


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (waiting(1, CONTACT, conversation=None), waiting(2, CONTACT, conversation=None), True),
        (waiting(1, CONVERSATION), waiting(2, CONVERSATION), True),
        (waiting(1, STATUS), waiting(2, CONVERSATION), True),
        (waiting(1, CONVERSATION), waiting(2, STATUS), True),
        (waiting(1, STATUS), waiting(2, STATUS, conversation=11), False),
        (waiting(1, CONTACT, conversation=None), waiting(2, CONVERSATION), False),
        (waiting(1, CONVERSATION), waiting(2, MESSAGE), False),
        (waiting(1, MESSAGE), waiting(2, MESSAGE), False),
        (waiting(1, EventName.CONTACT_CREATED), waiting(2, CONTACT), False),
        (waiting(1, EventName.MESSAGE_UPDATED), waiting(2, EventName.MESSAGE_UPDATED), False),
    ],
)
def test_an_update_is_needless_only_when_the_next_one_says_the_same_of_the_same_record(
    first: Waiting, second: Waiting, *, merged: bool
) -> None:
    assert superseding([first, second]) == (second if merged else None)


def test_the_last_event_is_never_needless() -> None:
    assert superseding([waiting(1, CONTACT)]) is None
    assert superseding([]) is None
