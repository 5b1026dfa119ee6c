"""The tickets that changed in GLPI, read by their time of change and by GLPI's own clock.

Nothing changed costs one request, and a page of changes one each; once in an hour, and whenever there was news, the bin
is looked into as well. Rows move while pages are read, several share a second, transactions end late and clocks are set
back: so each page begins a little before the last one ended, and each pull well before the last one ended. What comes
twice is recognised by the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_sync.crms.base import HookView, PulledPage, PulledRecord, PullFrom
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import TICKET

#: Rows of one page: as many as GLPI announces to give at once.
PAGE = 1000

#: How far before its watermark a pull begins. Well over an hour: when summer time ends GLPI's dates repeat one, and
#: its clock is known to some minutes only.
OVERLAP = timedelta(minutes=70)

#: How far before the last pull the bin is looked through: it was left out for an hour at most.
BIN_OVERLAP = OVERLAP + timedelta(hours=1)

#: A ticket that changed this recently may have changed again since it was read: GLPI tells full seconds.
FRESH = timedelta(seconds=2)

#: What these bring back shows in no column: a ticket that we changed last may hold news all the same, and is read.
_UNSEEN = ("enable_followup_pull", "pull_assignee")

#: How far GLPI's clock may be ahead of ours. What is dated later is no news at every look.
AHEAD = timedelta(minutes=15)

_ID, _URGENCY, _IMPACT, _STATUS, _CHANGED, _EDITOR = 2, 10, 11, 12, 19, 64
_DISPLAY = (_ID, _URGENCY, _IMPACT, _STATUS, _CHANGED, _EDITOR)

#: The first version that sorts by several columns.
SEVERAL_SORTS = 10


def interval_s(settings: Mapping[str, Any]) -> float | None:
    """How often changes are asked for; None while they are not to come back."""
    if not settings.get("enable_bidirectional_sync") or not settings.get("enable_ticket_sync", True):
        return None
    return float(settings["sync_interval_minutes"]) * 60


def changes(client: GlpiClient, hook: HookView, start: PullFrom) -> Iterator[PulledPage]:
    """The tickets that changed since the last pull, a page at a time, oldest change first."""
    clock = _naive(start.now + client.utc_offset())
    watermark = start.watermark or min(clock, _naive(start.since + client.utc_offset()))
    last = _naive(start.last + client.utc_offset()) if start.last else watermark
    news, before = False, watermark
    # A watermark ahead of GLPI's clock is of another zone: what changed since the last pull is dated before it.
    begin = min(watermark, last) if watermark > clock else watermark
    for rows in _pages(client, hook, begin - OVERLAP):
        reached = max((_moment(row) for row in rows), default=before)
        news = news or reached > before
        # After the last page everything is known that changed until now.
        watermark = max(watermark, min(clock, reached if len(rows) == PAGE else clock))
        yield PulledPage(tuple(_record(row, hook, clock) for row in rows), watermark)
    if news or start.last is None or _hour(start.last) != _hour(start.now):
        for rows in _pages(client, hook, min(before, last) - BIN_OVERLAP, binned=True):
            yield PulledPage(tuple(_record(row, hook, clock, binned=True) for row in rows), watermark)


def _pages(
    client: GlpiClient, hook: HookView, since: datetime, *, binned: bool = False
) -> Iterator[list[dict[str, Any]]]:
    """Rows of tickets changed after a moment, by time of change. Each page is asked for by time, not by number."""
    offset = 0
    while True:
        rows = _page(client, hook, since, offset, binned=binned)
        yield rows
        if len(rows) < PAGE:
            return
        reached = _moment(rows[-1]) - timedelta(seconds=1)
        # A page full of one second can only be passed by counting.
        since, offset = (reached, 0) if reached > since else (since, offset + PAGE)


def _page(
    client: GlpiClient, hook: HookView, since: datetime, offset: int, *, binned: bool
) -> list[dict[str, Any]]:
    params: dict[str, Any] = {
        "criteria[0][field]": _CHANGED,
        # Strictly later (contracts/glpi: search-ticket-datemod-morethan).
        "criteria[0][searchtype]": "morethan",
        "criteria[0][value]": f"{since:%Y-%m-%d %H:%M:%S}",
        "range": f"{offset}-{offset + PAGE - 1}",
        **_sorting(hook),
    }
    for index, number in enumerate(_DISPLAY):
        params[f"forcedisplay[{index}]"] = number
    if binned:
        params["is_deleted"] = 1
    body = client.get(f"/search/{TICKET}", **params)
    rows: list[dict[str, Any]] = body.get("data") or [] if isinstance(body, dict) else []
    return [row for row in rows if row.get(str(_CHANGED))]


def _sorting(hook: HookView) -> dict[str, Any]:
    major = str(hook.facts.get("version", "")).partition(".")[0]
    if major.isdigit() and int(major) < SEVERAL_SORTS:
        return {"sort": _CHANGED, "order": "ASC"}
    return {"sort[0]": _CHANGED, "sort[1]": _ID, "order[0]": "ASC", "order[1]": "ASC"}


def _record(row: Mapping[str, Any], hook: HookView, clock: datetime, *, binned: bool = False) -> PulledRecord:
    """A ticket as far as it may be news."""
    changed = str(row[str(_CHANGED)])
    # It may change once more within the same second, and would look the same: it is looked at again.
    version = f"{changed}~{clock:%H:%M:%S}" if is_fresh(_moment(row), clock) else changed
    state: dict[str, Any] = {"binned": binned}
    if not binned:
        state |= {
            "status": row.get(str(_STATUS)),
            "urgency": row.get(str(_URGENCY)),
            "impact": row.get(str(_IMPACT)),
        }
        # Nobody: it is as we have opened it.
        by_others = row.get(str(_EDITOR)) not in {None, "", hook.facts.get("login")}
        if by_others or any(hook.settings.get(name) for name in _UNSEEN):
            state["changed"] = changed
    return PulledRecord(TICKET, str(row[str(_ID)]), version, state)


def is_fresh(changed: datetime, now: datetime) -> bool:
    """Whether a ticket changed so recently that it may change again within the same second."""
    return now - FRESH < changed < now + AHEAD


def _moment(row: Mapping[str, Any]) -> datetime:
    """When a row changed by GLPI's clock, written as if it were UTC."""
    return datetime.fromisoformat(str(row[str(_CHANGED)])).replace(tzinfo=UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
