"""The receiver on a real database and a real Redis, with an account, its secret and some hooks."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from crm_sync import service
from crm_sync.config import Config, load
from crm_sync.engine import apps
from crm_sync.engine.runtime import Runtime
from crm_sync.events import EventName
from crm_sync.receiver import create_app
from crm_sync.store.models import Account, Delivery, Event, Hook, HookState, SignatureMode
from crm_sync.telemetry import logging as telemetry
from tests.databases import migrated
from tests.deliveries import MOMENT, SECRET, signed
from tests.notebook import Notebook, notebook_app

#: The token in the address of the account's webhook.
TOKEN = "the-address-nobody-else-knows_42"


@dataclass
class Office:
    """A receiver and what is behind it."""

    runtime: Runtime
    app: Flask
    log: io.StringIO
    hooks: dict[str, int] = field(default_factory=dict)

    def post(
        self, raw: bytes, headers: Mapping[str, str] | None = None, *, token: str = TOKEN, **more: Any
    ) -> TestResponse:
        """Bytes come in; signed, unless there are other headers."""
        given = signed(raw) if headers is None else dict(headers)
        return self.app.test_client().post(f"/webhooks/chatwoot/{token}", data=raw, headers=given, **more)

    def deliver(self, payload: Mapping[str, Any], *, delivery_id: str | None = None) -> dict[str, Any]:
        """A signed delivery comes in and is answered with 202; what was answered."""
        raw = json.dumps(payload).encode()
        answer = self.post(raw, signed(raw, delivery_id=delivery_id))
        assert (answer.status_code, answer.mimetype) == (202, "application/json"), answer.text
        found: dict[str, Any] = answer.json
        assert set(found) == {"accepted", "events", "ignored"}
        assert found["accepted"] == len(found["events"])
        return found

    def add_hook(self, app_id: str, state: HookState = HookState.ACTIVE) -> int:
        """Another CRM is connected."""
        now = self.runtime.now()
        with self.runtime.store.write() as session:
            hook = Hook(
                account_id=1,
                app_id=app_id,
                settings={},
                settings_secret=self.runtime.store.keyring.encrypt_json({}),
                facts={},
                state=state,
                version=1,
                created_at=now,
                updated_at=now,
            )
            session.add(hook)
        self.hooks[app_id] = hook.id
        return hook.id

    def change_account(self, **columns: Any) -> None:
        """The account is changed behind the receiver's back."""
        with self.runtime.store.write() as session:
            account = session.get_one(Account, 1)
            for name, value in columns.items():
                setattr(account, name, value)

    def encrypted(self, secret: str) -> str:
        """A secret as it is stored."""
        return self.runtime.store.keyring.encrypt(secret)

    def events(self) -> list[Event]:
        """The events of the journal."""
        with self.runtime.store.read() as session:
            return list(session.scalars(select(Event).order_by(Event.id)))

    def deliveries(self) -> list[Delivery]:
        """The deliveries of the journal."""
        with self.runtime.store.read() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def stored(self) -> int:
        """How many deliveries and events there are."""
        with self.runtime.store.read() as session:
            return sum(
                session.scalar(select(func.count()).select_from(table)) or 0 for table in (Delivery, Event)
            )

    def woken(self) -> int:
        """How many wake-ups are in the queue."""
        return int(self.runtime.redis.llen("crm_sync:events"))


@pytest.fixture
def log(clean_environment: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything this process logs, down to DEBUG, as operators would read it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    clean_environment.setattr(telemetry, "_registered", frozenset())
    clean_environment.setenv("CRM_SYNC_LOG_LEVEL", "DEBUG")
    clean_environment.setenv("CRM_SYNC_LOG_FORMAT", "json")
    stream = io.StringIO()
    telemetry.configure(load(), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def office(config: Config, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """A receiver, at the time of the recordings, with a hook that takes every event."""
    everything = notebook_app(Notebook())
    contacts = frozenset({EventName.CONTACT_CREATED, EventName.CONTACT_UPDATED})
    known = {
        "notebook": everything,
        "diary": everything,
        "album": everything,
        "contacts": notebook_app(Notebook(), contacts),
        "glpi": apps.find("glpi"),
    }
    monkeypatch.setattr(apps, "installed", lambda: known)
    migrated(config)
    runtime = service.build(config)
    runtime.now = lambda: MOMENT
    with runtime.store.write() as session:
        account = Account(
            chatwoot_url="http://127.0.0.1:9",
            chatwoot_account_id=3,
            profile_id=90,
            api_token_secret=runtime.store.keyring.encrypt("an-api-token-0123456789"),
            webhook_token=TOKEN,
            signature=SignatureMode.REQUIRED,
            signing_secret=runtime.store.keyring.encrypt(SECRET),
            created_at=MOMENT,
        )
        session.add(account)
    office = Office(runtime, create_app(runtime), log)
    office.add_hook("notebook")
    yield office
    runtime.store.close()
    runtime.redis.close()
