"""Turns what Chatwoot sends into events for the receiver, and its API's answers into records for the client.

Guarantees:

* :func:`read` understands every delivery of Chatwoot since 4.10, whatever keys later releases add; it refuses
  what Chatwoot cannot have sent with a :class:`PayloadError` that names the key, and never refuses for a key
  that no CRM needs.
* :func:`scrub` gives a copy that holds no secret of Chatwoot and that any database can store.
* :func:`delivery_key` is the same for two deliveries of one thing, and ``None`` when that cannot be told.

Shapes: contracts/chatwoot/webhooks and api. A payload shows the state when it was *sent*, not when the event
happened (Chatwoot's EventDispatcherJob reads the rows again).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from marshmallow import ValidationError

from crm_sync.chatwoot import fields as f
from crm_sync.chatwoot.schemas import ACTIVITY, load_contact, load_conversation, load_message
from crm_sync.chatwoot.scrubbing import scrub
from crm_sync.chatwoot.text import storable_json
from crm_sync.errors import PayloadError, Skip
from crm_sync.events import Change, Contact, Conversation, Event, EventName, Message

__all__ = ["contact", "conversation", "delivery_key", "message", "read", "scrub"]

_NAMES = {str(name): name for name in EventName}

#: Events of Chatwoot that say nothing about a contact, a conversation or a message (app/models/webhook.rb).
_NOT_FOR_CRMS = frozenset(
    {
        "conversation_typing_off",
        "conversation_typing_on",
        "inbox_created",
        "inbox_updated",
        "webwidget_triggered",
    }
)


def read(payload: Mapping[str, Any]) -> Event:
    """The event of a delivery.

    Raises PayloadError (``unknown_event``, ``invalid_payload``) or Skip (``not_for_crms``).

    Events named ``automation_event.*`` and ``macro.executed`` come from Chatwoot's automation rules and
    macros: they are never signed and double what the webhook says, so they are refused as unknown.
    """
    if not isinstance(payload, Mapping):
        raise PayloadError("The delivery is not a JSON object.")
    word = payload.get("event")
    if not isinstance(word, str) or not word:
        raise PayloadError('The key "event" is missing.')
    if word in _NOT_FOR_CRMS:
        raise Skip("not_for_crms", f'"{word}" tells nothing that concerns a CRM.')
    name = _NAMES.get(word)
    if name is None:
        raise PayloadError(
            f"{word[:64]!r} is not an event that Chatwoot's webhooks have.", code="unknown_event"
        )
    try:
        return _READERS[name](name, payload)
    except ValidationError as error:
        raise PayloadError(_sentence(error)) from error


def contact(raw: Mapping[str, Any]) -> Contact:
    """A contact as the API answers it. Raises PayloadError."""
    try:
        return load_contact(raw)
    except ValidationError as error:
        raise PayloadError(_sentence(error)) from error


def conversation(raw: Mapping[str, Any]) -> Conversation:
    """A conversation as the API answers it, without activities among its messages. Raises PayloadError."""
    try:
        return load_conversation(raw)
    except ValidationError as error:
        raise PayloadError(_sentence(error)) from error


def message(raw: Mapping[str, Any]) -> Message:
    """A message as the API answers it. Raises PayloadError, and Skip for an activity."""
    _refuse_activity(raw)
    try:
        return load_message(raw)
    except ValidationError as error:
        raise PayloadError(_sentence(error)) from error


def delivery_key(event: Event, payload: Mapping[str, Any]) -> str | None:
    """What two deliveries of one thing have in common; ``None`` when in doubt, which means: not a repeat.

    A record is created once. An update is one of a record at a time: its ``updated_at`` together with what
    changed (two changes within one snapshot both carry the later time). Message updates carry no time of
    their own, nor do conversations before 4.0.2.
    """
    name = event.name
    if name is EventName.CONTACT_CREATED:
        return f"{name}:{event.contact.id}"
    if name is EventName.CONVERSATION_CREATED and event.conversation is not None:
        return f"{name}:{event.conversation.id}"
    if name is EventName.MESSAGE_CREATED and event.message is not None:
        return f"{name}:{event.message.id}"
    if name is EventName.CONTACT_UPDATED:
        return _update_key(name, event.contact.id, event.occurred_at, payload)
    if name is EventName.MESSAGE_UPDATED or event.conversation is None:
        return None
    return _update_key(name, event.conversation.id, event.conversation.updated_at, payload)


def _update_key(name: EventName, number: int, at: datetime | None, payload: Mapping[str, Any]) -> str | None:
    if at is None:
        return None
    changes = json.dumps(payload.get("changed_attributes"), sort_keys=True, default=str).encode()
    return f"{name}:{number}:{at.timestamp():.6f}:{hashlib.blake2b(changes, digest_size=8).hexdigest()}"


def _read_contact(name: EventName, payload: Mapping[str, Any]) -> Event:
    changed = _changed(payload.get("changed_attributes"))
    updated = changed.get("updated_at")
    return Event(
        name=name,
        contact=load_contact(payload),
        changed=changed,
        occurred_at=f.moment(updated.current) if updated is not None else None,
        account_id=_account_id(payload),
    )


def _read_conversation(name: EventName, payload: Mapping[str, Any]) -> Event:
    found = load_conversation(payload)
    changed = _changed(payload.get("changed_attributes"))
    at = found.created_at
    if name is not EventName.CONVERSATION_CREATED:
        updated = changed.get("updated_at")
        at = found.updated_at or (f.moment(updated.current) if updated is not None else None)
    return Event(
        name=name,
        contact=found.contact,
        conversation=found,
        changed=changed,
        occurred_at=at,
        account_id=_account_id(payload),
    )


def _read_message(name: EventName, payload: Mapping[str, Any]) -> Event:
    _refuse_activity(payload)
    raw = payload.get("conversation")
    if not isinstance(raw, Mapping):
        raise ValidationError({"conversation": ["is missing"]})
    found = load_message(payload)
    try:
        around = load_conversation(_with_customer(raw, payload))
    except ValidationError as error:
        raise ValidationError({"conversation": error.messages}) from error
    copy = _copy(found, raw)
    inbox = payload.get("inbox")
    if isinstance(inbox, Mapping):
        around = replace(
            around,
            inbox_name=f.text(inbox.get("name")),
            inbox_id=around.inbox_id or f.whole(inbox.get("id")),
        )
    return Event(
        name=name,
        contact=around.contact,
        conversation=around,
        message=replace(found, conversation_id=around.id, status=found.status or f.text(copy.get("status"))),
        occurred_at=_message_time(name, found, copy),
        account_id=_account_id(payload),
    )


_READERS = {
    EventName.CONTACT_CREATED: _read_contact,
    EventName.CONTACT_UPDATED: _read_contact,
    EventName.CONVERSATION_CREATED: _read_conversation,
    EventName.CONVERSATION_UPDATED: _read_conversation,
    EventName.CONVERSATION_STATUS_CHANGED: _read_conversation,
    EventName.MESSAGE_CREATED: _read_message,
    EventName.MESSAGE_UPDATED: _read_message,
}


def _with_customer(raw: Mapping[str, Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conversation of a message; who wrote an incoming one is its customer, where it names none."""
    meta = raw.get("meta")
    if isinstance(meta, Mapping) and isinstance(meta.get("sender"), Mapping):
        return raw
    if payload.get("message_type") not in ("incoming", 0) or not isinstance(payload.get("sender"), Mapping):
        return raw
    known = meta if isinstance(meta, Mapping) else {}
    return {**raw, "meta": {**known, "sender": payload["sender"]}}


