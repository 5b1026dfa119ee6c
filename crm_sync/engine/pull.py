"""Pulling: what changed in a CRM becomes events of the journal, and goes the way of every other event.

One pull at a time for a hook, safe to run twice: what is in the journal already is recognised, and the watermark moves
with the page it stands for, in one commit. Records that nobody here knows cost nothing but their line in the answer;
our own writes come back as what both sides agreed on, and make no event.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm_sync import keys, owner
from crm_sync.crms.base import Feed, PulledPage, PulledRecord, PullFrom
from crm_sync.crms.http import observed
from crm_sync.engine import apps, features, remote
from crm_sync.engine.limits import Bounded
from crm_sync.engine.order import remote_position
from crm_sync.engine.waking import wake_all
from crm_sync.errors import ConfigError, CrmSyncError, Unauthorized
from crm_sync.events import RemoteUpdate
from crm_sync.locks import Busy, Mutex
from crm_sync.store import models
from crm_sync.store.models import Account, EventState, Hook, HookState, LinkState, Source
from crm_sync.telemetry import metrics

if TYPE_CHECKING:
    from crm_sync.engine.runtime import Runtime

log = structlog.get_logger(__name__)

#: Ids named in one statement.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought: changed records seen, those linked here, and the events made of them."""

    seen: int = 0
    linked: int = 0
    events: int = 0
    repeated: int = 0

    def __add__(self, other: Pulled) -> Pulled:
        return Pulled(
            self.seen + other.seen,
            self.linked + other.linked,
            self.events + other.events,
            self.repeated + other.repeated,
        )


def due(runtime: Runtime) -> list[int]:
    """The hooks whose time to be pulled has come, from the stored time of their last pull."""
    now = runtime.now()
    with runtime.store.read() as session:
        hooks = session.scalars(select(Hook).where(Hook.state == HookState.ACTIVE).order_by(Hook.id)).all()
        intervals = [(hook, _interval_s(hook)) for hook in hooks]
    return [
        hook.id
        for hook, interval_s in intervals
        if interval_s is not None
        and (hook.breaker_until is None or hook.breaker_until <= now)
        and (hook.pulled_at is None or now - hook.pulled_at >= timedelta(seconds=interval_s))
    ]


def pull(runtime: Runtime, hook_id: int) -> Pulled:
    """Bring what changed in the hook's CRM into the journal.

    Raises ConfigError for a hook that cannot be pulled, Busy while another worker is at it, and the CRM's ApiError;
    what was read until then stays.
    """
    with runtime.store.read() as session:
        hook = session.get(Hook, hook_id)
        account = hook.account if hook is not None else None
    if hook is None or account is None:
        raise ConfigError(f"There is no hook {hook_id}. See crm-sync hooks list.", setting="hook")
    feed = _feed(hook, account)
    begun = runtime.now()
    start = PullFrom(watermark=hook.pull_watermark, since=hook.created_at, last=hook.pulled_at, now=begun)
    view = runtime.view(hook, account)
    bounded = Bounded(runtime.ceiling, hook_id, apps.find(hook.app_id).pace(view))
    try:
        with observed(bounded), runtime.mutexes.hold(keys.pull_lock(hook_id), owner.new_claim()) as mutex:
            total = Pulled()
            for page in feed.changes(runtime.client(view, hook.version), view, start):
                total += _journaled(runtime, hook, page)
                _keep(mutex)
            _note(runtime, hook_id, begun)
    except Unauthorized as error:
        _needs_attention(runtime, hook_id, error)
        raise
    for became, number in (
        ("unknown", total.seen - total.linked),
        ("event", total.events),
        ("repeat", total.repeated),
    ):
        metrics.PULLED.labels(hook.app_id, became).inc(number)
    log.info("pulled", hook=hook_id, seen=total.seen, linked=total.linked, events=total.events)
    return total


