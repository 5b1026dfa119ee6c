"""Plays the day, kills a worker in the middle, lets people work in the CRMs when all has settled, and compares."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from crm_sync import clock
from crm_sync.demo import reconcile as judge, salesperson, technician
from crm_sync.demo.stage import Stage, Stopped
from crm_sync.demo.tally import Tally, tally
from crm_sync.engine import operate
from crm_sync.sandbox import day

#: Share of the CRMs' answers that fail while the day is played.
FAIL_RATE = 0.02
#: When the worker is killed, as a share of the day.
KILL_AT = 0.5
#: How long the rest may take once the day is over, in seconds.
WAIT_S = 90.0
#: Steps between two looks at how far the deliveries are: the day must not run away from its webhooks.
_PACE = 8
_POLL_S = 0.25


class Progress(Protocol):
    """Shows how far the demo is."""

    def say(self, words: str) -> None:
        """Something happened."""
        ...

    def played(self, steps: int, total: int) -> None:
        """So many steps of the day are over."""
        ...

    def counted(self, deliveries: int, ended: int, events: int) -> None:
        """So many deliveries were sent, and so many of the events have ended."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo found."""

    report: judge.Report
    tally: Tally
    seconds: float


def run(stage: Stage, steps: Sequence[day.Step], progress: Progress, stopping: threading.Event) -> Result:
    """Play and judge. Raises Stopped when ``stopping`` is set meanwhile."""
    started = clock.now()
    actors = _Actors(stage, len(steps), progress, stopping)
    stage.let_crms_fail(FAIL_RATE)
    played = day.play(stage.chatwoot, steps, on_step=actors.stepped)
    progress.say(f"The day is over; waiting until everything has ended (at most {WAIT_S:g} s).")
    settled = wait_settled(stage, progress, stopping)
    if not settled:
        progress.say(f"Not everything ended within {WAIT_S:g} s.")
    stage.let_crms_fail(0)
    visits = []
    for person in (technician, salesperson):
        visit = person.visit(stage, lambda: wait_settled(stage, progress, stopping), stopping)
        progress.say(visit.words)
        visits.append(visit)
    statuses = {number: status for visit in visits for number, status in visit.statuses.items()}
    counted = tally(stage.runtime, sent=len(stage.chatwoot.deliveries))
    planned = day.expected(steps)
    expected = {
        played.conversations[number]: replace(
            item, status=statuses.get(played.conversations[number], item.status)
        )
        for number, item in planned.items()
    }
    report = judge.reconcile(
        stage.chatwoot_dump(),
        stage.crm_dumps(),
        counted.as_journal(),
        expected,
        faults=actors.kills + stage.faults(),
        files=True,
    )
    report = replace(
        report, problems=(*report.problems, *(one for visit in visits for one in visit.problems))
    )
    return Result(report, counted, (clock.now() - started).total_seconds())


def wait_settled(stage: Stage, progress: Progress, stopping: threading.Event) -> bool:
    """Wait until every delivery is sent, every event ended and every write-back done; whether they are."""
    polls = round(WAIT_S / _POLL_S)
    for _ in range(polls):
        if stopping.wait(_POLL_S):
            raise Stopped
        quiet_before = stage.chatwoot.wait_delivered(0)
        if _show(stage, progress) == 0 and quiet_before and stage.chatwoot.wait_delivered(0):
            return True
    return False


class _Actors:
    """What happens beside the day: its pace is kept, and the worker is killed."""

    def __init__(self, stage: Stage, total: int, progress: Progress, stopping: threading.Event) -> None:
        self.kills = 0
        self._stage = stage
        self._total = total
        self._progress = progress
        self._stopping = stopping
        self._steps = 0

    def stepped(self, _step: day.Step) -> None:
        """Called after each step of the day."""
        if self._stopping.is_set():
            raise Stopped
        self._steps += 1
        self._progress.played(self._steps, self._total)
        if not self.kills and self._steps >= self._total * KILL_AT:
            self._kill()
        if self._steps % _PACE == 0:
            self._stage.chatwoot.wait_delivered(2.0)
            _show(self._stage, self._progress)

    def _kill(self) -> None:
        pid = self._stage.kill_worker()
        if pid is not None:
            self.kills += 1
            self._progress.say(
                f"Killed the worker (process {pid}) with SIGKILL; the supervisor starts it again."
            )


def _show(stage: Stage, progress: Progress) -> int:
    """Show the figures; how much is still to be done."""
    found = operate.stats(stage.runtime)
    events = found["events"]
    total = sum(events.values())
    progress.counted(len(stage.chatwoot.deliveries), total - events["pending"], total)
    return int(events["pending"] + found["write_backs_waiting"])
