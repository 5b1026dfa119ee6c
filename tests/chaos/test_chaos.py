"""The fault run keeps the promise, and would say so if it did not: without a part of the engine it breaks it.

Each scenario aims at one moment in which only one part of the engine stands between a fault and a broken promise; it is
played with the whole engine, and with that part taken out (see saboteurs.py). All of it with real processes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from crm_sync.engine.runtime import Runtime
from crm_sync.store import journal
from tests.chaos.judge import Judgement, judge
from tests.chaos.run import run, wait_settled
from tests.chaos.saboteurs import environment
from tests.chaos.storm import FAULTS
from tests.servers import wait_for
from tests.system import System, running

pytestmark = pytest.mark.slow

#: How long a scenario may take to become quiet, in seconds: with the whole engine, and where it never will.
QUIET_S, BROKEN_S = 60.0, 12.0
#: Longer than a write of unknown outcome is given to settle, in seconds.
SLOW_S = 4.0
WIDGET = 4
#: Of the run in which everything breaks: its seed, and how long its day lasts, in seconds.
SEED, STORM_S = 7, 15.0


def say(words: str) -> None:
    print(words)


def one_conversation(system: System) -> None:
    """Somebody writes, and Chatwoot has the answer to each of its deliveries."""
    contact = system.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    system.chatwoot.create_conversation(contact.id, WIDGET, "My order did not arrive.")
    assert system.chatwoot.wait_delivered(30)
    assert {delivery.status for delivery in system.chatwoot.deliveries} == {202}


def once(method: str, path: str, act: Callable[[], None]) -> Callable[[str, str], None]:
    """Do something at the first call of this method and path."""
    guard = threading.Lock()

    def called(its_method: str, its_path: str) -> None:
        if its_method == method and its_path.endswith(path) and guard.acquire(blocking=False):
            act()

    return called


def killed_after_a_post(system: System, _runtime: Runtime) -> None:
    """SIGKILL to the worker when GLPI has made the ticket and has not said so yet."""
    system.gate.after = once("POST", "/Ticket", lambda: system.kill("worker"))
    one_conversation(system)
    wait_for(lambda: "worker" not in system.processes, 30, "the worker is dead")
    system.start("worker")


def forgotten_locks_while_glpi_is_slow(system: System, runtime: Runtime) -> None:
    """Redis forgets the mutex of a worker that waits for GLPI to make a ticket."""
    arrived, ended = threading.Event(), threading.Event()
    waited: set[int] = set()

    def slowly() -> None:
        waited.add(threading.get_ident())
        arrived.set()
        ended.wait(SLOW_S)

    def handled(_method: str, _path: str) -> None:
        if threading.get_ident() in waited:
            ended.set()

    system.gate.before = once("POST", "/Ticket", slowly)
    system.gate.after = handled
    one_conversation(system)
    assert arrived.wait(30)
    system.flush_redis()
    # Everything that is to be done is announced once more, as any wake-up may be.
    with runtime.store.read() as session:
        runtime.alarm.wake(journal.waiting_mailboxes(session, 1))
    assert ended.wait(30), "GLPI has made the ticket at last"


def forgotten_wake_ups(system: System, _runtime: Runtime) -> None:
    """Redis forgets the wake-ups of deliveries that were answered, before any worker saw them."""
    system.kill("worker")
    one_conversation(system)
    system.flush_redis()
    system.start("worker")


SCENARIOS = {
    "search": killed_after_a_post,
    "claim": forgotten_locks_while_glpi_is_slow,
    "sweep": forgotten_wake_ups,
}


def play(scenario: str, *, without: str = "") -> Judgement:
    """A scenario with real processes, whose engine may miss a part."""
    with running("web", "worker", "beat", env=environment(without)) as (system, runtime):
        system.connect(runtime)
        SCENARIOS[scenario](system, runtime)
        wait_settled(system, runtime, BROKEN_S if without else QUIET_S, say)
        return judge(system, runtime)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_promise_is_kept_at_the_worst_moment(scenario: str) -> None:
    found = play(scenario)
    assert found.passed, found.problems
    assert found.figures["events"] == found.figures["done"] > 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("missing", "broken"), [("search", "duplicates"), ("claim", "duplicates"), ("sweep", "lost")]
)
def test_the_promise_is_broken_when_a_part_is_missing(missing: str, broken: str) -> None:
    found = play(missing, without=missing)
    assert found.figures[broken] > 0, found
    assert not found.passed


@pytest.mark.timeout(300)
def test_the_promise_is_kept_when_everything_breaks_all_the_time() -> None:
    found = run(SEED, STORM_S, faults_at_least=len(FAULTS), size=0.4, say=say)
    assert found.passed, found.problems
    assert found.figures["deliveries"] > 200
    assert found.figures["faults"] > len(FAULTS)
    assert found.figures["failed"] == 0
