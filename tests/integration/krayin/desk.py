"""Krayin and Chatwoot as sandboxes, and the real engine between them; what is not Krayin's is GLPI's desk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from crm_sync import keys
from crm_sync.config import Config
from crm_sync.engine import hooks
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.engine.runtime import Runtime
from crm_sync.locks import Mutexes
from crm_sync.sandbox.chatwoot import create_app as chatwoot_app
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.krayin import KrayinSandbox, create_app as krayin_app
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import migrate, open_store
from crm_sync.store.models import Account, EventState, HookState, SignatureMode
from tests.integration.glpi.desk import (
    MORNING,
    SUBSCRIPTIONS,
    WEBSITE,
    Alarm,
    Clock,
    Desk as AnyDesk,
    Row,
    once,
)

__all__ = ["WEBSITE", "Desk", "Row", "once", "opened"]


@dataclass
class Desk(AnyDesk):
    """A sales team: what they do in ``chatwoot`` reaches ``krayin`` once a worker came."""

    @property
    def krayin(self) -> KrayinSandbox:
        """The sandbox of Krayin, which stands where GLPI's does."""
        found: Any = self.glpi
        assert isinstance(found, KrayinSandbox)
        return found

    # -- Chatwoot ------------------------------------------------------------------------------------------------

    def begin(self, text: str | None = "How much is it?", **more: Any) -> tuple[int, int]:
        """Ana writes; returns her contact's id and the conversation's."""
        contact = self.chatwoot.create_contact(name="Ana Souza", email="ana@example.com", **more)
        conversation = self.chatwoot.create_conversation(contact.id, WEBSITE, text)
        return contact.id, conversation.id

    def contact_shows(self, contact_id: int) -> Row:
        """The custom attributes of a contact."""
        return dict(self.chatwoot.state.contacts[contact_id].custom_attributes)

    def conversation_shows(self, number: int) -> Row:
        """The custom attributes of a conversation."""
        return dict(self.chatwoot.state.conversations[number].custom_attributes)

    def failed(self) -> list[str]:
        """What was said of the events that failed."""
        return [event.outcome or "" for event in self.events(EventState.FAILED)]

    # -- Krayin --------------------------------------------------------------------------------------------------

    def rows(self, itemtype: str, **wanted: Any) -> list[Row]:
        """Rows of Krayin's database with these values."""
        with self.krayin.state.lock:
            found = self.krayin.state.dump().get(itemtype, [])
        return [row for row in found if all(row[key] == value for key, value in wanted.items())]

    def activities(self, **wanted: Any) -> list[Row]:
        """What people see among the activities: Krayin's own log left out."""
        return [row for row in self.rows("activities", **wanted) if row["type"] != "system"]

    def emails(self, user_id: int) -> list[str]:
        """A person's addresses."""
        return [item["value"] for item in _json(self.row("persons", id=user_id)["emails"]) or []]

    def phones(self, person_id: int) -> list[str]:
        """A person's numbers."""
        return [item["value"] for item in _json(self.row("persons", id=person_id)["contact_numbers"]) or []]

    def insert(self, table: str, **values: Any) -> int:
        """Somebody made a record in Krayin."""
        with self.krayin.state.lock:
            return int(self.krayin.state.insert(table, values)["id"])

    def add_person(self, name: str, *emails: str, phones: tuple[str, ...] = (), **columns: Any) -> int:
        """Somebody who was in Krayin before us."""
        labelled = {
            key: [{"value": value, "label": "work"} for value in values]
            for key, values in (("emails", emails), ("contact_numbers", phones))
        }
        return self.insert("persons", name=name, **labelled, **columns)

    def add_user(self, login: str, *emails: str, **columns: Any) -> int:
        """A user of Krayin."""
        return self.insert(
            "users", name=login, email=emails[0], status=1, view_permission="global", role_id=1, **columns
        )

    def write(self, itemtype: str, number: int, **columns: Any) -> None:
        """Somebody changes a record in Krayin."""
        with self.krayin.state.lock:
            state = self.krayin.state
            row = state.get(itemtype, number)
            assert row is not None
            state.update(itemtype, row, columns)

    def stage(self, lead_id: int) -> str:
        """The code of a lead's stage."""
        lead = self.row("leads", id=lead_id)
        return str(self.row("lead_pipeline_stages", id=lead["lead_pipeline_stage_id"])["code"])

    def calls(self) -> list[str]:
        """The calls to Krayin since the last time, without their ids."""
        made = [
            f"{method} {re.sub(r'/[0-9]+', '', path.partition('/api/v1')[2])}"
            for method, path, _ in self.krayin.requests
        ]
        self.krayin.reset_requests()
        return made


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@contextmanager
def opened(
    config: Config, flavour: str, settings: Mapping[str, str], *, rate_limit: int = 0
) -> Iterator[Desk]:
    """A desk with a hook that was added as ``crm-sync hooks add`` does it."""
    migrate(config)
    with ExitStack() as stack:
        redis = stack.enter_context(keys.connect(config.redis_url))
        chatwoot_web = chatwoot_app(deliver=False)
        krayin_web = krayin_app(flavour=flavour, rate_limit=rate_limit)
        chatwoot: ChatwootSandbox = chatwoot_web.extensions["sandbox"]
        krayin: KrayinSandbox = krayin_web.extensions["sandbox"]
        clock = Clock()
        chatwoot.state._now = lambda: MORNING
        krayin.state.clock = clock
        chatwoot_server = stack.enter_context(SandboxServer(chatwoot_web))
        krayin_server = stack.enter_context(SandboxServer(krayin_web))
        store = open_store(config)
        stack.callback(store.close)
        runtime = Runtime(
            config=config,
            store=store,
            redis=redis,
            mutexes=Mutexes(redis, config.lease_s),
            places=Places(redis, ceiling=config.ceiling, hold_s=config.lease_s),
            ceiling=Ceiling(
                redis, size=config.ceiling, call_s=config.lease_s, clock=lambda: clock().timestamp()
            ),
            alarm=Alarm(),
            now=clock,
        )
        with store.write() as session:
            account = Account(
                chatwoot_url=chatwoot_server.url,
                chatwoot_account_id=chatwoot.account_id,
                api_token_secret=store.keyring.encrypt(chatwoot.api_token),
                webhook_token="webhook-token",
                signature=SignatureMode.OFF,
                created_at=clock(),
            )
            session.add(account)
        given = {"api_url": f"{krayin_server.url}/api/v1", "api_token": krayin.token, **settings}
        report = hooks.add(runtime, "krayin", account.id, {key: text for key, text in given.items() if text})
        assert report.state == HookState.ACTIVE, report.state_reason
        chatwoot.add_webhook("http://nobody.example.com/", SUBSCRIPTIONS)
        krayin.reset_requests()
        chatwoot.calls.clear()
        with krayin.state.lock:
            krayin.limiter.reset()
        yield Desk(runtime, clock, account, report.hook, chatwoot, krayin, given["api_url"])  # type: ignore[arg-type]
