"""Dates as Krayin keeps and shows them: the database holds local time, answers are UTC with six decimals.

The zone is the recorded server's: a client that takes local for UTC is to be found out (90f, 168, 172).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from crm_sync.sandbox.krayin.errors import Crashed

SERVER_UTC_OFFSET = timedelta(hours=5, minutes=30)
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_WRITTEN = re.compile(
    r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?\s*(Z|UTC|[+-]\d\d:?\d\d)?)?$", re.IGNORECASE
)


def stored(moment: datetime) -> str:
    """A moment as the database writes it."""
    return (moment.astimezone(UTC) + SERVER_UTC_OFFSET).strftime(DATETIME_FORMAT)


def shown(text: str | None) -> str | None:
    """A stored date or time as answers show it: UTC; a date is its local midnight (172)."""
    if not text:
        return None
    local = datetime.strptime(text if len(text) > 10 else f"{text} 00:00:00", DATETIME_FORMAT)  # noqa: DTZ007 - a wall clock
    return (local - SERVER_UTC_OFFSET).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def in_words(text: str) -> str:
    """A stored time as the newer generation writes it for people: local."""
    return datetime.strptime(text, DATETIME_FORMAT).strftime("%a %b %d, %Y %I:%M %p")  # noqa: DTZ007 - a wall clock


def wall_time(text: object) -> str | None:
    """What was sent as a time, as the database keeps it: any zone in it is dropped (90f, 90g).

    Raises:
        Crashed: the text is no date (90h).
    """
    if text is None or text == "":
        return None
    found = _WRITTEN.match(str(text).strip())
    if found is None:
        raise Crashed
    day, minute, second, _zone = found.groups()
    written = f"{day} {minute or '00:00'}{second or ':00'}"
    try:
        datetime.strptime(written, DATETIME_FORMAT)  # noqa: DTZ007 - a wall clock
    except ValueError:
        raise Crashed from None
    return written


def day(text: object) -> str | None:
    """What was sent as a date, without its time.

    Raises:
        Crashed: the text is no date.
    """
    written = wall_time(text)
    return None if written is None else written[:10]


def sent_day(text: object) -> str | None:
    """A date as the answer to its own write shows it: with a zone in it, that very moment (71l)."""
    written = wall_time(text)
    if written is None:
        return None
    zone = _WRITTEN.match(str(text).strip())
    if zone is None or zone.group(4) is None:
        return shown(written[:10])
    return datetime.fromisoformat(str(text).strip()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def today(moment: datetime) -> date:
    """The server's date, in its zone."""
    return (moment.astimezone(UTC) + SERVER_UTC_OFFSET).date()
