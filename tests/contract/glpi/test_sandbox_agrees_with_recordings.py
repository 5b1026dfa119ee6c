"""The GLPI sandbox answers as the recorded servers did, call by call.

The tapes hold what real servers of both versions answered; ``repeatable.json`` names the cases a server repeats
when the tape is run against it, ``agreed.json`` those the sandbox is held to, and ``left_out.json`` says why it is not
held to the rest. The list of those agreed only grows::

    python -m crm_sync.sandbox.glpi.replay tests/contract/glpi/data/10.0.19/tape.jsonl.gz \
        --only tests/contract/glpi/data/10.0.19/repeatable.json --learn tests/contract/glpi/data/10.0.19/agreed.json
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from crm_sync.sandbox.glpi import FLAVOURS
from crm_sync.sandbox.glpi.replay import replay_against_sandbox
from crm_sync.sandbox.replay import Outcome, read_tape

DATA = Path(__file__).parent / "data"
LEAST_SHARE = 0.98
#: How many cases were agreed when this was written: the list may not become shorter.
AGREED_BEFORE = {"10.0.19": 426, "11.0.6": 486}


def _names(flavour: str, what: str) -> set[str]:
    return set(json.loads((DATA / flavour / f"{what}.json").read_text(encoding="utf-8")))


@cache
def _outcomes(flavour: str) -> list[Outcome]:
    return replay_against_sandbox(DATA / flavour / "tape.jsonl.gz", flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_agreed_case_still_agrees(flavour: str) -> None:
    agreed = _names(flavour, "agreed")

    broken = [
        f"{outcome.case}: {outcome.call}: {outcome.difference}"
        for outcome in _outcomes(flavour)
        if outcome.case in agreed and outcome.difference
    ]

    assert broken == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_list_of_agreed_cases_only_grows(flavour: str) -> None:
    agreed, repeatable = _names(flavour, "agreed"), _names(flavour, "repeatable")
    recorded = {entry["case"] for entry in read_tape(DATA / flavour / "tape.jsonl.gz")}

    assert agreed <= recorded
    assert len(agreed) >= AGREED_BEFORE[flavour]
    assert len(agreed & repeatable) / len(repeatable & recorded) >= LEAST_SHARE


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_it_is_said_why_a_case_is_left_out(flavour: str) -> None:
    left_out = json.loads((DATA / "left_out.json").read_text(encoding="utf-8"))[flavour]

    assert left_out.keys() == _names(flavour, "repeatable") - _names(flavour, "agreed")
    assert all(reason.endswith(".") for reason in left_out.values())
