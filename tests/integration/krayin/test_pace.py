"""Krayin 2.1 takes 60 requests a minute of a user: none is refused, and none is wasted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_sync.config import Config
from crm_sync.engine import mailbox
from crm_sync.store.models import EventState
from tests.integration.krayin.desk import WEBSITE, Desk, opened

LIMIT = 60
CONTACTS = 60


@pytest.fixture
def busy(config: Config) -> Iterator[Desk]:
    """A Krayin 2.1 as it is installed, and sixty people who write to it: three hundred events."""
    with opened(config, "2.1.0", {"enable_activity_sync": "true"}, rate_limit=LIMIT) as desk:
        desk.clock.forward(61)
        for number in range(CONTACTS):
            contact = desk.chatwoot.create_contact(name=f"P{number}", email=f"p{number}@example.com")
            desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
        payloads = desk.deliveries()
        assert len(payloads) == 300
        desk.take(payloads)
        yield desk


def minutes(desk: Desk, *, threads: int = 1) -> int:
    """Workers come twice a minute until nothing is waiting; how many minutes that took."""
    for half in range(60):
        names = sorted({event.mailbox for event in desk.events(EventState.PENDING)})
        if not names:
            return half // 2
        if threads == 1:
            for name in names:
                mailbox.drain(desk.runtime, name)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda name: mailbox.drain(desk.runtime, name), names))
        desk.clock.forward(30)
    pytest.fail(f"still waiting: {desk.waiting()[:5]}")


def assert_all_done(desk: Desk) -> None:
    assert desk.failed() == []
    assert {status for _, _, status in desk.krayin.requests} == {200}
    assert len(desk.rows("persons")) == len(desk.rows("leads")) == len(desk.activities()) == CONTACTS


def test_three_hundred_events_are_done_at_krayins_pace_with_four_requests_a_contact(busy: Desk) -> None:
    assert minutes(busy) <= 4 * CONTACTS / 50 + 2
    assert_all_done(busy)
    # One more asks for Krayin's clock.
    assert len(busy.calls()) == 4 * CONTACTS + 1
    assert all(event.tries <= 1 for event in busy.events())


def test_many_workers_share_one_pace(busy: Desk) -> None:
    minutes(busy, threads=8)
    assert_all_done(busy)


def test_what_others_use_up_is_left_to_them(busy: Desk) -> None:
    client = busy.runtime.client(busy.runtime.view(busy.hook(), busy.account), busy.hook().version)
    for _ in range(45):
        client.account()
    busy.krayin.reset_requests()
    minutes(busy)
    assert_all_done(busy)


def test_krayin_2_2_is_not_paced(config: Config) -> None:
    with opened(config, "2.2.3", {}) as desk:
        for number in range(40):
            desk.chatwoot.create_contact(name=f"P{number}", email=f"p{number}@example.com")
        desk.sync()
        assert len(desk.calls()) == 120


def test_a_history_longer_than_a_minutes_requests_is_written_down_at_krayins_pace(config: Config) -> None:
    settings = {"enable_activity_sync": "true", "enable_message_sync": "true"}
    with opened(config, "2.1.0", settings, rate_limit=LIMIT) as desk:
        _, number = desk.begin("0")
        for text in range(1, 130):
            desk.chatwoot.add_message(number, str(text))
        told = [payload for payload in desk.deliveries() if payload["event"] == "message_created"]
        desk.take(told[-1:])
        minutes(desk)
        assert desk.failed() == []
        assert {status for _, _, status in desk.krayin.requests} == {200}
        rows = sorted(desk.activities(), key=lambda row: row["id"])
        assert [row["comment"].rpartition("<p>")[2] for row in rows] == [f"{text}</p>" for text in range(130)]
        # Person, lead, activity, and what was needed to know them; then one request a message.
        assert len(desk.calls()) <= 130 + 6
