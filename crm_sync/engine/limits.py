"""Limits of a hook, shared by all workers through Redis: its mailboxes at work, and its calls in flight.

:class:`Ceiling` bounds the calls. A call that finds it reached lines up, and is given the room of one that ends; one
that a CRM with a limit of its own would refuse is not made (:class:`Budget`).
:class:`Places` bounds the mailboxes that are worked on, twice as many as calls, so that one can be written down while
another calls. A worker that finds no place does not wait: its mailbox lines up, and whoever leaves wakes the one that
has waited longest.

Whatever a worker held that is known to be dead is free at once; what another machine's held, after a while. While Redis
does not answer there are no limits: what keeps records single is in the journal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError

from crm_sync import keys, owner
from crm_sync.crms.base import Pace
from crm_sync.crms.http import Call
from crm_sync.errors import NotYet

log = structlog.get_logger(__name__)

#: Mailboxes at work for each call in flight. With fewer it happens that all of them write down what came of a call, and
#: none is there to make one.
PLACES_PER_CALL = 2

#: How often dead members are looked for while there is no room, in seconds.
LOOK_S = 0.5
#: How long a line for places is kept when nobody comes any more, in seconds.
_LINE_S = 3600

#: How long a call waits for its turn before it lines up anew, in seconds. Shorter than Redis may take to answer.
_WAIT_S = 1
#: For how long somebody in the line is believed to wait there, in seconds.
_BELIEVED_S = 3

# Finding no room and lining up are one step: the last to leave would look into an empty line between them.
# KEYS: the places, the line. ARGV: now, until when a place is held, how many there are, the claim, the mailbox or '',
# and how long the line is kept.
_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZSCORE', KEYS[1], ARGV[4]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4])
  return 1
end
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[5])
  redis.call('EXPIRE', KEYS[2], ARGV[6])
end
return 0
"""

_LEAVE = """
redis.call('ZREM', KEYS[1], ARGV[1])
local longest = redis.call('ZPOPMIN', KEYS[2])
return longest[1] or false
"""

# Calls wait in a line, and one that ends gives its room to the first of them, in one step: nobody who comes meanwhile
# can take it, and who is woken has it already. The line is ordered by Redis' own clock, for it also tells who has not
# been heard of: somebody who gave up waiting must not be given room. KEYS: the calls, the line, what wakes each.
# ARGV: now, until when a call is believed to last, the ceiling, the claim.
_BEGIN = """
local function clock()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZSCORE', KEYS[1], ARGV[4]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4])
  redis.call('ZREM', KEYS[2], ARGV[4])
  return 1
end
-- Woken for an earlier call, but in time to see for itself: that must not wake it now.
redis.call('DEL', KEYS[3] .. ARGV[4])
redis.call('ZADD', KEYS[2], clock(), ARGV[4])
redis.call('EXPIRE', KEYS[2], 60)
return 0
"""

# ARGV: now, until when a call is believed to last, the ceiling, for how long the line is, and whose calls are over.
_END = """
local time = redis.call('TIME')
for at = 5, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[at])
  redis.call('ZREM', KEYS[2], ARGV[at])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', time[1] + time[2] / 1000000 - ARGV[4])
local room = tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[1])
while room > 0 do
  local first = redis.call('ZPOPMIN', KEYS[2])[1]
  if not first then
    break
  end
  redis.call('ZADD', KEYS[1], ARGV[2], first)
  redis.call('LPUSH', KEYS[3] .. first, 1)
  redis.call('EXPIRE', KEYS[3] .. first, 5)
  room = room - 1
end
"""


class _Dead:
    """Finds the claims known to be dead. Looks once in a while, for each set of keys."""

    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._clock = clock
        self._looked: dict[str, float] = {}

    def among(self, *sets: str) -> list[str]:
        """The dead members of these sorted sets; none when it has been looked lately."""
        now = self._clock()
        if now < self._looked.get(sets[0], 0.0) + LOOK_S:
            return []
        self._looked[sets[0]] = now
        members = {member for key in sets for member in cast("list[bytes]", self._redis.zrange(key, 0, -1))}
        return [claim for claim in (member.decode() for member in members) if owner.is_dead(claim)]


