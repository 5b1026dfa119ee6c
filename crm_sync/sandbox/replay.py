"""What replays of recorded tapes have in common: the tape, the clock, the outcomes and the command.

A tape is a file of JSON lines (``.gz`` or plain), one recorded call a line: case, method, path, query, headers,
body, multipart, status, resp. How calls are prepared and answers compared is each system's own affair.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Where a tape has a token of the server under test.
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass
class Outcome:
    """What became of one call; ``difference`` is empty when it agrees."""

    case: str | None
    call: str
    difference: str


class StillClock:
    """Stands still at the second it was set to."""

    def __init__(self) -> None:
        self._moment = datetime.now(UTC)

    def set(self, moment: datetime) -> None:
        """The time is now ``moment``."""
        self._moment = moment

    def now(self) -> datetime:
        """The second it was set to."""
        return self._moment


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders replaced; an unknown one stays."""
    return PLACEHOLDER.sub(lambda found: values.get(found.group(1), found.group(0)), text)


def read_tape(tape: Path) -> Iterator[dict[str, Any]]:
    """The calls of a tape; those made for debugging are left out."""
    content = tape.read_bytes()
    text = (gzip.decompress(content) if tape.suffix == ".gz" else content).decode()
    for line in text.split("\n"):
        entry: dict[str, Any] = json.loads(line or "{}")
        if entry and not entry.get("debug"):
            yield entry


def run_command(
    system: str,
    flavours: Sequence[str],
    replay: Callable[[Path, str], list[Outcome]],
    arguments: list[str] | None = None,
) -> int:
    """The command line of a system's replay; 0 when every case asked for agrees.

    One line a difference; ``--only`` takes a list of the cases that count, ``--learn`` adds the cases that agree to
    a list, which only ever grows.
    """
    parser = argparse.ArgumentParser(
        prog="replay", description=f"replays a recorded {system} tape against a sandbox"
    )
    parser.add_argument("tape", type=Path)
    parser.add_argument("--flavour", choices=flavours, default=flavours[0])
    parser.add_argument("--only", type=Path, help="JSON list of the cases that count")
    parser.add_argument("--learn", type=Path, help="JSON list to add the agreeing cases to")
    options = parser.parse_args(arguments)
    outcomes = replay(options.tape, options.flavour)
    if options.only:
        wanted = set(json.loads(options.only.read_text(encoding="utf-8")))
        outcomes = [outcome for outcome in outcomes if outcome.case in wanted]
    agreed = {str(outcome.case) for outcome in outcomes if not outcome.difference}
    for outcome in outcomes:
        if outcome.difference:
            sys.stdout.write(f"{outcome.case}: {outcome.call}: {outcome.difference}\n")
    sys.stdout.write(f"{len(agreed)}/{len(outcomes)} agree\n")
    if options.learn:
        known = (
            set(json.loads(options.learn.read_text(encoding="utf-8"))) if options.learn.exists() else set()
        )
        options.learn.write_text(json.dumps(sorted(known | agreed), indent=0) + "\n", encoding="utf-8")
    return 0 if len(agreed) == len(outcomes) else 1
