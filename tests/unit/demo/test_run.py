"""The demo waits for what is under way, does not wait for ever, and stops when it is told to."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from crm_sync.demo import run as demo
from crm_sync.demo.stage import Stopped


class Recorder:
    """Takes down what would be shown."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.figures: list[tuple[int, int, int]] = []
        self.steps = 0

    def say(self, words: str) -> None:
        self.said.append(words)

    def played(self, steps: int, total: int) -> None:
        assert steps <= total
        self.steps = steps

    def counted(self, deliveries: int, ended: int, events: int) -> None:
        self.figures.append((deliveries, ended, events))


class NeverStopped(threading.Event):
    """An event nobody sets; waiting for it takes no time."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as the real one
        return False


def stage(**more: Any) -> Any:
    chatwoot = SimpleNamespace(deliveries=[1, 2, 3], wait_delivered=lambda _timeout: True)
    return SimpleNamespace(**{"chatwoot": chatwoot, "runtime": None, "kill_worker": lambda: 42, **more})


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(pending, write-backs waiting) at each look, the last one for ever."""
    looks = [(0, 0)]

    def stats(_runtime: object) -> dict[str, Any]:
        pending, waiting = looks.pop(0) if len(looks) > 1 else looks[0]
        return {"events": {"pending": pending, "done": 5}, "write_backs_waiting": waiting}

    monkeypatch.setattr(demo.operate, "stats", stats)
    return looks


def test_it_is_settled_when_every_event_has_ended_and_every_write_back_is_done(
    journal: list[tuple[int, int]],
) -> None:
    journal[:] = [(2, 1), (0, 1), (0, 0)]
    shown = Recorder()
    assert demo.wait_settled(stage(), shown, NeverStopped())
    assert shown.figures == [(3, 5, 7), (3, 5, 5), (3, 5, 5)]


def test_it_gives_up_when_something_never_ends(journal: list[tuple[int, int]]) -> None:
    journal[:] = [(1, 0)]
    assert not demo.wait_settled(stage(), Recorder(), NeverStopped())


def test_waiting_and_playing_end_when_somebody_stops_the_demo() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Stopped):
        demo.wait_settled(stage(), Recorder(), stopping)
    with pytest.raises(Stopped):
        demo._Actors(stage(), 10, Recorder(), stopping).stepped(None)  # type: ignore[arg-type]


def test_the_worker_is_killed_once_in_the_middle_as_soon_as_there_is_one(
    journal: list[tuple[int, int]],
) -> None:
    assert journal
    pids = iter([None, 42, 43])
    shown = Recorder()
    actors = demo._Actors(stage(kill_worker=lambda: next(pids)), 10, shown, NeverStopped())
    for _ in range(10):
        actors.stepped(None)  # type: ignore[arg-type]
    assert actors.kills == 1
    assert shown.said == ["Killed the worker (process 42) with SIGKILL; the supervisor starts it again."]
    assert shown.steps == 10
