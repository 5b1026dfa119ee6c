"""Who asks for a ticket: its requester, found or made, and seen to be taken by GLPI."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crm_sync.crms.base import Link, Port
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.people import People
from crm_sync.crms.glpi.work import TICKET, USER, Work
from crm_sync.errors import Duplicate, NotFound
from crm_sync.events import Contact, Conversation

#: The role of a requester among a ticket's users.
REQUESTER = 1

#: A user who was a ticket's requester this recently will be one again. GLPI drops requesters who are gone, and
#: GLPI 11 also those it thinks unfit, without a word; so once in a while it is looked whether it took this one.
REQUESTER_TRUSTED = timedelta(days=1)


class Requesters(Work):
    """The requesters of tickets. A ticket's ``agreed`` holds ``requester`` once it is known that GLPI took it."""

    def __init__(self, client: GlpiClient, port: Port, people: People) -> None:
        super().__init__(client, port)
        self.people = people

    def of(self, contact: Contact) -> Link:
        """The link of a contact to who asks for it in GLPI, found or made. Raises Skip."""
        return self.people.user(contact)

    def fields(self, requester: Link) -> dict[str, Any]:
        """What a new ticket says of its requester."""
        return {"_users_id_requester": int(requester.remote_id)}

    def agreed(self, requester: Link) -> dict[str, Any]:
        """What is known of a new ticket's requester without asking."""
        return {"requester": requester.remote_id} if self._is_trusted(requester) else {}

    def seen_to(self, ticket: Link, conversation: Conversation) -> Link:
        """The ticket after GLPI was seen to name its requester. Costs no call once that is known."""
        if ticket.agreed.get("requester") is not None:
            return ticket
        return self._with_requester(ticket, conversation)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _is_trusted(self, user: Link) -> bool:
        seen = user.agreed.get("seen") or {}
        return seen.get("entity") == self.entity and (
            self.port.now - datetime.fromisoformat(seen["at"]) < REQUESTER_TRUSTED
        )

    def _with_requester(self, ticket: Link, conversation: Conversation) -> Link:
        """The ticket after GLPI was seen to name its requester; added where it dropped him."""
        user = self.people.user(conversation.contact)
        rows = self.client.items(f"{TICKET}/{ticket.remote_id}/Ticket_User")
        named = {str(row.get("users_id")) for row in rows if row.get("type") == REQUESTER}
        if user.remote_id not in named:
            user = self._existing(user, conversation)
            self._add(ticket, user)
        elif ticket.created:
            # Named by GLPI itself, not by an earlier attempt of ours.
            self.port.agree(user, seen=self.people.seen())
        return self.port.agree(ticket, requester=user.remote_id)

    def _existing(self, user: Link, conversation: Conversation) -> Link:
        """The contact's user; resolved once more when GLPI has it no longer."""
        try:
            self.client.item(USER, user.remote_id)
        except NotFound:
            self.port.forget(user)
            return self.people.user(conversation.contact)
        return user

    def _add(self, ticket: Link, user: Link) -> None:
        row = {"tickets_id": int(ticket.remote_id), "users_id": int(user.remote_id), "type": REQUESTER}
        try:
            self.client.create("Ticket_User", self.quietly(row))
        except Duplicate:
            return
