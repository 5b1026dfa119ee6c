"""What GLPI shows of a message: enough to tell an edit from a receipt without asking GLPI. Pure.

Chatwoot says of an updated message neither what changed nor what was before (contracts: message_updated.*), so what was
written is remembered as a digest. Who wrote it is left out: a merge of contacts rewrites the senders of old messages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crm_sync.errors import Skip
from crm_sync.events import Event, Message

#: What of ``content_attributes`` is shown as text.
_TOLD = ("email", "items", "submitted_values", "submitted_email")


@dataclass(frozen=True, slots=True)
class Version:
    """A message as it is shown: what it ``said``, what ``came`` of it later, whether it was edited or deleted.

    Both are digests; nothing came of most messages.
    """

    said: str
    came: str = ""
    edited: bool = False
    deleted_at: str | None = None

    @classmethod
    def of(cls, message: Message) -> Version:
        """A message as it is."""
        attributes = message.content_attributes
        came = {
            "failed": attributes.get("external_error") or message.status == "failed",
            "transcripts": [item.transcript for item in message.attachments if item.transcript],
            "answers": [attributes.get(key) for key in _TOLD[2:] if attributes.get(key)],
        }
        said = [message.content or "", *(attributes.get(key) for key in _TOLD[:2])]
        return cls(_digest(said), _digest(came) if any(came.values()) else "")

    @classmethod
    def known(cls, agreed: Mapping[str, Any] | None) -> Version | None:
        """What was remembered; None for a record that was found again and does not tell."""
        if not agreed or not agreed.get("said"):
            return None
        return cls(
            str(agreed["said"]),
            str(agreed.get("came") or ""),
            bool(agreed.get("edited")),
            agreed.get("deleted_at"),
        )

    def agreed(self) -> dict[str, Any]:
        """To be remembered."""
        return {"said": self.said, "came": self.came, "edited": self.edited, "deleted_at": self.deleted_at}


def after(known: Version | None, message: Message, now: datetime) -> Version:
    """How a message is to be shown that was shown like this; equal where nothing is to be changed."""
    if message.deleted:
        if known is not None and known.deleted_at is not None:
            return known
        return Version("deleted", deleted_at=f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    current = Version.of(message)
    edited = known is not None and (known.edited or known.said != current.said)
    return replace(current, edited=edited)


def due(
    agreed: Mapping[str, Any], event: Event, message: Message, now: datetime
) -> tuple[Version, dict[str, Any]]:
    """How a message of an update is to be shown from now on, and what is to be remembered of it.

    Raises Skip where GLPI shows all of it already, or something newer. An update's time is known only while its
    message is the conversation's last.
    """
    at = event.occurred_at
    as_of = at.isoformat() if at is not None and at > message.created_at else None
    if as_of and as_of < str(agreed.get("as_of") or ""):
        raise Skip("outdated", "GLPI shows a newer state of the message already.")
    known = Version.known(agreed)
    wanted = after(known, message, at if as_of and at else now)
    if wanted == known:
        raise Skip(
            "nothing_new", "A receipt or a change of sender: nothing that GLPI shows of the message changed."
        )
    return wanted, wanted.agreed() | ({"as_of": as_of} if as_of else {})


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
