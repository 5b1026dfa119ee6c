"""When an event is tried again: a pure decision from the error and the number of tries so far."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from crm_sync.errors import ApiError, RateLimited, Retriable

#: A fault of our own is not cured by waiting long: it is given up early, in plain sight.
TRIES_AFTER_A_CRASH = 3

#: Never believe an answer that asks us to come back in more than this, in seconds.
LONGEST_RETRY_AFTER_S = 36_000.0


def next_attempt(
    error: Exception,
    tries: int,
    *,
    now: datetime,
    delays_s: Sequence[float],
    jitter: Callable[[], float] = random.random,
) -> datetime | None:
    """When to try again after this failed try (``tries`` counts it too); None when the event is given up.

    Each wait is lengthened by up to a fifth, so that what failed together does not come back together.
    """
    if isinstance(error, ApiError) and not isinstance(error, Retriable):
        return None
    allowed = len(delays_s) if isinstance(error, Retriable) else min(TRIES_AFTER_A_CRASH, len(delays_s))
    if tries > allowed:
        return None
    wait_s = delays_s[tries - 1] * (1 + jitter() / 5)
    if isinstance(error, RateLimited) and error.retry_after_s is not None:
        wait_s = max(wait_s, min(error.retry_after_s, LONGEST_RETRY_AFTER_S))
    return now + timedelta(seconds=wait_s)


def later(now: datetime, wait_s: float) -> datetime:
    """A moment from now."""
    return now + timedelta(seconds=wait_s)
