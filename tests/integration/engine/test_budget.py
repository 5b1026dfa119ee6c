"""A CRM with a limit of its own is asked for no more than it takes, by all workers together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from redis import Redis

from crm_sync import keys, owner
from crm_sync.crms.base import Pace
from crm_sync.engine.limits import Budget, Ceiling
from crm_sync.errors import NotYet
from tests.integration.engine.conftest import Time

PACE = Pace(calls=10, per_s=60.0, room=4)


def spent(budget: Budget, calls: int, *, begins: bool = False, claim: str = "claim") -> int:
    """How many of so many calls could be made."""
    made = 0
    for _ in range(calls):
        try:
            budget.spend(1, claim, PACE, begins=begins)
        except NotYet:
            continue
        made += 1
    return made


def test_no_span_of_the_limit_holds_more_calls_than_it_allows(redis: Redis, time: Time) -> None:
    budget = Budget(redis, clock=time)
    made: list[float] = []
    for _ in range(400):
        made += [time.now] * spent(budget, 2)
        time.now += 3.7
    for start in made:
        assert sum(start <= moment < start + PACE.per_s for moment in made) <= PACE.calls


def test_who_is_turned_away_is_told_when_there_is_room(redis: Redis, time: Time) -> None:
    budget = Budget(redis, clock=time)
    spent(budget, 3)
    time.now += 20
    spent(budget, 7)
    with pytest.raises(NotYet) as caught:
        budget.spend(1, "claim", PACE, begins=False)
    assert caught.value.until == datetime.fromtimestamp(1_000_060.0, UTC)
    time.now = 1_000_060.0
    assert spent(budget, 9) == 3


def test_an_event_begins_only_where_there_is_room_for_it(redis: Redis, time: Time) -> None:
    budget = Budget(redis, clock=time)
    spent(budget, 7)
    assert spent(budget, 1, begins=True) == 0
    assert spent(budget, 5) == 3


def test_what_the_crm_says_is_left_counts_if_it_is_less(redis: Redis, time: Time) -> None:
    budget = Budget(redis, clock=time)
    spent(budget, 2)
    budget.hear(1, "claim", PACE, 3)
    assert spent(budget, 10) == 3
    budget.hear(1, "claim", PACE, 9)
    assert spent(budget, 10) == 0
    time.now += 60
    assert spent(budget, 20) == 10


def test_each_hook_has_a_budget_of_its_own(redis: Redis, time: Time) -> None:
    budget = Budget(redis, clock=time)
    spent(budget, 10)
    budget.spend(2, "claim", PACE, begins=True)


def test_many_workers_spend_one_budget(redis: Redis, time: Time) -> None:
    budgets = [Budget(redis, clock=time) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(spent, budget, 5, claim=owner.new_claim()) for budget in budgets]
        assert sum(item.result() for item in work) == PACE.calls


def test_a_call_that_is_not_made_takes_no_place_among_those_in_flight(redis: Redis, time: Time) -> None:
    ceiling = Ceiling(redis, size=1, call_s=60, clock=time)
    for _ in range(PACE.calls):
        ceiling.begin(1, "claim", PACE)
        ceiling.end(1, "claim", PACE)
    with pytest.raises(NotYet):
        ceiling.begin(1, "claim", PACE)
    assert redis.zcard(keys.calls(1)) == 0


def test_without_redis_there_is_no_limit() -> None:
    with keys.connect("redis://127.0.0.1:1/0", timeout_s=0.2) as away:
        budget = Budget(away)
        budget.spend(1, "claim", PACE, begins=True)
        budget.hear(1, "claim", PACE, 0)
