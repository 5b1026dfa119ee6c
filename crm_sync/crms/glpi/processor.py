"""What happens in Chatwoot, done in GLPI: contact → User, conversation → Ticket, message → ITILFollowup.

Each handler brings GLPI to the state the event speaks of, and makes what is missing on the way: a message of a
conversation that has no ticket yet opens the ticket first. Repeating any of them changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.glpi import mapping
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.errors import NotFound, Rejected, Skip
from crm_sync.events import Contact, Conversation, Direction, Event, EventName, Message

USER, TICKET, FOLLOWUP = "User", "Ticket", "ITILFollowup"

#: How many of a ticket's newest followups are looked through for one that an earlier attempt may have written.
RECENT_FOLLOWUPS = 200


class GlpiProcessor:
    """Handles one event. ``port`` stands for the journal, the links and Chatwoot."""

    def __init__(self, client: GlpiClient, port: Port) -> None:
        self.client = client
        self.port = port
        self.settings = port.hook.settings
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
        contact = event.contact
        user = self.port.link(Local("contact", contact.id), USER)
        if user is None:
            user = self._user(contact)
            return f"User {user.remote_id} {'created' if user.created else 'found and linked'}."
        fields = mapping.user_fields(contact, self.settings.get("default_region"))
        changes = {key: value for key, value in fields.items() if user.agreed.get(key) != value}
        if not changes:
            return f"User {user.remote_id} is up to date."
        try:
            self._update_user(user, changes)
        except NotFound:
            self.port.forget(user)
            user = self._user(contact)
            return f"The user was gone; user {user.remote_id} takes its place."
        self.port.agree(user, **fields)
        return f"User {user.remote_id} updated: {', '.join(sorted(changes))}."

    def conversation(self, event: Event) -> str:
        """The conversation's ticket is there and in its state."""
        conversation = _conversation(event)
        ticket = self._ticket(event)
        if ticket.created:
            return f"Ticket {ticket.remote_id} created."
        as_of = _stamp(conversation.updated_at)
        if as_of and as_of < str(ticket.agreed.get("as_of") or ""):
            return f"Ticket {ticket.remote_id} shows a newer state already."
        wanted = mapping.ticket_state(conversation)
        changes = {key: value for key, value in wanted.items() if ticket.agreed.get(key) != value}
        if not changes:
            self.port.agree(ticket, as_of=as_of)
            return f"Ticket {ticket.remote_id} is up to date."
        try:
            self.client.update(TICKET, ticket.remote_id, self._quietly(changes))
        except NotFound:
            self.port.forget(ticket)
            ticket = self._ticket(event)
            return f"The ticket was gone; ticket {ticket.remote_id} takes its place."
        self.port.agree(ticket, **wanted, as_of=as_of)
        return f"Ticket {ticket.remote_id} updated: {', '.join(sorted(changes))}."

    def message(self, event: Event) -> str:
        """The message can be read in the conversation's ticket, once."""
        message = event.message
        if message is None:
            raise Skip("no_message", "The delivery holds no message.")
        conversation = _conversation(event)
        if message.direction is Direction.TEMPLATE:
            raise Skip("template", "A template or survey is not an answer, so it is not mirrored.")
        if message.deleted or not (message.content or message.attachments):
            raise Skip("empty", "The message has no content.")
        if not self.settings["enable_followup_sync"]:
            if self.port.link(Local("conversation", conversation.id), TICKET) is None:
                return f"Ticket {self._ticket(event).remote_id} created; followups are switched off."
            raise Skip("switched_off", "Followups are switched off (enable_followup_sync).")
        ticket = self._ticket(event)
        if ticket.agreed.get("first_message") == message.id:
            return f"The message is the description of ticket {ticket.remote_id}."
        try:
            followup = self._followup(message, ticket)
        except NotFound:
            self.port.forget(ticket)
            ticket = self._ticket(event)
            followup = self._followup(message, ticket)
        return f"Followup {followup.remote_id} added to ticket {ticket.remote_id}."

    # -- people --------------------------------------------------------------------------------------------------

    def _user(self, contact: Contact) -> Link:
        """The link of a contact to its user, found or made. Raises Skip when nothing identifies the contact."""
        local = Local("contact", contact.id)
        known = self.port.link(local, USER)
        if known is not None:
            return known
        if not mapping.is_identifiable(contact):
            raise Skip(
                "not_identifiable",
                f"Contact {contact.id} has neither an e-mail address nor a telephone number to know it by.",
            )
        region = self.settings.get("default_region")
        login = mapping.login(self.port.hook.chatwoot_url, self.port.hook.chatwoot_account_id, contact.id)
        fields = mapping.user_fields(contact, region)

        def find() -> Remote | None:
            criteria = mapping.user_criteria(contact, login, region)
            found = mapping.choose_user(
                self.client.search(USER, criteria, mapping.USER_DISPLAY), contact, login
            )
            return self._remote_user(found, fields) if found is not None else None

        def create() -> Remote:
            filled = {key: value for key, value in fields.items() if value}
            body = {"name": login, **mapping.user_input(filled), "entities_id": self._entity()}
            try:
                return self._remote_user(self.client.create(USER, body), fields)
            except Rejected as refused:
                # GLPI names a login that is taken in the words of its own language only.
                taken = find() if refused.code == "ERROR_GLPI_ADD" else None
                if taken is None:
                    raise
                return taken

        user = self.port.ensure(local, USER, find=find, create=create, recover=find)
        self.port.show(local, USER, {"glpi_user_id": int(user.remote_id), "glpi_entity_id": self._entity()})
        return user

    def _remote_user(self, user_id: int, fields: dict[str, Any]) -> Remote:
        return Remote(str(user_id), mapping.user_url(self.client.api_url, str(user_id)), fields)

    def _update_user(self, user: Link, changes: dict[str, Any]) -> None:
        """Change a user; an address it no longer has is taken away."""
        before = str(user.agreed.get("email") or "")
        self.client.update(USER, user.remote_id, mapping.user_input(changes))
        if "email" in changes and before:
            for row in self.client.items(f"User/{user.remote_id}/UserEmail"):
                if str(row.get("email", "")).lower() == before.lower():
                    self.client.delete("UserEmail", row["id"])

    # -- tickets -------------------------------------------------------------------------------------------------

    def _ticket(self, event: Event) -> Link:
        """The link of a conversation to its ticket, opened if there is none. Raises Skip when it is not to be."""
        conversation = _conversation(event)
        local = Local("conversation", conversation.id)
        known = self.port.link(local, TICKET)
        if known is not None:
            return known
        if not self.settings["enable_ticket_sync"]:
            raise Skip("switched_off", "Tickets are switched off (enable_ticket_sync).")
        requester = self._user(conversation.contact)

        def create() -> Remote:
            first = self._first_message(event)
            mark = self._marker("conversation", conversation.id, first.id if first else 0)
            state = mapping.ticket_state(conversation)
            fields = {
                "name": mapping.title(conversation),
                "content": mapping.ticket_content(conversation, first, mark),
                "entities_id": self._entity(),
                "type": self.settings["ticket_type"],
                "itilcategories_id": self.settings.get("category_id"),
                "requesttypes_id": self.settings.get("request_source_id"),
                "_users_id_requester": int(requester.remote_id),
                "date": self.client.local_date(conversation.created_at) if conversation.created_at else None,
                **state,
            }
            given = {key: value for key, value in fields.items() if value is not None}
            ticket_id = self.client.create(TICKET, self._quietly(given))
            agreed = {
                **state,
                "as_of": _stamp(conversation.updated_at),
                "first_message": first.id if first else 0,
            }
            return self._remote_ticket(ticket_id, agreed)

        def recover() -> Remote | None:
            mark = self._marker("conversation", conversation.id)
            rows = self.client.search(
                TICKET, [{"field": 21, "searchtype": "contains", "value": mark}], (2, 12, 21)
            )
            if not rows:
                return None
            content = str(rows[0].get("21") or "")
            agreed = {"status": rows[0].get("12"), "first_message": mapping.first_message_in(content)}
            return self._remote_ticket(int(rows[0]["2"]), agreed)

        ticket = self.port.ensure(local, TICKET, create=create, recover=recover)
        self.port.show(
            local, TICKET, {"glpi_ticket_id": int(ticket.remote_id), "glpi_ticket_url": ticket.url}
        )
        return ticket

    def _remote_ticket(self, ticket_id: int, agreed: dict[str, Any]) -> Remote:
        return Remote(str(ticket_id), mapping.ticket_url(self.client.api_url, str(ticket_id)), agreed)

    def _first_message(self, event: Event) -> Message | None:
        """The first public message of a conversation.

        The delivery holds the last one, so the journal is asked too; Chatwoot, when neither can know.
        """
        conversation = _conversation(event)
        known = {message.id: message for message in self.port.journaled_messages(conversation.id)}
        known |= {message.id: message for message in conversation.messages if message.id not in known}
        readable = [message for message in known.values() if _opens_a_ticket(message)]
        if event.name is not EventName.CONVERSATION_CREATED or not readable:
            asked = self.port.chatwoot.first_messages(conversation.id)
            readable = [message for message in asked if _opens_a_ticket(message)] or readable
        return min(readable, key=lambda message: message.id, default=None)

    # -- messages ------------------------------------------------------------------------------------------------

    def _followup(self, message: Message, ticket: Link) -> Link:
        mark = self._marker("message", message.id)

        def create() -> Remote:
            fields = {
                "itemtype": TICKET,
                "items_id": int(ticket.remote_id),
                "content": mapping.followup_content(message, mark),
                "is_private": int(message.private),
                "users_id": self._author(message),
                "date": self.client.local_date(message.created_at),
                # A mirrored message does not decide about the ticket's state; the conversation does.
                "_no_reopen": 1,
            }
            given = {key: value for key, value in fields.items() if value is not None}
            return Remote(str(self.client.create(FOLLOWUP, self._quietly(given))), ticket.url)

        def recover() -> Remote | None:
            rows = self.client.items(
                f"{TICKET}/{ticket.remote_id}/{FOLLOWUP}", limit=RECENT_FOLLOWUPS, sort="id", order="DESC"
            )
            found = [row for row in rows if mark in str(row.get("content") or "")]
            return Remote(str(found[-1]["id"]), ticket.url) if found else None

        return self.port.ensure(Local("message", message.id), FOLLOWUP, create=create, recover=recover)

    def _author(self, message: Message) -> int | None:
        """In whose name a message is written: the customer's user for the customer's words."""
        if message.direction is Direction.INCOMING and message.sender.id is not None:
            user = self.port.link(Local("contact", message.sender.id), USER)
            if user is not None:
                return int(user.remote_id)
        author: int | None = self.settings.get("default_user_id")
        return author

    # -- parts ---------------------------------------------------------------------------------------------------

    def _entity(self) -> int:
        entity = self.settings.get("entity_id")
        return int(entity if entity is not None else self.port.hook.facts.get("entity_id", 0))

    def _marker(self, kind: str, record_id: int, first_message: int | None = None) -> str:
        hook = self.port.hook
        return mapping.marker(hook.chatwoot_url, hook.chatwoot_account_id, kind, record_id, first_message)

    def _quietly(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Keep GLPI from mailing people what they were told in Chatwoot, unless that is wanted."""
        return fields if self.settings["glpi_notifications"] else {**fields, "_disablenotif": True}


def _conversation(event: Event) -> Conversation:
    if event.conversation is None:
        raise Skip("no_conversation", "The delivery holds no conversation.")
    return event.conversation


def _opens_a_ticket(message: Message) -> bool:
    return (
        not message.private
        and not message.deleted
        and message.direction is not Direction.TEMPLATE
        and bool(message.content or message.attachments)
    )


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
