"""The limit of calls a minute: a window that opens with the first call, for each user or address (110, 110c)."""

from __future__ import annotations

from datetime import datetime, timedelta

DEFAULT_LIMIT = 60
DEFAULT_WINDOW_S = 60


class Limiter:
    """Counts calls by key; whoever asks holds the state's lock."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[datetime, int]] = {}

    def hit(self, key: str, limit: int, now: datetime, *, window_s: int = DEFAULT_WINDOW_S) -> int | None:
        """Counts a call and returns how many are left; None when there was none left."""
        opened, used = self._windows.get(key, (now, 0))
        if now - opened >= timedelta(seconds=window_s):
            opened, used = now, 0
        if used >= limit:
            return None
        self._windows[key] = (opened, used + 1)
        return limit - used - 1

    def reset(self) -> None:
        """Opens a new window for everybody."""
        self._windows = {}
