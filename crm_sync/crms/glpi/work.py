"""What the parts of the processor have in common: a client, a port, and what the hook says of all its records."""

from __future__ import annotations

from typing import Any

from crm_sync.crms import texts
from crm_sync.crms.base import Port
from crm_sync.crms.glpi import content
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.errors import ApiError

#: The first major version that chooses among the requesters it is given (measured on 10.0.19 and 11.0.6).
PICKS_REQUESTERS = 11

USER, TICKET, FOLLOWUP = "User", "Ticket", "ITILFollowup"


class Work:
    """One event's access to GLPI, and to the journal, the links and Chatwoot."""

    def __init__(self, client: GlpiClient, port: Port) -> None:
        self.client = client
        self.port = port
        self.settings = port.hook.settings
        self.facts = port.hook.facts
        self.texts = texts.load("crm_sync.crms.glpi", self.settings["language"])

    @property
    def entity(self) -> int:
        """The entity of tickets: the setting's, else the one the account stood in when the hook was set up."""
        entity = self.settings.get("entity_id")
        return int(entity if entity is not None else self.facts.get("entity_id", 0))

    @property
    def picks_requesters(self) -> bool:
        """Whether this GLPI leaves out a requester whose profile does not fit: 11 does, and says nothing."""
        major = str(self.facts.get("version", "")).partition(".")[0]
        return not major.isdigit() or int(major) >= PICKS_REQUESTERS

    @property
    def region(self) -> str | None:
        """The country of telephone numbers without a country code."""
        region: str | None = self.settings.get("default_region")
        return region

    def marker(self, kind: str, record_id: int) -> str:
        """What identifies a record of ours in GLPI."""
        hook = self.port.hook
        return content.marker(hook.chatwoot_url, hook.chatwoot_account_id, kind, record_id)

    def failing(self, code: str, error: ApiError) -> ApiError:
        """The error, begun with the sentence for what could not be done, in the language of who runs the service."""
        words = texts.load("crm_sync.crms.glpi", self.port.hook.language)
        error.message = f"{words(f'errors.{code}')} {error.message}"
        return error

    def quietly(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Keep GLPI from mailing people what they were told in Chatwoot, unless that is wanted."""
        return fields if self.settings["glpi_notifications"] else {**fields, "_disablenotif": True}
