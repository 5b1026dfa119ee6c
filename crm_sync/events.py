"""Value objects: what happened in Chatwoot, in Chatwoot's words, free of its changing payload shapes.

Made by :mod:`crm_sync.chatwoot.payloads`, read by the engine and by every CRM. All of them are immutable;
all times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

#: The key in a message's ``content_attributes`` that marks those we write; Chatwoot keeps and returns it.
OWN_MARKER = "crm_sync"


class EventName(StrEnum):
    """The events that can reach a CRM. Everything else Chatwoot sends is ignored for a stated reason."""

    CONTACT_CREATED = "contact_created"
    CONTACT_UPDATED = "contact_updated"
    CONVERSATION_CREATED = "conversation_created"
    CONVERSATION_UPDATED = "conversation_updated"
    CONVERSATION_STATUS_CHANGED = "conversation_status_changed"
    MESSAGE_CREATED = "message_created"
    MESSAGE_UPDATED = "message_updated"


class Status(StrEnum):
    """The four states of a conversation."""

    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Direction(StrEnum):
    """Which way a message went. Activity messages never leave Chatwoot."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"
    TEMPLATE = "template"


class SenderKind(StrEnum):
    """Who wrote a message. ``SYSTEM`` where Chatwoot names nobody (campaigns, native-app echoes)."""

    CONTACT = "contact"
    AGENT = "agent"
    BOT = "bot"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Contact:
    """A person who writes to the team. Empty strings in a payload become ``None``."""

    id: int
    name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    additional_attributes: Mapping[str, Any] = field(default_factory=dict)
    custom_attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """A user or bot of Chatwoot. ``email`` is absent in most payloads."""

    id: int
    name: str | None = None
    email: str | None = None
    kind: SenderKind = SenderKind.AGENT


@dataclass(frozen=True, slots=True)
class Team:
    """A team of agents."""

    id: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote a message."""

    kind: SenderKind
    id: int | None = None
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file, place or card sent with a message. ``url`` is public and signed by Chatwoot."""

    id: int | None
    file_type: str
    url: str | None = None
    name: str | None = None
    size_bytes: int | None = None
    extension: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. ``conversation_id`` is the display id.

    ``status`` is how far it came on its way to the customer, where Chatwoot says it: ``sent``, ``delivered``, ``read``
    or ``failed``.
    """

    id: int
    conversation_id: int | None
    direction: Direction
    content: str | None
    private: bool
    created_at: datetime
    content_type: str = "text"
    sender: Sender = field(default_factory=lambda: Sender(SenderKind.SYSTEM))
    attachments: tuple[Attachment, ...] = ()
    content_attributes: Mapping[str, Any] = field(default_factory=dict)
    source_id: str | None = None
    status: str | None = None

    @property
    def deleted(self) -> bool:
        """Whether the sender took it back (Chatwoot then replaces the content)."""
        return bool(self.content_attributes.get("deleted"))

    @property
    def ours(self) -> bool:
        """Whether crm_sync wrote it. A customer cannot mark a message; whoever could must not silence customers."""
        return self.direction is not Direction.INCOMING and bool(self.content_attributes.get(OWN_MARKER))


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it stood when the delivery was made. ``id`` is the display id the API uses.

    ``messages`` holds at most the last public message, not the first (contracts: conversation_created.*).
    """

    id: int
    status: Status
    contact: Contact
    inbox_id: int | None = None
    inbox_name: str | None = None
    channel: str | None = None
    priority: str | None = None
    assignee: Agent | None = None
    team: Team | None = None
    labels: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    custom_attributes: Mapping[str, Any] = field(default_factory=dict)
    additional_attributes: Mapping[str, Any] = field(default_factory=dict)
    snoozed_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of ``changed_attributes``: database column values, before and after."""

    previous: Any
    current: Any


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, to one contact. A recent state, not a precise history (facts: snapshots).

    ``occurred_at`` is when Chatwoot says it happened, ``None`` where the payload carries no time at all.
    """

    name: EventName
    contact: Contact
    conversation: Conversation | None = None
    message: Message | None = None
    changed: Mapping[str, Change] = field(default_factory=dict)
    occurred_at: datetime | None = None
    account_id: int | None = None

    @property
    def subject(self) -> str:
        """What the event is about, for people: ``conversation 812``, ``message 50101 of conversation 812``."""
        if self.message is not None and self.conversation is not None:
            return f"message {self.message.id} of conversation {self.conversation.id}"
        if self.conversation is not None:
            return f"conversation {self.conversation.id}"
        return f"contact {self.contact.id}"


@dataclass(frozen=True, slots=True)
class RemoteUpdate:
    """A record of a CRM that changed there, as a pull showed it: a recent state, not a precise history.

    ``name`` is like ``ticket.updated``; ``state`` is in the CRM's own words; the local record is what Chatwoot knows
    it by.
    """

    name: str
    remote_type: str
    remote_id: str
    local_type: str
    local_id: int
    state: Mapping[str, Any]

    @property
    def subject(self) -> str:
        """What the update is about, for people: ``ticket 12 (conversation 812)``."""
        return f"{self.remote_type.lower()} {self.remote_id} ({self.local_type} {self.local_id})"
