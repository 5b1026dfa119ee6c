"""A worker logs in before it takes events, and starts whatever becomes of that."""

from __future__ import annotations

import gc
import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from celery.concurrency.prefork import TaskPool as Prefork
from celery.concurrency.thread import TaskPool as Threads
from sqlalchemy import update

from crm_sync import keys, tasks
from crm_sync.crms import texts
from crm_sync.engine import warmup
from crm_sync.engine.runtime import Runtime
from crm_sync.store.models import Hook, HookState
from tests.integration.glpi.desk import WEBSITE, Desk

LOGIN = ["GET /initSession", "GET /getFullSession"]


def warm_up(runtime: Runtime, *, wait_s: float = warmup.WAIT_S) -> None:
    """Begin, and wait as the first event does."""
    warming = warmup.WarmUp()
    warming.begin(runtime, wait_s=wait_s)
    warming.wait()


@pytest.fixture
def waiting(desk: Desk) -> Desk:
    """A desk with events that wait, and a runtime that has not called yet."""
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    desk.take(desk.deliveries())
    desk.runtime._clients.clear()
    desk.calls()
    return desk


def test_the_first_event_finds_the_session_open(waiting: Desk) -> None:
    warm_up(waiting.runtime)
    assert waiting.calls() == LOGIN
    waiting.drain()
    assert waiting.waiting() == []
    assert not set(waiting.calls()) & set(LOGIN)


def test_nobody_is_called_when_no_event_waits(desk: Desk) -> None:
    desk.runtime._clients.clear()
    warm_up(desk.runtime)
    assert desk.calls() == []


def test_nobody_is_called_for_a_hook_that_takes_no_events(waiting: Desk) -> None:
    with waiting.runtime.store.write() as session:
        session.execute(update(Hook).values(state=HookState.PAUSED))
    warm_up(waiting.runtime)
    assert waiting.calls() == []


def test_a_glpi_that_is_down_keeps_no_worker_from_starting(waiting: Desk) -> None:
    waiting.glpi.faults.down = True
    warm_up(waiting.runtime)
    waiting.glpi.faults.down = False
    waiting.drain()
    assert waiting.waiting() == []


def test_a_glpi_that_is_slow_is_not_waited_for(waiting: Desk) -> None:
    answers = threading.Event()

    def slow(app: Any, environ: Any, start_response: Any) -> Any:
        answers.wait()
        return app(environ, start_response)

    waiting.strike(slow)
    warm_up(waiting.runtime, wait_s=0.2)
    assert waiting.calls() == []
    answers.set()


def test_the_ceiling_holds_for_logins_too(waiting: Desk) -> None:
    runtime = waiting.runtime
    others = [f"another-machine/1/1/{number}" for number in range(runtime.config.ceiling)]
    for other in others:
        runtime.ceiling.begin(waiting.hook_id, other)
    warm_up(runtime, wait_s=0.3)
    assert waiting.calls() == []
    runtime.ceiling.end(waiting.hook_id, others[0])
    warm_up(runtime, wait_s=5)
    assert waiting.calls() == LOGIN
    assert runtime.redis.zcard(keys.calls(waiting.hook_id)) == len(others) - 1


@pytest.mark.parametrize(
    ("pool", "queues", "warm"),
    [(Threads, {"events", "ticks"}, True), (Prefork, {"events"}, False), (Threads, {"setup"}, False)],
)
def test_only_threads_that_take_events_are_warmed_up(
    monkeypatch: pytest.MonkeyPatch, pool: type, queues: set[str], *, warm: bool
) -> None:
    runtime, warming = object(), Mock()
    monkeypatch.setattr(warmup, "settle", Mock())
    monkeypatch.setattr(tasks, "warming", warming)
    monkeypatch.setattr(tasks, "runtime", lambda: runtime)
    monkeypatch.setattr(tasks.app.amqp.queues, "_consume_from", dict.fromkeys(queues), raising=False)
    tasks.warm_up(sender=SimpleNamespace(pool=pool.__new__(pool)))
    assert warming.begin.call_args_list == ([((runtime,),)] if warm else [])


def test_a_wake_up_waits_for_it_before_it_takes_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Mock()
    monkeypatch.setattr(tasks, "warming", order)
    monkeypatch.setattr(tasks, "runtime", Mock())
    monkeypatch.setattr(tasks.mailbox, "drain", order.drain)
    tasks.wake(["1:1"])
    assert [name for name, _, _ in order.mock_calls] == ["wait", "drain"]


class _Watched(threading.Event):
    """An event that tells how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return super().wait(timeout)


def test_nobody_waits_where_nothing_was_begun_and_nobody_twice(waiting: Desk) -> None:
    warming, answers = warmup.WarmUp(), threading.Event()
    over = _Watched()
    over.set()
    warming._over = over
    warming.wait()
    assert over.waits == []

    def slow(app: Any, environ: Any, start_response: Any) -> Any:
        answers.wait()
        return app(environ, start_response)

    waiting.strike(slow)
    warming.begin(waiting.runtime, wait_s=0.2)
    for _ in range(3):
        warming.wait()
    answers.set()
    assert over.waits[1:] == [0.0, 0.0]


def test_the_words_are_read_before_the_first_event(waiting: Desk) -> None:
    texts.load.cache_clear()
    warm_up(waiting.runtime)
    read = texts.load.cache_info().misses
    assert read
    waiting.drain()
    assert texts.load.cache_info().misses == read


def test_the_collector_passes_over_what_is_there_at_the_start() -> None:
    before = gc.get_threshold()
    try:
        warmup.settle()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == warmup.GC_EVERY
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
