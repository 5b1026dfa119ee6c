"""How long a contact, a conversation and a message take to reach GLPI, against the least possible.

Each phase begins with everything delivered and no worker running, and ends with the last outcome: 100 contacts, then 50
conversations of known contacts, then 100 messages of one conversation. The least possible is calls × latency: calls of
different contacts share the ceiling, and those of one conversation go one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import requests
from sqlalchemy import func, select

from crm_sync.engine.runtime import Runtime
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.store.models import Attempt
from crm_sync.supervisor.up import worker_names
from tests.bench.throughput import unsigned, webhook_url
from tests.system import System, running, wait_until_quiet

CONTACTS, CONVERSATIONS, MESSAGES = 100, 50, 100
LATENCY_MS = 40


def run() -> list[dict[str, object]]:
    """Seconds for each contact, conversation and message."""
    options = {"CRM_SYNC_SETTLE_S": "0", "CRM_SYNC_LEASE_S": "60", "CRM_SYNC_READ_TIMEOUT_S": "30"}
    with running("web", options=options, chatwoot_options={"deliver": False}) as (system, runtime):
        system.connect(runtime)
        with runtime.store.write() as session:
            session.execute(unsigned())
        system.glpi.faults.latency_ms = LATENCY_MS
        phases = _phases(system.chatwoot, runtime.config.ceiling)
        results = [_measured(system, runtime, name, phase) for name, phase in phases.items()]
        rows = system.glpi_rows()
    assert (len(rows["Ticket"]), len(rows["ITILFollowup"])) == (CONVERSATIONS, MESSAGES)
    return results


@dataclass
class Phase:
    """What people do in Chatwoot; of how many things; the calls that each needs; how many may be asked at a time."""

    happen: Callable[[], None]
    things: int
    calls: int
    side_by_side: int


def _phases(chatwoot: ChatwootSandbox, ceiling: int) -> dict[str, Phase]:
    inbox = next(iter(chatwoot.state.inboxes))
    people: list[int] = []
    conversations: list[int] = []

    def come() -> None:
        for number in range(CONTACTS):
            contact = chatwoot.create_contact(name=f"Person {number}", email=f"p{number}@example.com")
            people.append(contact.id)

    def ask() -> None:
        for contact in people[:CONVERSATIONS]:
            conversations.append(chatwoot.create_conversation(contact, inbox, "It does not print").id)  # noqa: PERF401

    def talk() -> None:
        for number in range(MESSAGES):
            chatwoot.add_message(conversations[0], f"Message {number}")

    return {
        "contact": Phase(come, CONTACTS, 2, ceiling),
        "conversation": Phase(ask, CONVERSATIONS, 1, ceiling),
        "message": Phase(talk, MESSAGES, 1, 1),
    }


def _measured(system: System, runtime: Runtime, name: str, phase: Phase) -> dict[str, object]:
    told = len(system.chatwoot.deliveries)
    phase.happen()
    with runtime.store.read() as session:
        before = session.scalar(select(func.max(Attempt.id))) or 0
    url, headers = webhook_url(runtime), {"Content-Type": "application/json"}
    with ThreadPoolExecutor(8) as pool, requests.Session() as http:
        sent = system.chatwoot.deliveries[told:]
        answers = list(pool.map(lambda one: http.post(url, one.body, headers=headers, timeout=30), sent))
    assert {answer.status_code for answer in answers} == {202}, "every delivery is accepted"
    workers = [*worker_names(runtime.config.workers), "beat"]
    system.start(*workers)
    wait_until_quiet(runtime, 300)
    for worker in workers:
        system.terminate(worker)
    took_s = _between(runtime, before) / phase.things
    least_s = phase.calls * LATENCY_MS / 1000 / phase.side_by_side
    return {
        "name": f"sync_times_{name}",
        "ours": round(took_s, 4),
        "baseline": round(least_s, 4),
        "ratio": round(least_s / took_s, 3),
        "unit": f"s/{name}",
        "why": f"{phase.things} at once, {LATENCY_MS} ms a call, against calls × latency ÷ calls side by side",
    }


def _between(runtime: Runtime, before: int) -> float:
    """Seconds from the first attempt after that one to the end of the last."""
    with runtime.store.read() as session:
        rows = session.execute(
            select(Attempt.started_at, Attempt.duration_ms).where(Attempt.id > before)
        ).all()
    began: datetime = min(row.started_at for row in rows)
    return max((row.started_at - began).total_seconds() + (row.duration_ms or 0) / 1000 for row in rows)
