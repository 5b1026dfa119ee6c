"""The supervisor, with small programs for parts."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from crm_sync.errors import CrmSyncError
from crm_sync.supervisor import processes
from crm_sync.supervisor.processes import Part, Supervisor, stopped_by_signals
from tests.servers import wait_for

QUICK = (0.01,)


def _part(name: str, program: str, ready: Callable[[], bool] = lambda: True) -> Part:
    return Part(name, [sys.executable, "-u", "-c", program], dict(os.environ), ready)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Run:
    """A supervisor that runs in a thread, and what came of it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.ready = threading.Event()
        self.announced = 0
        self.error: CrmSyncError | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.supervisor.run(self._on_ready)
        except CrmSyncError as error:
            self.error = error

    def _on_ready(self) -> None:
        self.announced += 1
        self.ready.set()

    def end(self) -> None:
        self.supervisor.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@contextmanager
def _running(parts: Sequence[Part], output: io.StringIO | None = None, **options: float) -> Iterator[Run]:
    supervisor = Supervisor(
        parts,
        output=io.StringIO() if output is None else output,
        backoff_s=QUICK,
        stop_timeout_s=options.get("stop_timeout_s", 20),
    )
    run = Run(supervisor)
    run.thread.start()
    try:
        yield run
    finally:
        run.end()


SLEEP = "import time; time.sleep(600)"


def test_it_says_ready_once_when_every_part_is_ready() -> None:
    gate = threading.Event()
    with _running([_part("a", SLEEP), _part("b", SLEEP, gate.is_set)]) as run:
        assert not run.ready.wait(0.3)
        gate.set()
        wait_for(run.ready.is_set, 20, "ready")
        os.kill(run.supervisor.pids()["a"], signal.SIGKILL)
        wait_for(lambda: len(run.supervisor.pids()) == 2, 20, "both run")
    assert run.announced == 1


def test_every_line_comes_out_under_the_name_of_its_part() -> None:
    output = io.StringIO()
    with _running(
        [_part("web", f"print('one'); print('two'); {SLEEP}"), _part("worker", f"print('three'); {SLEEP}")],
        output,
    ):
        wait_for(lambda: output.getvalue().count("\n") == 3, 20, "three lines")
    lines = output.getvalue().splitlines()
    assert [line for line in lines if line.startswith("web ")] == ["web    | one", "web    | two"]
    assert "worker | three" in lines


def test_lines_stay_as_they_are_without_a_prefix() -> None:
    output = io.StringIO()
    supervisor = Supervisor([_part("web", f"print('{{}}'); {SLEEP}")], output=output, prefix=False)
    run = Run(supervisor)
    run.thread.start()
    wait_for(lambda: output.getvalue() == "{}\n", 20, "the bare line")
    run.end()


def test_a_part_that_crashes_is_started_again() -> None:
    output = io.StringIO()
    with _running([_part("web", SLEEP)], output) as run:
        wait_for(run.ready.is_set, 20, "ready")
        first = run.supervisor.pids()["web"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: run.supervisor.pids().get("web", first) != first, 20, "another process")
    assert "web | ended by SIGKILL; starting it again in 0.01 s" in output.getvalue()


def test_a_part_that_keeps_ending_after_it_was_ready_is_started_again_and_again(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.touch()
    program = f"open({str(count)!r}, 'a').write('x'); import time; time.sleep(0.3)"
    with _running([_part("web", program)]):
        wait_for(lambda: len(count.read_text()) >= 5, 30, "five starts")


def test_pauses_grow_and_begin_anew_after_a_stable_run() -> None:
    output = io.StringIO()
    child = processes._Child(_part("web", "pass"), (1.0, 2.0))
    child.printer = processes._Printer("web", output, None)
    child.was_ready = True
    child._ended(1, 0.0)
    child._ended(1, 1.0)
    child._ended(1, 2.0)
    child._ended(0, processes.STABLE_S)
    assert [line.split()[-2] for line in output.getvalue().splitlines()] == ["1", "2", "2", "1"]


def test_a_part_that_never_starts_is_an_error_with_its_last_words() -> None:
    with _running(
        [_part("web", "print('no such table'); raise SystemExit(3)", lambda: False), _part("other", SLEEP)]
    ) as run:
        run.thread.join(30)
        assert not run.supervisor.pids()
    assert run.error is not None
    assert str(run.error) == "web does not start (ended with status 3). Its last words: no such table"
    assert not run.ready.is_set()


def test_a_part_that_never_starts_and_says_nothing_is_an_error_too() -> None:
    with _running([_part("web", "raise SystemExit(1)", lambda: False)]) as run:
        run.thread.join(30)
    assert str(run.error).endswith("It said nothing.")


def test_what_a_part_said_is_passed_on_when_it_is_asked_to_end() -> None:
    program = (
        "import signal, sys, time\n"
        "def end(*_): print('finishing'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up'); time.sleep(600)"
    )
    output = io.StringIO()
    with _running([_part("web", program)], output):
        wait_for(lambda: "up" in output.getvalue(), 20, "it runs")
    assert output.getvalue() == "web | up\nweb | finishing\n"


def test_a_part_that_does_not_end_is_made_to_with_everything_it_started() -> None:
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid); time.sleep(600)"
    )
    output = io.StringIO()
    with _running([_part("web", program)], output, stop_timeout_s=0.2) as run:
        wait_for(lambda: output.getvalue().endswith("\n"), 20, "it runs")
        pids = [run.supervisor.pids()["web"], int(output.getvalue().split()[-1])]
        assert all(map(_lives, pids))
    wait_for(lambda: not any(map(_lives, pids)), 20, "nothing is left")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    run = _owner(tmp_path)
    with run as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.send_signal(number)
        assert owner.wait(30) == 0
    wait_for(lambda: not _lives(pid), 20, "the part ends")


def test_no_part_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with _owner(tmp_path) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    wait_for(lambda: not _lives(pid), 20, "the part ends")


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with stopped_by_signals(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_signal_calls_stop_and_the_former_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    asked = threading.Event()
    with stopped_by_signals(asked.set):
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(asked.is_set, 20, "stop is called")
    assert signal.getsignal(signal.SIGTERM) == before


def _owner(tmp_path: Path) -> subprocess.Popen[bytes]:
    program = tmp_path / "owner.py"
    program.write_text(
        "import os, sys\n"
        "from crm_sync.supervisor.processes import Part, Supervisor, stopped_by_signals\n"
        "part = Part('web', [sys.executable, '-c', 'import time; time.sleep(600)'], dict(os.environ))\n"
        "supervisor = Supervisor([part])\n"
        "with stopped_by_signals(supervisor.stop):\n"
        "    supervisor.run(lambda: print(supervisor.pids()['web'], flush=True))\n"
    )
    return subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE)


def test_a_part_is_asked_to_end_only_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.touch()
    program = (
        "import signal, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: open({str(count)!r}, 'a').write('x'))\n"
        "print('up'); time.sleep(600)"
    )
    output = io.StringIO()
    with _running([_part("web", program)], output, stop_timeout_s=0.5):
        wait_for(lambda: "up" in output.getvalue(), 20, "it runs")
    assert count.read_text() == "x"
