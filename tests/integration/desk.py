"""A support team before the real engine: what they do in Chatwoot reaches a CRM's stand-in once a worker comes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from crm_sync.engine import hooks, mailbox
from crm_sync.engine.ingest import Arrival, ingest
from crm_sync.engine.runtime import Runtime
from crm_sync.sandbox.chatwoot import shapes
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.store.models import Account, Attempt, Event, EventState, Hook, HookState, Link
from tests.integration.clock import Clock

WEBSITE, EMAIL, WHATSAPP = 4, 7, 12

Row = dict[str, Any]


@dataclass
class Journal:
    """A hook, and what the journal says of it."""

    runtime: Runtime
    clock: Clock
    account: Account
    hook_id: int

    def events(self, state: EventState | None = None) -> list[Event]:
        """The events of the journal."""
        statement = select(Event).order_by(Event.id)
        with self.runtime.store.read() as session:
            return list(
                session.scalars(statement if state is None else statement.where(Event.state == state))
            )

    def attempts(self) -> list[Attempt]:
        """The attempts of the journal."""
        with self.runtime.store.read() as session:
            return list(session.scalars(select(Attempt).order_by(Attempt.id)))

    def links(self) -> list[Link]:
        """The links."""
        with self.runtime.store.read() as session:
            return list(session.scalars(select(Link).order_by(Link.id)))

    def hook(self) -> Hook:
        """The hook."""
        with self.runtime.store.read() as session:
            return session.get_one(Hook, self.hook_id)


@dataclass
class Desk(Journal):
    """A team in ``chatwoot``, and the CRM they are connected with (``crm``, a stand-in too) at ``api_url``."""

    chatwoot: ChatwootSandbox
    crm: Any
    api_url: str
    _told: int = 0

    # -- what comes in -------------------------------------------------------------------------------------------

    def deliveries(self) -> list[Row]:
        """What Chatwoot sent since the last time."""
        sent = self.chatwoot.deliveries
        new, self._told = sent[self._told :], len(sent)
        return [json.loads(delivery.body) for delivery in new]

    def take(self, payloads: Iterable[Mapping[str, Any]]) -> None:
        """Deliveries come in, in this order."""
        for payload in payloads:
            ingest(self.runtime.store, self.account, payload, Arrival(), self.clock)

    def drain(self) -> None:
        """A worker takes every mailbox that has something."""
        for contact_id in sorted({event.mailbox for event in self.events(EventState.PENDING)}):
            mailbox.drain(self.runtime, contact_id)

    def sync(self) -> None:
        """What happened in Chatwoot arrives, and a worker comes once; everything is to be done by then."""
        self.take(self.deliveries())
        self.drain()
        assert self.waiting() == []

    def settle(self, rounds: int = 40) -> None:
        """What happened in Chatwoot arrives; time passes and workers come until nothing is waiting any more."""
        self.take(self.deliveries())
        for _ in range(rounds):
            self.drain()
            if not self.waiting():
                return
            self.clock.forward(3600)
        pytest.fail(f"still waiting: {self.waiting()}")

    def waiting(self) -> list[str]:
        """The events that are not done, with what was said of them last."""
        return [f"{event.name}: {event.outcome}" for event in self.events(EventState.PENDING)]

    def told_again(self, contact_id: int) -> Row:
        """A contact_updated of a contact that says nothing new."""
        with self.chatwoot.state.lock:
            row = self.chatwoot.state.contacts[contact_id]
            changed = shapes.changed_attributes({"blocked": (True, False)})
            return shapes.contact(self.chatwoot.state, row) | {
                "event": "contact_updated",
                "changed_attributes": changed,
            }

    # -- the journal ---------------------------------------------------------------------------------------------

    def outcome(self) -> str:
        """What was said of the last event."""
        return self.events()[-1].outcome or ""

    def outcomes(self) -> list[str]:
        """What was said of the events."""
        return [event.outcome or "" for event in self.events()]

    def failed(self) -> list[str]:
        """What was said of the events that failed."""
        return [event.outcome or "" for event in self.events(EventState.FAILED)]

    def set(self, **settings: str) -> None:
        """Change settings of the hook, as ``crm-sync hooks set`` does."""
        report = hooks.change(self.runtime, self.hook_id, settings)
        assert report.state == HookState.ACTIVE, report.state_reason

    # -- the CRM -------------------------------------------------------------------------------------------------

    def rows(self, itemtype: str, **wanted: Any) -> list[Row]:
        """Rows of the CRM's database with these values."""
        with self.crm.state.lock:
            found = self.crm.state.dump().get(itemtype, [])
        return [row for row in found if all(row[key] == value for key, value in wanted.items())]

    def row(self, itemtype: str, **wanted: Any) -> Row:
        """The one row with these values."""
        found = self.rows(itemtype, **wanted)
        assert len(found) == 1, found
        return found[0]

    def calls_below(self, root: str) -> list[str]:
        """The calls to the CRM since the last time, from the address's ``root`` on, without their ids."""
        made = [
            f"{method} {re.sub(r'/[0-9]+', '', path.partition(root)[2])}"
            for method, path, _ in self.crm.requests
        ]
        self.crm.reset_requests()
        return made

    def strike(self, *faults: Callable[..., Any]) -> None:
        """From now on the CRM has these faults, one after another to choose from; none heals it."""
        self.crm.faults.kinds, self.crm.faults.fail_rate = faults, float(bool(faults))


def once(
    kind: Callable[..., Any], method: str, path: str, *, times: int = 1
) -> tuple[Callable[..., Any], threading.Event]:
    """A fault that hits a call with this method whose path ends like this, and an event that says that it did."""
    hit, left, guard = threading.Event(), [times], threading.Lock()

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        with guard:
            due = (
                left[0] > 0
                and environ["REQUEST_METHOD"] == method
                and re.search(f"{path}$", environ["PATH_INFO"]) is not None
            )
            left[0] -= due
        if not due:
            return app(environ, start_response)
        hit.set()
        return kind(app, environ, start_response)

    return fault, hit
