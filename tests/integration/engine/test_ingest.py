"""Every delivery becomes one row for each hook that wants it, or is ignored for a reason that is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from crm_sync.engine import apps
from crm_sync.errors import PayloadError
from crm_sync.events import EventName
from crm_sync.store.models import Delivery, EventState
from tests.integration.engine.conftest import Desk
from tests.notebook import notebook_app
from tests.payloads import (
    contact_created,
    contact_updated,
    conversation,
    conversation_created,
    conversation_status_changed,
    message_created,
)
from tests.servers import on_every_database

#: One of each kind, in the order in which they happened (a conversation is created when it says so).
A_STORY = [
    contact_created(),
    conversation_created(minute=2),
    contact_updated(minute=1),
    message_created(101, minute=3),
    {**message_created(101, "text 101, edited", minute=3), "event": "message_updated"},
    {"event": "conversation_updated", "changed_attributes": [], **conversation(minute=5)},
    conversation_status_changed(minute=6),
]


def deliveries(desk: Desk) -> int:
    with desk.runtime.store.read() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


@on_every_database
def test_every_kind_of_event_is_journaled_in_the_mailbox_of_its_contact_in_chatwoots_order(
    desk: Desk,
) -> None:
    for payload in reversed(A_STORY):
        found = desk.send(payload)
        assert found.mailboxes == (f"{desk.hook_id}:1",), payload["event"]
    by_position = sorted(desk.events(), key=lambda event: event.position)
    assert [event.name for event in by_position] == [payload["event"] for payload in A_STORY]
    assert {payload["event"] for payload in A_STORY} == set(EventName)
    assert {event.state for event in desk.events()} == {EventState.PENDING}


@on_every_database
@pytest.mark.parametrize("payload", A_STORY[:4], ids=lambda payload: payload["event"])
def test_a_doubled_delivery_is_recognised_by_its_content_under_another_id(
    desk: Desk, payload: dict[str, object]
) -> None:
    assert desk.send(payload, delivery_id="first").events
    assert desk.send(payload, delivery_id="second").ignored == "repeat"
    assert (len(desk.events()), deliveries(desk)) == (1, 1)


@on_every_database
def test_a_doubled_delivery_is_recognised_by_its_id(desk: Desk) -> None:
    payload = {**message_created(101), "event": "message_updated"}
    assert desk.send(payload, delivery_id="one").events
    assert desk.send({**payload, "content": "edited"}, delivery_id="one").ignored == "repeat"


@on_every_database
def test_one_of_many_that_come_at_once_is_stored(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda number: desk.send(message_created(101), delivery_id=f"d{number}"), range(16))
        )
    assert sum(bool(one.events) for one in found) == 1
    assert {one.ignored for one in found} == {None, "repeat"}


def test_a_conversation_may_be_resolved_twice(desk: Desk) -> None:
    assert desk.send(conversation_status_changed(minute=1), delivery_id="a").events
    assert desk.send(conversation_status_changed(minute=2), delivery_id="b").events


def test_what_no_hook_takes_is_not_stored_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    takes = frozenset({EventName.CONTACT_CREATED})
    monkeypatch.setattr(apps, "installed", lambda: {"notebook": notebook_app(desk.notebook, takes)})
    found = desk.send(message_created(101))
    assert (found.events, found.ignored) == ((), "no_hook")
    assert "message_created" in found.words
    assert deliveries(desk) == 0
    assert desk.send(contact_created()).events


def test_events_of_an_app_that_is_not_installed_here_wait_for_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "installed", dict)
    assert desk.send(contact_created()).events


def test_a_delivery_of_another_account_is_refused(desk: Desk) -> None:
    with pytest.raises(PayloadError, match="belongs to account"):
        desk.send(contact_created(account=99))
    assert deliveries(desk) == 0


@pytest.mark.parametrize(
    "payload", [{}, {"event": "message_created"}, {"event": 5}, {"event": "contact_created"}]
)
def test_what_cannot_be_understood_is_refused_or_ignored_and_never_stored(
    desk: Desk, payload: dict[str, object]
) -> None:
    try:
        found = desk.send(payload)
    except PayloadError:
        pass
    else:
        assert found.ignored
    assert deliveries(desk) == 0


def test_an_event_settles_before_it_is_due(desk: Desk) -> None:
    desk.send(contact_created(), settle=timedelta(seconds=3))
    assert desk.events()[0].next_attempt_at == desk.clock() + timedelta(seconds=3)


def test_what_is_stored_holds_no_secret_of_chatwoot(desk: Desk) -> None:
    desk.send(contact_created(pubsub_token="pst-secret", additional_attributes={"city": "Lisbon"}))
    with desk.runtime.store.read() as session:
        payload = session.scalar(select(Delivery.payload))
    assert "pst-secret" not in str(payload)
    assert "Lisbon" in str(payload)
