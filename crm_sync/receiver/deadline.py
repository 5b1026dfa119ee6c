"""A limit on how long the receiver waits for the database.

Chatwoot gives a webhook five seconds. A database that is down says so; one that is frozen says nothing at all, and
no driver's time limit covers every way of hanging. So the work is done beside the request, which stops waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from crm_sync.errors import CrmSyncError

T = TypeVar("T")


class Overdue(CrmSyncError):
    """The work did not end in time."""


class Deadline:
    """Runs work with a time limit. After one that ran out, others are refused at once for a moment.

    Unless what was overdue ends before that.
    """

    def __init__(
        self,
        *,
        limit_s: float = 3.5,
        rest_s: float = 1.0,
        threads: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_s = limit_s
        self._rest_s = rest_s
        self._clock = clock
        self._rest_until = 0.0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="receiver")

    def run(self, work: Callable[[], T]) -> T:
        """The result of the work, or what it raises; Overdue when there is none in time."""
        if self._clock() < self._rest_until:
            raise Overdue("The database did not answer a moment ago.")
        future = self._pool.submit(work)
        try:
            return future.result(timeout=self._limit_s)
        except TimeoutError:
            never_began = future.cancel()
            if not never_began and future.done():
                # It raised this itself, or ended at the very last moment.
                return future.result()
            self._rest_until = self._clock() + self._rest_s
            if not never_began:
                future.add_done_callback(self._go_on)
            raise Overdue("The database does not answer.") from None

    def _go_on(self, _ended: Future[T]) -> None:
        """What was overdue has ended: the database answers again."""
        self._rest_until = 0.0