# Calls of any span of this length are counted, so it does not matter when the CRM begins to count anew.
_SPEND = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
local over = redis.call('ZCARD', KEYS[1]) + ARGV[4] - ARGV[3]
if over <= 0 then
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 1000))
  return false
end
return redis.call('ZRANGE', KEYS[1], over - 1, over - 1, 'WITHSCORES')[2]
"""

# What others have used up of the CRM's limit counts as if it were ours.
_HEAR = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
for i = 1, ARGV[3] - ARGV[4] - redis.call('ZCARD', KEYS[1]) do
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[5] .. ':' .. i)
end
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 1000))
"""


class Budget:
    """The calls that a CRM with a limit of its own still takes from a hook.

    ``clock`` counts seconds since 1970: it also says when there will be room.
    """

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._spend = redis.register_script(_SPEND)
        self._hear = redis.register_script(_HEAR)
        self._numbers = count()

    def spend(self, hook_id: int, claim: str, pace: Pace, *, begins: bool) -> None:
        """Count a call that is about to be made; ``begins`` if it is the first of an event.

        Raises NotYet when the CRM would take it for one too many.
        """
        now, room = self._clock(), pace.room if begins else 1
        member = f"{claim}:{next(self._numbers)}"
        try:
            until = self._spend(
                keys=[keys.spent(hook_id)], args=[now, pace.per_s, pace.calls, min(room, pace.calls), member]
            )
        except RedisError as error:
            _without(error)
            return
        if until is not None:
            free = datetime.fromtimestamp(float(cast("bytes", until)) + pace.per_s, UTC)
            raise NotYet(free, f"The CRM takes {pace.calls} calls in {pace.per_s:g} seconds.")

    def hear(self, hook_id: int, claim: str, pace: Pace, remaining: int) -> None:
        """The CRM says how many calls it still takes."""
        member = f"others:{claim}:{next(self._numbers)}"
        try:
            self._hear(
                keys=[keys.spent(hook_id)],
                args=[self._clock(), pace.per_s, pace.calls, remaining, member],
            )
        except RedisError as error:
            _without(error)


