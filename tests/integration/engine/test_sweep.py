"""The sweep wakes what is due or was forgotten, and nothing that waits, rests, is paused or in hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from crm_sync import owner
from crm_sync.engine.sweep import BATCH, sweep
from crm_sync.store import journal
from crm_sync.store.models import Event, EventState, Hook, HookState
from tests.integration.engine.conftest import Desk
from tests.notebook import out_of_order
from tests.payloads import contact_created, message_created
from tests.servers import on_every_database

GONE = owner.new_claim().split("/")[0] + "/99999999/1/abc"
ELSEWHERE = "another-machine/1/1/abc"


def swept(desk: Desk) -> list[int]:
    """The contacts whose mailboxes a sweep wakes, in its order."""
    desk.alarm.woken.clear()
    number = sweep(desk.runtime)
    assert number == len(desk.alarm.woken)
    return [int(name.partition(":")[2]) for name, _ in desk.alarm.woken]


@on_every_database
def test_what_has_been_due_for_a_moment_is_woken_longest_waiting_first(desk: Desk) -> None:
    for contact_id in (3, 1, 2):
        desk.send(contact_created(contact_id))
        desk.clock.forward(1)
    assert swept(desk) == [3, 1, 2]


@on_every_database
def test_a_message_is_woken_though_a_later_one_with_an_earlier_time_waits_for_its_next_attempt(
    desk: Desk,
) -> None:
    desk.send(message_created(104, minute=5))
    desk.send(message_created(103, minute=9))
    with desk.runtime.store.write() as session:
        until = desk.clock() + timedelta(hours=10)
        session.execute(update(Event).where(Event.message_id == 104).values(next_attempt_at=until))
    desk.clock.forward(30)
    assert swept(desk) == [1]
    desk.drain()
    assert desk.notebook.texts("line") == ["text 103"]


def test_what_has_just_come_has_a_wake_up_of_its_own(desk: Desk) -> None:
    desk.send(contact_created())
    assert swept(desk) == []


def test_what_still_settles_is_left_alone(desk: Desk) -> None:
    desk.send(contact_created(), settle=timedelta(seconds=30))
    desk.clock.forward(20)
    assert swept(desk) == []
    desk.clock.forward(20)
    assert swept(desk) == [1]


@on_every_database
def test_what_waits_for_its_next_attempt_is_left_alone_with_all_behind_it(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.send(message_created(102))
    desk.notebook.before.append(out_of_order())
    desk.drain()
    desk.clock.forward(4)
    assert swept(desk) == []
    desk.clock.forward(10)
    assert swept(desk) == [1]


@pytest.mark.parametrize("state", [HookState.PAUSED, HookState.NEEDS_ATTENTION, HookState.SETTING_UP])
def test_what_belongs_to_a_hook_that_is_not_active_is_left_alone(desk: Desk, state: HookState) -> None:
    desk.send(contact_created())
    with desk.runtime.store.write() as session:
        session.execute(update(Hook).values(state=state))
    desk.clock.forward(60)
    assert swept(desk) == []


def test_what_belongs_to_a_resting_hook_is_left_alone_until_the_rest_is_over(desk: Desk) -> None:
    desk.send(contact_created())
    with desk.runtime.store.write() as session:
        session.execute(update(Hook).values(breaker_until=desk.clock() + timedelta(seconds=30)))
    desk.clock.forward(20)
    assert swept(desk) == []
    desk.clock.forward(20)
    assert swept(desk) == [1]


@on_every_database
def test_what_a_living_worker_has_in_hand_is_left_alone_with_all_behind_it(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.send(message_created(102))
    desk.send(contact_created(2))
    with desk.runtime.store.write() as session:
        row = journal.pending(session, f"{desk.hook_id}:1")[0]
        assert journal.claim(session, row, ELSEWHERE, desk.clock() + timedelta(seconds=60))
    desk.clock.forward(30)
    assert swept(desk) == [2]
    desk.clock.forward(40)
    assert sorted(swept(desk)) == [1, 2], "the lease has run out"


@on_every_database
def test_what_a_dead_worker_had_in_hand_is_woken_at_once(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.send(message_created(102))
    with desk.runtime.store.write() as session:
        row = journal.pending(session, f"{desk.hook_id}:1")[0]
        assert journal.claim(session, row, GONE, desk.clock() + timedelta(seconds=60))
    desk.clock.forward(2)
    assert swept(desk) == [1]
    desk.drain()
    assert desk.notebook.texts("line") == ["text 101", "text 102"]


def test_what_has_ended_is_left_alone(desk: Desk) -> None:
    desk.send(contact_created())
    desk.drain()
    desk.clock.forward(3600)
    assert swept(desk) == []


def test_a_sweep_wakes_no_more_than_a_batch_and_the_next_ones_the_rest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_sync.engine.sweep.BATCH", 2)
    assert BATCH == 1000
    for contact_id in range(1, 6):
        desk.send(contact_created(contact_id))
    desk.clock.forward(5)
    found: list[int] = []
    while woken := swept(desk):
        assert len(woken) <= 2
        found += woken
        for contact_id in woken:
            desk.drain(contact_id)
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert not desk.events(EventState.PENDING)


def test_two_sweeps_at_once_do_no_harm(desk: Desk) -> None:
    desk.send(contact_created())
    desk.clock.forward(5)
    assert swept(desk) == swept(desk) == [1]
    desk.drain()
    desk.drain()
    assert desk.notebook.texts("page") == ["Ana Souza"]
    with desk.runtime.store.read() as session:
        assert session.get_one(Event, 1).tries == 1
