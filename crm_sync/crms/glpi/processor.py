"""What happens in Chatwoot, done in GLPI: contact → User, conversation → Ticket, message → ITILFollowup.

Each handler brings GLPI to the state the event speaks of, and makes what is missing on the way: a message of a
conversation that has no ticket yet opens the ticket first. Repeating any of them changes nothing. A record that GLPI
has no longer is resolved once more; a second time the event fails.
"""

from __future__ import annotations

from collections.abc import Callable

from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.glpi import content
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.people import People
from crm_sync.crms.glpi.tickets import Tickets
from crm_sync.crms.glpi.work import FOLLOWUP, TICKET, USER, Work
from crm_sync.errors import NotFound, Rejected, Skip
from crm_sync.events import Conversation, Direction, Event, EventName, Message

#: How many of a ticket's newest followups are looked through for one that an earlier attempt may have written.
RECENT_FOLLOWUPS = 200


class GlpiProcessor(Work):
    """Handles one event. ``port`` stands for the journal, the links and Chatwoot."""

    def __init__(self, client: GlpiClient, port: Port) -> None:
        super().__init__(client, port)
        self.people = People(client, port)
        self.tickets = Tickets(client, port, self.people)
        self._handlers: dict[EventName, Callable[[Event], str]] = {
            EventName.CONTACT_CREATED: self.contact,
            EventName.CONTACT_UPDATED: self.contact,
            EventName.CONVERSATION_CREATED: self.conversation,
            EventName.CONVERSATION_UPDATED: self.conversation,
            EventName.CONVERSATION_STATUS_CHANGED: self.conversation,
            EventName.MESSAGE_CREATED: self.message,
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
            return f"Ticket {ticket.remote_id} created."
        try:
            changed = self.tickets.update(ticket, conversation)
        except NotFound:
            self.port.forget(ticket)
            ticket = self.tickets.ticket(event, conversation)
            return f"The ticket was gone; ticket {ticket.remote_id} takes its place."
        if changed is None:
            return f"Ticket {ticket.remote_id} shows a newer state already."
        if not changed:
            return f"Ticket {ticket.remote_id} is up to date."
        return f"Ticket {ticket.remote_id} updated: {', '.join(sorted(changed))}."

    def message(self, event: Event) -> str:
        """The message can be read in the conversation's ticket, once."""
        message, conversation = _readable(event), self._wanted(event)
        if not self.settings["enable_followup_sync"]:
            if self.port.link(Local("conversation", conversation.id), TICKET) is None:
                ticket = self.tickets.ticket(event, conversation)
                return f"Ticket {ticket.remote_id} created; followups are switched off."
            raise Skip("switched_off", "Followups are switched off (enable_followup_sync).")
        ticket = self.tickets.ticket(event, conversation)
        try:
            return self._mirrored(message, ticket)
        except NotFound:
            self.port.forget(ticket)
            return self._mirrored(message, self.tickets.ticket(event, conversation))

    # -- parts ---------------------------------------------------------------------------------------------------

    def _wanted(self, event: Event) -> Conversation:
        if event.conversation is None:
            raise Skip("no_conversation", "The delivery holds no conversation.")
        if not self.settings["enable_ticket_sync"]:
            raise Skip("switched_off", "Tickets are switched off (enable_ticket_sync).")
        return event.conversation

    def _mirrored(self, message: Message, ticket: Link) -> str:
        """See that the message is in the ticket. Raises NotFound when the ticket is gone."""
        if ticket.agreed.get("first_message") == message.id:
            return f"The message is the description of ticket {ticket.remote_id}."
        mark = self.marker("message", message.id)
        followup = self.port.ensure(
            Local("message", message.id),
            FOLLOWUP,
            create=lambda: self._followup(message, ticket, mark),
            recover=lambda: self._recovered(ticket, mark),
        )
        return f"Followup {followup.remote_id} added to ticket {ticket.remote_id}."

    def _followup(self, message: Message, ticket: Link, mark: str) -> Remote:
        fields = {
            "itemtype": TICKET,
            "items_id": int(ticket.remote_id),
            "content": content.followup_content(message, mark),
            # Left out, GLPI would show a private note to the customer.
            "is_private": int(message.private),
            "users_id": self._author(message),
            "date": self.client.local_date(message.created_at),
            # A mirrored message does not decide about the ticket's state; the conversation does.
            "_no_reopen": 1,
        }
        given = {key: value for key, value in fields.items() if value is not None}
        try:
            return Remote(str(self.client.create(FOLLOWUP, self.quietly(given))), ticket.url)
        except Rejected:
            # For a ticket that is gone GLPI answers that it is not allowed; asked for the ticket, it tells.
            self.client.item(TICKET, ticket.remote_id)
            raise

    def _recovered(self, ticket: Link, mark: str) -> Remote | None:
        """The followup that an earlier attempt wrote."""
        rows = self.client.items(
            f"{TICKET}/{ticket.remote_id}/{FOLLOWUP}",
            {"sort": "id", "order": "DESC"},
            limit=RECENT_FOLLOWUPS,
        )
        found = [row for row in rows if content.is_marked(str(row.get("content") or ""), mark)]
        return Remote(str(found[-1]["id"]), ticket.url) if found else None

    def _author(self, message: Message) -> int | None:
        """In whose name a message is written: the customer's user for the customer's words."""
        if message.direction is Direction.INCOMING and message.sender.id is not None:
            user = self.port.link(Local("contact", message.sender.id), USER)
            if user is not None:
                return int(user.remote_id)
        author: int | None = self.settings.get("default_user_id")
        return author


def _readable(event: Event) -> Message:
    message = event.message
    if message is None:
        raise Skip("no_message", "The delivery holds no message.")
    if message.direction is Direction.TEMPLATE:
        raise Skip("template", "A template or survey is not an answer, so it is not mirrored.")
    if not content.has_content(message):
        raise Skip("empty", "The message has no content.")
    return message
