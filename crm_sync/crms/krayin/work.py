"""What the parts of the processor have in common: a client, a port, and what the hook says of all its records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b

from crm_sync.crms import texts
from crm_sync.crms.base import Link, Port
from crm_sync.crms.krayin import mapping, stages
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.stages import Pipelines, Stage
from crm_sync.errors import NotFound

PERSON, ORGANIZATION, LEAD, ACTIVITY = "Person", "Organization", "Lead", "Activity"
#: The activities of messages, and of their files.
NOTE, FILE = "Note", "File"


class Gone(Exception):
    """Krayin has the record of a link no longer."""

    def __init__(self, link: Link, error: NotFound) -> None:
        super().__init__(str(error))
        self.link = link
        self.error = error


@contextmanager
def relying_on(link: Link | None) -> Iterator[None]:
    """Within this block, what Krayin does not find is the record of this link. Raises Gone."""
    try:
        yield
    except NotFound as error:
        if link is None:
            raise
        raise Gone(link, error) from error


class Work:
    """One event's access to Krayin, and to journal, links and Chatwoot. ``as_of`` is when the event happened."""

    def __init__(self, client: KrayinClient, port: Port) -> None:
        self.client = client
        self.port = port
        self.settings = port.hook.settings
        self.facts = port.hook.facts
        self.texts = texts.load("crm_sync.crms.krayin", self.settings["language"])
        self.as_of: datetime | None = None
        #: What people are to know besides what was done.
        self.remarks: list[str] = []

    @property
    def region(self) -> str | None:
        """The country of telephone numbers without a country code."""
        region: str | None = self.settings.get("default_region")
        return region

    @property
    def pipelines(self) -> Pipelines:
        """The pipelines as they were when the hook was set up."""
        found: Pipelines = self.facts.get("pipelines") or ()
        return found

    def stage(self, number: int | None) -> Stage | None:
        """A stage; Krayin is asked where the setup has not seen it."""
        found = stages.by_id(self.pipelines, number)
        if found is not None or number is None:
            return found
        fresh = self.client.lookups.get("pipelines", lambda: stages.kept(self.client.pipelines()))
        return stages.by_id(fresh, number)

    def marker(self, kind: str, number: int) -> str:
        """What identifies a record of ours in Krayin."""
        hook = self.port.hook
        return mapping.marker(hook.chatwoot_url, hook.chatwoot_account_id, kind, number)

    def owner(self, assignee_id: int | None) -> int | None:
        """The Krayin user who is to own a new lead or person: the assigned agent's, else that of the settings."""
        fallback: int | None = self.settings.get("default_owner_id")
        return self.user_of(assignee_id) or fallback

    def user_of(self, assignee_id: int | None) -> int | None:
        """The Krayin user with the e-mail address of the assigned agent, where leads are to be his."""
        if not self.settings["owner_by_assignee"] or assignee_id is None:
            return None
        agents = {agent.id: agent.email for agent in self.port.chatwoot.agents()}
        email = (agents.get(assignee_id) or "").lower()
        known: dict[str, int] = self.client.lookups.get(
            "users",
            lambda: {str(row.get("email") or "").lower(): int(row["id"]) for row in self.client.users()},
        )
        return known.get(email) if email else None


def shared(kind: str, value: str) -> str:
    """The name of a mutex on something several contacts may share, without telling what it is."""
    return f"krayin:{kind}:{blake2b(value.casefold().encode(), digest_size=8).hexdigest()}"
