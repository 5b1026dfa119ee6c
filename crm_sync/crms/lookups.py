"""What was looked up in a CRM and seldom changes: which user is a technician, what a category is called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

#: How long what was looked up is believed, in seconds.
KEEP_S = 600.0


class Lookups:
    """Keeps answers for a while, for a process and a hook. Safe to share by threads; ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._guard = threading.Lock()

    def get(self, key: Hashable, look: Callable[[], Any]) -> Any:
        """What is kept under this key, or else what ``look`` says now; its errors are not kept."""
        now = self._clock()
        with self._guard:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] < KEEP_S:
            return kept[1]
        found = look()
        with self._guard:
            self._kept = {name: item for name, item in self._kept.items() if now - item[0] < KEEP_S}
            self._kept[key] = (now, found)
        return found