def _copy(found: Message, conversation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conversation's copy of the same message, if it is the last public one. It says more than the message."""
    messages = conversation.get("messages")
    for copy in messages if isinstance(messages, list) else []:
        if isinstance(copy, Mapping) and f.whole(copy.get("id")) == found.id:
            return copy
    return {}


def _message_time(name: EventName, found: Message, copy: Mapping[str, Any]) -> datetime:
    """When it happened. The time of an update stands only in the conversation's copy of the same message."""
    if name is EventName.MESSAGE_UPDATED:
        return f.moment(copy.get("updated_at")) or found.created_at
    return found.created_at


def _refuse_activity(raw: Mapping[str, Any]) -> None:
    if raw.get("message_type") in ACTIVITY:
        raise Skip("not_for_crms", "Activity messages are Chatwoot's own notes about a conversation.")


def _changed(raw: Any) -> dict[str, Change]:
    """``changed_attributes``: a list of objects with one key each (contracts: contact_updated.*)."""
    entries = raw if isinstance(raw, list) else [raw]
    found: dict[str, Change] = {}
    for entry in entries:
        for key, change in entry.items() if isinstance(entry, Mapping) else ():
            if isinstance(change, Mapping):
                found[str(key)] = Change(
                    previous=storable_json(change.get("previous_value")),
                    current=storable_json(change.get("current_value")),
                )
    return found


def _account_id(payload: Mapping[str, Any]) -> int | None:
    """Conversation events name their account only since 4.14.2; before, their message does."""
    account = payload.get("account")
    if isinstance(account, Mapping) and (number := f.whole(account.get("id"))) is not None:
        return number
    if (number := f.whole(payload.get("account_id"))) is not None:
        return number
    messages = payload.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    return f.whole(first.get("account_id")) if isinstance(first, Mapping) else None


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, as one sentence that names its key."""
    path: list[str] = []
    words: Any = error.messages
    while isinstance(words, dict) and words:
        key, words = next(iter(words.items()))
        if key != "_schema":
            path.append(str(key))
    found = str(words[0] if isinstance(words, list) and words else words)
    if found.startswith(("Missing data", "Field may not be null")):
        found = "is missing"
    elif found.startswith("Invalid input type"):
        found = "is not a JSON object"
    return f'The key "{".".join(path)}" {found}.' if path else f"The record {found}."
