"""A desk whose CRM is Krayin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from crm_sync.config import Config
from crm_sync.sandbox.krayin import KrayinSandbox, create_app as krayin_app
from tests.integration.clock import Clock
from tests.integration.desk import WEBSITE, Desk as AnyDesk, Row, once
from tests.integration.stage import Stage, stages

__all__ = ["WEBSITE", "Desk", "Row", "once", "opened"]


class Desk(AnyDesk):
    """A sales team: what they do in ``chatwoot`` reaches ``krayin`` once a worker came."""

    @property
    def krayin(self) -> KrayinSandbox:
        """The stand-in."""
        found: KrayinSandbox = self.crm
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

    # -- Krayin --------------------------------------------------------------------------------------------------

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

    def client(self) -> Any:
        """Krayin's API, for somebody else."""
        return self.runtime.client(self.runtime.view(self.hook(), self.account), self.hook().version)

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
        return self.calls_below("/api/v1")


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@contextmanager
def opened(
    config: Config, flavour: str, settings: Mapping[str, str], *, rate_limit: int = 0
) -> Iterator[Desk]:
    """A desk with a hook that was added as ``crm-sync hooks add`` does it."""

    def build() -> Stage:
        return Stage.build(
            krayin_app(flavour=flavour),
            lambda krayin: [krayin.state, krayin.limiter, krayin.faults, krayin._calls],
        )

    with stages.taken(f"krayin {flavour}", build) as stage:

        def prepare(clock: Clock) -> None:
            stage.crm.state.clock = clock
            stage.crm.state.settings["rate_limit"] = rate_limit
            stage.crm.limiter.reset()

        given = {"api_url": f"{stage.crm_server.url}/api/v1", "api_token": stage.crm.token, **settings}
        given = {key: text for key, text in given.items() if text}
        with stage.connected(config, "krayin", given, prepare, f"{rate_limit}") as found:
            yield Desk(*found, stage.chatwoot, stage.crm, given["api_url"])
