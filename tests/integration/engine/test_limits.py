"""Never more calls at a time than the ceiling allows; nobody is forgotten in the line; the dead hold nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from redis import Redis

from crm_sync import keys, owner
from crm_sync.celery import app
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.publisher import Publisher
from crm_sync.store.models import EventState
from tests.integration.engine.conftest import Desk, Time
from tests.payloads import contact_created, message_created
from tests.servers import wait_for

GONE = owner.new_claim().split("/")[0] + "/99999999/1/"
ELSEWHERE = "another-machine/1/1/"


def places(redis: Redis, time: Time, ceiling: int = 2) -> Places:
    """Four places for a ceiling of two."""
    return Places(redis, ceiling=ceiling, hold_s=60, clock=time)


# -- places ------------------------------------------------------------------------------------------------------------


def test_places_run_out_and_a_claim_takes_only_one(redis: Redis, time: Time) -> None:
    limit = places(redis, time)
    claims = [owner.new_claim() for _ in range(5)]
    assert [limit.take(1, claim) for claim in claims] == [True] * 4 + [False]
    assert limit.take(1, claims[0]), "who has a place keeps it"
    assert limit.take(2, claims[4]), "another hook has places of its own"


def test_whoever_leaves_is_told_who_waited_longest(redis: Redis, time: Time) -> None:
    limit = places(redis, time)
    held = [owner.new_claim() for _ in range(4)]
    for claim in held:
        limit.take(1, claim)
    for mailbox in ("1:7", "1:5", "1:6"):
        time.now += 1
        assert not limit.take_or_line_up(1, owner.new_claim(), mailbox)
    time.now += 1
    assert not limit.take_or_line_up(1, owner.new_claim(), "1:7"), (
        "coming again does not put one back in the line"
    )
    assert [limit.leave(1, claim) for claim in held] == ["1:7", "1:5", "1:6", None]
    assert limit.leave(1, held[0]) is None


def test_places_of_the_dead_are_free_at_once_and_those_of_another_machine_after_a_while(
    redis: Redis, time: Time
) -> None:
    limit = places(redis, time)
    for number in range(4):
        redis.zadd(keys.places(1), {f"{GONE}{number}": time.now + 60})
    assert limit.take(1, owner.new_claim())
    redis.delete(keys.places(1))
    for number in range(4):
        redis.zadd(keys.places(1), {f"{ELSEWHERE}{number}": time.now + 60})
    assert not limit.take(1, owner.new_claim())
    time.now += 61
    assert limit.take(1, owner.new_claim())


def test_work_goes_on_without_limits_while_redis_is_away(config_without_redis: str) -> None:
    with keys.connect(config_without_redis, timeout_s=0.2) as away:
        limit = Places(away, ceiling=1, hold_s=60)
        ceiling = Ceiling(away, size=1, call_s=60)
        assert limit.take(1, "a")
        assert limit.take_or_line_up(1, "b", "1:1")
        assert limit.leave(1, "a") is None
        ceiling.begin(1, "a")
        ceiling.end(1, "a")


@pytest.fixture
def config_without_redis() -> str:
    return "redis://127.0.0.1:1/0"


# -- the ceiling -------------------------------------------------------------------------------------------------------


def test_a_call_waits_until_another_one_has_ended(redis: Redis) -> None:
    ceiling = Ceiling(redis, size=1, call_s=60)
    first, second = owner.new_claim(), owner.new_claim()
    ceiling.begin(1, first)
    begun = threading.Event()

    def wait() -> None:
        ceiling.begin(1, second)
        begun.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not begun.wait(0.3)
    ceiling.end(1, first)
    assert begun.wait(30)
    thread.join(30)
    ceiling.end(1, second)
    assert redis.zcard(keys.calls(1)) == 0


def test_a_dead_workers_calls_are_free_at_once(redis: Redis) -> None:
    ceiling = Ceiling(redis, size=2, call_s=3600)
    for number in range(2):
        redis.zadd(keys.calls(1), {f"{GONE}{number}": 4e9})
    ceiling.begin(1, owner.new_claim())
    assert redis.zcard(keys.calls(1)) == 1


@pytest.fixture
def one(redis: Redis) -> Ceiling:
    """A ceiling of one call."""
    return Ceiling(redis, size=1, call_s=60)


@contextmanager
def waiting_in_line(redis: Redis, ceiling: Ceiling, *claims: str) -> Iterator[dict[str, threading.Event]]:
    """These claims wait for a call, in this order; who has begun is told. They all come through in the end."""
    begun = {claim: threading.Event() for claim in claims}

    def wait(claim: str) -> None:
        ceiling.begin(1, claim)
        begun[claim].set()

    threads = [threading.Thread(target=wait, args=(claim,)) for claim in claims]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_for(lambda number=number: redis.zcard(keys.calling(1)) == number, 20, "it is in the line")
    yield begun
    for claim, thread in zip(claims, threads, strict=True):
        assert begun[claim].wait(30)
        ceiling.end(1, claim)
        thread.join(30)


def calls(redis: Redis) -> set[str]:
    """Who has a call in flight."""
    return {member.decode() for member in redis.zrange(keys.calls(1), 0, -1)}


def redis_now(redis: Redis) -> float:
    seconds, micros = redis.time()
    return float(seconds + micros / 1e6)


def test_a_call_that_ends_gives_its_room_to_the_first_in_the_line_and_to_nobody_else(
    redis: Redis, one: Ceiling
) -> None:
    holder, first, second, newcomer = (owner.new_claim() for _ in range(4))
    one.begin(1, holder)
    with waiting_in_line(redis, one, first, second) as begun:
        one.end(1, holder)
        assert calls(redis) == {first}, "it is handed over before anybody could take it"
        assert begun[first].wait(30)
        assert not begun[second].wait(0.2)
        redis.zadd(keys.calling(1), {newcomer: redis_now(redis)})
        one.end(1, first)
        assert calls(redis) == {second}
        one.end(1, newcomer)
    assert calls(redis) == set()
    assert redis.zcard(keys.calling(1)) == 0


def test_room_is_not_given_to_somebody_who_is_not_heard_of_any_more(redis: Redis, one: Ceiling) -> None:
    one.begin(1, "a")
    redis.zadd(keys.calling(1), {f"{ELSEWHERE}gave-up": redis_now(redis) - 10})
    one.end(1, "a")
    assert calls(redis) == set()
    assert redis.zcard(keys.calling(1)) == 0


def test_whoever_gave_up_waiting_leaves_the_line_with_the_end_of_the_call(redis: Redis, one: Ceiling) -> None:
    one.begin(1, "a")
    redis.zadd(keys.calling(1), {"b": redis_now(redis)})
    one.end(1, "b")
    assert redis.zcard(keys.calling(1)) == 0
    assert calls(redis) == {"a"}


def test_the_dead_in_the_line_keep_nobody_waiting(redis: Redis, one: Ceiling) -> None:
    living = owner.new_claim()
    one.begin(1, "a")
    redis.zadd(keys.calling(1), {f"{GONE}{number}": redis_now(redis) for number in range(5)})
    one.end(1, "a")
    assert calls(redis) <= {f"{GONE}{number}" for number in range(5)}
    one.begin(1, living)
    assert calls(redis) == {living}
    assert redis.zcard(keys.calling(1)) == 0


def test_a_hand_over_that_was_noticed_too_late_is_noticed(redis: Redis, one: Ceiling) -> None:
    holder, late = owner.new_claim(), owner.new_claim()
    one.begin(1, holder)
    redis.zadd(keys.calling(1), {late: redis_now(redis)})
    one.end(1, holder)
    assert calls(redis) == {late}
    one.begin(1, late)
    assert calls(redis) == {late}


def test_what_woke_an_earlier_call_does_not_let_a_later_one_begin(redis: Redis, one: Ceiling) -> None:
    holder, again = owner.new_claim(), owner.new_claim()
    one.begin(1, holder)
    redis.lpush(keys.handed(1, again), 1)
    with waiting_in_line(redis, one, again) as begun:
        assert not begun[again].wait(0.3)
        assert calls(redis) == {holder}
        one.end(1, holder)


def test_a_wait_that_lasts_ends_with_the_call_before_it(redis: Redis, one: Ceiling) -> None:
    """Longer than one look, and than the line believes those who say nothing."""
    holder, waiter = owner.new_claim(), owner.new_claim()
    one.begin(1, holder)
    with waiting_in_line(redis, one, waiter) as begun:
        assert not begun[waiter].wait(3.5)
        one.end(1, holder)
        assert calls(redis) == {waiter}


# -- in the engine -----------------------------------------------------------------------------------------------------


def test_no_more_calls_are_in_flight_than_the_ceiling_allows_from_many_workers(desk: Desk) -> None:
    contacts = range(1, 25)
    desk.runtime.config = replace(desk.runtime.config, ceiling=3)
    desk.runtime.ceiling = Ceiling(desk.runtime.redis, size=3, call_s=60)
    desk.runtime.places = Places(desk.runtime.redis, ceiling=100, hold_s=60)
    for contact_id in contacts:
        desk.send(message_created(100 + contact_id, conversation_id=contact_id, contact_id=contact_id))
    full = threading.Barrier(3)

    def meet() -> None:
        # The first three calls wait for each other, so that the ceiling is reached for certain.
        if desk.notebook.writes <= 3:
            full.wait(30)

    desk.notebook.on_write = meet
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(desk.drain, contacts))
    assert {event.state for event in desk.events()} == {EventState.DONE}
    assert desk.notebook.most_in_flight == 3


def test_a_mailbox_without_a_place_lines_up_and_is_woken_by_whoever_leaves(desk: Desk) -> None:
    desk.runtime.places = Places(desk.runtime.redis, ceiling=1, hold_s=60)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(30)

    for contact_id in (1, 2, 3, 4):
        desk.send(contact_created(contact_id))
    desk.notebook.on_write = hold
    holders = [threading.Thread(target=desk.drain, args=(contact_id,)) for contact_id in (1, 2)]
    for thread in holders:
        thread.start()
    assert inside.wait(30)
    wait_for(lambda: desk.runtime.redis.zcard(keys.places(desk.hook_id)) == 2, 20, "both places are taken")
    desk.drain(3)
    desk.drain(4)
    assert len(desk.events(EventState.PENDING)) == 4, "nobody waits, and nothing more is begun"
    desk.alarm.woken.clear()
    go_on.set()
    for thread in holders:
        thread.join(30)
    # Each of the two who left woke one; which of them spoke first is their own affair.
    assert {name for name, _ in desk.alarm.woken} == {f"{desk.hook_id}:3", f"{desk.hook_id}:4"}
    assert desk.runtime.redis.zcard(keys.places(desk.hook_id)) == 0


def test_a_mailbox_that_is_woken_while_it_lines_up_can_be_woken_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leaves may look into the line before the one who lined up has gone away."""
    mailbox = f"{desk.hook_id}:1"
    desk.runtime.places = Places(desk.runtime.redis, ceiling=1, hold_s=60)
    held = [owner.new_claim(), owner.new_claim()]
    for claim in held:
        assert desk.runtime.places.take(desk.hook_id, claim)
    publisher = Publisher(app, desk.runtime.config.redis_url)
    desk.runtime.alarm = publisher
    woken: list[str] = []
    monkeypatch.setattr(publisher, "_publish", lambda mailboxes, _delay_s: woken.extend(mailboxes))
    take_or_line_up = desk.runtime.places.take_or_line_up

    def then_all_leave(hook_id: int, claim: str, name: str) -> bool:
        taken = take_or_line_up(hook_id, claim, name)
        for other in held:
            first = desk.runtime.places.leave(hook_id, other)
            if first is not None:
                publisher.disarm(first)
                publisher.wake([first])
                # Its worker comes at once, and finds nothing due yet.
                publisher.disarm(first)
        return taken

    monkeypatch.setattr(desk.runtime.places, "take_or_line_up", then_all_leave)
    desk.drain(1)
    assert woken == [mailbox]
    publisher.wake([mailbox])
    assert woken == [mailbox, mailbox]


