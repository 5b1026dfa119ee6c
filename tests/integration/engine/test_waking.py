"""Of many mailboxes only so many are woken as there are places; each of the others has its turn."""

from __future__ import annotations

import pytest

from crm_sync import keys
from crm_sync.celery import app
from crm_sync.engine.limits import Places
from crm_sync.engine.sweep import sweep
from crm_sync.engine.waking import wake_all
from crm_sync.publisher import Publisher
from crm_sync.store.models import EventState
from tests.integration.engine.conftest import Desk
from tests.payloads import contact_created
from tests.servers import free_port


def woken(desk: Desk) -> list[str]:
    """The mailboxes woken since last asked, in order."""
    names = [name for name, _ in desk.alarm.woken]
    desk.alarm.woken.clear()
    return names


def test_as_many_are_woken_as_there_are_places_at_each_hook(desk: Desk) -> None:
    desk.runtime.places = Places(desk.runtime.redis, ceiling=1, hold_s=60)
    wake_all(desk.runtime, ["1:1", "1:2", "1:3", "2:1", "1:4"])
    assert woken(desk) == ["1:1", "1:2", "2:1"]
    assert desk.runtime.redis.zrange(keys.waiting(1), 0, -1) == [b"1:3", b"1:4"]
    assert desk.runtime.redis.zcard(keys.waiting(2)) == 0


def test_all_have_their_turn_though_only_the_first_were_woken(desk: Desk) -> None:
    desk.runtime.places = Places(desk.runtime.redis, ceiling=1, hold_s=60)
    for contact_id in range(1, 12):
        desk.send(contact_created(contact_id))
        desk.clock.forward(1)
    desk.clock.forward(60)
    assert sweep(desk.runtime) == 11
    order: list[str] = []
    while names := woken(desk):
        order += names
        for name in names:
            desk.drain(int(name.partition(":")[2]))
    assert order == [f"{desk.hook_id}:{contact_id}" for contact_id in range(1, 12)]
    assert {event.state for event in desk.events()} == {EventState.DONE}


def test_who_stands_in_the_line_keeps_its_turn(desk: Desk) -> None:
    places = desk.runtime.places
    places.line_up(1, ["1:5", "1:6"])
    places.line_up(1, ["1:7", "1:5"])
    assert [places.leave(1, "nobody") for _ in range(4)] == ["1:5", "1:6", "1:7", None]


def test_the_line_is_not_woken_again_until_its_wake_up_counts_as_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.runtime.places = Places(desk.runtime.redis, ceiling=1, hold_s=60)
    publisher = Publisher(app, desk.runtime.config.redis_url)
    sent: list[str] = []
    monkeypatch.setattr(publisher, "_publish", lambda mailboxes, _delay_s: sent.extend(mailboxes))
    desk.runtime.alarm = publisher
    wake_all(desk.runtime, ["1:1", "1:2", "1:3"])
    lifetime = desk.runtime.redis.pttl(keys.armed("1:3"))
    wake_all(desk.runtime, ["1:3", "1:2", "1:1"])
    assert sent == ["1:1", "1:2"]
    assert desk.runtime.redis.pttl(keys.armed("1:3")) <= lifetime, "else it would never be taken for lost"
    desk.runtime.redis.delete(*(keys.armed(f"1:{contact_id}") for contact_id in (1, 2, 3)))
    wake_all(desk.runtime, ["1:3", "1:2", "1:1"])
    assert sent == ["1:1", "1:2", "1:3", "1:2"]


def test_nothing_is_raised_while_redis_is_away(desk: Desk) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    desk.runtime.alarm = Publisher(app, away)
    with keys.connect(away, timeout_s=0.2) as redis:
        desk.runtime.places = Places(redis, ceiling=1, hold_s=60)
        wake_all(desk.runtime, ["1:1", "1:2", "1:3"])
        wake_all(desk.runtime, ["1:1", "1:2", "1:3"])
