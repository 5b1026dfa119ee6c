"""How Chatwoot writes rows into the payload of a webhook.

Sources: app/models/{contact,message,attachment}.rb#webhook_data, app/presenters/conversations/
event_data_presenter.rb, app/listeners/base_listener.rb; held against the recorded deliveries by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crm_sync.sandbox.chatwoot.records import (
    ACTIVITY,
    INCOMING,
    MESSAGE_TYPES,
    Bot,
    ContactRow,
    ConversationRow,
    MessageRow,
    User,
)
from crm_sync.sandbox.chatwoot.state import State

_TYPE_NAMES = {number: name for name, number in MESSAGE_TYPES.items()}
#: The unread count stops here.
_MOST_UNREAD = 10


def iso(moment: datetime | None) -> str | None:
    """A time as Rails writes it: UTC with milliseconds."""
    return (
        None
        if moment is None
        else moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
    )


def epoch(moment: datetime | None) -> int:
    """Seconds since 1970; 0 for never."""
    return 0 if moment is None else int(moment.timestamp())


def account(state: State) -> dict[str, Any]:
    """The account, as every delivery names it."""
    return {"id": state.account_id, "name": state.account_name}


def contact(state: State, row: ContactRow) -> dict[str, Any]:
    """A contact at the top of a delivery, and as the sender of an incoming message."""
    return {
        "account": account(state),
        "additional_attributes": dict(row.additional_attributes),
        "avatar": "",
        "custom_attributes": dict(row.custom_attributes),
        "email": row.email,
        "id": row.id,
        "identifier": row.identifier,
        "name": row.name,
        "phone_number": row.phone_number,
        "thumbnail": "",
        "blocked": row.blocked,
    }


def contact_push(row: ContactRow) -> dict[str, Any]:
    """A contact within another record."""
    return {
        "additional_attributes": dict(row.additional_attributes),
        "custom_attributes": dict(row.custom_attributes),
        "email": row.email,
        "id": row.id,
        "identifier": row.identifier,
        "name": row.name,
        "phone_number": row.phone_number,
        "thumbnail": "",
        "blocked": row.blocked,
        "type": "contact",
    }


def user_push(row: User, *, availability: str | None = None) -> dict[str, Any]:
    """An agent within another record; outside a request nobody knows whether he is there."""
    return {
        "id": row.id,
        "name": row.name,
        "available_name": row.available_name,
        "avatar_url": "",
        "type": "user",
        "availability_status": availability,
        "thumbnail": "",
    }


def bot_push(row: Bot) -> dict[str, Any]:
    """A bot within another record."""
    return {"id": row.id, "name": row.name, "avatar_url": "", "type": "agent_bot"}


def sender_push(state: State, row: MessageRow, *, availability: str | None = None) -> dict[str, Any] | None:
    """Who wrote a nested message, ``None`` where nobody is named."""
    if row.sender is None:
        return None
    kind, number = row.sender
    if kind == "User":
        return user_push(state.users[number], availability=availability)
    return bot_push(state.bots[number]) if kind == "AgentBot" else contact_push(state.contacts[number])


def message_push(state: State, row: MessageRow, around: ConversationRow) -> dict[str, Any]:
    """A message within a conversation."""
    found: dict[str, Any] = {
        "id": row.id,
        "content": row.content,
        "account_id": state.account_id,
        "inbox_id": row.inbox_id,
        "conversation_id": row.conversation_id,
        "message_type": row.message_type,
        "created_at": epoch(row.created_at),
        "updated_at": iso(row.updated_at),
        "private": row.private,
        "status": row.status,
        "source_id": row.source_id,
        "content_type": row.content_type,
        "content_attributes": dict(row.content_attributes),
        "sender_type": row.sender[0] if row.sender else None,
        "sender_id": row.sender[1] if row.sender else None,
        "external_source_ids": {},
        "additional_attributes": {},
        "processed_message_content": row.content,
        "sentiment": {},
        "conversation": {
            "assignee_id": around.assignee_id,
            "unread_count": min(around.unread_count, _MOST_UNREAD),
            "last_activity_at": epoch(around.last_activity_at),
            "contact_inbox": {"source_id": around.source_id},
        },
    }
    if row.attachments:
        found["attachments"] = [dict(item) for item in row.attachments]
    sender = sender_push(state, row)
    return found if sender is None else found | {"sender": sender}


def conversation(state: State, row: ConversationRow) -> dict[str, Any]:
    """A conversation; ``messages`` holds the last one that is neither an activity nor private."""
    public = [m for m in row.messages if m.message_type != ACTIVITY and not m.private]
    team = state.teams.get(row.team_id) if row.team_id is not None else None
    return {
        "additional_attributes": dict(row.additional_attributes),
        "can_reply": True,
        "channel": state.inboxes[row.inbox_id].channel_type,
        "contact_inbox": {
            "id": row.contact_id + 900,
            "contact_id": row.contact_id,
            "inbox_id": row.inbox_id,
            "source_id": row.source_id,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.created_at),
            "hmac_verified": False,
            "pubsub_token": f"sandboxPubsubToken{row.contact_id}",
        },
        "id": row.id,
        "inbox_id": row.inbox_id,
        "messages": [message_push(state, message, row) for message in public[-1:]],
        "labels": list(row.label_list),
        "meta": {
            "sender": contact_push(state.contacts[row.contact_id]),
            "assignee": user_push(state.users[row.assignee_id]) if row.assignee_id is not None else None,
            "assignee_type": "User" if row.assignee_id is not None else None,
            "team": {"id": team.id, "name": team.name} if team else None,
            "hmac_verified": False,
        },
        "status": row.status,
        "custom_attributes": dict(row.custom_attributes),
        "snoozed_until": iso(row.snoozed_until),
        "unread_count": min(row.unread_count, _MOST_UNREAD),
        "first_reply_created_at": iso(row.first_reply_created_at),
        "priority": row.priority,
        "waiting_since": epoch(row.waiting_since),
        "agent_last_seen_at": epoch(row.agent_last_seen_at),
        "contact_last_seen_at": 0,
        "last_activity_at": epoch(row.last_activity_at),
        "timestamp": epoch(row.last_activity_at),
        "created_at": epoch(row.created_at),
        "updated_at": row.updated_at.timestamp(),
        "account": account(state),
    }


def message(state: State, row: MessageRow) -> dict[str, Any]:
    """A message at the top of a delivery: its type by name, its time as text, no status."""
    found: dict[str, Any] = {
        "account": account(state),
        "additional_attributes": {},
        "content_attributes": dict(row.content_attributes),
        "content_type": row.content_type,
        "content": row.content,
        "conversation": conversation(state, state.conversations[row.conversation_id]),
        "created_at": iso(row.created_at),
        "id": row.id,
        "inbox": {"id": row.inbox_id, "name": state.inboxes[row.inbox_id].name},
        "message_type": _TYPE_NAMES[row.message_type],
        "private": row.private,
        "sender": _sender(state, row),
        "source_id": row.source_id,
    }
    if row.attachments:
        found["attachments"] = [dict(item) for item in row.attachments]
    return found


def _sender(state: State, row: MessageRow) -> dict[str, Any] | None:
    """Who wrote the message of a delivery: a contact comes without a type, an agent with his e-mail address."""
    if row.sender is None:
        return None
    kind, number = row.sender
    if row.message_type == INCOMING:
        return contact(state, state.contacts[number])
    if kind == "AgentBot":
        return {"id": number, "name": state.bots[number].name, "type": "agent_bot"}
    user = state.users[number]
    return {"id": user.id, "name": user.name, "email": user.email, "type": "user"}


def changed_attributes(changes: Mapping[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    """A list of objects with one key each; times as text, whatever they are at the top of the payload."""
    return [
        {key: {"previous_value": _column(before), "current_value": _column(after)}}
        for key, (before, after) in changes.items()
    ]


def _column(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value
