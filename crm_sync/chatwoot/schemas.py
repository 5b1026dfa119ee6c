"""The shapes of Chatwoot's records as marshmallow schemas: JSON in, value objects out.

One schema serves a record wherever it stands: at the top of a delivery, nested in another record, or in an
answer of the API (contracts: webhooks/ and api/). Keys that are not named here are ignored, since newer
releases and enterprise editions add their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load

from crm_sync.chatwoot import fields as f
from crm_sync.events import (
    Agent,
    Attachment,
    Contact,
    Conversation,
    Direction,
    Message,
    Sender,
    SenderKind,
    Status,
    Team,
)

#: Messages Chatwoot writes about itself ("Conversation was resolved by ..."), in both spellings of the enum.
ACTIVITY = (2, "activity")

#: Rails sends the enum by name at the top of a delivery and by number everywhere else (contracts:
#: message_created.*).
_DIRECTIONS = {0: Direction.INCOMING, 1: Direction.OUTGOING, 3: Direction.TEMPLATE}

_SENDER_TYPES = {
    "contact": SenderKind.CONTACT,
    "user": SenderKind.AGENT,
    "agent_bot": SenderKind.BOT,
    "agentbot": SenderKind.BOT,
    "captain_assistant": SenderKind.BOT,
    "captain::assistant": SenderKind.BOT,
}


class _Schema(Schema):
    class Meta:
        unknown = EXCLUDE


class ContactSchema(_Schema):
    """A contact: ``webhook_data``, the nested form of ``meta.sender``, and the API's."""

    id = f.Id(required=True)
    name = f.Text()
    email = f.Text()
    phone_number = f.Text()
    identifier = f.Text()
    blocked = f.Flag()
    additional_attributes = f.Object()
    custom_attributes = f.Object()

    @post_load
    def _make(self, data: dict[str, Any], **_kwargs: Any) -> Contact:
        return Contact(**data)


class MessageSchema(_Schema):
    """A message, except its sender and attachments, which say by other keys what they are."""

    id = f.Id(required=True)
    conversation_id = f.LaxId(load_default=None, allow_none=True)
    direction = f.Choice(Direction, aliases=_DIRECTIONS, required=True, data_key="message_type")
    content = f.Text(strip=False)
    private = f.Flag()
    created_at = f.Moment(essential=True, required=True)
    content_type = f.Text()
    content_attributes = f.Object()
    source_id = f.Text()
    status = f.Text()


class ConversationSchema(_Schema):
    """A conversation, except its people and messages."""

    id = f.Id(required=True)
    status = f.Choice(Status, required=True)
    inbox_id = f.LaxId(load_default=None, allow_none=True)
    channel = f.Text()
    priority = f.Text()
    labels = fields.Raw(load_default=None, allow_none=True)
    custom_attributes = f.Object()
    additional_attributes = f.Object()
    snoozed_until = f.Moment()
    created_at = f.Moment()
    updated_at = f.Moment()


_CONTACT = ContactSchema()
_MESSAGE = MessageSchema()
_CONVERSATION = ConversationSchema()


def load_contact(raw: Any) -> Contact:
    """The contact; raises ValidationError."""
    found: Contact = _CONTACT.load(raw)
    return found


def load_message(raw: Mapping[str, Any]) -> Message:
    """The message; raises ValidationError, also for an activity (it has no direction)."""
    data = _MESSAGE.load(raw)
    data["content_type"] = data["content_type"] or "text"
    return Message(
        sender=_sender(raw, data["direction"]), attachments=_attachments(raw.get("attachments")), **data
    )


def load_conversation(raw: Mapping[str, Any]) -> Conversation:
    """The conversation; raises ValidationError."""
    data = _CONVERSATION.load(raw)
    meta = raw.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    labels = data.pop("labels")
    return Conversation(
        contact=_customer(raw, meta),
        assignee=_assignee(meta),
        team=_team(meta.get("team")),
        labels=tuple(label for label in map(f.text, labels) if label) if isinstance(labels, list) else (),
        messages=tuple(_messages(raw)),
        # The API's answer has the channel in meta only (contracts: conversation_show).
        **data | {"channel": data["channel"] or f.text(meta.get("channel"))},
    )


