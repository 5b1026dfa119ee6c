"""The rows of the sandbox's database, as far as webhooks and the API show them (app/models of Chatwoot)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: The enum of a message's type, as the API and nested payloads write it.
INCOMING, OUTGOING, ACTIVITY, TEMPLATE = 0, 1, 2, 3
MESSAGE_TYPES = {"incoming": INCOMING, "outgoing": OUTGOING, "activity": ACTIVITY, "template": TEMPLATE}


@dataclass(slots=True)
class User:
    """An agent or administrator."""

    id: int
    name: str
    available_name: str
    email: str
    role: str = "agent"


@dataclass(slots=True)
class Bot:
    """An agent bot."""

    id: int
    name: str


@dataclass(slots=True)
class TeamRow:
    """A team of agents."""

    id: int
    name: str


@dataclass(slots=True)
class InboxRow:
    """Where customers write to. ``csat`` sends a survey when a conversation is resolved."""

    id: int
    name: str
    channel_type: str
    csat: bool = False


@dataclass(slots=True)
class ContactRow:
    """A contact."""

    id: int
    created_at: datetime
    updated_at: datetime
    name: str = ""
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    additional_attributes: dict[str, Any] = field(default_factory=dict)
    custom_attributes: dict[str, Any] = field(default_factory=dict)
    last_activity_at: datetime | None = None
    labels: list[str] = field(default_factory=list)

    @property
    def resolved(self) -> bool:
        """Whether Chatwoot lists it: visitors nobody can reach are left out."""
        return bool(self.email or self.phone_number or self.identifier)


@dataclass(slots=True)
class MessageRow:
    """A message. ``sender`` is (type, id): Contact, User or AgentBot."""

    id: int
    conversation_id: int
    inbox_id: int
    message_type: int
    content: str | None
    created_at: datetime
    updated_at: datetime
    private: bool = False
    content_type: str = "text"
    content_attributes: dict[str, Any] = field(default_factory=dict)
    status: str = "sent"
    source_id: str | None = None
    sender: tuple[str, int] | None = None
    attachments: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class ConversationRow:
    """A conversation. ``contact_inbox_id`` and ``source_id`` stand for its contact inbox."""

    id: int
    contact_id: int
    inbox_id: int
    source_id: str
    uuid: str
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime
    status: str = "open"
    priority: str | None = None
    assignee_id: int | None = None
    team_id: int | None = None
    label_list: list[str] = field(default_factory=list)
    cached_label_list: str | None = None
    custom_attributes: dict[str, Any] = field(default_factory=dict)
    additional_attributes: dict[str, Any] = field(default_factory=dict)
    snoozed_until: datetime | None = None
    waiting_since: datetime | None = None
    first_reply_created_at: datetime | None = None
    agent_last_seen_at: datetime | None = None
    unread_count: int = 0
    messages: list[MessageRow] = field(default_factory=list)


@dataclass(slots=True)
class WebhookRow:
    """A webhook of the account."""

    id: int
    url: str
    name: str | None
    subscriptions: list[str]
    secret: str
