"""A salesperson comes by as well: what leads come to in Krayin is shown and told in Chatwoot, and nothing echoes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.crms.krayin import stages
from crm_sync.crms.krayin.answers import NEW
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.demo.comparison import Problem
from crm_sync.demo.stage import Stage
from crm_sync.demo.visit import EACH, Visit, pull
from crm_sync.engine import hooks

#: The stage that leads go to which are not won.
TALKING = "negotiation"
#: What is wanted of what comes back: a note of every move, and an end to the conversation of a lead that is won.
SETTINGS = {
    "enable_bidirectional_sync": "true",
    "stage_notes": "true",
    "status_by_stage": json.dumps({stages.WON: "resolved"}),
}


@dataclass(frozen=True, slots=True)
class Move:
    """A lead that goes to another stage, with its contact and his conversation."""

    lead: int
    contact: int
    conversation: int
    stage: str


def visit(stage: Stage, settle: Callable[[], bool], stopping: threading.Event) -> Visit:
    """Let some leads move on, and that come back. ``settle`` waits until nothing is under way."""
    hooks.change(stage.runtime, stage.hook_ids["krayin"], SETTINGS)
    moves = _chosen(stage.chatwoot_dump())
    salesperson = KrayinClient(stage.krayin_url, stage.krayin.token, generation=NEW)
    rows = [row for pipeline in salesperson.pipelines() for row in pipeline["stages"]]
    known = {row["code"]: row for row in rows}
    won = [move for move in moves if move.stage == stages.WON]
    # A conversation that is resolved marks its activity as done.
    wanted = _writes(stage) + len(moves) + len(won)
    for move in moves:
        lead = salesperson.lead(str(move.lead))
        salesperson.edit_lead(lead, {"lead_pipeline_stage_id": known[move.stage]["id"]})
    # A second time nothing is new.
    for _ in range(2):
        pull(stage, "krayin", stopping)
        settle()
    names = {code: row["name"] for code, row in known.items()}
    problems = [*_unseen(stage.chatwoot_dump(), moves, names)]
    echoes = [
        Problem("duplicate", "Krayin was written to by an echo") for _ in range(_writes(stage) - wanted)
    ]
    shown = len(moves) - len({problem.words for problem in problems})
    words = (
        f"A salesperson moved {len(moves)} leads and won {len(won)} of them; {shown} are shown and told in Chatwoot, "
        f"{len(echoes)} writes came back as an echo."
    )
    return Visit(words, (*problems, *echoes), {move.conversation: "resolved" for move in won})


def _chosen(dump: Mapping[str, Any]) -> list[Move]:
    """Leads of contacts with a single conversation that is not resolved: some to be won, some to talk on."""
    conversations = dump["conversations"]
    count = Counter(row["meta"]["sender"]["id"] for row in conversations)
    leads = {row["id"]: row["custom_attributes"].get("krayin_lead_id") for row in dump["contacts"]}
    fit = [
        (int(leads[contact]), contact, int(row["id"]))
        for row in sorted(conversations, key=lambda row: int(row["id"]))
        if count[contact := row["meta"]["sender"]["id"]] == 1
        and row["status"] != "resolved"
        and leads.get(contact)
    ]
    targets = [stages.WON] * EACH + [TALKING] * EACH
    return [Move(*found, target) for found, target in zip(fit, targets, strict=False)]


def _unseen(dump: Mapping[str, Any], moves: Iterable[Move], names: Mapping[str, str]) -> Iterator[Problem]:
    """What Chatwoot does not show of the moves, or tells more than once."""
    contacts = {row["id"]: row for row in dump["contacts"]}
    conversations = {int(row["id"]): row for row in dump["conversations"]}
    for move in moves:
        name = names[move.stage]
        if contacts[move.contact]["custom_attributes"].get("krayin_lead_stage") != name:
            yield Problem("lost", f"contact {move.contact} does not show that its lead came to {name}")
        told = [row for row in conversations[move.conversation]["messages"] if _tells(row, name)]
        if len(told) != 1 or not told[0]["private"]:
            words = (
                f"conversation {move.conversation} was told {len(told)} times that its lead came to {name}"
            )
            yield Problem("duplicate" if told else "lost", words)


def _tells(message: Mapping[str, Any], stage: str) -> bool:
    """Whether a message of crm_sync's tells of a stage."""
    attributes = message.get("content_attributes") or {}
    return bool(attributes.get("crm_sync")) and str(message.get("content") or "").endswith(stage)


def _writes(stage: Stage) -> int:
    """How often Krayin was written to."""
    return sum(method != "GET" for method, _, _ in stage.krayin.requests)