class Places:
    """The places of each hook. ``hold_s`` is how long one is held without being taken anew."""

    def __init__(
        self, redis: Redis, *, ceiling: int, hold_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        #: How many there are.
        self.size = ceiling * PLACES_PER_CALL
        self._redis = redis
        self._hold_s = hold_s
        self._clock = clock
        self._dead = _Dead(redis, clock)
        self._take = redis.register_script(_TAKE)
        self._leave = redis.register_script(_LEAVE)

    def take(self, hook_id: int, claim: str) -> bool:
        """Take a place; False when there is none. Taking it again with the same claim keeps it longer."""
        try:
            return self._try(hook_id, claim) or (self._free_dead(hook_id) and self._try(hook_id, claim))
        except RedisError as error:
            _without(error)
            return True

    def take_or_line_up(self, hook_id: int, claim: str, mailbox: str) -> bool:
        """Take a place, or line the mailbox up for one. Whoever leaves may wake it before this returns."""
        try:
            return self._try(hook_id, claim, mailbox)
        except RedisError as error:
            _without(error)
            return True

    def line_up(self, hook_id: int, mailboxes: Sequence[str]) -> None:
        """Line these mailboxes up, in this order; one that stands there already keeps its turn."""
        now, key = self._clock(), keys.waiting(hook_id)
        try:
            with self._redis.pipeline() as pipeline:
                # A microsecond apart, which a number of today's size can still tell.
                turns = {mailbox: now + turn / 1_000_000 for turn, mailbox in enumerate(mailboxes)}
                pipeline.zadd(key, cast("dict[Any, Any]", turns), nx=True)
                pipeline.expire(key, _LINE_S)
                pipeline.execute()
        except RedisError as error:
            _without(error)

    def leave(self, hook_id: int, claim: str) -> str | None:
        """Let a place go; returns the mailbox to wake, which has waited longest."""
        try:
            mailbox = self._leave(keys=[keys.places(hook_id), keys.waiting(hook_id)], args=[claim])
        except RedisError as error:
            _without(error)
            return None
        return cast("bytes", mailbox).decode() if mailbox else None

    def _try(self, hook_id: int, claim: str, mailbox: str = "") -> bool:
        now = self._clock()
        return bool(
            self._take(
                keys=[keys.places(hook_id), keys.waiting(hook_id)],
                args=[now, now + self._hold_s, self.size, claim, mailbox, _LINE_S],
            )
        )

    def _free_dead(self, hook_id: int) -> bool:
        """Give back the places of those known to be dead; tells whether there were any."""
        key = keys.places(hook_id)
        dead = self._dead.among(key)
        return bool(dead) and bool(self._redis.zrem(key, *dead))


class Ceiling:
    """The calls in flight of each hook. ``call_s`` is longer than any call may take."""

    def __init__(
        self, redis: Redis, *, size: int, call_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._size = size
        self._call_s = call_s
        self._clock = clock
        self._dead = _Dead(redis, clock)
        self._begin = redis.register_script(_BEGIN)
        self._end = redis.register_script(_END)
        self._budget = Budget(redis, clock=clock)

    def begin(self, hook_id: int, claim: str, pace: Pace | None = None, *, begins: bool = False) -> None:
        """A call is about to be made: wait until it may. Raises NotYet, see Budget; then nothing has begun."""
        if pace is not None:
            self._budget.spend(hook_id, claim, pace, begins=begins)
        try:
            while not self._begin(keys=self._keys(hook_id), args=[*self._bounds(), claim]):
                dead = self._dead.among(keys.calls(hook_id), keys.calling(hook_id))
                if dead:
                    self._over(hook_id, dead)
                if self._redis.blpop([keys.handed(hook_id, claim)], timeout=_WAIT_S):
                    # The room was handed over: this claim is among the calls already.
                    return
        except RedisError as error:
            _without(error)

    def end(
        self, hook_id: int, claim: str, pace: Pace | None = None, *, remaining: int | None = None
    ) -> None:
        """The call is over: the one that has waited longest may be made.

        ``remaining`` is how many calls the CRM said it still takes.
        """
        if pace is not None and remaining is not None:
            self._budget.hear(hook_id, claim, pace, remaining)
        try:
            self._over(hook_id, [claim])
        except RedisError as error:
            _without(error)

    def _over(self, hook_id: int, claims: list[str]) -> None:
        self._end(keys=self._keys(hook_id), args=[*self._bounds(), _BELIEVED_S, *claims])

    def _bounds(self) -> list[float]:
        now = self._clock()
        return [now, now + self._call_s, self._size]

    @staticmethod
    def _keys(hook_id: int) -> list[str]:
        return [keys.calls(hook_id), keys.calling(hook_id), keys.handed(hook_id, "")]


class Bounded:
    """An observer that keeps calls made outside of an event below the hook's limits."""

    def __init__(self, ceiling: Ceiling, hook_id: int, pace: Pace | None) -> None:
        self._ceiling = ceiling
        self._hook_id = hook_id
        self._pace = pace
        self._claim = owner.new_claim()

    def before_call(self, _system: str, _method: str) -> None:
        """See CallObserver.before_call."""
        self._ceiling.begin(self._hook_id, self._claim, self._pace)

    def after_call(self, call: Call) -> None:
        """See CallObserver.after_call."""
        self._ceiling.end(self._hook_id, self._claim, self._pace, remaining=call.remaining)


def _without(error: RedisError) -> None:
    log.warning("limits_without_redis", error=type(error).__name__)