def _customer(raw: Mapping[str, Any], meta: Mapping[str, Any]) -> Contact:
    """Whose conversation it is: ``meta.sender``, or else the customer among the senders of its messages."""
    candidates = [meta.get("sender"), *(message.get("sender") for message in _mappings(raw.get("messages")))]
    for position, sender in enumerate(candidates):
        if isinstance(sender, Mapping) and (position == 0 or _kind(sender.get("type")) is SenderKind.CONTACT):
            try:
                return load_contact(sender)
            except ValidationError as error:
                raise ValidationError({"meta": {"sender": error.messages}}) from error
    raise ValidationError({"meta": {"sender": ["is missing"]}})


def _messages(raw: Mapping[str, Any]) -> list[Message]:
    """The nested messages that can be read. The API's may be activities, which are no messages to anybody."""
    found = []
    for message in _mappings(raw.get("messages")):
        try:
            found.append(load_message(message))
        except ValidationError:
            continue
    return found


def _assignee(meta: Mapping[str, Any]) -> Agent | None:
    raw = meta.get("assignee")
    if not isinstance(raw, Mapping) or (number := f.whole(raw.get("id"))) is None:
        return None
    bot = SenderKind.BOT in (_kind(meta.get("assignee_type")), _kind(raw.get("type")))
    return Agent(
        id=number,
        name=f.text(raw.get("name")),
        email=f.text(raw.get("email")),
        kind=SenderKind.BOT if bot else SenderKind.AGENT,
    )


def _team(raw: Any) -> Team | None:
    if not isinstance(raw, Mapping) or (number := f.whole(raw.get("id"))) is None:
        return None
    return Team(id=number, name=f.text(raw.get("name")))


def _sender(raw: Mapping[str, Any], direction: Direction) -> Sender:
    """Who wrote the message. At the top of a delivery contacts carry no type; some messages name nobody."""
    sender = raw.get("sender")
    kind = _kind(raw.get("sender_type"))
    if not isinstance(sender, Mapping):
        number = f.whole(raw.get("sender_id"))
        return Sender(SenderKind.SYSTEM) if kind is None or number is None else Sender(kind, id=number)
    kind = _kind(sender.get("type")) or kind
    if kind is None:
        kind = SenderKind.CONTACT if direction is Direction.INCOMING else SenderKind.AGENT
    return Sender(
        kind,
        id=f.whole(sender.get("id")),
        name=f.text(sender.get("name")),
        email=f.text(sender.get("email")),
    )


def _kind(value: Any) -> SenderKind | None:
    return _SENDER_TYPES.get(value.lower()) if isinstance(value, str) else None


def _attachments(raw: Any) -> tuple[Attachment, ...]:
    return tuple(_attachment(item) for item in _mappings(raw))


def _attachment(raw: Mapping[str, Any]) -> Attachment:
    url = f.text(raw.get("data_url"))
    return Attachment(
        id=f.whole(raw.get("id")),
        file_type=f.text(raw.get("file_type")) or "file",
        url=url,
        name=_attachment_name(raw, url),
        size_bytes=f.whole(raw.get("file_size")),
        extension=f.text(raw.get("extension")),
        latitude=f.number(raw.get("coordinates_lat")),
        longitude=f.number(raw.get("coordinates_long")),
        transcript=f.text(raw.get("transcribed_text")),
    )


def _attachment_name(raw: Mapping[str, Any], url: str | None) -> str | None:
    """A card is named after its person and number, a place by its title, a file by the end of its address."""
    title = f.text(raw.get("fallback_title"))
    meta = raw.get("meta")
    if isinstance(meta, Mapping):
        parts = (f.text(meta.get(key)) for key in ("firstName", "lastName"))
        person = " ".join(part for part in parts if part)
        if person:
            return f"{person} ({title})" if title else person
    if title or url is None:
        return title
    return unquote(url.partition("?")[0].rpartition("/")[2]) or None


def _mappings(raw: Any) -> list[Mapping[str, Any]]:
    return [item for item in raw if isinstance(item, Mapping)] if isinstance(raw, list) else []
