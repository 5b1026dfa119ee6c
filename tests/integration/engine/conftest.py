"""A runtime on a real database and a real Redis, a notebook for a CRM, a Chatwoot stand-in, and a clock to turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from crm_sync import keys
from crm_sync.config import Config
from crm_sync.engine import apps, mailbox
from crm_sync.engine.ingest import Arrival, Ingested, ingest
from crm_sync.sandbox.chatwoot import create_app as chatwoot_app
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store.models import EventState, Hook, HookState
from tests.databases import migrated
from tests.integration.clock import Clock
from tests.integration.desk import Journal
from tests.integration.stage import Asleep, add_account, running
from tests.notebook import Notebook, notebook_app

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@dataclass
class Desk(Journal):
    """Everything a test of the engine needs, and a few words to say things briefly."""

    notebook: Notebook
    alarm: Asleep

    def send(self, payload: dict[str, Any], **arrival: Any) -> Ingested:
        """A delivery comes in."""
        return ingest(self.runtime.store, self.account, payload, Arrival(**arrival), self.clock)

    def drain(self, contact_id: int = 1) -> None:
        """A worker takes the mailbox of a contact."""
        mailbox.drain(self.runtime, f"{self.hook_id}:{contact_id}")

    def settle(self, contact_id: int = 1, rounds: int = 40) -> None:
        """Time passes and workers come until nothing is waiting any more."""
        for _ in range(rounds):
            self.drain(contact_id)
            if not self.events(EventState.PENDING):
                return
            self.clock.forward(3600)
        pytest.fail(f"still waiting: {[event.outcome for event in self.events(EventState.PENDING)]}")


class Time:
    """The time of the limits, which only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    """A time that stands still."""
    return Time()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A connection to the Redis."""
    with keys.connect(redis_url) as client:
        yield client


@pytest.fixture
def notebook() -> Notebook:
    """An empty notebook."""
    return Notebook()


@pytest.fixture(scope="session")
def chatwoot_server() -> Iterator[tuple[SandboxServer, ChatwootSandbox]]:
    """A Chatwoot that sends nothing by itself."""
    app = chatwoot_app(deliver=False)
    with SandboxServer(app) as server:
        yield server, app.extensions["sandbox"]


@pytest.fixture
def desk(
    config: Config,
    notebook: Notebook,
    chatwoot_server: tuple[SandboxServer, ChatwootSandbox],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """A connected account with a notebook hook."""
    monkeypatch.setattr(apps, "installed", lambda: {"notebook": notebook_app(notebook)})
    migrated(config)
    clock = Clock(START)
    server, sandbox = chatwoot_server
    with running(config, clock) as runtime:
        account = add_account(runtime, server.url, sandbox)
        with runtime.store.write() as session:
            hook = Hook(
                account_id=account.id,
                app_id="notebook",
                settings={},
                settings_secret=runtime.store.keyring.encrypt_json({}),
                facts={},
                state=HookState.ACTIVE,
                version=1,
                created_at=clock(),
                updated_at=clock(),
            )
            session.add(hook)
        alarm: Any = runtime.alarm
        yield Desk(runtime, clock, account, hook.id, notebook, alarm)
