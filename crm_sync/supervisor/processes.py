"""Runs the parts of the service as child processes, and keeps them running.

Guarantees: every line a part prints comes out whole, with its part's name before it; a part that ends is started
again, after a pause that grows while it keeps ending; a part that cannot start at all is an error with its own last
words, not an endless loop; at the end all parts are asked to end, and made to when the time is up.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TextIO

from crm_sync.errors import CrmSyncError
from crm_sync.supervisor import children

#: How long all parts together may take to end, in seconds: longer than a call to a CRM usually takes; one that is
#: cut off all the same is taken up again by the journal.
STOP_TIMEOUT_S = 25.0

#: Pauses before a part is started again, in seconds; the last one repeats.
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

#: A part that ran this long, in seconds, had recovered: its next pause is the first one again.
STABLE_S = 60.0

#: How often a part may end before it was ever ready.
START_TRIES = 3

_POLL_S = 0.1


def never_asked() -> bool:
    """The readiness of a part that is ready as soon as it runs."""
    return True


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the service. ``ready`` is asked again and again until it is true."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = never_asked
    #: Called before each start, to take back what a former run said.
    before: Callable[[], None] = field(default=lambda: None)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Inside this block SIGTERM and SIGINT call ``stop``; only the main thread hears signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(_number: int, _frame: FrameType | None) -> None:
        stop()

    former = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Supervisor:
    """Runs parts until it is told to stop."""

    def __init__(
        self,
        parts: Iterable[Part],
        *,
        output: TextIO | None = None,
        prefix: bool = True,
        stop_timeout_s: float = STOP_TIMEOUT_S,
        backoff_s: Sequence[float] = BACKOFF_S,
        stopping: threading.Event | None = None,
    ) -> None:
        output = sys.stderr if output is None else output
        self._children = [_Child(part, backoff_s) for part in parts]
        width = max((len(child.part.name) for child in self._children), default=0) if prefix else None
        for child in self._children:
            child.printer = _Printer(child.part.name, output, width)
        self._stop_timeout_s = stop_timeout_s
        self._stopping = threading.Event() if stopping is None else stopping

    def stop(self) -> None:
        """Have :meth:`run` end; may be called by any thread."""
        self._stopping.set()

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until stopped. Calls ``on_ready`` once, when every part is ready for the first time.

        Raises CrmSyncError when a part ends again and again without ever having been ready.
        """
        try:
            for child in self._children:
                child.start()
            self._watch(on_ready)
        finally:
            self._end()

    def pids(self) -> dict[str, int]:
        """The processes that run, by the name of their part."""
        return {
            child.part.name: child.process.pid
            for child in self._children
            if child.process is not None and child.process.poll() is None
        }

    def _watch(self, on_ready: Callable[[], None]) -> None:
        announced = False
        while not self._stopping.wait(_POLL_S):
            for child in self._children:
                child.look_after()
            if not announced and all(child.was_ready for child in self._children):
                announced = True
                on_ready()

    def _end(self) -> None:
        deadline = time.monotonic() + self._stop_timeout_s
        for child in self._children:
            if child.process is not None:
                children.terminate(child.process)
        for child in self._children:
            if child.process is not None:
                children.wait(child.process, max(0.0, deadline - time.monotonic()))
                # What it started goes with it, even if it did not look after that itself.
                children.kill(child.process)
                child.printer.finish()


class _Child:
    """A part and its process."""

    printer: _Printer

    def __init__(self, part: Part, backoff_s: Sequence[float]) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.was_ready = False
        self._backoff_s = backoff_s
        self._failures = 0
        self._started_at = 0.0
        self._again_at: float | None = None

    def start(self) -> None:
        self.part.before()
        self._again_at = None
        self._started_at = time.monotonic()
        self.process = children.spawn(
            self.part.command, env=self.part.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.printer.follow(self.process)

    def look_after(self) -> None:
        """Start the process again when it ended and its pause is over; note when it is ready."""
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self.start()
            return
        status = None if self.process is None else self.process.poll()
        if status is None:
            self.was_ready = self.was_ready or self.part.ready()
            return
        if self.process is not None:
            children.kill(self.process)
        self._ended(status, now)

    def _ended(self, status: int, now: float) -> None:
        if now - self._started_at >= STABLE_S:
            self._failures = 0
        pause = self._backoff_s[min(self._failures, len(self._backoff_s) - 1)]
        self._failures += 1
        self.printer.finish()
        if not self.was_ready and self._failures >= START_TRIES:
            raise CrmSyncError(
                f"{self.part.name} does not start ({_words(status)}). {self.printer.last_words()}"
            )
        self.printer.print(f"{_words(status)}; starting it again in {pause:g} s")
        self._again_at = now + pause


class _Printer:
    """Passes on what a process prints, line by line."""

    #: One line at a time, whoever prints it.
    _turn = threading.Lock()

    def __init__(self, name: str, output: TextIO, width: int | None) -> None:
        self._output = output
        self._prefix = "" if width is None else f"{name:<{width}} | "
        self._last: deque[str] = deque(maxlen=5)
        self._reader: threading.Thread | None = None

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        self._last.clear()
        self._reader = threading.Thread(target=self._copy, args=(process,), daemon=True)
        self._reader.start()

    def finish(self) -> None:
        """Wait until everything that was printed is passed on."""
        if self._reader is not None:
            self._reader.join(1.0)

    def print(self, line: str) -> None:
        with self._turn:
            self._output.write(f"{self._prefix}{line}\n")
            self._output.flush()

    def last_words(self) -> str:
        return f"Its last words: {' / '.join(self._last)}" if self._last else "It said nothing."

    def _copy(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        with process.stdout as lines:
            for raw in lines:
                line = raw.decode(errors="replace").rstrip()
                self._last.append(line)
                self.print(line)


def _words(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
