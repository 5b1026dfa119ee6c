"""A CRM that keeps failing is left alone, and tried by one event at a time until it is back."""

from __future__ import annotations

import threading

import pytest

from crm_sync.engine import breaker
from crm_sync.engine.dispatch import CHATWOOT
from crm_sync.engine.sweep import sweep
from crm_sync.errors import Defer, Rejected, ServerFault
from crm_sync.store.models import EventState
from tests.integration.engine.conftest import Desk
from tests.notebook import lost_answer, out_of_order
from tests.payloads import contact_created
from tests.servers import on_every_database, wait_for


def break_it(desk: Desk, failures: int = breaker.IN_A_ROW) -> None:
    """So many contacts meet a notebook that is out of order."""
    for contact_id in range(1, failures + 1):
        desk.send(contact_created(contact_id))
        desk.notebook.before.append(out_of_order())
        desk.drain(contact_id)


def rest(desk: Desk) -> None:
    """The rest is over."""
    desk.clock.forward(desk.runtime.config.breaker_rest_s + 0.1)


@on_every_database
def test_the_hook_rests_after_ten_failures_in_a_row(desk: Desk) -> None:
    break_it(desk, 9)
    assert desk.hook().breaker_until is None
    desk.send(contact_created(10))
    desk.notebook.before.append(out_of_order())
    desk.drain(10)
    assert desk.hook().breaker_until is not None
    assert desk.hook().breaker_opened_at == desk.clock()


def test_the_hook_rests_when_seven_in_ten_fail_though_some_succeed(desk: Desk) -> None:
    for contact_id in range(1, 11):
        desk.send(contact_created(contact_id))
        desk.notebook.before.append(None if contact_id in {2, 5, 8} else out_of_order())
        desk.drain(contact_id)
    assert desk.hook().breaker_until is not None


def test_failures_of_more_than_five_minutes_ago_are_forgotten(desk: Desk) -> None:
    break_it(desk, 9)
    desk.clock.forward(301)
    desk.send(contact_created(10))
    desk.notebook.before.append(out_of_order())
    desk.drain(10)
    assert desk.hook().breaker_until is None


def test_waiting_for_ones_turn_between_failures_does_not_hide_them(desk: Desk) -> None:
    for contact_id in range(1, 11):
        desk.send(contact_created(contact_id))
        desk.notebook.before.append(out_of_order())
        desk.drain(contact_id)
        desk.send(contact_created(100 + contact_id))
        desk.notebook.before.append(Defer(desk.clock(), "Not yet."))
        desk.drain(100 + contact_id)
    assert desk.hook().breaker_until is not None


def test_events_wait_at_no_cost_while_the_hook_rests(desk: Desk) -> None:
    break_it(desk)
    writes, attempts = desk.notebook.writes, len(desk.attempts())
    desk.send(contact_created(50))
    desk.drain(50)
    event = desk.events()[-1]
    assert (event.state, event.tries, event.claim) == (EventState.PENDING, 0, None)
    assert (desk.notebook.writes, len(desk.attempts())) == (writes, attempts)


@on_every_database
def test_one_event_tries_the_crm_however_many_workers_come_after_the_rest(desk: Desk) -> None:
    break_it(desk)
    rest(desk)
    for contact_id in range(51, 57):
        desk.send(contact_created(contact_id))
    calls = desk.notebook.writes
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(30)

    desk.notebook.on_write = hold
    threads = [threading.Thread(target=desk.drain, args=(contact_id,)) for contact_id in range(51, 57)]
    for thread in threads:
        thread.start()
    assert inside.wait(30)
    wait_for(lambda: sum(thread.is_alive() for thread in threads) == 1, 20, "the others end without a call")
    assert desk.notebook.writes == calls + 1
    go_on.set()
    for thread in threads:
        thread.join(30)


@on_every_database
def test_an_event_that_asks_nobody_does_not_prolong_the_rest(desk: Desk) -> None:
    break_it(desk)
    rest(desk)
    desk.send(contact_created(51, name="skip me"))
    desk.send(contact_created(52))
    desk.drain(51)
    assert desk.hook().breaker_until is not None
    desk.drain(52)
    assert desk.hook().breaker_until is None


def test_a_failed_probe_prolongs_the_rest_and_keeps_when_it_began(desk: Desk) -> None:
    break_it(desk)
    opened = desk.hook().breaker_opened_at
    rest(desk)
    desk.send(contact_created(50))
    desk.notebook.before.append(out_of_order())
    desk.drain(50)
    hook = desk.hook()
    assert hook.breaker_opened_at == opened
    assert hook.breaker_until is not None
    assert hook.breaker_until > desk.clock()


@pytest.mark.parametrize("answer", [None, Rejected("It does not like that.")])
def test_any_answer_of_the_crm_closes_the_breaker_and_wakes_all_that_wait(
    desk: Desk, answer: Exception | None
) -> None:
    break_it(desk)
    rest(desk)
    desk.send(contact_created(50))
    desk.notebook.before.append(answer)
    desk.alarm.woken.clear()
    desk.drain(50)
    hook = desk.hook()
    assert (hook.breaker_until, hook.breaker_opened_at) == (None, None)
    woken = {name for name, _ in desk.alarm.woken}
    assert woken == {f"{desk.hook_id}:{contact_id}" for contact_id in range(1, 11)}


def test_everything_that_waited_is_done_once_the_crm_is_back(desk: Desk) -> None:
    break_it(desk, 12)
    for _ in range(20):
        rest(desk)
        for contact_id in range(1, 13):
            desk.drain(contact_id)
        if not desk.events(EventState.PENDING):
            break
    assert sorted(desk.notebook.texts("page")) == ["Ana Souza"] * 12


def test_the_sweep_leaves_a_resting_hook_alone_and_comes_back_after_the_rest(desk: Desk) -> None:
    break_it(desk)
    desk.clock.forward(6)
    assert sweep(desk.runtime) == 0
    desk.clock.forward(desk.runtime.config.breaker_rest_s)
    assert sweep(desk.runtime) > 0


def test_faults_of_chatwoot_do_not_make_the_crm_rest(desk: Desk) -> None:
    for contact_id in range(1, 15):
        desk.send(contact_created(contact_id))
        desk.notebook.before.append(ServerFault("Chatwoot is out of order."))
        desk.notebook.system = CHATWOOT
        desk.drain(contact_id)
    assert {attempt.outcome for attempt in desk.attempts()} == {"chatwoot_failed"}
    assert desk.hook().breaker_until is None


def test_a_lost_answer_counts_as_a_failure_of_the_crm(desk: Desk) -> None:
    for contact_id in range(1, 11):
        desk.send(contact_created(contact_id))
        desk.notebook.after.append(lost_answer())
        desk.drain(contact_id)
    assert desk.hook().breaker_until is not None
