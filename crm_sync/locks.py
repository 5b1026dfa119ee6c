"""The mutex: one worker at a time on one mailbox. The belt; the claim in the journal is the braces.

Never waits. A lock whose owner is known to be dead is taken over at once. Losing the lock while holding it is
noticed, counted and harmless: the claim decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis_lock
from redis import Redis
from redis.exceptions import RedisError

from crm_sync import owner
from crm_sync.errors import CrmSyncError
from crm_sync.telemetry import metrics


class Busy(CrmSyncError):
    """Somebody else holds the mutex."""


class Mutexes:
    """Hands out mutexes by name. ``lease_s`` is how long one outlives a worker that fell silent."""

    def __init__(self, redis: Redis, lease_s: float) -> None:
        self._redis = redis
        self._lease_s = max(1, round(lease_s))

    @contextmanager
    def hold(self, name: str, claim: str) -> Iterator[Mutex]:
        """Hold a mutex for this block; raises Busy at once when somebody else has it, or Redis does not answer."""
        lock: Any = redis_lock.Lock(self._redis, name, expire=self._lease_s, id=claim)
        try:
            acquired = lock.acquire(blocking=False) or self._take_over(lock)
        except RedisError as error:
            raise Busy(
                f"Redis does not answer ({type(error).__name__}), so there is no mutex {name}."
            ) from error
        if not acquired:
            raise Busy(f"The mutex {name} is held by another worker.")
        try:
            yield Mutex(lock)
        finally:
            try:
                lock.release()
            except (redis_lock.NotAcquired, RedisError):
                metrics.LOCK_LOST.inc()

    @staticmethod
    def _take_over(lock: Any) -> bool:
        holder = lock.get_owner_id()
        if holder is not None and not owner.is_dead(holder):
            return False
        lock.reset()
        return bool(lock.acquire(blocking=False))


class Mutex:
    """A mutex that is held."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def renew(self) -> bool:
        """Start its lease anew; False when it was lost meanwhile."""
        try:
            self._lock.extend()
        except (redis_lock.NotAcquired, redis_lock.NotExpirable, RedisError):
            return False
        return True
