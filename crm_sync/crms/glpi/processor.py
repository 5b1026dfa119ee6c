"""What happens in Chatwoot, done in GLPI: contact → User, conversation → Ticket, message → ITILFollowup.

Each handler brings GLPI to the state the event speaks of, and makes what is missing on the way: a message of a
conversation that has no ticket yet opens the ticket first. Repeating any of them changes nothing. A record that GLPI
has no longer is resolved once more; a second time the event fails.
"""

from __future__ import annotations

from collections.abc import Callable

from crm_sync.crms.base import Link, Local, Port
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.documents import Documents
from crm_sync.crms.glpi.followups import Followups, answer, readable
from crm_sync.crms.glpi.history import History
from crm_sync.crms.glpi.people import People
from crm_sync.crms.glpi.requesters import Requesters
from crm_sync.crms.glpi.tickets import Tickets
from crm_sync.crms.glpi.work import TICKET, USER, Work
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Conversation, Event, EventName, Message

FOLLOWUPS_OFF = "Followups are switched off (enable_followup_sync)."


class GlpiProcessor(Work):
    """Handles one event. ``port`` stands for the journal, the links and Chatwoot."""

    def __init__(self, client: GlpiClient, port: Port) -> None:
        super().__init__(client, port)
        self.people = People(client, port)
        history, documents = History(port), Documents(client, port)
        requesters = Requesters(client, port, self.people)
        self.tickets = Tickets(client, port, requesters, history, documents)
        self.followups = Followups(client, port, history, documents)
        self._handlers: dict[EventName, Callable[[Event], str]] = {
            EventName.CONTACT_CREATED: self.contact,
            EventName.CONTACT_UPDATED: self.contact,
            EventName.CONVERSATION_CREATED: self.conversation,
            EventName.CONVERSATION_UPDATED: self.conversation,
            EventName.CONVERSATION_STATUS_CHANGED: self.conversation,
            EventName.MESSAGE_CREATED: self.message,
            EventName.MESSAGE_UPDATED: self.message_updated,
        }

    def handle(self, event: Event) -> str:
        """See crms.base.Processor."""
        return self._handlers[event.name](event)

    # -- handlers ------------------------------------------------------------------------------------------------

    def contact(self, event: Event) -> str:
        """The contact's user is there and says what the contact says."""
        known = self.port.link(Local("contact", event.contact.id), USER)
        if known is None:
            user = self.people.user(event.contact)
            return f"User {user.remote_id} {'created' if user.created else 'found and linked'}."
        try:
            changed = self.people.update(known, event.contact)
        except NotFound:
            self.port.forget(known)
            user = self.people.user(event.contact)
            return f"The user was gone; user {user.remote_id} takes its place."
        if not changed:
            return f"User {known.remote_id} is up to date."
        return f"User {known.remote_id} updated: {', '.join(sorted(changed))}."

    def conversation(self, event: Event) -> str:
        """The conversation's ticket is there and in its state."""
        conversation = self._wanted(event)
        ticket = self.tickets.ticket(event, conversation)
        if ticket.created:
            return f"Ticket {ticket.remote_id} created.{self._earlier(ticket, conversation)}"
        try:
            self._earlier(ticket, conversation)
            changed = self.tickets.update(ticket, conversation)
        except NotFound:
            self.port.forget(ticket)
            ticket = self.tickets.ticket(event, conversation)
            earlier = self._earlier(ticket, conversation)
            return f"The ticket was gone; ticket {ticket.remote_id} takes its place.{earlier}"
        if changed is None:
            return f"Ticket {ticket.remote_id} shows a newer state already."
        if not changed:
            return f"Ticket {ticket.remote_id} is up to date."
        return f"Ticket {ticket.remote_id} updated: {', '.join(sorted(changed))}."

    def message(self, event: Event) -> str:
        """The message can be read in the conversation's ticket, once."""
        message, conversation = readable(event), self._wanted(event)
        if not self.settings["enable_followup_sync"]:
            if self.port.link(Local("conversation", conversation.id), TICKET) is None:
                ticket = self.tickets.ticket(event, conversation)
                return f"Ticket {ticket.remote_id} created; followups are switched off."
            raise Skip("switched_off", FOLLOWUPS_OFF)
        ticket = self.tickets.ticket(event, conversation)
        try:
            return self._mirrored(message, ticket, conversation)
        except NotFound:
            self.port.forget(ticket)
            return self._mirrored(message, self.tickets.ticket(event, conversation), conversation)

    def message_updated(self, event: Event) -> str:
        """GLPI shows the message as it is now, if it shows it at all: edited, deleted, or not delivered."""
        message, conversation = answer(event), self._wanted(event)
        ticket = self.port.link(Local("conversation", conversation.id), TICKET)
        if ticket is not None and ticket.agreed.get("first_message") == message.id:
            return self.tickets.described(event, ticket, conversation, message)
        if not self.settings["enable_followup_sync"]:
            raise Skip("switched_off", FOLLOWUPS_OFF)
        if ticket is None:
            raise Skip("not_mirrored", "The message is not in GLPI, so there is nothing to change.")
        return self.followups.updated(event, message, ticket)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _mirrored(self, message: Message, ticket: Link, conversation: Conversation) -> str:
        earlier = self._earlier(ticket, conversation, until=message.id)
        return self.followups.mirrored(message, ticket) + earlier

    def _earlier(self, ticket: Link, conversation: Conversation, *, until: int | None = None) -> str:
        """Mirror what is due of the time before the ticket; what is to be said of it."""
        _, count = self.followups.caught_up(ticket, conversation, until=until)
        return f" Earlier messages added: {count}." if count else ""

    def _wanted(self, event: Event) -> Conversation:
        if event.conversation is None:
            raise Skip("no_conversation", "The delivery holds no conversation.")
        if not self.settings["enable_ticket_sync"]:
            raise Skip("switched_off", "Tickets are switched off (enable_ticket_sync).")
        return event.conversation
