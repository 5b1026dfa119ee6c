"""What the parts of the processor have in common: a client, a port, and what the hook says of all its records."""

from __future__ import annotations

from typing import Any

from crm_sync.crms import texts
from crm_sync.crms.base import Link, Port
from crm_sync.crms.glpi import content
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.errors import ApiError
from crm_sync.events import Conversation

#: The first major version that chooses among the requesters it is given (measured on 10.0.19 and 11.0.6).
PICKS_REQUESTERS = 11

#: With more users than this, GLPI 11 is slow to tell which of the users that a new ticket names are fit for it: it
#: loads all users for each of them (measured: half a second at 5,000 users, one and a half at 20,000).
MANY_USERS = 2000

USER, CONTACT, TICKET = "User", "Contact", "Ticket"
FOLLOWUP, SOLUTION = "ITILFollowup", "ITILSolution"


def is_of(record: Link, ticket: Link) -> bool:
    """Whether a followup or document belongs to the conversation as its ticket holds it.

    That is to this ticket or to one that still stands before it; what belongs to a purged one went with that.
    """
    of = str(record.agreed.get("ticket", ticket.remote_id))
    return of == ticket.remote_id or of in ticket.agreed.get("formers", ())


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
    def adds_actors_later(self) -> bool:
        """Whether a ticket's users are better added by Ticket_User than named when it is opened."""
        return self.picks_requesters and int(self.facts.get("user_count") or 0) > MANY_USERS

    @property
    def region(self) -> str | None:
        """The country of telephone numbers without a country code."""
        region: str | None = self.settings.get("default_region")
        return region

    def inbox(self, conversation: Conversation) -> str | None:
        """What agents call the inbox of a conversation; Chatwoot is asked where the delivery does not tell."""
        if conversation.inbox_name or conversation.inbox_id is None:
            return conversation.inbox_name
        return self.port.chatwoot.inbox_name(conversation.inbox_id)

    def marker(self, kind: str, record_id: int | str) -> str:
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
