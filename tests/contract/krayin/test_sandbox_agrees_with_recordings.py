"""The Krayin sandbox answers as the recorded servers of both generations did, call by call.

The tapes hold what the servers answered; ``repeatable.json`` names the cases a server repeats when the tape is run
against it, ``agreed.json`` those the sandbox is held to (``name#2`` is the second time a case was recorded). That list
only grows::

    python -m crm_sync.sandbox.krayin.replay tests/contract/krayin/data/2.1.0/tape.jsonl.gz \
        --learn tests/contract/krayin/data/2.1.0/agreed.json

What is known to differ, and why, stands in ``data/README.md``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from crm_sync.sandbox.krayin import FLAVOURS, KrayinSandbox
from crm_sync.sandbox.krayin.replay import replayed
from crm_sync.sandbox.replay import Outcome, read_tape

DATA = Path(__file__).parent / "data"
LEAST_SHARE = 0.97
#: How many cases were agreed when this was written: the list may not become shorter.
AGREED_BEFORE = {"2.1.0": 359, "2.2.3": 360}


def _names(flavour: str, what: str) -> set[str]:
    return set(json.loads((DATA / flavour / f"{what}.json").read_text(encoding="utf-8")))


@cache
def _replayed(flavour: str) -> tuple[KrayinSandbox, list[Outcome]]:
    return replayed(DATA / flavour / "tape.jsonl.gz", flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_agreed_case_still_agrees(flavour: str) -> None:
    agreed = _names(flavour, "agreed")

    broken = [
        f"{outcome.case}: {outcome.call}: {outcome.difference}"
        for outcome in _replayed(flavour)[1]
        if outcome.case in agreed and outcome.difference
    ]

    assert broken == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_list_of_agreed_cases_only_grows(flavour: str) -> None:
    agreed, repeatable = _names(flavour, "agreed"), _names(flavour, "repeatable")
    recorded = {entry["case"] for entry in read_tape(DATA / flavour / "tape.jsonl.gz")}
    first_times = {name for name in agreed if "#" not in name}

    assert first_times <= recorded
    assert len(agreed) >= AGREED_BEFORE[flavour]
    assert len(first_times & repeatable) / len(repeatable & recorded) >= LEAST_SHARE


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_webhooks_are_sent_what_the_recorded_receiver_got(flavour: str) -> None:
    recorded = json.loads((DATA / flavour / "deliveries.json").read_text(encoding="utf-8"))
    sandbox, _ = _replayed(flavour)
    # Nobody listens at the recorded address: the sandbox notes what it sent all the same.
    sent = [
        (each["url"].partition(":8099")[2], each["body"], each["headers"])
        for each in sandbox.state.deliveries
    ]

    missing = [
        each["case"]
        for each in recorded
        if not any(
            (each["path"], each["body"]) == (path, body) and each["headers"].items() <= headers.items()
            for path, body, headers in sent
        )
    ]

    assert missing == []