def _keep(mutex: Mutex) -> None:
    if not mutex.renew():
        raise Busy("The pull took so long that another one may have begun; that one goes on.")


def attend(runtime: Runtime, hook_id: int) -> None:
    """Pull a hook as the beat asks for it: what goes wrong is told in the log and tried again at the next tick."""
    try:
        pull(runtime, hook_id)
    except Busy as busy:
        log.info("pull_left_to_another", hook=hook_id, reason=str(busy))
    except CrmSyncError as error:
        log.warning("pull_failed", hook=hook_id, error=type(error).__name__, reason=str(error))


def _feed(hook: Hook, account: Account) -> Feed:
    app = apps.find(hook.app_id)
    features.demand(account, app.manifest)
    if hook.state != HookState.ACTIVE:
        raise ConfigError(
            f"Hook {hook.id} is {hook.state.replace('_', ' ')}, so it is not pulled. {hook.state_reason or ''}".strip(),
            setting="hook",
        )
    if app.feed is None or app.feed.interval_s(hook.settings) is None:
        raise ConfigError(
            f"Changes in {app.manifest.name} do not come back for hook {hook.id}: "
            "its settings do not ask for it (enable_bidirectional_sync).",
            setting="enable_bidirectional_sync",
        )
    return app.feed


def _interval_s(hook: Hook) -> float | None:
    """How often a hook is to be pulled; None for one that is not, or whose app is gone or switched off."""
    try:
        app = apps.find(hook.app_id)
    except ConfigError:
        return None
    if app.feed is None or not features.is_on(hook.account, app.manifest.feature_flag):
        return None
    return app.feed.interval_s(hook.settings)


def _journaled(runtime: Runtime, hook: Hook, page: PulledPage) -> Pulled:
    """Write what is new of a page into the journal, with its watermark, in one commit; wake its mailboxes."""
    with runtime.store.read() as session:
        linked = _linked(session, hook.id, page.records)
    news = [(record, link) for record, link in linked if _is_news(record, link)]

    def write(session: Session) -> tuple[int, list[str]]:
        fresh = {_dedup_key(record, link): (record, link) for record, link in news}
        known = _known(session, hook, list(fresh))
        for key in known & fresh.keys():
            del fresh[key]
        mailboxes = _mailboxes(session, hook.id, [link for _, link in fresh.values()])
        for key, (record, link) in fresh.items():
            _insert(session, hook, record, link, mailboxes[link.id], key, runtime.now())
        session.execute(update(Hook).where(Hook.id == hook.id).values(pull_watermark=page.watermark))
        return len(fresh), sorted(set(mailboxes.values()))

    try:
        events, mailboxes = runtime.store.write_together(write)
    except IntegrityError as error:
        raise Busy("Another pull is writing the same page.") from error
    wake_all(runtime, mailboxes)
    known_here = {id(record) for record, _ in linked}
    return Pulled(len(page.records), len(known_here), events, len(news) - events)


def _linked(
    session: Session, hook_id: int, records: Sequence[PulledRecord]
) -> list[tuple[PulledRecord, models.Link]]:
    """The records that are linked here, with each of their links: merged tickets belong to several conversations."""
    found: dict[tuple[str, str], list[models.Link]] = defaultdict(list)
    ids = sorted({record.remote_id for record in records})
    for start in range(0, len(ids), BATCH):
        rows = session.scalars(
            select(models.Link)
            .where(
                models.Link.hook_id == hook_id,
                models.Link.state == LinkState.LINKED,
                models.Link.remote_id.in_(ids[start : start + BATCH]),
            )
            .order_by(models.Link.id)
        )
        for row in rows:
            found[row.remote_type, row.remote_id or ""].append(row)
    return [
        (record, link) for record in records for link in found.get((record.remote_type, record.remote_id), ())
    ]


