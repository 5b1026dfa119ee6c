"""The mutex: never waits, is taken over from the dead at once, and its loss is noticed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from crm_sync import keys, owner
from crm_sync.locks import Busy, Mutexes
from tests.servers import wait_for

GONE = owner.new_claim().split("/")[0] + "/99999999/1/abc"
ELSEWHERE = "another-machine/1/1/abc"
NAME = keys.mailbox_lock("1:1")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with keys.connect(redis_url) as client:
        yield client


@pytest.fixture
def mutexes(redis: Redis) -> Mutexes:
    return Mutexes(redis, 60)


def test_somebody_else_is_turned_away_at_once_while_a_mutex_is_held(mutexes: Mutexes) -> None:
    with mutexes.hold(NAME, owner.new_claim()), pytest.raises(Busy), mutexes.hold(NAME, owner.new_claim()):
        pytest.fail("both hold it")


def test_a_mutex_is_free_after_its_block_however_that_ended(mutexes: Mutexes) -> None:
    with pytest.raises(ZeroDivisionError), mutexes.hold(NAME, owner.new_claim()):
        raise ZeroDivisionError
    with mutexes.hold(NAME, owner.new_claim()):
        pass


def test_mutexes_of_other_names_do_not_meet(mutexes: Mutexes) -> None:
    with mutexes.hold(NAME, owner.new_claim()), mutexes.hold(keys.mailbox_lock("1:2"), owner.new_claim()):
        pass


def test_a_mutex_of_the_dead_is_taken_over(mutexes: Mutexes, redis: Redis) -> None:
    redis.set(f"lock:{NAME}", GONE)
    with mutexes.hold(NAME, owner.new_claim()), pytest.raises(Busy), mutexes.hold(NAME, owner.new_claim()):
        pytest.fail("both hold it")


def test_a_mutex_of_another_machine_is_respected(mutexes: Mutexes, redis: Redis) -> None:
    redis.set(f"lock:{NAME}", ELSEWHERE)
    with pytest.raises(Busy), mutexes.hold(NAME, owner.new_claim()):
        pytest.fail("it was taken")


def test_a_mutex_runs_out_when_its_holder_falls_silent(redis: Redis) -> None:
    short = Mutexes(redis, 1)
    with short.hold(NAME, owner.new_claim()):
        wait_for(lambda: not redis.exists(f"lock:{NAME}"), 10, "the lease runs out")
        with short.hold(NAME, owner.new_claim()) as second:
            assert second.renew()


def test_a_mutex_that_is_renewed_has_its_whole_lease_again(mutexes: Mutexes, redis: Redis) -> None:
    with mutexes.hold(NAME, owner.new_claim()) as mutex:
        redis.expire(f"lock:{NAME}", 2)
        assert mutex.renew()
        assert redis.ttl(f"lock:{NAME}") > 50


def test_a_lost_mutex_is_noticed_and_letting_it_go_does_no_harm(mutexes: Mutexes, redis: Redis) -> None:
    with mutexes.hold(NAME, owner.new_claim()) as mutex:
        redis.flushall()
        assert not mutex.renew()
        with mutexes.hold(NAME, owner.new_claim()) as other:
            assert other.renew()


def test_letting_go_does_not_take_the_mutex_from_its_next_holder(mutexes: Mutexes, redis: Redis) -> None:
    with mutexes.hold(NAME, owner.new_claim()):
        redis.set(f"lock:{NAME}", ELSEWHERE)
    assert redis.get(f"lock:{NAME}") == ELSEWHERE.encode()
