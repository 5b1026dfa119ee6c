"""What happens in Chatwoot, done in GLPI: contact → User or Contact, conversation → Ticket, message → ITILFollowup.

Each handler brings GLPI to the state the event speaks of, and makes what is missing on the way: a message of a
conversation that has no ticket yet opens the ticket first. Repeating any of them changes nothing. A record that GLPI
has no longer is resolved once more; a second time the event fails.
"""

from __future__ import annotations

from collections.abc import Callable

from crm_sync.crms import recency
from crm_sync.crms.base import NOT_MIRRORED, Link, Local, Port
from crm_sync.crms.glpi import attributes
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.documents import Documents
from crm_sync.crms.glpi.followups import Followups, answer, readable
from crm_sync.crms.glpi.requesters import requesters_for
from crm_sync.crms.glpi.tickets import Tickets
from crm_sync.crms.glpi.updates import Updates
from crm_sync.crms.glpi.work import TICKET, Work
from crm_sync.crms.history import History
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Contact, Conversation, Event, EventName, Message, RemoteUpdate

FOLLOWUPS_OFF = "Followups are switched off (enable_followup_sync)."


class GlpiProcessor(Work):
    """Handles one event. ``port`` stands for the journal, the links and Chatwoot."""

    def __init__(self, client: GlpiClient, port: Port) -> None:
        super().__init__(client, port)
        history = History(port, wants_all=self.settings["enable_followup_sync"])
        documents = Documents(client, port)
        self.requesters = requesters_for(client, port)
        self.people = self.requesters.people
        self.tickets = Tickets(client, port, self.requesters, history, documents)
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
        self.people.as_of = event.occurred_at
        outcome = self._handlers[event.name](event)
        return " ".join(
            dict.fromkeys([outcome, *self.tickets.notes, *self.people.notes, *self.requesters.notes])
        )

    def apply(self, update: RemoteUpdate) -> str:
        """See crms.base.Processor."""
        outcome = Updates(self.client, self.port, self.tickets).apply(update)
        return " ".join(dict.fromkeys([outcome, *self.tickets.notes]))

    # -- handlers ------------------------------------------------------------------------------------------------

    def contact(self, event: Event) -> str:
        """The contact's user (or GLPI Contact) is there and says what the contact says."""
        contact, people = event.contact, self.people
        if not attributes.is_synced(contact):
            raise Skip(
                "sync_switched_off",
                f"Contact {contact.id} is not kept up to date in GLPI, since its attribute "
                f"{attributes.SYNC_ENABLED} is switched off.",
            )
        known = people.known(contact)
        if known is None:
            person = people.of(contact)
            return (
                f"{people.called} {person.remote_id} {'created' if person.created else 'found and linked'}."
            )
        contact = self._present(contact, known)
        try:
            changed = people.update(known, contact)
        except NotFound:
            self.port.forget(known)
            person, called = people.of(contact), people.called
            return f"The {_lower(called)} was gone; {_lower(called)} {person.remote_id} takes its place."
        if not changed:
            return f"{people.called} {known.remote_id} is up to date."
        return f"{people.called} {known.remote_id} updated: {', '.join(sorted(changed))}."

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
            ticket = self.tickets.anew(event, conversation, ticket)
            earlier = self._earlier(ticket, conversation)
            return f"The ticket was gone; ticket {ticket.remote_id} takes its place.{earlier}"
        if changed is None:
            return f"Ticket {ticket.remote_id} shows a newer state already."
        if not changed:
            return f"Ticket {ticket.remote_id} is up to date."
        # A merged ticket was followed to another one.
        ticket = self.port.link(ticket.local, TICKET) or ticket
        return f"Ticket {ticket.remote_id} updated: {', '.join(changed)}."

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
            return self._mirrored(message, self.tickets.standing_one(ticket), conversation)
        except NotFound:
            return self._mirrored(message, self.tickets.anew(event, conversation, ticket), conversation)

    def message_updated(self, event: Event) -> str:
        """GLPI shows the message as it is now, if it shows it at all: edited, deleted, or not delivered."""
        message, conversation = answer(event), self._wanted(event)
        ticket = self.port.link(Local("conversation", conversation.id), TICKET)
        if ticket is not None and ticket.agreed.get("first_message") == message.id:
            return self.tickets.described(event, ticket, conversation, message)
        if not self.settings["enable_followup_sync"]:
            raise Skip("switched_off", FOLLOWUPS_OFF)
        if ticket is None:
            raise Skip(NOT_MIRRORED, "The message is not in GLPI, so there is nothing to change.")
        return self.followups.updated(event, message, ticket)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _present(self, contact: Contact, known: Link) -> Contact:
        """The contact as it is now, where the delivery may be older than what GLPI shows. Raises Skip."""
        if not self.people.is_outdated(known, contact):
            return contact
        return recency.present(self.port, contact)

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


def _lower(called: str) -> str:
    """A kind's name within a sentence."""
    return called if called.startswith("GLPI") else called.lower()
