"""A salesperson comes by as well: a lead that is won in Krayin is shown as won in Chatwoot, and nothing echoes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator
from itertools import islice
from typing import Any

from crm_sync.crms.krayin import stages
from crm_sync.crms.krayin.answers import NEW
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.demo.comparison import Problem
from crm_sync.demo.stage import Stage
from crm_sync.demo.visit import EACH, Visit, pull
from crm_sync.engine import hooks

_STATUS = "krayin_lead_status"


def visit(stage: Stage, settle: Callable[[], bool], stopping: threading.Event) -> Visit:
    """Let some leads be won, and that come back. ``settle`` waits until nothing is under way."""
    hooks.change(stage.runtime, stage.hook_ids["krayin"], {"enable_bidirectional_sync": "true"})
    chosen = _chosen(stage.chatwoot_dump()["contacts"])
    salesperson = KrayinClient(stage.krayin_url, stage.krayin.token, generation=NEW)
    won = next(
        row["id"]
        for pipeline in salesperson.pipelines()
        for row in pipeline["stages"]
        if row["code"] == stages.WON
    )
    there = _writes(stage)
    for lead in chosen.values():
        salesperson.edit_lead(salesperson.lead(str(lead)), {"lead_pipeline_stage_id": won})
    wanted = there + len(chosen)
    # A second time nothing is new.
    for _ in range(2):
        pull(stage, "krayin", stopping)
        settle()
    unseen = list(_unseen(stage.chatwoot_dump()["contacts"], chosen.keys()))
    echoes = [
        Problem("duplicate", "Krayin was written to by an echo") for _ in range(_writes(stage) - wanted)
    ]
    words = f"A salesperson won {len(chosen)} leads; {len(chosen) - len(unseen)} of them are shown as won in Chatwoot"
    return Visit(f"{words}, {len(echoes)} writes came back as an echo.", (*unseen, *echoes))


def _chosen(contacts: list[dict[str, Any]]) -> dict[int, int]:
    """The contacts whose leads are won, with their leads."""
    leads = {int(row["id"]): row["custom_attributes"].get("krayin_lead_id") for row in contacts}
    linked = {number: int(lead) for number, lead in sorted(leads.items()) if lead}
    return dict(islice(linked.items(), EACH))


def _unseen(contacts: list[dict[str, Any]], won: Container[int]) -> Iterator[Problem]:
    for row in contacts:
        if row["id"] in won and row["custom_attributes"].get(_STATUS) != stages.STATUS_NAMES[stages.WON]:
            yield Problem("lost", f"contact {row['id']} does not show that its lead was won")


def _writes(stage: Stage) -> int:
    """How often Krayin was written to."""
    return sum(method != "GET" for method, _, _ in stage.krayin.requests)
