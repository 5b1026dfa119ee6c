"""message → ITILFollowup: written once, as its sender wrote it."""

from __future__ import annotations

from crm_sync.crms.base import Link, Local, Remote
from crm_sync.crms.glpi import content
from crm_sync.crms.glpi.work import FOLLOWUP, TICKET, USER, Work
from crm_sync.errors import Rejected, Skip
from crm_sync.events import Direction, Event, Message

#: How many of a ticket's newest followups are looked through for one that an earlier attempt may have written.
RECENT_FOLLOWUPS = 200


class Followups(Work):
    """The followups of messages."""

    def mirrored(self, message: Message, ticket: Link) -> str:
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


def readable(event: Event) -> Message:
    """The message of an event, if people are to read it in GLPI. Raises Skip."""
    message = event.message
    if message is None:
        raise Skip("no_message", "The delivery holds no message.")
    if message.direction is Direction.TEMPLATE:
        raise Skip("template", "A template or survey is not an answer, so it is not mirrored.")
    if not content.has_content(message):
        raise Skip("empty", "The message has no content.")
    return message
