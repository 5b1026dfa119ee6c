"""Deliveries as Chatwoot sends them, as small as they can be and still be understood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

MORNING = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def contact(contact_id: int = 1, name: str = "Ana Souza", **more: Any) -> dict[str, Any]:
    """A contact as messages and conversations carry it."""
    return {
        "id": contact_id,
        "name": name,
        "email": f"contact{contact_id}@example.com",
        "phone_number": None,
        "identifier": None,
        "blocked": False,
        "additional_attributes": {},
        "custom_attributes": {},
        "thumbnail": "",
        **more,
    }


def contact_created(
    contact_id: int = 1, name: str = "Ana Souza", account: int = 3, **more: Any
) -> dict[str, Any]:
    """Somebody new."""
    return {"event": "contact_created", "account": _account(account), **contact(contact_id, name, **more)}


def contact_updated(
    contact_id: int = 1, name: str = "Ana Lima", minute: int = 1, account: int = 3, **more: Any
) -> dict[str, Any]:
    """Somebody known, with a new name."""
    moment = _iso(minute)
    changes = [
        {"name": {"previous_value": "before", "current_value": name}},
        {"updated_at": {"previous_value": _iso(minute - 1), "current_value": moment}},
    ]
    return {
        "event": "contact_updated",
        "account": _account(account),
        "changed_attributes": changes,
        **contact(contact_id, name, **more),
    }


def conversation(
    conversation_id: int = 10, contact_id: int = 1, status: str = "open", minute: int = 0, **more: Any
) -> dict[str, Any]:
    """A conversation as messages carry it."""
    return {
        "id": conversation_id,
        "inbox_id": 5,
        "channel": "Channel::Api",
        "status": status,
        "priority": None,
        "labels": [],
        "messages": [],
        "custom_attributes": {},
        "additional_attributes": {},
        "meta": {"sender": {**contact(contact_id), "type": "contact"}, "assignee": None, "team": None},
        "created_at": int(MORNING.timestamp()),
        "updated_at": (MORNING + timedelta(minutes=minute)).timestamp(),
        "account": _account(3),
        **more,
    }


def conversation_created(conversation_id: int = 10, contact_id: int = 1, **more: Any) -> dict[str, Any]:
    """A conversation begins."""
    return {"event": "conversation_created", **conversation(conversation_id, contact_id, **more)}


def conversation_status_changed(
    conversation_id: int = 10, contact_id: int = 1, status: str = "resolved", minute: int = 30, **more: Any
) -> dict[str, Any]:
    """A conversation changes its state."""
    return {
        "event": "conversation_status_changed",
        "changed_attributes": None,
        **conversation(conversation_id, contact_id, status, minute, **more),
    }


def message_created(
    message_id: int,
    content: str | None = None,
    conversation_id: int = 10,
    contact_id: int = 1,
    minute: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A message of the customer."""
    return {
        "event": "message_created",
        "id": message_id,
        "content": f"text {message_id}" if content is None else content,
        "content_type": "text",
        "content_attributes": {},
        "message_type": "incoming",
        "private": False,
        "source_id": None,
        "created_at": _iso(message_id % 60 if minute is None else minute),
        "sender": contact(contact_id),
        "inbox": {"id": 5, "name": "Support"},
        "conversation": conversation(conversation_id, contact_id),
        "account": _account(3),
        **more,
    }


def _account(account_id: int) -> dict[str, Any]:
    return {"id": account_id, "name": "Example"}


def _iso(minute: int) -> str:
    return (MORNING + timedelta(minutes=minute)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
