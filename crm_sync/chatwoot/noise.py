"""Tells which events no CRM needs: Chatwoot's bookkeeping, and the echo of our own writes.

No payload says who made a change, so an echo is recognised by *what* changed: only keys that are ours, and
nothing else of interest. Whenever that is not certain the event is kept, and the handlers find that there is
nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from crm_sync.events import OWN_MARKER, Change, Direction, Event, EventName, Message, SenderKind

#: See events.
MARKER = OWN_MARKER
#: What the ``source_id`` of our private notes begins with (contracts: message_create_private_note).
SOURCE_PREFIX = "crm-sync:"

_CONTACT_CLOCKS = frozenset({"updated_at", "last_activity_at"})
_CONVERSATION_CLOCKS = frozenset(
    {
        "updated_at",
        "last_activity_at",
        "waiting_since",
        "first_reply_created_at",
        "agent_last_seen_at",
        "assignee_last_seen_at",
        "contact_last_seen_at",
    }
)


def noise(event: Event, *, own_keys: Collection[str], profile_id: int | None) -> tuple[str, str] | None:
    """Why no CRM needs the event, as (reason code, sentence); ``None`` when one may.

    ``own_keys`` are the custom attributes we write, ``profile_id`` is our own user in Chatwoot.
    """
    if event.message is not None:
        return _message_noise(event.message, profile_id)
    if event.name is EventName.CONTACT_UPDATED:
        return _contact_noise(event.changed, own_keys)
    if event.name is EventName.CONVERSATION_UPDATED:
        return _conversation_noise(event.changed, own_keys)
    return None


def _message_noise(message: Message, profile_id: int | None) -> tuple[str, str] | None:
    if message.direction is Direction.INCOMING:
        return None
    if message.ours:
        return "own_echo", "This message was written by crm_sync itself."
    by_us = message.sender.kind is SenderKind.AGENT and message.sender.id == profile_id is not None
    if message.private and by_us and (message.source_id or "").startswith(SOURCE_PREFIX):
        return "own_echo", "This private note was written by crm_sync itself."
    return None


def _contact_noise(changed: Mapping[str, Change], own_keys: Collection[str]) -> tuple[str, str] | None:
    """Chatwoot sends contact_updated for every message a contact writes (Message#update_contact_activity)."""
    if not changed:
        return None
    rest = changed.keys() - _CONTACT_CLOCKS
    if not rest:
        return "contact_activity", "Only the time of the contact's last activity changed."
    if rest <= {"custom_attributes", "additional_attributes"} and all(
        _only_ours(changed, key, own_keys) for key in rest
    ):
        return "own_echo", "Only attributes that crm_sync writes itself changed."
    return None


def _conversation_noise(changed: Mapping[str, Change], own_keys: Collection[str]) -> tuple[str, str] | None:
    if not changed:
        return None
    rest = {key for key in changed.keys() - _CONVERSATION_CLOCKS if not _same_labels(key, changed[key])}
    if not rest:
        return "conversation_bookkeeping", "Only times that Chatwoot keeps for itself changed."
    if rest == {"custom_attributes"} and _only_ours(changed, "custom_attributes", own_keys):
        return "own_echo", "Only attributes that crm_sync writes itself changed."
    return None


def _same_labels(key: str, change: Change) -> bool:
    """The cache of the labels goes from null to empty with the first reply; no label changes by that."""
    return key == "cached_label_list" and (change.previous or "") == (change.current or "")


def _only_ours(changed: Mapping[str, Change], key: str, own_keys: Collection[str]) -> bool:
    before, after = _object(changed[key].previous), _object(changed[key].current)
    different = _different(before, after)
    if key == "additional_attributes":
        # Integrations keep their ids in one object there (contracts:
        # contact_updated.echo_additional_attributes_external).
        if different != {"external"}:
            return False
        different = _different(_object(before.get("external")), _object(after.get("external")))
    return bool(different) and different <= set(own_keys)


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    missing = object()
    return {
        key for key in before.keys() | after.keys() if before.get(key, missing) != after.get(key, missing)
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
