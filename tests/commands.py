"""Runs commands within the test's process, and gives their answers back as scripts and people see them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

import structlog
from click.testing import CliRunner

from crm_sync.cli import crm


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output, read as one JSON object a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        """Standard output, read as one JSON object."""
        (found,) = self.objects
        return found


def crm_sync(*words: object, stdin: str | None = None) -> Answer:
    """Run ``crm-sync`` with these words; what nobody foresaw is raised."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        result = CliRunner().invoke(
            crm, [str(word) for word in words], prog_name="crm-sync", input=stdin, catch_exceptions=False
        )
    finally:
        root.handlers[:], root.level = handlers, level
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
    return Answer(result.exit_code, result.stdout, result.stderr)


def asked(*words: object) -> dict[str, Any]:
    """Run a command with ``--json`` that must be done; its one object."""
    answer = crm_sync(*words, "--json")
    assert answer.status == 0, answer.stderr
    return answer.object
