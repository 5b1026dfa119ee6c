"""What is stored: the tables of the journal and of the links, as SQLAlchemy models.

The schema's history is in ``migrations/``; a test holds the two together. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also on databases that keep no zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From Python to the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database to Python."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        int: BigInteger().with_variant(Integer, "sqlite"),
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        str: Text(),
    }


class SignatureMode(StrEnum):
    """Whether a delivery must be signed. Before 4.12 Chatwoot signs nothing: then the URL's token stands alone."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    OFF = "off"


class HookState(StrEnum):
    """Whether a hook's events are processed. In every state they are journaled, and wait."""

    SETTING_UP = "setting_up"
    ACTIVE = "active"
    NEEDS_ATTENTION = "needs_attention"
    PAUSED = "paused"


class EventState(StrEnum):
    """``PENDING`` until it ends in exactly one of the others."""

    PENDING = "pending"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class LinkState(StrEnum):
    """``CREATING`` is claimed before the CRM is called, ``LINKED`` confirmed after."""

    CREATING = "creating"
    LINKED = "linked"


class Source(StrEnum):
    """Where a delivery came from."""

    WEBHOOK = "webhook"
    PULL = "pull"
    RECONCILE = "reconcile"
    BACKFILL = "backfill"


class Account(Base):
    """A Chatwoot account. Columns ending in ``_secret`` hold Fernet tokens (see store.secrets)."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("chatwoot_url", "chatwoot_account_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    chatwoot_url: Mapped[str] = mapped_column(String(500))
    chatwoot_account_id: Mapped[int]
    name: Mapped[str | None]
    profile_id: Mapped[int | None]
    api_token_secret: Mapped[str]
    webhook_token: Mapped[str] = mapped_column(String(64), unique=True)
    webhook_id: Mapped[int | None]
    signature: Mapped[str] = mapped_column(String(16), default=SignatureMode.REQUIRED)
    signing_secret: Mapped[str | None]
    previous_signing_secret: Mapped[str | None]
    #: The feature flags switched off; all others are on.
    features_off: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))
    created_at: Mapped[datetime]

    # The database takes them away with the account (ON DELETE CASCADE).
    hooks: Mapped[list[Hook]] = relationship(
        back_populates="account", order_by="Hook.id", passive_deletes="all"
    )


class Hook(Base):
    """One CRM connected to an account."""

    __tablename__ = "hooks"
    __table_args__ = (UniqueConstraint("account_id", "app_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    app_id: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    settings_secret: Mapped[str]
    #: What the setup found out about the CRM: version, account, defaults. Never secret.
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(16), default=HookState.SETTING_UP)
    state_reason: Mapped[str | None]
    #: While this is set the breaker is open; the first event after it tries the CRM.
    breaker_until: Mapped[datetime | None]
    breaker_opened_at: Mapped[datetime | None]
    pull_watermark: Mapped[datetime | None]
    pulled_at: Mapped[datetime | None]
    #: Part of the address where the CRM may tell of changes, and what it signs with (a Fernet token).
    notice_token: Mapped[str | None] = mapped_column(String(64), unique=True)
    notice_secret: Mapped[str | None]
    #: Goes up with every change of the settings, so that workers drop the clients they keep.
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    account: Mapped[Account] = relationship(back_populates="hooks", lazy="joined", innerjoin=True)


class Delivery(Base):
    """What came, once. ``payload`` is free of Chatwoot's own secrets."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("account_id", "source", "dedup_key"),
        UniqueConstraint("account_id", "source", "delivery_id", name="uq_deliveries_delivery_id"),
        Index("ix_deliveries_received_at", "received_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(16))
    delivery_id: Mapped[str | None] = mapped_column(String(100))
    dedup_key: Mapped[str] = mapped_column(String(200))
    event_name: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]


class Event(Base):
    """One delivery for one hook, waiting in a mailbox until it ends.

    ``position`` sorts a mailbox in Chatwoot's own order. ``claim`` names the worker that holds it and
    ``claimed_until`` when that claim may be taken over.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("delivery_id", "hook_id"),
        Index("ix_events_mailbox", "mailbox", "state", "position"),
        Index("ix_events_due", "state", "next_attempt_at"),
        Index("ix_events_hook_state", "hook_id", "state"),
        Index("ix_events_claim", "claim"),
        Index("ix_events_conversation", "hook_id", "conversation_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    hook_id: Mapped[int] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200))
    mailbox: Mapped[str] = mapped_column(String(100))
    position: Mapped[str] = mapped_column(String(64))
    conversation_id: Mapped[int | None]
    message_id: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(16), default=EventState.PENDING)
    reason: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str | None]
    tries: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    claim: Mapped[str | None] = mapped_column(String(120))
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    delivery: Mapped[Delivery] = relationship()
    hook: Mapped[Hook] = relationship()
    attempts: Mapped[list[Attempt]] = relationship(back_populates="event", order_by="Attempt.id")


class Attempt(Base):
    """One try at an event: when, how long, how it ended, and the calls made (method, path, status, ms)."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_hook", "hook_id", "started_at"),
        Index("ix_attempts_event", "event_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    hook_id: Mapped[int] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"))
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None]
    calls: Mapped[list[Any]]

    event: Mapped[Event] = relationship(back_populates="attempts")


class Link(Base):
    """A Chatwoot record and its CRM record.

    ``agreed`` is the state last known to be the same on both sides. ``wanted`` are the custom attributes the
    Chatwoot record should show and ``shown`` those last written there; while they differ ``mirror_at`` is set.
    """

    __tablename__ = "links"
    __table_args__ = (
        UniqueConstraint("hook_id", "local_type", "local_id", "remote_type"),
        Index("ix_links_remote", "hook_id", "remote_type", "remote_id"),
        Index("ix_links_mailbox", "mailbox", "mirror_at"),
        Index("ix_links_mirror_at", "mirror_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    hook_id: Mapped[int] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"))
    mailbox: Mapped[str] = mapped_column(String(100))
    local_type: Mapped[str] = mapped_column(String(32))
    local_id: Mapped[int]
    remote_type: Mapped[str] = mapped_column(String(64))
    remote_id: Mapped[str | None] = mapped_column(String(100))
    url: Mapped[str | None]
    state: Mapped[str] = mapped_column(String(16), default=LinkState.CREATING)
    claim: Mapped[str | None] = mapped_column(String(120))
    claimed_at: Mapped[datetime]
    agreed: Mapped[dict[str, Any]] = mapped_column(default=dict)
    wanted: Mapped[dict[str, Any]] = mapped_column(default=dict)
    shown: Mapped[dict[str, Any]] = mapped_column(default=dict)
    mirror_at: Mapped[datetime | None]
    mirror_tries: Mapped[int] = mapped_column(default=0)
    mirror_error: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
