"""No fault on the way makes a second record: lost answers, failing searches, killed and paused workers."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from sqlalchemy import delete, update

from crm_sync import keys, owner
from crm_sync.errors import NotYet
from crm_sync.store.models import Event, EventState, Link, LinkState
from tests.integration.engine.conftest import Desk
from tests.notebook import Killed, lost_answer, out_of_order
from tests.payloads import contact_created, message_created
from tests.servers import on_every_database

#: A process of this machine that does not run any more: its number is out of range for every kernel.
GONE = owner.new_claim().split("/")[0] + "/99999999/1/abc"
ELSEWHERE = "another-machine/1/1/abc"


def kill(desk: Desk) -> None:
    """Make what a killed worker left behind look as it does to others: its owner is gone."""
    with desk.runtime.store.write() as session:
        session.execute(update(Event).where(Event.claim.is_not(None)).values(claim=GONE))
        session.execute(update(Link).where(Link.claim.is_not(None)).values(claim=GONE))
    desk.runtime.redis.flushall()


@on_every_database
def test_nothing_is_made_twice_when_a_worker_dies_after_the_write(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.notebook.after.extend([None, Killed()])
    with pytest.raises(Killed):
        desk.drain()
    kill(desk)
    desk.settle()
    assert desk.notebook.texts("line") == ["text 101"]
    assert [link.state for link in desk.links()] == [LinkState.LINKED] * 2


@on_every_database
def test_nothing_is_lost_when_a_worker_dies_before_the_write(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.notebook.before.append(Killed())
    with pytest.raises(Killed):
        desk.drain()
    kill(desk)
    desk.settle()
    assert desk.notebook.texts("page") == ["Ana Souza"]
    assert desk.notebook.texts("line") == ["text 101"]


@on_every_database
def test_a_call_that_is_not_due_yet_leaves_no_doubt_behind(desk: Desk) -> None:
    desk.send(message_created(101))
    # The page is made; the call for the line would be one too many by now.
    desk.notebook.before.extend([None, NotYet(desk.clock() + timedelta(seconds=30), "One too many.")])
    desk.drain()
    (event,) = desk.events(EventState.PENDING)
    assert (event.tries, event.outcome) == (0, "One too many.")
    assert [link.state for link in desk.links()] == [LinkState.LINKED]
    searches = desk.notebook.searches
    desk.clock.forward(30)
    desk.drain()
    assert desk.events(EventState.PENDING) == []
    assert desk.notebook.texts("line") == ["text 101"]
    # Nothing was in doubt, so nothing is looked up by its marker.
    assert desk.notebook.searches == searches


def test_the_crm_is_given_time_to_finish_before_a_dead_workers_write_is_looked_up(desk: Desk) -> None:
    desk.send(contact_created())
    desk.notebook.before.append(Killed())
    with pytest.raises(Killed):
        desk.drain()
    kill(desk)
    desk.drain()
    assert desk.notebook.searches == 0
    (event,) = desk.events()
    assert event.next_attempt_at == desk.clock() + timedelta(seconds=desk.runtime.config.unknown_settle_s)
    desk.clock.forward(desk.runtime.config.unknown_settle_s)
    desk.drain()
    assert desk.notebook.searches == 1


def test_the_crm_is_given_time_to_finish_from_when_we_gave_its_answer_up(desk: Desk) -> None:
    desk.send(contact_created())
    desk.notebook.on_write = lambda: desk.clock.forward(30)
    desk.notebook.after.append(lost_answer())
    desk.drain()
    desk.notebook.on_write = None
    desk.clock.forward(desk.runtime.config.unknown_settle_s - 0.1)
    desk.drain()
    assert desk.notebook.searches == 0
    desk.clock.forward(0.2)
    desk.drain()
    assert desk.notebook.searches == 1
    assert len(desk.notebook.records) == 1


def test_nothing_is_created_when_the_search_for_an_earlier_write_fails(desk: Desk) -> None:
    desk.send(contact_created())
    desk.notebook.after.append(lost_answer())
    desk.drain()
    desk.notebook.on_search.extend([out_of_order(), out_of_order()])
    desk.settle()
    assert len(desk.notebook.records) == 1
    assert desk.notebook.writes == 1


def test_a_record_that_is_there_already_is_adopted_when_the_crm_refuses_a_duplicate(desk: Desk) -> None:
    desk.notebook.unique_pages = True
    desk.notebook.create("page", "contact/1", "Ana Souza")
    desk.send(contact_created())
    desk.drain()
    assert len(desk.notebook.records) == 1
    assert desk.links()[0].remote_id == "1"


def test_an_event_another_living_worker_holds_is_left_alone(desk: Desk) -> None:
    desk.send(contact_created())
    with desk.runtime.store.write() as session:
        until = desk.clock() + timedelta(seconds=60)
        session.execute(update(Event).values(claim=ELSEWHERE, claimed_until=until))
    desk.drain()
    assert desk.notebook.writes == 0
    assert desk.alarm.woken == []


def test_an_event_is_taken_over_when_its_workers_lease_has_run_out(desk: Desk) -> None:
    desk.send(contact_created())
    with desk.runtime.store.write() as session:
        until = desk.clock() + timedelta(seconds=60)
        session.execute(update(Event).values(claim=ELSEWHERE, claimed_until=until))
    desk.clock.forward(61)
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.DONE]


def test_a_paused_worker_writes_no_outcome_and_no_link_when_its_event_was_taken_over(desk: Desk) -> None:
    desk.send(contact_created())
    desk.send(message_created(101))

    def while_we_are_paused() -> None:
        desk.notebook.on_write = None
        desk.runtime.redis.flushall()
        with desk.runtime.store.write() as session:
            session.execute(update(Event).where(Event.claim.is_not(None)).values(claim=ELSEWHERE))

    desk.notebook.on_write = while_we_are_paused
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.PENDING] * 2
    assert desk.attempts() == []
    assert [link.state for link in desk.links()] == [LinkState.CREATING]


def test_two_mailboxes_make_one_record_when_they_need_the_same(desk: Desk) -> None:
    desk.send(message_created(101, contact_id=1))
    desk.drain(1)
    # The contact was merged in Chatwoot: the same message comes again, as another contact's.
    again = message_created(101, contact_id=2)
    again["id"] = 101
    desk.send({**again, "event": "message_updated"})
    desk.drain(2)
    assert desk.notebook.texts("line") == ["text 101"]


def test_a_record_another_mailbox_is_creating_is_waited_for(desk: Desk) -> None:
    desk.send(message_created(101, contact_id=1))
    desk.drain(1)
    with desk.runtime.store.write() as session:
        session.execute(delete(Link).where(Link.local_type == "message"))
        held = desk.clock() + timedelta(seconds=60)
        session.execute(update(Event).values(state=EventState.PENDING, claim=ELSEWHERE, claimed_until=held))
        session.add(
            Link(
                hook_id=desk.hook_id, mailbox="x", local_type="message", local_id=101, remote_type="line",
                claim=ELSEWHERE, claimed_at=desk.clock() - timedelta(seconds=30), created_at=desk.clock(),
                updated_at=desk.clock(),
            )
        )  # fmt: skip
    # In the name of another conversation: one conversation's events all wait in one mailbox.
    update_of_it = message_created(101, conversation_id=20, contact_id=2)
    desk.send({**update_of_it, "event": "message_updated"})
    writes = desk.notebook.writes
    desk.drain(2)
    assert desk.notebook.texts("line") == ["text 101"]
    assert desk.notebook.writes == writes + 1, "only the second contact's page"
    assert "Another worker is creating" in (desk.events()[1].outcome or "")


@on_every_database
def test_workers_that_come_at_once_make_everything_once(desk: Desk) -> None:
    for message_id in range(101, 111):
        desk.send(message_created(message_id, minute=3))
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        desk.drain()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.notebook.texts("line") == [f"text {message_id}" for message_id in range(101, 111)]
    assert desk.notebook.texts("page") == ["Ana Souza"]


def test_workers_make_everything_once_when_redis_forgets_their_locks_all_the_time(desk: Desk) -> None:
    for message_id in range(101, 111):
        desk.send(message_created(message_id, minute=3))
    desk.notebook.on_write = desk.runtime.redis.flushall
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        desk.drain()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.settle()
    assert desk.notebook.texts("line") == [f"text {message_id}" for message_id in range(101, 111)]


def test_a_mutex_of_a_dead_worker_is_taken_over_at_once(desk: Desk) -> None:
    desk.send(contact_created())
    name = keys.mailbox_lock(f"{desk.hook_id}:1")
    desk.runtime.redis.set(f"lock:{name}", GONE)
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.DONE]


def test_a_mutex_of_a_living_worker_is_respected(desk: Desk) -> None:
    desk.send(contact_created())
    name = keys.mailbox_lock(f"{desk.hook_id}:1")
    desk.runtime.redis.set(f"lock:{name}", ELSEWHERE)
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.PENDING]


BEFORE = st.sampled_from([None, None, out_of_order, lost_answer, Killed])
AFTER = st.sampled_from([None, None, lost_answer, Killed])


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=st.lists(BEFORE, max_size=6), after=st.lists(AFTER, max_size=6), order=st.permutations(range(6))
)
def test_any_run_of_faults_ends_as_the_quiet_run_does(
    desk: Desk, before: list[object], after: list[object], order: list[int]
) -> None:
    notebook = desk.notebook
    with desk.runtime.store.write() as session:
        session.execute(delete(Link))
        session.execute(delete(Event))
        for table in ("attempts", "deliveries"):
            session.execute(Event.metadata.tables[table].delete())
        hook = session.get_one(type(desk.hook()), desk.hook_id)
        hook.breaker_until = hook.breaker_opened_at = None
    notebook.records.clear()
    notebook.before.clear()
    notebook.after.clear()
    notebook.before.extend(fault() if callable(fault) else None for fault in before)
    notebook.after.extend(fault() if callable(fault) else None for fault in after)
    for number in order:
        desk.send(message_created(101 + number, minute=3))
    for _ in range(200):
        try:
            desk.drain()
        except Killed:
            kill(desk)
        if not desk.events(EventState.PENDING):
            break
        desk.clock.forward(600)
    assert {event.state for event in desk.events()} == {EventState.DONE}
    assert sorted(notebook.texts("line")) == [f"text {message_id}" for message_id in range(101, 107)]
    assert notebook.texts("line") == [f"text {message_id}" for message_id in range(101, 107)]
    assert len(notebook.texts("page")) == 1
