"""An answer is kept for a while, a failure is not."""

from __future__ import annotations

import pytest

from crm_sync.chatwoot.cache import Cached


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_kept_until_it_is_old() -> None:
    clock, answers = Clock(), iter("abc")
    cached = Cached(lambda: next(answers), keep_s=60, clock=clock)
    assert [cached.get(), cached.get()] == ["a", "a"]
    clock.now += 30
    assert cached.get(max_age_s=10) == "b"
    clock.now += 61
    assert cached.get() == "c"


def test_a_failure_is_not_kept() -> None:
    answers = iter([ValueError("down"), "a"])

    def fetch() -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return str(answer)

    cached = Cached(fetch, keep_s=60, clock=Clock())
    with pytest.raises(ValueError, match="down"):
        cached.get()
    assert cached.get() == "a"
