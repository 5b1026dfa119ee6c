"""What a new ticket says: its title and its description, by the settings' templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from crm_sync.crms import markup
from crm_sync.crms.base import Link, Local, Port
from crm_sync.crms.glpi import content, mapping, templates
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.versions import Version
from crm_sync.crms.glpi.work import FOLLOWUP, Work
from crm_sync.crms.history import History
from crm_sync.events import Conversation, Direction, Event, EventName, Message

#: A conversation's first message is written together with it; Chatwoot tells both times in full seconds.
TOGETHER = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Opening:
    """One ticket to be opened. ``former`` is the one whose place it takes in the conversation."""

    event: Event
    conversation: Conversation
    requester: Link
    generation: int = 1
    former: Link | None = None


class Descriptions(Work):
    """Titles and descriptions of new tickets."""

    def __init__(self, client: GlpiClient, port: Port, history: History) -> None:
        super().__init__(client, port)
        self.history = history

    def title(self, opening: Opening, first: Message | None) -> str:
        """The title: one line, no longer than GLPI takes."""
        template = self.settings["title_template"]
        message = markup.mentions(markup.lines(first.content or "")) if first else ""
        filled = templates.fill(
            template, {**self._values(opening.conversation, template), "message": message}
        )
        title = " ".join(filled.split()) or f"Conversation #{opening.conversation.id}"
        suffix = f" ({opening.generation})" if opening.generation > 1 else ""
        return title[: mapping.NAME_LIMIT - len(suffix)].rstrip() + suffix

    def html(self, conversation: Conversation, first: Message | None, version: Version | None = None) -> str:
        """The description, or whom the conversation is with where the template leaves nothing."""
        template = self.settings["content_template"]
        values = {name: markup.escaped(value) for name, value in self._values(conversation, template).items()}
        if "link" in values:
            values["link"] = f'<a href="{values["link"]}">{values["link"]}</a>'
        message = self._no_message(conversation)
        if first is not None:
            message = content.message_body(first, self.texts, version)
        return templates.fill_html(template, values, {"message": message}) or self._no_message(conversation)

    def _no_message(self, conversation: Conversation) -> str:
        name = conversation.contact.name or self.texts("words.unknown_contact")
        return markup.paragraph(self.texts("words.new_conversation", name=name))

    def _values(self, conversation: Conversation, template: str) -> dict[str, str]:
        """What stands in a template's places; the inbox is asked for only where it has one."""
        hook, contact = self.port.hook, conversation.contact
        found = {
            "id": str(conversation.id),
            "channel": (conversation.channel or "").removeprefix("Channel::"),
            "contact": contact.name,
            "email": contact.email,
            "phone": contact.phone_number,
            "subject": conversation.additional_attributes.get("mail_subject"),
            "link": (
                f"{hook.chatwoot_url.rstrip('/')}/app/accounts/{hook.chatwoot_account_id}"
                f"/conversations/{conversation.id}"
            ),
        }
        if "inbox" in templates.names(template):
            found["inbox"] = self.inbox(conversation)
        return {name: str(value) for name, value in found.items() if value}

    def described(self, first: Message | None) -> int:
        """The message that the description holds: it is not added as a followup."""
        return first.id if first and "message" in templates.names(self.settings["content_template"]) else 0

    def first(self, opening: Opening) -> Message | None:
        """The message that a ticket begins with."""
        former = opening.former
        if former is None:
            return self._first_message(opening.event, opening.conversation)
        if generation_of(former) == opening.generation:
            # Takes the place of a ticket that is gone, and begins as that did.
            known = self._known(opening.conversation)
            return next((item for item in known if item.id == former.agreed.get("first_message")), None)
        return self._message_since(opening.conversation, former)

    def _message_since(self, conversation: Conversation, former: Link) -> Message | None:
        """The message that opened the conversation again, unless it stands in the former ticket."""
        solved = str(former.agreed.get("as_of") or "")[: len("2026-11-02T09:00:00")]
        return min(
            (
                message
                for message in self._known(conversation)
                if message.created_at.isoformat() >= solved
                and self.port.link(Local("message", message.id), FOLLOWUP) is None
                and message.id > int(former.agreed.get("first_message") or 0)
            ),
            key=lambda message: message.id,
            default=None,
        )

    def _first_message(self, event: Event, conversation: Conversation) -> Message | None:
        """The first public message of a conversation.

        A delivery holds the last one as of its sending, so the journal is asked too; and Chatwoot, when what is
        known may not be the first.
        """
        first = min(self._known(conversation), key=lambda message: message.id, default=None)
        begins = conversation.created_at
        certain = first is not None and begins is not None and first.created_at - begins < TOGETHER
        if event.name is not EventName.CONVERSATION_CREATED or not certain:
            asked = self.history.messages(conversation.id)
            first = min(filter(_opens_a_ticket, asked), key=lambda message: message.id, default=first)
        return first

    def _known(self, conversation: Conversation) -> list[Message]:
        """The messages at hand that a ticket may begin with."""
        known = {message.id: message for message in self.port.journaled_messages(conversation.id)}
        known |= {message.id: message for message in conversation.messages if message.id not in known}
        return [message for message in known.values() if _opens_a_ticket(message)]


def generation_of(ticket: Link) -> int:
    """Which of a conversation's tickets this is."""
    return int(ticket.agreed.get("generation") or 1)


def _opens_a_ticket(message: Message) -> bool:
    return (
        not message.private and message.direction is not Direction.TEMPLATE and content.has_content(message)
    )
