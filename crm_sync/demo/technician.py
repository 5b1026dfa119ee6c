"""A technician comes by when the day is over: what is done in GLPI is done in Chatwoot, and nothing echoes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.mapping import PROCESSING, SOLVED
from crm_sync.demo.comparison import Problem, identifiable
from crm_sync.demo.stage import Stage
from crm_sync.demo.visit import EACH, Visit, pull
from crm_sync.engine import hooks


def visit(stage: Stage, settle: Callable[[], bool], stopping: threading.Event) -> Visit:
    """Let both sides work, and the changes of GLPI come back. ``settle`` waits until nothing is under way."""
    hooks.change(stage.runtime, stage.hook_ids["glpi"], {"enable_bidirectional_sync": "true"})
    chosen = _chosen(stage.chatwoot_dump()["conversations"])
    technician = GlpiClient(stage.glpi_url, stage.glpi.app_token, stage.glpi.user_tokens["tech"])
    for _, ticket in chosen["solved"]:
        technician.update("Ticket", ticket, {"status": SOLVED})
    for _, ticket in chosen["reopened"]:
        technician.update("Ticket", ticket, {"status": PROCESSING})
    there, here = _writes(stage)
    for number, _ in chosen["resolved"]:
        stage.chatwoot.set_status(number, "resolved")
    by_technician = len(chosen["solved"]) + len(chosen["reopened"])
    wanted = (there + len(chosen["resolved"]), here + by_technician)
    # A second time nothing is new.
    for _ in range(2):
        pull(stage, "glpi", stopping)
        settle()
    statuses = {number: "open" for number, _ in chosen["reopened"]} | {
        number: "resolved" for number, _ in chosen["solved"] + chosen["resolved"]
    }
    problems = tuple(_echoes(_writes(stage), wanted))
    words = f"A technician and an agent changed {len(statuses)} tickets and conversations"
    return Visit(f"{words}; {len(problems)} writes came back as an echo.", problems, statuses)


def _chosen(conversations: list[dict[str, Any]]) -> dict[str, list[tuple[int, int]]]:
    """Whose ticket is solved or reopened in GLPI, and who is resolved in Chatwoot: conversations with their tickets."""
    linked = [
        (int(row["id"]), int(row["custom_attributes"]["glpi_ticket_id"]), row["status"])
        for row in sorted(conversations, key=lambda row: int(row["id"]))
        if identifiable(row["meta"]["sender"]) and row["custom_attributes"].get("glpi_ticket_id")
    ]
    unsolved = [(number, ticket) for number, ticket, status in linked if status != "resolved"]
    resolved = [(number, ticket) for number, ticket, status in linked if status == "resolved"]
    return {
        "solved": unsolved[:EACH],
        "resolved": unsolved[EACH : 2 * EACH],
        "reopened": resolved[:EACH],
    }


def _writes(stage: Stage) -> tuple[int, int]:
    """How often GLPI was written to, and how often Chatwoot was given a status."""
    there = sum(method != "GET" for method, _, _ in stage.glpi.requests)
    here = sum(path.endswith("/toggle_status") for _, path, _ in stage.chatwoot.requests)
    return there, here


def _echoes(made: tuple[int, int], wanted: tuple[int, int]) -> Iterator[Problem]:
    for system, count, right in zip(("GLPI", "Chatwoot"), made, wanted, strict=True):
        for _ in range(count - right):
            yield Problem("duplicate", f"{system} was written to by an echo")