def test_a_place_that_comes_free_while_a_mailbox_lines_up_is_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.runtime.places = Places(desk.runtime.redis, ceiling=1, hold_s=60)
    held = [owner.new_claim(), owner.new_claim()]
    for claim in held:
        assert desk.runtime.places.take(desk.hook_id, claim)
    desk.send(contact_created())
    monkeypatch.setattr(
        desk.runtime.alarm, "hold", lambda _mailboxes: desk.runtime.places.leave(desk.hook_id, held.pop())
    )
    desk.drain()
    assert {event.state for event in desk.events()} == {EventState.DONE}
    assert desk.runtime.redis.zcard(keys.waiting(desk.hook_id)) == 0


def test_a_place_is_given_back_however_the_stay_ended(desk: Desk) -> None:
    desk.send(contact_created())
    desk.notebook.before.append(ZeroDivisionError())
    desk.drain()
    assert desk.runtime.redis.zcard(keys.places(desk.hook_id)) == 0
    assert desk.runtime.redis.zcard(keys.calls(desk.hook_id)) == 0
    redis_lock = f"lock:{keys.mailbox_lock(f'{desk.hook_id}:1')}"
    desk.runtime.redis.set(redis_lock, f"{ELSEWHERE}x")
    desk.drain()
    assert desk.runtime.redis.zcard(keys.places(desk.hook_id)) == 0
