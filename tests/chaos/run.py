"""The fault run: a day of support traffic while everything that can break does, and a verdict at the end.

``make chaos`` runs it. What happens is said on standard error; the last line on standard output is one JSON object.
The exit status is 0 only if nothing was lost, doubled or put out of order (see judge.py for what that means).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from crm_sync.engine.runtime import Runtime
from crm_sync.sandbox import day
from tests.chaos.judge import Judgement, judge
from tests.chaos.storm import WORKERS, Storm, Street
from tests.system import System, counts, running, write_backs

#: How long the day lasts, in seconds.
SECONDS = 45.0
#: How long everything may take to settle after the last fault, in seconds.
QUIET_S = 150.0
#: How often the figures are said meanwhile, in seconds.
TELL_EVERY_S = 5.0
POLL_S = 0.1

#: Short times, in the right proportion; enough tries to outlive any fault of the storm.
OPTIONS = {
    "CRM_SYNC_SETTLE_S": "0.5",
    "CRM_SYNC_LOG_LEVEL": "ERROR",
}
GLPI = {"latency_ms": 10, "fail_rate": 0.03}
KRAYIN = {"latency_ms": 10, "fail_rate": 0.03}
CHATWOOT = {"latency_ms": 5, "fail_rate": 0.03}

Say = Callable[[str], None]


def run(seed: int, seconds: float, *, faults_at_least: int = 0, size: float = 1.0, say: Say) -> Judgement:
    """One fault run. ``size`` is how large the day is, compared with the usual one."""
    plan = day.plan(
        seed, contacts=round(44 * size), conversations=round(64 * size), messages=round(320 * size)
    )
    chatwoot = {"workers": 2, "seed": seed}
    say(f"Starting the service (seed {seed}).")
    with running(
        "web",
        *WORKERS,
        "beat",
        options=OPTIONS,
        glpi_options={"seed": seed},
        krayin_options={"seed": seed},
        chatwoot_options=chatwoot,
    ) as (system, runtime):
        system.connect(runtime, krayin=True, attachments="document")
        system.chatwoot.faults.change(CHATWOOT)
        system.glpi.faults.change(GLPI)
        system.krayin.faults.change(KRAYIN)
        street = Street(system, plan, seconds)
        storm = Storm(system, street, seed, lambda words: say(f"{_figures(system, runtime)}  {words}"))
        street.start()
        while not street.over or storm.struck < faults_at_least:
            storm.pause(0.5, 2.0)
            storm.blow()
        storm.calm()
        say("The day is over and everything runs again; waiting until all is quiet.")
        wait_settled(system, runtime, QUIET_S, say, meanwhile=storm.mend)
        return judge(system, runtime, street.expected())


def wait_settled(
    system: System, runtime: Runtime, timeout_s: float, say: Say, meanwhile: Callable[[], None] = lambda: None
) -> bool:
    """Wait until every delivery is sent, every event ended and every write-back done; whether they are."""
    deadline = time.monotonic() + timeout_s
    told = time.monotonic()
    while time.monotonic() < deadline:
        # A write-back may make Chatwoot send once more.
        if system.chatwoot.wait_delivered(0) and is_quiet(runtime) and system.chatwoot.wait_delivered(0):
            say(_figures(system, runtime))
            return True
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            say(_figures(system, runtime))
        meanwhile()
        time.sleep(POLL_S)
    say(f"Not everything ended within {timeout_s:g} s.")
    return False


def is_quiet(runtime: Runtime) -> bool:
    """Whether no event waits, and no write-back."""
    return counts(runtime)["pending"] == 0 and write_backs(runtime) == 0


def _figures(system: System, runtime: Runtime) -> str:
    states = counts(runtime)
    return f"[{len(system.chatwoot.deliveries):4} deliveries, {states['done']:4} done, {states['pending']:3} waiting]"


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description="The fault run of crm_sync.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the day lasts (default 45)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed plans the same day and faults")
    parser.add_argument(
        "--size", type=float, default=1.0, help="how large the day is, compared with the usual one"
    )
    options = parser.parse_args()
    seed = random.randrange(10_000) if options.seed is None else options.seed
    judgement = run(
        seed, options.seconds, size=options.size, say=lambda words: print(words, file=sys.stderr, flush=True)
    )
    for words in judgement.problems:
        print(words, file=sys.stderr)
    if not judgement.passed:
        print(f"The promise was broken. To try it again: make chaos ARGS='--seed {seed}'", file=sys.stderr)
    print(json.dumps(dict(judgement.figures)), flush=True)
    sys.exit(0 if judgement.passed else 1)


if __name__ == "__main__":
    main()