def _mailboxes(session: Session, hook_id: int, found: Sequence[models.Link]) -> dict[int, str]:
    """By the links' ids, where their events wait now: a conversation changes hands when contacts are merged."""
    ids = [link.local_id for link in found if link.local_type == "conversation"]
    latest: dict[int | None, str] = {}
    for start in range(0, len(ids), BATCH):
        newest = (
            select(func.max(models.Event.id))
            .where(
                models.Event.hook_id == hook_id,
                models.Event.conversation_id.in_(ids[start : start + BATCH]),
            )
            .group_by(models.Event.conversation_id)
        )
        rows = session.execute(
            select(models.Event.conversation_id, models.Event.mailbox).where(models.Event.id.in_(newest))
        )
        latest |= {row[0]: row[1] for row in rows}
    return {
        link.id: latest.get(link.local_id, link.mailbox)
        if link.local_type == "conversation"
        else link.mailbox
        for link in found
    }


def _is_news(record: PulledRecord, link: models.Link) -> bool:
    """Whether the CRM shows anything that both sides have not agreed on."""
    return any(link.agreed.get(key) != value for key, value in record.state.items())


def _dedup_key(record: PulledRecord, link: models.Link) -> str:
    state = json.dumps(dict(record.state), sort_keys=True, default=str).encode()
    digest = hashlib.blake2b(state, digest_size=8).hexdigest()
    return f"{link.id}:{record.remote_type}:{record.remote_id}:{record.version}:{digest}"


def _known(session: Session, hook: Hook, wanted: Sequence[str]) -> set[str]:
    """Those of the keys that the journal has already."""
    found: set[str] = set()
    for start in range(0, len(wanted), BATCH):
        found |= set(
            session.scalars(
                select(models.Delivery.dedup_key).where(
                    models.Delivery.account_id == hook.account_id,
                    models.Delivery.source == Source.PULL,
                    models.Delivery.dedup_key.in_(wanted[start : start + BATCH]),
                )
            )
        )
    return found


def _insert(
    session: Session,
    hook: Hook,
    record: PulledRecord,
    link: models.Link,
    mailbox: str,
    key: str,
    now: datetime,
) -> None:
    happened = RemoteUpdate(
        name=f"{record.remote_type.lower()}.updated",
        remote_type=record.remote_type,
        remote_id=record.remote_id,
        local_type=link.local_type,
        local_id=link.local_id,
        state=record.state,
    )
    delivery = session.scalar(
        insert(models.Delivery)
        .values(
            account_id=hook.account_id,
            source=Source.PULL,
            delivery_id=None,
            dedup_key=key,
            event_name=happened.name,
            payload=remote.payload_of(happened),
            received_at=now,
        )
        .returning(models.Delivery.id)
    )
    row: dict[str, Any] = {
        "delivery_id": delivery,
        "hook_id": hook.id,
        "name": happened.name,
        "subject": happened.subject,
        "mailbox": mailbox,
        "position": remote_position(now),
        "conversation_id": link.local_id if link.local_type == "conversation" else None,
        "message_id": None,
        "state": EventState.PENDING,
        "tries": 0,
        "next_attempt_at": now,
        "created_at": now,
    }
    session.execute(insert(models.Event), [row])


def _note(runtime: Runtime, hook_id: int, begun: datetime) -> None:
    """Remember when the hook was pulled: the next pull is due an interval after this one began."""
    with runtime.store.write() as session:
        session.execute(update(Hook).where(Hook.id == hook_id).values(pulled_at=begun))


def _needs_attention(runtime: Runtime, hook_id: int, error: CrmSyncError) -> None:
    with runtime.store.write() as session:
        hook = session.get_one(Hook, hook_id, with_for_update=True)
        # What an operator paused meanwhile stays so.
        if hook.state == HookState.ACTIVE:
            hook.state, hook.state_reason = HookState.NEEDS_ATTENTION, str(error)
            hook.updated_at = runtime.now()
    log.error("hook_needs_attention", hook=hook_id, reason=str(error))
