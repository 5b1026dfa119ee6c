"""Keeps one answer for a while, so that inbox names and agents do not cost a call for every event."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """The result of ``fetch``, at most ``keep_s`` old. Threads that ask at once wait for one call.

    A fetch that fails is not remembered.
    """

    def __init__(self, fetch: Callable[[], T], *, keep_s: float, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[float, T] | None = None

    def get(self, *, max_age_s: float | None = None) -> T:
        """The result; ``max_age_s`` asks for a fresher one than the cache would keep."""
        limit = self._keep_s if max_age_s is None else max_age_s
        with self._lock:
            now = self._clock()
            if self._held is None or now - self._held[0] > limit:
                self._held = (now, self._fetch())
            return self._held[1]
