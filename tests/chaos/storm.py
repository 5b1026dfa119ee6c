"""The faults of a fault run: what breaks, when, and how it is mended. The same seed plans the same faults."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from crm_sync.sandbox import day
from tests.servers import wait_for
from tests.system import System

WORKERS = ("worker", "worker-2")
#: How long Chatwoot may take to send what it has in hand, in seconds.
SEND_S = 30.0


class Street:
    """The day, played by a thread of its own at an even pace; it can be held up so that no delivery is under way."""

    def __init__(self, system: System, plan: Sequence[day.Step], seconds: float) -> None:
        self.plan = plan
        self.steps = 0
        self._system = system
        self._played: day.Played | None = None
        self._error: BaseException | None = None
        self._pause_s = seconds / max(1, len(plan))
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._play, name="day", daemon=True)

    @property
    def over(self) -> bool:
        """Whether the day is over."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Let the day begin."""
        self._thread.start()

    def expected(self) -> Mapping[int, day.Expected]:
        """After the day: what must be known of each conversation, by its id in Chatwoot."""
        if self._played is None:
            raise RuntimeError("The day did not come to its end.") from self._error
        return {self._played.conversations[number]: one for number, one in day.expected(self.plan).items()}

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Nothing happens in Chatwoot within this block, and every delivery before it was answered."""
        with self._turn:
            wait_for(lambda: self._system.chatwoot.wait_delivered(1), SEND_S, "Chatwoot has sent everything")
            yield

    def _play(self) -> None:
        try:
            with self._turn:
                self._played = day.play(self._system.chatwoot, self.plan, on_step=self._stepped)
        except Exception as error:  # noqa: BLE001 - whoever asks for the end of the day is told
            self._error = error

    def _stepped(self, _step: day.Step) -> None:
        self.steps += 1
        self._turn.release()
        try:
            time.sleep(self._pause_s)
        finally:
            self._turn.acquire()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks. ``strike`` breaks and mends it; ``words`` say what it is."""

    words: str
    strike: Callable[[Storm, random.Random], None]


class Storm:
    """Lets faults happen to a system while the day goes on."""

    def __init__(self, system: System, street: Street, seed: int, say: Callable[[str], None]) -> None:
        self.system = system
        self.street = street
        self.struck = 0
        self._say = say
        self._random = random.Random(seed)
        self._order = self._deal()

    def blow(self) -> None:
        """One fault, chosen by the seed, and its mending; then all that died of it is started again."""
        fault = next(self._order)
        self._say(fault.words)
        fault.strike(self, self._random)
        self.struck += 1
        self.mend()

    def pause(self, least_s: float, most_s: float) -> None:
        """Time in which the system runs, hurt as it is."""
        time.sleep(self._random.uniform(least_s, most_s))

    def mend(self) -> None:
        """Start what is not running, as a supervisor does (kombu ends a worker whose Redis died at a bad moment)."""
        for name, process in list(self.system.processes.items()):
            if process.poll() is not None and name != "redis":
                self._say(f"{name} ended by itself with status {process.returncode}; it is started again")
                self.system.processes.pop(name)
                self.system.launch(name)

    def calm(self) -> None:
        """Everything runs again, and nothing fails any more."""
        for crm in (self.system.glpi, self.system.krayin):
            crm.faults.change({"down": False, "fail_rate": 0.0})
        self.system.chatwoot.faults.change({"fail_rate": 0.0})
        self.mend()
        for name in (*WORKERS, "beat", "web"):
            self.system.wait_ready(name)

    def _deal(self) -> Iterator[Fault]:
        """Every fault once, in any order, then anew."""
        while True:
            yield from self._random.sample(FAULTS, len(FAULTS))


def _kill_workers(*names: str) -> Callable[[Storm, random.Random], None]:
    def strike(storm: Storm, _random: random.Random) -> None:
        for name in names:
            storm.system.kill(name)
        storm.pause(0.2, 1.0)
        for name in names:
            storm.system.launch(name)

    return strike


def _flush(storm: Storm, _random: random.Random) -> None:
    storm.system.flush_redis()


def _restart_redis(storm: Storm, _random: random.Random) -> None:
    storm.system.kill("redis")
    storm.pause(0.2, 2.0)
    storm.system.start_redis()


def _freeze_redis(storm: Storm, _random: random.Random) -> None:
    storm.system.freeze("redis")
    storm.pause(0.5, 3.5)
    storm.system.thaw("redis")


def _freeze_worker(storm: Storm, chance: random.Random) -> None:
    name = chance.choice(WORKERS)
    storm.system.freeze(name)
    # Shorter than its lease: what it was about to send when it was stopped must still be its own.
    storm.pause(0.5, 3.0)
    storm.system.thaw(name)


def _restart_web(storm: Storm, _random: random.Random) -> None:
    with storm.street.held_up():
        storm.system.kill("web")
        storm.system.launch("web")
        storm.system.wait_ready("web")


def _kill_beat(storm: Storm, _random: random.Random) -> None:
    storm.system.kill("beat")
    storm.pause(0.2, 2.0)
    storm.system.launch("beat")


def _glpi_down(storm: Storm, _random: random.Random) -> None:
    storm.system.faults += 1
    storm.system.glpi.faults.change({"down": True})
    storm.pause(1.0, 4.0)
    storm.system.glpi.faults.change({"down": False})


def _krayin_down(storm: Storm, _random: random.Random) -> None:
    storm.system.faults += 1
    storm.system.krayin.faults.change({"down": True})
    storm.pause(1.0, 4.0)
    storm.system.krayin.faults.change({"down": False})


def _expire(storm: Storm, _random: random.Random) -> None:
    storm.system.faults += 1
    requests.post(f"{storm.system.glpi_url}/_sandbox/sessions/expire", timeout=10).raise_for_status()


FAULTS = (
    Fault("SIGKILL to the first worker", _kill_workers("worker")),
    Fault("SIGKILL to the second worker", _kill_workers("worker-2")),
    Fault("SIGKILL to both workers", _kill_workers(*WORKERS)),
    Fault("a worker stands still for a moment", _freeze_worker),
    Fault("Redis is flushed", _flush),
    Fault("Redis is killed, and comes back empty", _restart_redis),
    Fault("Redis stands still for a moment", _freeze_redis),
    Fault("SIGKILL to the web process, between two deliveries", _restart_web),
    Fault("SIGKILL to the beat", _kill_beat),
    Fault("GLPI is down for a while", _glpi_down),
    Fault("Krayin is down for a while", _krayin_down),
    Fault("GLPI forgets all sessions", _expire),
)
