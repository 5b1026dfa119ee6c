"""Wake-ups: one for each mailbox at a time, and nobody waits or fails for a broker that is away."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator

import pytest
import redis
import structlog

from crm_sync import keys
from crm_sync.celery import app
from crm_sync.publisher import ARMED_S, REST_S, Publisher
from tests.servers import free_port


class Clock:
    """Monotonic time, as the test wants it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The Redis the wake-ups go through."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def messages(broker: redis.Redis) -> list[list[str]]:
    """The mailboxes of each message in the queue, the oldest first."""
    found = []
    for raw in reversed(broker.lrange(f"{keys.PREFIX}events", 0, -1)):
        message = json.loads(raw)
        assert message["headers"]["task"] == "crm_sync.wake"
        found.append(json.loads(_decoded(message))[0][0])
    return found


def _decoded(message: dict[str, str]) -> str:
    return base64.b64decode(message["body"]).decode()


def test_every_mailbox_gets_a_message_of_its_own(broker: redis.Redis, redis_url: str) -> None:
    Publisher(app, redis_url).wake(["1:7", "2:7", "3:7"])
    assert messages(broker) == [["1:7"], ["2:7"], ["3:7"]]


def test_a_mailbox_has_one_wake_up_on_its_way_and_another_one_after_that_arrived(
    broker: redis.Redis, redis_url: str
) -> None:
    subject = Publisher(app, redis_url)
    for _ in range(3):
        subject.wake(["1:7", "1:8"])
    assert messages(broker) == [["1:7"], ["1:8"]]
    subject.disarm("1:7")
    subject.wake(["1:7", "1:8"])
    assert messages(broker) == [["1:7"], ["1:8"], ["1:7"]]


def test_a_wake_up_is_taken_for_lost_some_time_after_it_was_due(broker: redis.Redis, redis_url: str) -> None:
    Publisher(app, redis_url).wake(["1:7"], delay_s=20)
    left_ms = broker.pttl(keys.armed("1:7"))
    assert ARMED_S * 1000 < left_ms <= (20 + ARMED_S) * 1000
    broker.delete(keys.armed("1:7"))
    Publisher(app, redis_url).wake(["1:7"])
    assert len(messages(broker)) == 2


def test_a_delayed_wake_up_says_when_it_is_due(broker: redis.Redis, redis_url: str) -> None:
    Publisher(app, redis_url).wake(["1:7"], delay_s=30)
    Publisher(app, redis_url).wake(["1:8"])
    delayed, prompt = (json.loads(raw) for raw in reversed(broker.lrange(f"{keys.PREFIX}events", 0, -1)))
    assert delayed["headers"]["eta"] is not None
    assert prompt["headers"]["eta"] is None


def test_a_mailbox_on_hold_needs_no_wake_up(broker: redis.Redis, redis_url: str) -> None:
    subject = Publisher(app, redis_url)
    subject.hold(["1:7"])
    subject.wake(["1:7", "1:8"])
    assert messages(broker) == [["1:8"]]
    assert 0 < broker.pttl(keys.armed("1:7")) <= ARMED_S * 1000
    subject.disarm("1:7")
    subject.wake(["1:7"])
    assert messages(broker) == [["1:8"], ["1:7"]]


def test_many_threads_at_once_send_one_wake_up(broker: redis.Redis, redis_url: str) -> None:
    subject = Publisher(app, redis_url)
    threads = [threading.Thread(target=subject.wake, args=(["1:7"],)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert messages(broker) == [["1:7"]]


def test_nothing_is_asked_when_there_is_nobody_to_wake() -> None:
    with structlog.testing.capture_logs() as logs:
        Publisher(app, f"redis://127.0.0.1:{free_port()}/0").wake([])
    assert logs == []


def test_a_broker_that_is_away_is_left_alone_for_a_moment_and_then_tried_again() -> None:
    clock = Clock()
    with structlog.testing.capture_logs() as logs:
        subject = Publisher(app, f"redis://127.0.0.1:{free_port()}/0", clock=clock)
        for _ in range(5):
            subject.wake(["1:7"])
        assert [line["event"] for line in logs] == ["wake_up_not_published"]
        clock.now += REST_S
        subject.wake(["1:7"])
        assert len(logs) == 2


def test_a_broker_that_comes_back_is_used_again_without_one_lost_wake_up(
    broker: redis.Redis, redis_url: str
) -> None:
    subject = Publisher(app, redis_url)
    subject.wake(["1:1"])
    with structlog.testing.capture_logs() as logs:
        # Every connection is cut, as by a restart of the broker.
        broker.client_kill_filter(_type="normal", skipme=True)
        for number in range(2, 6):
            subject.wake([f"1:{number}"])
    assert logs == []
    assert messages(broker) == [[f"1:{number}"] for number in range(1, 6)]


@pytest.mark.parametrize("odd", ["OOM", "READONLY"])
def test_a_broker_that_refuses_is_no_error(broker: redis.Redis, redis_url: str, odd: str) -> None:
    setting, value, before = {
        "OOM": ("maxmemory", "1", "0"),
        "READONLY": ("min-replicas-to-write", "3", "0"),
    }[odd]
    broker.config_set(setting, value)
    try:
        with structlog.testing.capture_logs() as logs:
            Publisher(app, redis_url).wake(["1:7"])
        assert [line["event"] for line in logs] == ["wake_up_not_published"]
    finally:
        broker.config_set(setting, before)


def test_more_threads_than_connections_wait_for_each_other(broker: redis.Redis, redis_url: str) -> None:
    subject = Publisher(app, redis_url)
    threads = [threading.Thread(target=subject.wake, args=([f"1:{number}"],)) for number in range(40)]
    with structlog.testing.capture_logs() as logs:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert logs == []
    assert len(messages(broker)) == 40
