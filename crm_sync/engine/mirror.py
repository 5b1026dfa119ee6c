"""Writing back: the ids and states of CRM records, shown as custom attributes of the Chatwoot record.

Done after the events of a mailbox, under its mutex, all attributes of a record in one go. A write-back that fails
is tried again by itself and never repeats a call to the CRM.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm_sync.engine import retry
from crm_sync.errors import ApiError, NotFound, Unauthorized
from crm_sync.store.models import Hook, Link

if TYPE_CHECKING:
    from datetime import datetime

    from crm_sync.chatwoot.client import ChatwootClient
    from crm_sync.engine.runtime import Runtime

log = structlog.get_logger(__name__)

#: How long a write-back waits that Chatwoot refused because of the token, in seconds.
UNAUTHORIZED_WAIT_S = 600.0


def write_back(runtime: Runtime, mailbox: str) -> None:
    """Write what is due for the records of this mailbox."""
    with runtime.store.read() as session:
        due = list(session.scalars(_due(runtime.now()).where(Link.mailbox == mailbox)))
        if not due:
            return
        account = session.get_one(Hook, due[0].hook_id).account
    chatwoot = runtime.chatwoot(account)
    written = [
        (links, _write(chatwoot, record, _missing(links))) for record, links in _by_record(due).items()
    ]

    def note(session: Session) -> None:
        for links, error in written:
            for link in links:
                _note(runtime, session, link, error)

    # Not durable: what is forgotten in a power cut is written to Chatwoot once more, where it changes nothing.
    runtime.store.write_together(note, durable=False)


def due_mailboxes(session: Session, now: datetime, limit: int) -> list[str]:
    """Mailboxes with a write-back that is due."""
    rows = session.execute(
        select(Link.mailbox)
        .where(Link.mirror_at <= now)
        .group_by(Link.mailbox)
        .order_by(Link.mailbox)
        .limit(limit)
    )
    return [row[0] for row in rows]


def _due(now: datetime) -> Any:
    return select(Link).where(Link.mirror_at <= now).order_by(Link.id)


def _by_record(links: list[Link]) -> dict[tuple[str, int], list[Link]]:
    records: dict[tuple[str, int], list[Link]] = defaultdict(list)
    for link in links:
        records[link.local_type, link.local_id].append(link)
    return records


def _missing(links: list[Link]) -> dict[str, Any]:
    """What the record does not show yet."""
    attributes: dict[str, Any] = {}
    for link in links:
        attributes |= {key: value for key, value in link.wanted.items() if link.shown.get(key) != value}
    return attributes


def _write(
    chatwoot: ChatwootClient, record: tuple[str, int], attributes: Mapping[str, Any]
) -> ApiError | None:
    local_type, local_id = record
    try:
        if local_type == "contact":
            chatwoot.update_contact_attributes(local_id, attributes)
        else:
            chatwoot.set_conversation_attributes(local_id, attributes)
    except ApiError as error:
        return error
    return None


def _note(runtime: Runtime, session: Session, link: Link, error: ApiError | None) -> None:
    """Remember how it went; what changed meanwhile stays due."""
    row = session.get(Link, link.id, populate_existing=True)
    if row is None:
        return
    if error is None:
        row.shown = {**row.shown, **link.wanted}
        row.mirror_error = None
        row.mirror_tries = 0
        row.mirror_at = None if row.shown == row.wanted else runtime.now()
        return
    row.mirror_tries += 1
    row.mirror_error = str(error)
    if isinstance(error, NotFound):
        row.mirror_at = None
    elif isinstance(error, Unauthorized):
        # A person has to renew the token (accounts connect); then it goes on by itself.
        row.mirror_at = retry.later(runtime.now(), UNAUTHORIZED_WAIT_S)
    else:
        row.mirror_at = retry.next_attempt(
            error, row.mirror_tries, now=runtime.now(), delays_s=runtime.config.retry_delays_s
        )
    log.warning("write_back_failed", link=row.id, reason=str(error), next=str(row.mirror_at))


def count_waiting(session: Session) -> int:
    """How many links wait to be written back."""
    return session.scalar(select(func.count()).select_from(Link).where(Link.mirror_at.is_not(None))) or 0
