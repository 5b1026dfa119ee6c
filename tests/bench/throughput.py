"""How close a full queue comes to what the ceiling allows, and how few calls it takes.

A service that has been at work for a while gets 100 contacts, 100 conversations and 300 messages at once: they are
delivered while its hook rests, and then it rests no longer. The time from GLPI's first call to its last answer is
compared with the least possible: calls needed × latency ÷ ceiling. The clock is GLPI's, so nothing a worker does in
between is left out. It is done several times, and the median is told: a machine that is busy with something else for
a moment must not decide. How few calls it takes is counted from the beginning, logins included.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import requests
from sqlalchemy import select, update

from crm_sync.engine.runtime import Runtime
from crm_sync.engine.waking import wake_all
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import CONTROL_PREFIX
from crm_sync.store import journal
from crm_sync.store.models import Account, Hook, HookState, SignatureMode
from crm_sync.supervisor.up import worker_names
from tests import payloads
from tests.servers import wait_for
from tests.system import running, wait_until_quiet

CONTACTS, MESSAGES_EACH = 100, 3
#: Contacts that came before, so that every worker has worked.
EARLIER = 16
#: How often the load is measured.
ROUNDS = 3
LATENCY_MS = 40
#: Looking a new contact up and making the user, opening a ticket, adding each message after the first.
CALLS_EACH = 2 + 1 + (MESSAGES_EACH - 1)
EVENTS_EACH = 2 + MESSAGES_EACH


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

    def answered(self, number: int) -> bool:
        """Whether this many calls were answered."""
        return len(self.ended) >= number

    @staticmethod
    def _note(times: list[float], path: str) -> None:
        if not path.startswith(CONTROL_PREFIX):
            times.append(time.monotonic())


def deliveries(chatwoot: ChatwootSandbox, contacts: int) -> Iterator[dict[str, Any]]:
    """The load: for each contact, itself, a conversation, and its messages. They are there in Chatwoot too."""
    pairs = []
    for _ in range(contacts):
        contact = chatwoot.create_contact(name="Person")
        contact = chatwoot.update_contact(contact.id, email=f"person{contact.id}@example.com")
        conversation = chatwoot.create_conversation(contact.id, next(iter(chatwoot.state.inboxes)))
        pairs.append((contact.id, conversation.id))
        yield payloads.contact_created(contact.id, f"Person {contact.id}")
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
        hook_id = system.connect(runtime)
        with runtime.store.write() as session:
            session.execute(unsigned())
        system.start(*worker_names(runtime.config.workers), "bulk", "beat")
        system.glpi.faults.latency_ms = LATENCY_MS
        system.glpi.reset_requests()
        rounds = []
        for contacts in (EARLIER, *[CONTACTS] * ROUNDS):
            _rest(runtime, hook_id, rests=True)
            _deliver(runtime, deliveries(system.chatwoot, contacts))
            times = Times()
            system.gate.before, system.gate.after = times.begin, times.end
            _rest(runtime, hook_id, rests=False)
            # Whoever counts events meanwhile takes the machine from those who work.
            wait_for(partial(times.answered, contacts * CALLS_EACH), 300, "all calls are answered")
            wait_until_quiet(runtime, 300)
            rounds.append(times.took_s())
        calls, took_s = len(system.glpi.requests), median(rounds[1:])
        rows = system.glpi_rows()
    total = EARLIER + CONTACTS * ROUNDS
    assert (len(rows["Ticket"]), len(rows["ITILFollowup"])) == (total, total * (MESSAGES_EACH - 1))
    events = CONTACTS * EVENTS_EACH
    least_s = CONTACTS * CALLS_EACH * LATENCY_MS / 1000 / runtime.config.ceiling
    return [
        {
            "name": "vs_limit",
            "ours": round(events / took_s, 1),
            "baseline": round(events / least_s, 1),
            "ratio": round(least_s / took_s, 3),
            "unit": "events/s",
            "why": f"{events} waiting events meet a service at work, {LATENCY_MS} ms a call, "
            f"against ceiling ÷ latency ÷ calls needed; median of {ROUNDS}: "
            + ", ".join(f"{least_s / each_s:.3f}" for each_s in rounds[1:]),
        },
        {
            "name": "calls_per_event",
            "ours": round(calls / (total * EVENTS_EACH), 4),
            "baseline": round(CALLS_EACH / EVENTS_EACH, 4),
            "ratio": round(calls / (total * CALLS_EACH), 4),
            "unit": "calls/event",
            "why": "calls at GLPI for these events, logins included, against the least possible",
        },
    ]


def _deliver(runtime: Runtime, load: Iterable[dict[str, Any]]) -> None:
    url = webhook_url(runtime)
    with ThreadPoolExecutor(8) as pool, requests.Session() as http:
        answers = list(pool.map(lambda body: http.post(url, json=body, timeout=30), load))
    assert {answer.status_code for answer in answers} == {202}, "every delivery is accepted"


def _rest(runtime: Runtime, hook_id: int, *, rests: bool) -> None:
    """Let the hook rest, or go on as it does when an operator resumes it and its setup has passed."""
    state = HookState.PAUSED if rests else HookState.ACTIVE
    with runtime.store.write() as session:
        session.execute(update(Hook).where(Hook.id == hook_id).values(state=state))
        waiting = [] if rests else journal.waiting_mailboxes(session, hook_id)
    wake_all(runtime, waiting)


def webhook_url(runtime: Runtime) -> str:
    """Where the account's deliveries go."""
    with runtime.store.read() as session:
        token = session.scalar(select(Account.webhook_token))
    return f"{runtime.config.base_url}/webhooks/chatwoot/{token}"


def unsigned() -> Any:
    """Takes deliveries without a signature from now on."""
    return update(Account).values(signature=SignatureMode.OFF)
