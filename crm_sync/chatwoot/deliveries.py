"""Makes deliveries of what the API answers, for what never arrived: reconciliation, pull and backfill.

They have the shape of a webhook's payload (as far as :func:`crm_sync.chatwoot.payloads.read` looks), so that
everything goes one way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.events import EventName


def contact_delivery(name: EventName, row: Mapping[str, Any], *, account_id: int) -> dict[str, Any]:
    """A contact event of a contact as the API answers it."""
    return {**row, "account": {"id": account_id}, "event": str(name)}


def conversation_delivery(name: EventName, row: Mapping[str, Any], *, account_id: int) -> dict[str, Any]:
    """A conversation event of a conversation as the API answers it."""
    return {**row, "account": {"id": account_id}, "event": str(name)}


def message_delivery(
    name: EventName,
    row: Mapping[str, Any],
    conversation: Mapping[str, Any],
    *,
    account_id: int,
    inbox_name: str | None = None,
) -> dict[str, Any]:
    """A message event of a message and its conversation as the API answers them. Not for activities."""
    return {
        **row,
        "account": {"id": account_id},
        "conversation": dict(conversation),
        "inbox": {"id": conversation.get("inbox_id"), "name": inbox_name},
        "event": str(name),
    }
