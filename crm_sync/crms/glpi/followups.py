"""message → ITILFollowup: written once, as its sender wrote it, and changed when that changes."""

from __future__ import annotations

from crm_sync.crms.base import NOT_MIRRORED, Link, Local, Port, Remote
from crm_sync.crms.glpi import content, versions
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.documents import Documents
from crm_sync.crms.glpi.versions import Version
from crm_sync.crms.glpi.work import FOLLOWUP, TICKET, USER, Work, is_of
from crm_sync.crms.history import History
from crm_sync.errors import Defer, NotFound, Rejected, Skip
from crm_sync.events import Conversation, Direction, Event, Message

#: How many of a ticket's newest followups are looked through for one that an earlier attempt may have written.
RECENT_FOLLOWUPS = 200
#: How many earlier messages are mirrored before others have their turn.
HISTORY_TURN = 100


class Followups(Work):
    """The followups of messages.

    A followup's ``agreed`` holds which ``ticket`` it is of, what it shows (see versions), ``as_of`` (how new that is)
    and its ``documents``.
    """

    def __init__(self, client: GlpiClient, port: Port, history: History, documents: Documents) -> None:
        super().__init__(client, port)
        self.history = history
        self.documents = documents

    def caught_up(
        self, ticket: Link, conversation: Conversation, *, until: int | None = None
    ) -> tuple[Link, int]:
        """Mirror what was written before the ticket was opened, up to a message; the ticket, and how many there were.

        Costs no call once that is done. A ticket's ``history`` is the last message done, as long as there are more.
        Raises NotFound when the ticket is gone, and Defer now and then, so that others have their turn.
        """
        done = ticket.agreed.get("history")
        if done is None or not self.settings["enable_followup_sync"]:
            return ticket, 0
        count = 0
        for message in self.history.after(conversation.id, int(done)):
            if until is not None and message.id >= until:
                break
            if not is_readable(message):
                continue
            self.mirrored(message, ticket)
            ticket = self.port.agree(ticket, history=message.id)
            count += message.id != ticket.agreed.get("first_message")
            if count >= HISTORY_TURN:
                raise Defer(
                    self.port.now, f"{count} earlier messages were added to ticket {ticket.remote_id}."
                )
        return self.port.agree(ticket, history=None), count

    def mirrored(self, message: Message, ticket: Link) -> str:
        """See that the message is in the ticket. Raises NotFound when the ticket is gone."""
        if ticket.agreed.get("first_message") == message.id:
            remarks = self.documents.attached(message, ticket, ticket)
            return f"The message is the description of ticket {ticket.remote_id}.{remarks}"
        followup = self._followup(message, ticket)
        remarks = self.documents.attached(message, followup, ticket)
        return f"Followup {followup.remote_id} added to ticket {ticket.remote_id}.{remarks}"

    def updated(self, event: Event, message: Message, ticket: Link) -> str:
        """See that the followup shows the message as it is now. Raises Skip where there is nothing to do."""
        followup = self.port.link(Local("message", message.id), FOLLOWUP)
        if followup is None or not is_of(followup, ticket):
            raise Skip(NOT_MIRRORED, "The message is not in GLPI, so there is nothing to change.")
        version, remembered = versions.due(followup.agreed, event, message, self.port.now)
        remarks = self.documents.purged(followup) if version.deleted_at is not None else ""
        made = content.followup_content(message, self.marker("message", message.id), self.texts, version)
        try:
            self.client.update(FOLLOWUP, followup.remote_id, self.quietly({"content": made}))
        except NotFound as gone:
            words = f"Followup {followup.remote_id} is no longer in GLPI; it is not made anew."
            raise Skip("followup_gone", words) from gone
        self.port.agree(followup, **remembered)
        return f"Followup {followup.remote_id} updated.{remarks}"

    # -- parts ---------------------------------------------------------------------------------------------------

    def _followup(self, message: Message, ticket: Link) -> Link:
        local, mark = Local("message", message.id), self.marker("message", message.id)
        known = self.port.link(local, FOLLOWUP)
        if known is not None and not is_of(known, ticket):
            # It went with a ticket that was purged.
            self.port.forget(known)
        return self.port.ensure(
            local,
            FOLLOWUP,
            create=lambda: self._created(message, ticket, mark),
            recover=lambda: self._recovered(ticket, mark),
        )

    def _created(self, message: Message, ticket: Link, mark: str) -> Remote:
        fields = {
            "itemtype": TICKET,
            "items_id": int(ticket.remote_id),
            "content": content.followup_content(message, mark, self.texts),
            # Left out, GLPI would show a private note to the customer.
            "is_private": int(message.private),
            "users_id": self._author(message),
            "date": self.client.local_date(message.created_at),
            # A mirrored message does not decide about the ticket's state; the conversation does.
            "_no_reopen": 1,
        }
        given = {key: value for key, value in fields.items() if value is not None}
        agreed = {"ticket": ticket.remote_id, **Version.of(message).agreed()}
        try:
            return Remote(str(self.client.create(FOLLOWUP, self.quietly(given))), ticket.url, agreed)
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
        if not found:
            return None
        said = content.said_in(str(found[-1]["content"]))
        return Remote(str(found[-1]["id"]), ticket.url, {"ticket": ticket.remote_id, "said": said})

    def _author(self, message: Message) -> int | None:
        """In whose name a message is written: the customer's user for the customer's words."""
        if message.direction is Direction.INCOMING and message.sender.id is not None:
            user = self.port.link(Local("contact", message.sender.id), USER)
            if user is not None:
                return int(user.remote_id)
        author: int | None = self.settings.get("default_user_id")
        return author


def is_readable(message: Message) -> bool:
    """Whether people are to read a message in GLPI."""
    return message.direction is not Direction.TEMPLATE and not message.ours and content.has_content(message)


def readable(event: Event) -> Message:
    """The message of an event, if people are to read it in GLPI. Raises Skip."""
    message = answer(event)
    if not content.has_content(message):
        raise Skip("empty", "The message has no content.")
    return message


def answer(event: Event) -> Message:
    """The message of an event, if it is one that people wrote to each other. Raises Skip."""
    message = event.message
    if message is None:
        raise Skip("no_message", "The delivery holds no message.")
    if message.direction is Direction.TEMPLATE:
        raise Skip("template", "A template or survey is not an answer, so it is not mirrored.")
    return message
