"""What the API tells about the account itself: our user, its inboxes and webhooks. No repr holds a secret."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Membership:
    """An account our user belongs to, and as what (contracts: profile)."""

    account_id: int
    name: str | None
    role: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """Our own user in Chatwoot."""

    id: int
    name: str | None
    email: str | None
    accounts: tuple[Membership, ...] = ()


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where customers write to. Its credentials, which administrators are shown, stay in the answer."""

    id: int
    name: str | None
    channel: str | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of the account. ``secret`` signs its deliveries; none before 4.12."""

    id: int
    url: str
    name: str | None
    subscriptions: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
