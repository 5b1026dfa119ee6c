"""conversation → Ticket: opened once, with its requester, and kept in the conversation's state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.glpi import content, mapping
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.requesters import Requesters
from crm_sync.crms.glpi.work import TICKET, Work
from crm_sync.errors import Rejected
from crm_sync.events import Conversation, Direction, Event, EventName, Message

#: A conversation's first message is written together with it; Chatwoot tells both times in full seconds.
TOGETHER = timedelta(seconds=2)


class Tickets(Work):
    """The tickets of conversations.

    ``agreed`` holds the state, ``as_of`` (how new it is), ``first_message`` (the description's) and what is known of
    its requester (see requesters).
    """

    def __init__(self, client: GlpiClient, port: Port, requesters: Requesters) -> None:
        super().__init__(client, port)
        self.requesters = requesters

    def ticket(self, event: Event, conversation: Conversation) -> Link:
        """The link of a conversation to its ticket, opened if there is none. Raises Skip when it is not to be."""
        local = Local("conversation", conversation.id)
        ticket = self.port.link(local, TICKET)
        if ticket is None:
            requester = self.requesters.of(conversation.contact)
            ticket = self.port.ensure(
                local,
                TICKET,
                create=lambda: self._created(event, conversation, requester),
                recover=lambda: self._recovered(conversation),
            )
            shown = {"glpi_ticket_id": int(ticket.remote_id), "glpi_ticket_url": ticket.url}
            self.port.show(local, TICKET, shown)
        return self.requesters.seen_to(ticket, conversation)

    def update(self, ticket: Link, conversation: Conversation) -> set[str] | None:
        """Bring a ticket to its conversation's state; returns what changed, None for a state that is older.

        Raises NotFound when the ticket is gone.
        """
        as_of = conversation.updated_at.isoformat() if conversation.updated_at else None
        if as_of and as_of < str(ticket.agreed.get("as_of") or ""):
            return None
        wanted = mapping.ticket_state(conversation)
        changes = {key: value for key, value in wanted.items() if ticket.agreed.get(key) != value}
        if changes:
            self.client.update(TICKET, ticket.remote_id, self.quietly(changes))
        if changes or as_of:
            self.port.agree(ticket, **wanted, as_of=as_of)
        return set(changes)

    # -- opening -------------------------------------------------------------------------------------------------

    def _created(self, event: Event, conversation: Conversation, requester: Link) -> Remote:
        first = self._first_message(event, conversation)
        state = mapping.ticket_state(conversation)
        began = conversation.created_at
        fields = {
            "name": mapping.title(conversation),
            "content": content.ticket_content(
                conversation, first, self.marker("conversation", conversation.id)
            ),
            "entities_id": self.entity,
            "type": self.settings["ticket_type"],
            "itilcategories_id": self.settings.get("category_id"),
            "requesttypes_id": self.settings.get("request_source_id"),
            "date": self.client.local_date(began) if began else None,
            **state,
            **self.requesters.fields(requester),
        }
        given = {key: value for key, value in fields.items() if value is not None}
        try:
            ticket_id = self.client.create(TICKET, self.quietly(given))
        except Rejected as refused:
            raise self.failing("ticket_creation_failed", refused) from None
        agreed = {
            **state,
            "as_of": conversation.updated_at.isoformat() if conversation.updated_at else None,
            "first_message": first.id if first else 0,
        }
        return self._remote(ticket_id, agreed | self.requesters.agreed(requester))

    def _recovered(self, conversation: Conversation) -> Remote | None:
        """The ticket that an earlier attempt opened, be it in the bin by now."""
        mark = self.marker("conversation", conversation.id)
        criteria = [{"field": 21, "searchtype": "contains", "value": mark}]
        for binned in (False, True):
            for row in self.client.search(TICKET, criteria, (2, 12, 21), binned=binned):
                text = str(row.get("21") or "")
                if content.is_marked(text, mark):
                    agreed = {"status": row.get("12"), "first_message": content.first_message_in(text)}
                    return self._remote(int(row["2"]), agreed)
        return None

    def _remote(self, ticket_id: int, agreed: Mapping[str, Any]) -> Remote:
        return Remote(str(ticket_id), mapping.ticket_url(self.client.api_url, str(ticket_id)), agreed)

    def _first_message(self, event: Event, conversation: Conversation) -> Message | None:
        """The first public message of a conversation.

        A delivery holds the last one as of its sending, so the journal is asked too; and Chatwoot, when what is
        known may not be the first.
        """
        known = {message.id: message for message in self.port.journaled_messages(conversation.id)}
        known |= {message.id: message for message in conversation.messages if message.id not in known}
        readable = [message for message in known.values() if _opens_a_ticket(message)]
        first = min(readable, key=lambda message: message.id, default=None)
        begins = conversation.created_at
        certain = first is not None and begins is not None and first.created_at - begins < TOGETHER
        if event.name is not EventName.CONVERSATION_CREATED or not certain:
            asked = self.port.chatwoot.first_messages(conversation.id)
            first = min(filter(_opens_a_ticket, asked), key=lambda message: message.id, default=first)
        return first


def _opens_a_ticket(message: Message) -> bool:
    return (
        not message.private and message.direction is not Direction.TEMPLATE and content.has_content(message)
    )
