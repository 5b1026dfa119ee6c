"""How close a full queue comes to what the ceiling allows, and how few calls it takes.

100 contacts, 100 conversations and 300 messages are delivered while no worker runs; then the workers start. The time
from GLPI's first call, a login, to its last answer is compared with the least possible: calls needed × latency ÷
ceiling, where logins do not count as needed. The clock is GLPI's, so nothing a worker does in between is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests
from sqlalchemy import select, update

from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import CONTROL_PREFIX
from crm_sync.store.models import Account, SignatureMode
from crm_sync.supervisor.up import worker_names
from tests import payloads
from tests.system import running, wait_until_quiet

CONTACTS, MESSAGES_EACH = 100, 3
LATENCY_MS = 40
#: Looking a new contact up and making the user, opening a ticket, adding each message after the first.
CALLS_NEEDED = CONTACTS * (2 + 1 + (MESSAGES_EACH - 1))
EVENTS = CONTACTS * (2 + MESSAGES_EACH)


@dataclass
class Times:
    """When GLPI was called and when it had answered, every call of the API in seconds of one clock."""

    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def begin(self, _method: str, path: str) -> None:
        """A call has come."""
        self._note(self.begun, path)

    def end(self, _method: str, path: str) -> None:
        """It is about to be answered."""
        self._note(self.ended, path)

    def took_s(self) -> float:
        """From the first call to the last answer."""
        return max(self.ended) - min(self.begun)

    @staticmethod
    def _note(times: list[float], path: str) -> None:
        if not path.startswith(CONTROL_PREFIX):
            times.append(time.monotonic())


def deliveries(chatwoot: ChatwootSandbox) -> Iterator[dict[str, Any]]:
    """The load: for each contact, itself, a conversation, and its messages. They are there in Chatwoot too."""
    pairs = []
    for number in range(1, CONTACTS + 1):
        contact = chatwoot.create_contact(name=f"Person {number}", email=f"person{number}@example.com")
        conversation = chatwoot.create_conversation(contact.id, next(iter(chatwoot.state.inboxes)))
        pairs.append((contact.id, conversation.id))
        yield payloads.contact_created(contact.id, f"Person {number}")
        yield payloads.conversation_created(conversation.id, contact.id)
    for message in range(1, MESSAGES_EACH + 1):
        for contact_id, conversation_id in pairs:
            yield payloads.message_created(
                message * 100_000 + contact_id,
                conversation_id=conversation_id,
                contact_id=contact_id,
                # The first one begins the conversation.
                minute=message - 1,
            )


def run() -> list[dict[str, object]]:
    """The two benches of one run."""
    options = {"CRM_SYNC_SETTLE_S": "0", "CRM_SYNC_LEASE_S": "60", "CRM_SYNC_READ_TIMEOUT_S": "30"}
    with running("web", options=options, chatwoot_options={"deliver": False}) as (system, runtime):
        system.connect(runtime)
        account_url = _webhook_url(runtime)
        with runtime.store.write() as session:
            session.execute(_unsigned())
        with ThreadPoolExecutor(8) as pool, requests.Session() as http:
            answers = list(
                pool.map(
                    lambda body: http.post(account_url, json=body, timeout=30), deliveries(system.chatwoot)
                )
            )
        assert {answer.status_code for answer in answers} == {202}, "every delivery is accepted"
        system.glpi.faults.latency_ms = LATENCY_MS
        system.glpi.reset_requests()
        times = Times()
        system.gate.before, system.gate.after = times.begin, times.end
        system.start(*worker_names(runtime.config.workers), "beat")
        wait_until_quiet(runtime, 300)
        calls, took_s = len(system.glpi.requests), times.took_s()
        rows = system.glpi_rows()
    assert (len(rows["Ticket"]), len(rows["ITILFollowup"])) == (CONTACTS, CONTACTS * (MESSAGES_EACH - 1))
    least_s = CALLS_NEEDED * LATENCY_MS / 1000 / runtime.config.ceiling
    return [
        {
            "name": "vs_limit",
            "ours": round(EVENTS / took_s, 1),
            "baseline": round(EVENTS / least_s, 1),
            "ratio": round(least_s / took_s, 3),
            "unit": "events/s",
            "why": f"{EVENTS} waiting events, {LATENCY_MS} ms a call, logins included, "
            "against ceiling ÷ latency ÷ calls needed, logins left out",
        },
        {
            "name": "calls_per_event",
            "ours": round(calls / EVENTS, 4),
            "baseline": round(CALLS_NEEDED / EVENTS, 4),
            "ratio": round(calls / CALLS_NEEDED, 4),
            "unit": "calls/event",
            "why": "calls at GLPI for these events, logins included, against the least possible",
        },
    ]


def _webhook_url(runtime: Any) -> str:
    with runtime.store.read() as session:
        token = session.scalar(select(Account.webhook_token))
    return f"{runtime.config.base_url}/webhooks/chatwoot/{token}"


def _unsigned() -> Any:
    return update(Account).values(signature=SignatureMode.OFF)
