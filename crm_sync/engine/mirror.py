"""Writing back: the ids and states of CRM records, shown as custom attributes of the Chatwoot record.

Done after the events of a mailbox, under its mutex, all attributes of a record in one go. A write-back that fails
is tried again by itself and never repeats a call to the CRM.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import structlog
from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm import Session

from crm_sync import keys, owner
from crm_sync.engine import retry
from crm_sync.errors import ApiError, NotFound, Unauthorized
from crm_sync.locks import Busy
from crm_sync.store.models import Hook, Link

if TYPE_CHECKING:
    from datetime import datetime

    from crm_sync.chatwoot.client import ChatwootClient
    from crm_sync.engine.runtime import Runtime

log = structlog.get_logger(__name__)

# Columns rather than mapped objects: they cost half as much, and every mailbox ends with this.
_links = Link.__table__.c
_table = cast("Table", Link.__table__)

#: How long a write-back waits that Chatwoot refused because of the token, in seconds.
UNAUTHORIZED_WAIT_S = 600.0
#: How long a write-back waits while another hook writes to the same record, in seconds.
BUSY_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Due:
    """A link whose Chatwoot record does not show what it should."""

    id: int
    hook_id: int
    local_type: str
    local_id: int
    wanted: dict[str, Any]
    shown: dict[str, Any]


def write_back(runtime: Runtime, mailbox: str) -> None:
    """Write what is due for the records of this mailbox."""
    with runtime.store.read() as session:
        links_due = due(session, mailbox, runtime.now())
        if not links_due:
            return
        account = session.get_one(Hook, links_due[0].hook_id).account
        is_shared = session.scalars(_HOOKS, {"account": account.id}).first() is not None
    chatwoot = runtime.chatwoot(account)
    written = []
    for record, links in _by_record(links_due).items():
        lock = keys.record_lock(account.id, record)
        try:
            # Until 4.16 Chatwoot replaces all attributes of a conversation: two hooks would take away each other's.
            with runtime.mutexes.hold(lock, owner.new_claim()) if is_shared else nullcontext():
                written.append((links, _write(chatwoot, record, _missing(links))))
        except Busy:
            runtime.alarm.wake([mailbox], delay_s=BUSY_WAIT_S)

    def note(session: Session) -> None:
        for links, error in written:
            for link in links:
                _note(runtime, session, link, error)

    # Not durable: what is forgotten in a power cut is written to Chatwoot once more, where it changes nothing.
    runtime.store.write_together(note, durable=False)


def due(session: Session, mailbox: str, now: datetime) -> list[Due]:
    """The links of this mailbox that are to be written back by now."""
    return [Due(*row) for row in session.execute(_DUE, {"now": now, "name": mailbox})]


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


def _by_record(links: list[Due]) -> dict[tuple[str, int], list[Due]]:
    records: dict[tuple[str, int], list[Due]] = defaultdict(list)
    for link in links:
        records[link.local_type, link.local_id].append(link)
    return records


def _missing(links: list[Due]) -> dict[str, Any]:
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


def _note(runtime: Runtime, session: Session, link: Due, error: ApiError | None) -> None:
    """Remember how it went; what changed meanwhile stays due."""
    row = session.execute(_AS_IT_IS, {"link": link.id}).one_or_none()
    if row is None:
        return
    if error is None:
        shown = {**row.shown, **link.wanted}
        again = None if shown == row.wanted else runtime.now()
        session.execute(_NOTE_SHOWN, {"link": link.id, "shown": shown, "again": again})
        return
    tries = row.mirror_tries + 1
    again = _next_try(runtime, error, tries)
    session.execute(_NOTE_FAILED, {"link": link.id, "again": again, "tries": tries, "why": str(error)})
    log.warning("write_back_failed", link=link.id, reason=str(error), next=str(again))


def _next_try(runtime: Runtime, error: ApiError, tries: int) -> datetime | None:
    if isinstance(error, NotFound):
        return None
    if isinstance(error, Unauthorized):
        # A person has to renew the token (accounts connect); then it goes on by itself.
        return retry.later(runtime.now(), UNAUTHORIZED_WAIT_S)
    return retry.next_attempt(error, tries, now=runtime.now(), delays_s=runtime.config.retry_delays_s)


def count_waiting(session: Session) -> int:
    """How many links wait to be written back."""
    return session.scalar(select(func.count()).select_from(Link).where(Link.mirror_at.is_not(None))) or 0


# -- the statements, built once --------------------------------------------------------------------------------------

_DUE = (
    select(_links.id, _links.hook_id, _links.local_type, _links.local_id, _links.wanted, _links.shown)
    .where(_links.mirror_at <= bindparam("now"), _links.mailbox == bindparam("name"))
    .order_by(_links.id)
)
#: Something where an account has several hooks.
_HOOKS = select(Hook.id).where(Hook.account_id == bindparam("account")).order_by(Hook.id).offset(1).limit(1)
_AS_IT_IS = select(_links.wanted, _links.shown, _links.mirror_tries).where(_links.id == bindparam("link"))
_NOTE = update(_table).where(_links.id == bindparam("link"))
_NOTE_SHOWN = _NOTE.values(
    shown=bindparam("shown"), mirror_at=bindparam("again"), mirror_tries=0, mirror_error=None
)
_NOTE_FAILED = _NOTE.values(
    mirror_at=bindparam("again"), mirror_tries=bindparam("tries"), mirror_error=bindparam("why")
)
