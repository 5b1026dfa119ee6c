"""Whether an event tells a contact as it is, or as it was: deliveries may come late.

The link of what a contact became holds in ``agreed``, as ``as_of``, how new at least is what it says.
"""

from __future__ import annotations

from datetime import datetime

from crm_sync.crms.base import Link, Port
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Contact


def may_be_older(link: Link, as_of: datetime | None) -> bool:
    """Whether what happened then may be older than what the link says: nobody knows when, or it was told late."""
    at = link.agreed.get("as_of")
    return at is not None and (as_of is None or as_of.isoformat() < str(at))


def dated(port: Port, link: Link, as_of: datetime | None) -> Link:
    """The link, which says what its contact says as of then, or of something newer."""
    moment = as_of.isoformat() if as_of else ""
    return port.agree(link, as_of=moment) if moment > str(link.agreed.get("as_of") or "") else link


def present(port: Port, contact: Contact) -> Contact:
    """A contact that may be told as it was, as it is now. Raises Skip when it is gone."""
    try:
        return port.chatwoot.contact(contact.id)
    except NotFound as gone:
        words = f"Contact {contact.id} is no longer in Chatwoot, and the CRM shows a newer state of it."
        raise Skip("outdated", words) from gone
