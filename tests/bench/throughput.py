"""How close a full queue comes to what the ceiling allows, and how few calls it takes.

100 contacts, 100 conversations and 300 messages are delivered while no worker runs; then the worker starts, and the
time from the first to the last call at GLPI is compared with the least possible: calls needed × latency ÷ ceiling.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from sqlalchemy import func, select, update

from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.store.models import Account, Attempt, SignatureMode
from crm_sync.supervisor.up import worker_names
from tests import payloads
from tests.system import running, wait_until_quiet

CONTACTS, MESSAGES_EACH = 100, 3
LATENCY_MS = 40
#: Looking a new contact up and making the user, opening a ticket, adding each message after the first.
CALLS_NEEDED = CONTACTS * (2 + 1 + (MESSAGES_EACH - 1))
#: What a process spends on its session once: logging in, asking for GLPI's clock.
EVENTS = CONTACTS * (2 + MESSAGES_EACH)


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
        account_url = webhook_url(runtime)
        with runtime.store.write() as session:
            session.execute(unsigned())
        with ThreadPoolExecutor(8) as pool, requests.Session() as http:
            answers = list(
                pool.map(
                    lambda body: http.post(account_url, json=body, timeout=30), deliveries(system.chatwoot)
                )
            )
        assert {answer.status_code for answer in answers} == {202}, "every delivery is accepted"
        system.glpi.faults.latency_ms = LATENCY_MS
        system.glpi.reset_requests()
        system.start(*worker_names(runtime.config.workers), "beat")
        wait_until_quiet(runtime, 300)
        calls = len(system.glpi.requests)
        with runtime.store.read() as session:
            first, last = session.execute(
                select(func.min(Attempt.started_at), func.max(Attempt.started_at))
            ).one()
            longest = (
                session.scalar(select(func.max(Attempt.duration_ms)).where(Attempt.started_at == last)) or 0
            )
        took_s = (last - first).total_seconds() + longest / 1000
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
            "why": f"{EVENTS} waiting events, {LATENCY_MS} ms a call, against ceiling ÷ latency ÷ calls needed",
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


def webhook_url(runtime: Any) -> str:
    """Where the account's deliveries go."""
    with runtime.store.read() as session:
        token = session.scalar(select(Account.webhook_token))
    return f"{runtime.config.base_url}/webhooks/chatwoot/{token}"


def unsigned() -> Any:
    """Takes deliveries without a signature from now on."""
    return update(Account).values(signature=SignatureMode.OFF)
