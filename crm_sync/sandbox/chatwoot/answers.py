"""How Chatwoot's API writes rows into its answers (app/views/api/v1; contracts: api/)."""

from __future__ import annotations

from typing import Any

from crm_sync.sandbox.chatwoot import shapes
from crm_sync.sandbox.chatwoot.records import (
    ACTIVITY,
    ContactRow,
    ConversationRow,
    InboxRow,
    MessageRow,
    User,
    WebhookRow,
)
from crm_sync.sandbox.chatwoot.state import State


def contact(row: ContactRow) -> dict[str, Any]:
    """A contact; unlike in a webhook with its times and without the account."""
    active = {"last_activity_at": shapes.epoch(row.last_activity_at)} if row.last_activity_at else {}
    return active | {
        "additional_attributes": row.additional_attributes,
        "availability_status": "offline",
        "email": row.email,
        "id": row.id,
        "name": row.name,
        "phone_number": row.phone_number,
        "blocked": row.blocked,
        "identifier": row.identifier,
        "thumbnail": "",
        "custom_attributes": row.custom_attributes,
        "created_at": shapes.epoch(row.created_at),
    }


def contact_with_inboxes(state: State, row: ContactRow) -> dict[str, Any]:
    """A contact with the inboxes he wrote to."""
    seen = {c.inbox_id: c.source_id for c in state.conversations.values() if c.contact_id == row.id}
    inboxes = [
        {"source_id": source, "inbox": _inbox_of_contact(state.inboxes[number])}
        for number, source in seen.items()
    ]
    return contact(row) | {"contact_inboxes": inboxes}


def _inbox_of_contact(row: InboxRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "avatar_url": "",
        "channel_id": row.id + 20,
        "name": row.name,
        "channel_type": row.channel_type,
        "provider": "whatsapp_cloud" if row.channel_type == "Channel::Whatsapp" else None,
    }


def agent(state: State, row: User) -> dict[str, Any]:
    """An agent, with his e-mail address."""
    return {
        "id": row.id,
        "account_id": state.account_id,
        "availability_status": "online",
        "auto_offline": True,
        "confirmed": True,
        "email": row.email,
        "provider": "email",
        "available_name": row.available_name,
        "name": row.name,
        "role": row.role,
        "thumbnail": "",
    }


def profile(state: State, row: User, token: str) -> dict[str, Any]:
    """The user a token belongs to."""
    membership = {
        "id": state.account_id,
        "name": state.account_name,
        "status": "active",
        "onboarding_step": None,
        "active_at": None,
        "role": row.role,
        "permissions": [row.role],
        "availability": "online",
        "availability_status": "online",
        "auto_offline": True,
        "api_and_webhooks": True,
    }
    return {
        "access_token": token,
        "account_id": state.account_id,
        "available_name": row.available_name,
        "avatar_url": "",
        "confirmed": True,
        "display_name": None,
        "message_signature": None,
        "email": row.email,
        "id": row.id,
        "inviter_id": 1,
        "name": row.name,
        "provider": "email",
        "pubsub_token": "sandboxPubsubTokenOfUser",
        "role": row.role,
        "ui_settings": {},
        "uid": row.email,
        "type": None,
        "accounts": [membership],
    }


def inbox(row: InboxRow) -> dict[str, Any]:
    """An inbox, trimmed as in the recording."""
    return {
        "id": row.id,
        "avatar_url": "",
        "channel_id": row.id + 20,
        "name": row.name,
        "channel_type": row.channel_type,
        "greeting_enabled": False,
        "greeting_message": None,
        "working_hours_enabled": False,
        "timezone": "UTC",
        "lock_to_single_conversation": True,
    }


def message(state: State, row: MessageRow) -> dict[str, Any]:
    """A message of a list, its type by number and its time as one; no sender where there is none."""
    found: dict[str, Any] = {
        "id": row.id,
        "content": row.content,
        "inbox_id": row.inbox_id,
        "conversation_id": row.conversation_id,
        "message_type": row.message_type,
        "content_type": row.content_type,
        "status": row.status,
        "content_attributes": row.content_attributes,
        "created_at": shapes.epoch(row.created_at),
        "private": row.private,
        "source_id": row.source_id,
    }
    sender = shapes.sender_push(state, row, availability="online")
    if sender is not None:
        found["sender"] = sender
    if row.attachments:
        found["attachments"] = row.attachments
    return found


def messages_meta(state: State, row: ConversationRow) -> dict[str, Any]:
    """What comes with a list of messages."""
    assignee = state.users[row.assignee_id] if row.assignee_id is not None else None
    return {
        "labels": row.label_list,
        "additional_attributes": row.additional_attributes,
        "contact": shapes.contact_push(state.contacts[row.contact_id]),
        "assignee": shapes.user_push(assignee, availability="online") if assignee else None,
        "agent_last_seen_at": shapes.iso(row.agent_last_seen_at),
        "assignee_last_seen_at": None,
    }


def conversation(state: State, row: ConversationRow, *, listed: bool = False) -> dict[str, Any]:
    """A conversation. A single one shows its very last message, a list the last that is no activity."""
    audible = [m for m in row.messages if m.message_type != ACTIVITY]
    shown = audible if listed else row.messages
    meta: dict[str, Any] = {
        "sender": contact(state.contacts[row.contact_id]),
        "channel": state.inboxes[row.inbox_id].channel_type,
        "hmac_verified": False,
    }
    if row.assignee_id is not None:
        meta |= {"assignee": agent(state, state.users[row.assignee_id]), "assignee_type": "User"}
    if row.team_id is not None:
        meta["team"] = _team(state, row.team_id)
    last = shapes.message_push(state, audible[-1], row) if audible else None
    return {
        "meta": meta,
        "id": row.id,
        "messages": [shapes.message_push(state, m, row) for m in shown[-1:]],
        "account_id": state.account_id,
        "uuid": row.uuid,
        "additional_attributes": row.additional_attributes,
        "agent_last_seen_at": shapes.epoch(row.agent_last_seen_at),
        "assignee_last_seen_at": 0,
        "can_reply": True,
        "contact_last_seen_at": 0,
        "custom_attributes": row.custom_attributes,
        "inbox_id": row.inbox_id,
        "labels": row.label_list,
        "muted": state.contacts[row.contact_id].blocked,
        "snoozed_until": shapes.iso(row.snoozed_until),
        "status": row.status,
        "created_at": shapes.epoch(row.created_at),
        "updated_at": row.updated_at.timestamp(),
        "timestamp": shapes.epoch(row.last_activity_at),
        "first_reply_created_at": shapes.epoch(row.first_reply_created_at),
        "unread_count": row.unread_count,
        "last_non_activity_message": last,
        "last_activity_at": shapes.epoch(row.last_activity_at),
        "priority": row.priority,
        "waiting_since": shapes.epoch(row.waiting_since),
        "sla_policy_id": None,
    }


def _team(state: State, team_id: int) -> dict[str, Any]:
    return {
        "id": team_id,
        "name": state.teams[team_id].name,
        "description": None,
        "allow_auto_assign": True,
        "account_id": state.account_id,
        "is_member": False,
        "icon": None,
        "icon_color": None,
    }


def webhook(state: State, row: WebhookRow) -> dict[str, Any]:
    """A webhook with its secret."""
    return {
        "id": row.id,
        "name": row.name,
        "url": row.url,
        "account_id": state.account_id,
        "subscriptions": row.subscriptions,
        "secret": row.secret,
    }
