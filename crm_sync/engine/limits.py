"""The ceiling: how many mailboxes of one hook are worked on at a time, shared by all workers through Redis.

A worker that finds the ceiling reached does not wait: its mailbox queues up, and whoever lets a slot go wakes the
mailbox that has waited longest. A slot whose worker died is given up for lost after a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import Redis

from crm_sync import keys, owner

_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZSCORE', KEYS[1], ARGV[4]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4])
  redis.call('ZREM', KEYS[2], ARGV[5])
  return 1
end
redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], 3600)
return 0
"""

_GIVE_BACK = """
redis.call('ZREM', KEYS[1], ARGV[1])
local longest = redis.call('ZPOPMIN', KEYS[2])
return longest[1] or false
"""


class Ceiling:
    """Slots of hooks. ``slot_s`` is how long a slot is held without being taken anew."""

    def __init__(
        self, redis: Redis, *, size: int, slot_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._size = size
        self._slot_s = slot_s
        self._clock = clock
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    def take(self, hook_id: int, claim: str, mailbox: str) -> bool:
        """Take a slot, or line the mailbox up for one. Taking it again with the same claim keeps it longer."""
        return self._try(hook_id, claim, mailbox) or (
            self._free_dead(hook_id) and self._try(hook_id, claim, mailbox)
        )

    def give_back(self, hook_id: int, claim: str) -> str | None:
        """Let a slot go; returns the mailbox to wake, which has waited longest."""
        mailbox = self._give_back(keys=[keys.slots(hook_id), keys.waiting(hook_id)], args=[claim])
        return mailbox.decode() if mailbox else None

    def _try(self, hook_id: int, claim: str, mailbox: str) -> bool:
        now = self._clock()
        arguments = [now, now + self._slot_s, self._size, claim, mailbox]
        return bool(self._take(keys=[keys.slots(hook_id), keys.waiting(hook_id)], args=arguments))

    def _free_dead(self, hook_id: int) -> bool:
        """Free the slots of workers known to be dead; tells whether there were any."""
        members = [member.decode() for member in self._redis.zrange(keys.slots(hook_id), 0, -1)]
        dead = [member for member in members if owner.is_dead(member)]
        return bool(dead) and bool(self._redis.zrem(keys.slots(hook_id), *dead))
