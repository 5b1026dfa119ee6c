"""Every event ends in exactly one visible outcome, in Chatwoot's order, whatever the CRM does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from crm_sync.engine import hooks
from crm_sync.locks import Mutex
from crm_sync.store.models import Delivery, EventState, HookState
from tests.integration.engine.conftest import Desk
from tests.notebook import lost_answer, out_of_order, refused_credentials
from tests.payloads import (
    contact,
    contact_created,
    contact_updated,
    conversation,
    conversation_status_changed,
    message_created,
)
from tests.servers import on_every_database


@on_every_database
def test_an_event_ends_done_with_its_attempt_and_outcome_in_words_when_all_is_well(desk: Desk) -> None:
    desk.send(contact_created())
    desk.drain()
    (event,) = desk.events()
    (attempt,) = desk.attempts()
    assert (event.state, event.outcome, event.tries) == (EventState.DONE, "page 1", 1)
    assert event.finished_at is not None
    assert event.claim is None
    assert (attempt.event_id, attempt.outcome, attempt.error) == (event.id, "done", None)


@on_every_database
def test_messages_are_written_in_the_order_of_their_ids_when_they_arrive_shuffled(desk: Desk) -> None:
    ids = list(range(101, 121))
    random.Random(5).shuffle(ids)
    for message_id in ids:
        # All within one second by the clock, so that only the ids tell the order.
        desk.send(message_created(message_id, minute=3))
    desk.drain()
    assert desk.notebook.texts("line") == [f"text {message_id}" for message_id in range(101, 121)]


def test_a_later_message_waits_when_an_earlier_one_is_to_be_tried_again(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.send(message_created(102))
    desk.notebook.before.append(out_of_order())
    desk.drain()
    assert desk.notebook.texts("line") == []
    first, second = desk.events()
    assert (first.state, first.tries) == (EventState.PENDING, 1)
    assert (second.state, second.tries) == (EventState.PENDING, 0)
    desk.settle()
    assert desk.notebook.texts("line") == ["text 101", "text 102"]


@on_every_database
def test_a_conversation_keeps_its_order_when_its_contact_is_merged_into_another(desk: Desk) -> None:
    desk.send(message_created(101, contact_id=2))
    desk.notebook.before.append(out_of_order())
    desk.drain(2)
    desk.send(message_created(102, contact_id=1))
    for _ in range(2):
        desk.drain(1)
        desk.drain(2)
        desk.clock.forward(60)
    assert desk.notebook.texts("line") == ["text 101", "text 102"]
    assert {event.mailbox for event in desk.events()} == {f"{desk.hook_id}:1"}


def test_other_contacts_go_on_when_one_waits_for_its_next_attempt(desk: Desk) -> None:
    desk.send(message_created(101, contact_id=1))
    desk.send(message_created(201, conversation_id=20, contact_id=2))
    desk.notebook.before.append(out_of_order())
    desk.drain(1)
    desk.drain(2)
    assert desk.notebook.texts("line") == ["text 201"]


def test_a_hook_that_was_paused_meanwhile_stays_so_when_its_credentials_are_refused(desk: Desk) -> None:
    def pause() -> None:
        hooks.pause(desk.runtime, desk.hook_id)

    desk.send(contact_created())
    desk.notebook.on_write = pause
    desk.notebook.before.append(refused_credentials())
    desk.drain()
    assert desk.hook().state == HookState.PAUSED


def test_an_event_is_skipped_with_its_reason_when_the_processor_says_so(desk: Desk) -> None:
    desk.send(contact_created(name="skip me"))
    desk.drain()
    (event,) = desk.events()
    assert (event.state, event.reason) == (EventState.SKIPPED, "asked_to")
    assert event.outcome == "The contact asked for it."


def test_an_event_fails_in_plain_sight_and_the_rest_goes_on_when_all_tries_are_used_up(desk: Desk) -> None:
    desk.send(contact_created())
    desk.send(contact_created(contact_id=2))
    tries = len(desk.runtime.config.retry_delays_s) + 1
    desk.notebook.before.extend([out_of_order() for _ in range(tries)])
    for _ in range(tries):
        desk.drain(1)
        # Beyond every delay, and beyond the five minutes in which failures count for the breaker.
        desk.clock.forward(50_000)
    event = desk.events()[0]
    assert (event.state, event.reason, event.tries) == (EventState.FAILED, "given_up", tries)
    assert event.outcome is not None
    assert "The notebook is out of order." in event.outcome
    assert [attempt.outcome for attempt in desk.attempts()] == ["retriable"] * tries
    desk.drain(2)
    assert desk.events()[1].state == EventState.DONE


def test_waits_between_tries_grow_as_configured_with_some_jitter(desk: Desk) -> None:
    desk.send(contact_created())
    for delay_s in desk.runtime.config.retry_delays_s[:4]:
        desk.notebook.before.append(out_of_order())
        desk.drain()
        wait = desk.events()[0].next_attempt_at - desk.clock()
        assert timedelta(seconds=delay_s) <= wait <= timedelta(seconds=delay_s * 1.2)
        desk.clock.forward(wait.total_seconds())


def test_a_fault_of_ours_is_given_up_early_and_said_to_be_ours(desk: Desk) -> None:
    desk.send(contact_created())
    desk.notebook.before.extend([ZeroDivisionError() for _ in range(9)])
    desk.settle()
    (event,) = desk.events()
    assert (event.state, event.tries) == (EventState.FAILED, 4)
    assert "ZeroDivisionError in crm_sync itself" in (event.outcome or "")


def test_the_hook_asks_for_attention_and_its_events_wait_when_credentials_are_refused(desk: Desk) -> None:
    desk.send(contact_created())
    desk.send(contact_created(contact_id=2))
    desk.notebook.before.append(refused_credentials())
    desk.drain(1)
    desk.drain(2)
    assert desk.hook().state == HookState.NEEDS_ATTENTION
    assert desk.hook().state_reason == "The notebook does not know us any more."
    assert [event.state for event in desk.events()] == [EventState.PENDING] * 2
    assert [event.tries for event in desk.events()] == [0, 0]
    assert desk.notebook.records == {}


def test_updates_that_wait_in_a_row_become_one_call_and_each_says_into_which(desk: Desk) -> None:
    desk.send(contact_created())
    desk.drain()
    for minute in range(1, 6):
        desk.send(contact_updated(name=f"Ana {minute}", minute=minute))
    desk.drain()
    assert desk.notebook.updates == [("1", "Ana 5")]
    *merged, last = desk.events()[1:]
    assert {(event.state, event.reason) for event in merged} == {(EventState.DONE, "merged")}
    assert all(
        str(last.id) in (event.outcome or "") or "Merged into" in (event.outcome or "") for event in merged
    )
    assert (last.state, last.outcome) == (EventState.DONE, "page 1 changed")


def test_updates_are_not_merged_over_a_message_between_them(desk: Desk) -> None:
    desk.send(contact_created())
    desk.drain()
    desk.send(contact_updated(name="Ana before", minute=1))
    desk.send(message_created(102, minute=2))
    desk.send(contact_updated(name="Ana after", minute=3))
    desk.drain()
    assert [name for _, name in desk.notebook.updates] == ["Ana before", "Ana after"] or [
        name for _, name in desk.notebook.updates
    ][-1] == "Ana after"
    assert all(event.reason != "merged" for event in desk.events())


def test_status_changes_of_different_conversations_are_not_merged(desk: Desk) -> None:
    desk.send(conversation_status_changed(10, minute=30))
    desk.send(conversation_status_changed(11, minute=31))
    desk.drain()
    assert all(event.reason != "merged" for event in desk.events())


def test_a_new_event_settles_so_that_an_earlier_one_can_overtake_it(desk: Desk) -> None:
    desk.send(message_created(102), settle=timedelta(seconds=1))
    desk.drain()
    assert desk.notebook.texts("line") == []
    desk.clock.forward(0.5)
    desk.send(message_created(101), settle=timedelta(seconds=1))
    desk.clock.forward(1)
    desk.drain()
    assert desk.notebook.texts("line") == ["text 101", "text 102"]


@on_every_database
def test_an_event_that_waited_for_the_database_settles_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_together = desk.runtime.store.write_together

    def slowly(*args: Any, **options: Any) -> Any:
        desk.clock.forward(3)
        return write_together(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(desk.runtime.store, "write_together", slowly)
        desk.send(message_created(102), settle=timedelta(seconds=1))
    desk.drain()
    assert desk.notebook.texts("line") == []
    desk.send(message_created(101), settle=timedelta(seconds=1))
    desk.clock.forward(1)
    desk.drain()
    assert desk.notebook.texts("line") == ["text 101", "text 102"]


def test_a_message_that_comes_too_late_is_written_all_the_same(desk: Desk) -> None:
    desk.send(message_created(102))
    desk.drain()
    desk.send(message_created(101))
    desk.drain()
    assert desk.notebook.texts("line") == ["text 102", "text 101"]


@pytest.mark.parametrize("state", [HookState.PAUSED, HookState.SETTING_UP, HookState.NEEDS_ATTENTION])
def test_events_are_journaled_and_wait_when_their_hook_is_not_active(desk: Desk, state: HookState) -> None:
    with desk.runtime.store.write() as session:
        session.get_one(type(desk.hook()), desk.hook_id).state = state
    assert desk.send(contact_created()).events
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.PENDING]


def test_a_contact_that_writes_in_two_conversations_has_one_record(desk: Desk) -> None:
    desk.send(message_created(101, conversation_id=10))
    desk.send(message_created(102, conversation_id=11))
    desk.drain()
    assert len(desk.notebook.texts("page")) == 1
    assert len(desk.notebook.texts("line")) == 2


def test_many_events_of_one_mailbox_are_all_processed_in_turns(desk: Desk) -> None:
    for message_id in range(100, 160):
        desk.send(message_created(message_id, minute=3))
    desk.drain()
    assert len(desk.notebook.texts("line")) == 60
    assert all(event.tries == 1 for event in desk.events())


def test_a_lost_answer_is_looked_up_before_the_write_is_repeated(desk: Desk) -> None:
    desk.send(contact_created())
    desk.notebook.after.append(lost_answer())
    desk.settle()
    assert len(desk.notebook.records) == 1
    assert desk.notebook.writes == 1
    assert desk.notebook.searches == 1


def test_deliveries_of_different_shape_reach_the_processor(desk: Desk) -> None:
    desk.send({"event": "conversation_updated", "changed_attributes": [], **conversation(minute=7)})
    desk.send(message_created(101, sender=contact(), message_type="outgoing"))
    desk.drain()
    assert {event.state for event in desk.events()} == {EventState.DONE}


def test_an_event_that_cannot_be_read_any_more_fails_in_plain_sight_and_the_rest_goes_on(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.send(message_created(102))
    with desk.runtime.store.write() as session:
        session.execute(update(Delivery).where(Delivery.id == 1).values(payload={"event": "message_created"}))
    desk.drain()
    first, second = desk.events()
    assert first.state == EventState.FAILED
    assert first.outcome
    assert second.state == EventState.DONE


def test_an_event_that_comes_while_the_mailbox_is_being_left_is_not_left_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send(message_created(101))
    hold = desk.runtime.mutexes.hold

    @contextmanager
    def left_slowly(name: str, claim: str) -> Iterator[Mutex]:
        """Just before the mutex is let go something comes; the worker woken for it finds it taken, and goes away."""
        with hold(name, claim) as mutex:
            yield mutex
            monkeypatch.setattr(desk.runtime.mutexes, "hold", hold)
            desk.send(message_created(102))
            desk.drain()
            assert desk.notebook.texts("line") == ["text 101"]

    monkeypatch.setattr(desk.runtime.mutexes, "hold", left_slowly)
    desk.drain()
    assert desk.notebook.texts("line") == ["text 101", "text 102"]
