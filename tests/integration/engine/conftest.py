"""A runtime on a real database and a real Redis, a notebook for a CRM, a Chatwoot stand-in, and a clock to turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from crm_sync import keys
from crm_sync.config import Config
from crm_sync.engine import apps, mailbox
from crm_sync.engine.ingest import Arrival, Ingested, ingest
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.engine.runtime import Runtime
from crm_sync.locks import Mutexes
from crm_sync.sandbox.chatwoot import create_app as chatwoot_app
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import migrate, open_store
from crm_sync.store.models import Account, Attempt, Event, EventState, Hook, HookState, Link, SignatureMode
from tests.notebook import Notebook, notebook_app

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@dataclass
class Alarm:
    """Takes wake-ups down instead of publishing them."""

    woken: list[tuple[str, float]] = field(default_factory=list)

    def wake(self, mailboxes: Sequence[str], *, delay_s: float = 0.0) -> None:
        """See Runtime's Alarm."""
        self.woken.extend((name, delay_s) for name in mailboxes)

    def disarm(self, mailbox: str) -> None:
        """See Runtime's Alarm."""

    def hold(self, mailboxes: Sequence[str]) -> None:
        """See Runtime's Alarm."""

    def pull(self, hook_id: int) -> None:
        """See Runtime's Alarm."""


@dataclass
class Clock:
    """The time, as the test wants it."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class Desk:
    """Everything a test of the engine needs, and a few words to say things briefly."""

    runtime: Runtime
    notebook: Notebook
    alarm: Alarm
    clock: Clock
    account: Account
    hook_id: int

    def send(self, payload: dict[str, Any], **arrival: Any) -> Ingested:
        """A delivery comes in."""
        return ingest(self.runtime.store, self.account, payload, Arrival(**arrival), self.clock())

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
    migrate(config)
    redis = keys.connect(config.redis_url)
    clock, alarm = Clock(), Alarm()
    runtime = Runtime(
        config=config,
        store=open_store(config),
        redis=redis,
        mutexes=Mutexes(redis, config.lease_s),
        places=Places(redis, ceiling=config.ceiling, hold_s=config.lease_s),
        ceiling=Ceiling(redis, size=config.ceiling, call_s=config.lease_s),
        alarm=alarm,
        now=clock,
    )
    server, sandbox = chatwoot_server
    with runtime.store.write() as session:
        account = Account(
            chatwoot_url=server.url,
            chatwoot_account_id=sandbox.account_id,
            api_token_secret=runtime.store.keyring.encrypt(sandbox.api_token),
            webhook_token="webhook-token",
            signature=SignatureMode.OFF,
            created_at=clock(),
        )
        session.add(account)
        session.flush()
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
    yield Desk(runtime, notebook, alarm, clock, account, hook.id)
    runtime.store.close()
    redis.close()
