"""The leads that changed in Krayin, the last changed first as it tells them, handed on with the oldest change first.

Krayin filters by no range (facts), so pages are read until one reaches behind the last pull. Times are whole seconds
of a clock that repeats an hour each autumn, so that each pull begins well before the last one ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_sync.crms.base import HookView, PulledPage, PulledRecord, PullFrom
from crm_sync.crms.krayin import mapping
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.work import LEAD

#: Rows of the first look, which mostly shows all, and of each page where it does not. Krayin sets no limit, but each
#: row carries its person, owner and products.
FIRST, PAGE = 50, 500

#: How far before its watermark a pull begins.
OVERLAP = timedelta(minutes=70)


def interval_s(settings: Mapping[str, Any]) -> float | None:
    """How often changes are asked for; None while they are not to come back."""
    if not settings.get("enable_bidirectional_sync"):
        return None
    return float(settings["sync_interval_minutes"]) * 60


def changes(client: KrayinClient, _hook: HookView, start: PullFrom) -> Iterator[PulledPage]:
    """The leads that changed since the last pull, oldest change first."""
    since = start.watermark or start.since
    rows = sorted(_changed(client, since - OVERLAP), key=_moment)
    for first in range(0, len(rows), PAGE):
        part = rows[first : first + PAGE]
        yield PulledPage(tuple(map(_record, part)), max(since, _moment(part[-1])))
    if not rows:
        yield PulledPage((), since)


def _changed(client: KrayinClient, begin: datetime) -> Iterable[dict[str, Any]]:
    """Each lead that changed since, as it was first told: a row that moves while pages are read is told twice."""
    rows = client.changed_leads(1, FIRST)
    found: dict[str, dict[str, Any]] = {}
    page = 0
    while True:
        for row in rows:
            if _moment(row) >= begin:
                found.setdefault(str(row["id"]), row)
        if len(rows) < (PAGE if page else FIRST) or _moment(rows[-1]) < begin:
            return found.values()
        page += 1
        rows = client.changed_leads(page, PAGE)


def _record(row: Mapping[str, Any]) -> PulledRecord:
    state = mapping.lead_state(row)
    return PulledRecord(LEAD, str(row["id"]), str(row.get("updated_at")), state)


def _moment(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(row["updated_at"])).astimezone(UTC)
