"""A worker logs in before it takes events, and starts whatever becomes of that."""

from __future__ import annotations

import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from celery.concurrency.prefork import TaskPool as Prefork
from celery.concurrency.thread import TaskPool as Threads
from sqlalchemy import update

from crm_sync import keys, tasks
from crm_sync.engine import warmup
from crm_sync.store.models import Hook, HookState
from tests.integration.glpi.desk import WEBSITE, Desk

LOGIN = ["GET /initSession", "GET /getFullSession"]


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
    warmup.warm_up(waiting.runtime)
    assert waiting.calls() == LOGIN
    waiting.drain()
    assert waiting.waiting() == []
    assert not set(waiting.calls()) & set(LOGIN)


def test_nobody_is_called_when_no_event_waits(desk: Desk) -> None:
    desk.runtime._clients.clear()
    warmup.warm_up(desk.runtime)
    assert desk.calls() == []


def test_nobody_is_called_for_a_hook_that_takes_no_events(waiting: Desk) -> None:
    with waiting.runtime.store.write() as session:
        session.execute(update(Hook).values(state=HookState.PAUSED))
    warmup.warm_up(waiting.runtime)
    assert waiting.calls() == []


def test_a_glpi_that_is_down_keeps_no_worker_from_starting(waiting: Desk) -> None:
    waiting.glpi.faults.down = True
    warmup.warm_up(waiting.runtime)
    waiting.glpi.faults.down = False
    waiting.drain()
    assert waiting.waiting() == []


def test_a_glpi_that_is_slow_is_not_waited_for(waiting: Desk) -> None:
    waiting.glpi.faults.latency_ms = 600
    started = time.monotonic()
    warmup.warm_up(waiting.runtime, wait_s=0.2)
    assert time.monotonic() - started < 0.5


def test_the_ceiling_holds_for_logins_too(waiting: Desk) -> None:
    runtime = waiting.runtime
    others = [f"another-machine/1/1/{number}" for number in range(runtime.config.ceiling)]
    for other in others:
        runtime.ceiling.begin(waiting.hook_id, other)
    warmup.warm_up(runtime, wait_s=0.3)
    assert waiting.calls() == []
    runtime.ceiling.end(waiting.hook_id, others[0])
    warmup.warm_up(runtime, wait_s=5)
    assert waiting.calls() == LOGIN
    assert runtime.redis.zcard(keys.calls(waiting.hook_id)) == len(others) - 1


@pytest.mark.parametrize(
    ("pool", "queues", "warm"),
    [(Threads, {"events", "ticks"}, True), (Prefork, {"events"}, False), (Threads, {"setup"}, False)],
)
def test_only_threads_that_take_events_are_warmed_up(
    monkeypatch: pytest.MonkeyPatch, pool: type, queues: set[str], *, warm: bool
) -> None:
    runtime, warmed = object(), Mock()
    monkeypatch.setattr(warmup, "warm_up", warmed)
    monkeypatch.setattr(tasks, "runtime", lambda: runtime)
    monkeypatch.setattr(tasks.app.amqp.queues, "_consume_from", dict.fromkeys(queues), raising=False)
    tasks.warm_up(sender=SimpleNamespace(pool=pool.__new__(pool)))
    assert warmed.call_args_list == ([((runtime,),)] if warm else [])
