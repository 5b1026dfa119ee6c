"""Who holds a claim is judged dead only when that is certain."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crm_sync import owner
from tests.servers import wait_for

MACHINE = owner.new_claim().split("/")[0]


def test_a_claim_of_this_process_is_alive_and_never_given_twice() -> None:
    first, second = owner.new_claim(), owner.new_claim()
    assert first != second
    assert not owner.is_dead(first)


def test_a_claim_fits_into_its_column() -> None:
    assert len(owner.new_claim()) <= 120


def test_a_claim_outlives_its_process_and_is_dead_afterwards() -> None:
    script = "import sys; from crm_sync import owner; print(owner.new_claim(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        claim = process.stdout.readline().strip()
        assert not owner.is_dead(claim)
        process.kill()
        # A zombie until it is waited for: dead all the same.
        wait_for(lambda: owner.is_dead(claim), 10, "the killed process is seen to be dead")
    assert owner.is_dead(claim)


def test_a_number_that_now_belongs_to_another_process_does_not_keep_a_claim_alive() -> None:
    machine, pid, started, rest = owner.new_claim().split("/")
    assert owner.is_dead("/".join((machine, pid, str(int(started) - 1), rest)))


def test_a_number_that_no_process_can_have_is_dead() -> None:
    assert owner.is_dead(f"{MACHINE}/99999999/1/abc")


@pytest.mark.parametrize("claim", ["", "a-worker", "another-machine/1/1/abc", "x/y/z"])
def test_what_runs_elsewhere_is_never_judged(claim: str) -> None:
    assert not owner.is_dead(claim)


def test_a_forked_process_has_claims_of_its_own() -> None:
    script = (
        "import os; from crm_sync import owner\n"
        "print(owner.new_claim(), flush=True)\n"
        "child = os.fork()\n"
        # In one piece: both processes write at the same time.
        "os.write(1, f'{os.getpid()} {owner.new_claim()}\\n'.encode())\n"
        "child and os.waitpid(child, 0)"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, *later = printed.stdout.splitlines()
    for line in later:
        pid, claim = line.split()
        assert claim.split("/")[1] == pid
    assert len({claim.split("/")[1] for claim in (first, *(line.split()[1] for line in later))}) == 2
