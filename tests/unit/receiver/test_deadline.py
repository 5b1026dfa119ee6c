"""Nobody waits for a database longer than there is time, and nothing that ended is taken for late."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from crm_sync.receiver.deadline import Deadline, Overdue


class Clock:
    """Monotonic time, as the test wants it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stuck() -> Any:
    """Work that does not end until the test does."""
    release = threading.Event()
    yield release.wait
    release.set()


def test_the_result_and_the_error_of_the_work_are_its_own() -> None:
    subject = Deadline()
    assert subject.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        subject.run(lambda: 1 // 0)


def test_an_error_about_time_of_the_work_is_not_taken_for_ours() -> None:
    def raises() -> None:
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work"):
        Deadline().run(raises)
    assert Deadline().run(lambda: 7) == 7


def test_work_that_does_not_end_is_overdue(stuck: Any) -> None:
    with pytest.raises(Overdue):
        Deadline(limit_s=0.01).run(stuck)


def test_others_are_refused_at_once_for_a_moment_after_that_and_then_tried_again(stuck: Any) -> None:
    clock = Clock()
    subject = Deadline(limit_s=0.01, rest_s=1.0, clock=clock)
    with pytest.raises(Overdue):
        subject.run(stuck)
    tried: list[str] = []
    with pytest.raises(Overdue):
        subject.run(lambda: tried.append("too early"))
    clock.now += 1.0
    subject.run(lambda: tried.append("again"))
    assert tried == ["again"]


def test_nobody_is_refused_any_more_when_what_was_overdue_has_ended(stuck: Any) -> None:
    subject = Deadline(limit_s=0.01, rest_s=3600.0)
    with pytest.raises(Overdue):
        subject.run(stuck)
    with pytest.raises(Overdue):
        subject.run(lambda: 7)
    stuck.__self__.set()
    subject._pool.shutdown(wait=True)
    subject._pool = ThreadPoolExecutor(1)
    assert subject.run(lambda: 7) == 7


def test_work_that_never_began_is_not_done_later(stuck: Any) -> None:
    subject = Deadline(limit_s=0.01, rest_s=0.0, threads=1)
    late: list[str] = []
    with pytest.raises(Overdue):
        subject.run(stuck)
    with pytest.raises(Overdue):
        subject.run(lambda: late.append("done behind our back"))
    stuck.__self__.set()
    subject._pool.shutdown(wait=True)
    assert late == []


def test_work_that_ends_at_the_very_last_moment_has_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Future.result

    def too_late(self: Future[Any], timeout: float | None = None) -> Any:
        """The work ends after the waiting did and before anybody looks."""
        found = real(self)
        if timeout is not None:
            raise TimeoutError
        return found

    monkeypatch.setattr(Future, "result", too_late)
    assert Deadline().run(lambda: 7) == 7
