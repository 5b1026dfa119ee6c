"""From a delivery to the journal: one row for what came, one event for each hook that takes it, in one commit.

A doubled delivery is recognised twice: by its own id, and by its content. What concerns no hook is not stored, and
the caller counts the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm_sync.chatwoot import payloads
from crm_sync.chatwoot.noise import noise
from crm_sync.crms.base import App
from crm_sync.engine import apps
from crm_sync.engine.features import FEATURE_OFF, is_on
from crm_sync.engine.mailbox import mailbox_of
from crm_sync.engine.order import position
from crm_sync.errors import ConfigError, PayloadError, Skip
from crm_sync.events import Event
from crm_sync.store import Store, journal, models
from crm_sync.store.models import Source


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery: its events and the mailboxes to wake, or why it was ignored."""

    event_name: str
    events: tuple[int, ...] = ()
    mailboxes: tuple[str, ...] = ()
    ignored: str | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a delivery came. ``delivery_id`` is the sender's own name for it, if it has one.

    For ``settle`` an event waits, once it is written, for earlier ones that are still on their way.
    """

    source: Source = Source.WEBHOOK
    delivery_id: str | None = None
    settle: timedelta = field(default=timedelta(0))


def ingest(
    store: Store,
    account: models.Account,
    payload: Mapping[str, Any],
    arrival: Arrival,
    clock: Callable[[], datetime],
) -> Ingested:
    """Store a delivery. Raises PayloadError for what is not one of this account, and what the database raises."""
    try:
        event = payloads.read(payload)
    except Skip as skip:
        return Ingested(str(payload["event"]), ignored=skip.reason, words=str(skip))
    if event.account_id is not None and event.account_id != account.chatwoot_account_id:
        raise PayloadError(
            f"This delivery is of Chatwoot account {event.account_id}; "
            f"this address belongs to account {account.chatwoot_account_id}.",
            code="foreign_account",
        )
    try:
        return _journaled(store, account, event, payload, arrival, clock)
    except IntegrityError:
        # A hook was removed meanwhile; the others must not miss the event for that.
        return _journaled(store, account, event, payload, arrival, clock)


def _journaled(
    store: Store,
    account: models.Account,
    event: Event,
    payload: Mapping[str, Any],
    arrival: Arrival,
    clock: Callable[[], datetime],
) -> Ingested:
    received_at = clock()
    with store.read() as session:
        hooks = _hooks(session, account.id)
    quiet = noise(event, own_keys=_own_keys(hooks), profile_id=account.profile_id)
    if quiet is not None:
        return Ingested(event.name, ignored=quiet[0], words=quiet[1])
    asked = [hook for hook in hooks if _takes(hook, event)]
    taking = [hook for hook in asked if _has_feature(account, hook)]
    if asked and not taking:
        return Ingested(
            event.name, ignored=FEATURE_OFF, words="The account has the feature of its hooks switched off."
        )
    if not taking:
        words = f"No hook of this account takes {event.name}." if hooks else "This account has no hook yet."
        return Ingested(event.name, ignored="no_hook", words=words)
    try:
        return store.write_together(
            lambda session: _insert(session, account, taking, event, payload, arrival, received_at, clock())
        )
    except IntegrityError as error:
        if not _is_repeat(error):
            raise
        return Ingested(event.name, ignored="repeat", words="This delivery is in the journal already.")


def _insert(
    session: Session,
    account: models.Account,
    taking: list[models.Hook],
    event: Event,
    payload: Mapping[str, Any],
    arrival: Arrival,
    received_at: datetime,
    now: datetime,
) -> Ingested:
    key = payloads.delivery_key(event, payload) or f"delivery:{arrival.delivery_id or uuid.uuid4()}"
    delivery = session.scalar(
        insert(models.Delivery)
        .values(
            account_id=account.id,
            source=arrival.source,
            delivery_id=arrival.delivery_id,
            dedup_key=key,
            event_name=event.name,
            payload=payloads.scrub(payload),
            received_at=received_at,
        )
        .returning(models.Delivery.id)
    )
    rows = [
        {
            "delivery_id": delivery,
            "hook_id": hook.id,
            "name": event.name,
            "subject": event.subject,
            "mailbox": mailbox_of(hook.id, event.contact.id),
            "position": position(event, received_at),
            "conversation_id": event.conversation.id if event.conversation else None,
            "message_id": event.message.id if event.message else None,
            "state": models.EventState.PENDING,
            "tries": 0,
            # What waited for the database must not be due at once: so will the one before it have waited.
            "next_attempt_at": now + arrival.settle,
            "created_at": now,
        }
        for hook in taking
    ]
    if event.conversation is not None:
        for hook in taking:
            # Contacts may have been merged: what the conversation has waiting is to stay in one line.
            mailbox = mailbox_of(hook.id, event.contact.id)
            journal.gather(session, hook.id, event.conversation.id, mailbox)
    ids = session.scalars(insert(models.Event).returning(models.Event.id), rows).all()
    return Ingested(event.name, events=tuple(ids), mailboxes=tuple(str(row["mailbox"]) for row in rows))


def _hooks(session: Session, account_id: int) -> list[models.Hook]:
    found = session.scalars(
        select(models.Hook).where(models.Hook.account_id == account_id).order_by(models.Hook.id)
    )
    return list(found)


def _takes(hook: models.Hook, event: Event) -> bool:
    app = _app(hook)
    # A hook whose app is not installed here keeps its events: they wait until it is.
    return app is None or event.name in app.manifest.events


def _has_feature(account: models.Account, hook: models.Hook) -> bool:
    app = _app(hook)
    return app is None or is_on(account, app.manifest.feature_flag)


def _own_keys(hooks: list[models.Hook]) -> frozenset[str]:
    found = (_app(hook) for hook in hooks)
    return frozenset(attribute.key for app in found if app for attribute in app.manifest.attributes)


def _app(hook: models.Hook) -> App | None:
    try:
        return apps.find(hook.app_id)
    except ConfigError:
        return None


def _is_repeat(error: IntegrityError) -> bool:
    """Whether the unique key of deliveries was hit, by the names both databases give it."""
    words = str(error.orig)
    return "uq_deliveries" in words or "deliveries.dedup_key" in words or "deliveries.delivery_id" in words
