"""Publishes wake-ups. One that fails does no harm and holds nobody up: the journal has the event, the sweep finds it.

A mailbox that has a wake-up on its way does not get a second one: the key ``armed`` says so, and the worker that
takes the wake-up removes it before it looks into the journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog
from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from crm_sync import keys

log = structlog.get_logger(__name__)

#: How long a mailbox counts as armed beyond the delay of its wake-up, in seconds. After that the wake-up is taken
#: for lost, and the sweep sends another one.
ARMED_S = 15.0
#: After a failure the broker is left alone for this long, in seconds: nobody waits for it again and again.
REST_S = 1.0

WAKE = "crm_sync.wake"
QUEUE = "events"

PULL = "crm_sync.pull"
PULL_QUEUE = "pull"
#: How long a pull that was asked for waits, so that what is told within that time costs one, in seconds.
PULL_DELAY_S = 3.0


class Publisher:
    """Wakes mailboxes. ``timeout_s`` is how long a publish may take before it is given up."""

    def __init__(
        self,
        app: Celery,
        redis_url: str,
        *,
        timeout_s: float = 0.4,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._redis: Redis = keys.connect(redis_url, timeout_s=timeout_s)
        options = {
            **app.conf.broker_transport_options,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
        }
        self._connections = Connection(redis_url, transport_options=options).Pool(limit=8)
        self._clock = clock
        self._rest_until = 0.0
        self._guard = threading.Lock()

    def wake(self, mailboxes: Sequence[str], *, delay_s: float = 0.0) -> None:
        """Have these mailboxes drained, after a while. Never raises for a broker that is away."""
        if self._clock() < self._rest_until:
            return
        try:
            # One message each: mailboxes named by one message would be drained one after another.
            for mailbox in self._arm(mailboxes, delay_s):
                self._publish([mailbox], delay_s)
        except (RedisError, KombuError, OSError) as error:
            self._give_up()
            log.warning("wake_up_not_published", mailboxes=len(mailboxes), error=type(error).__name__)

    def disarm(self, mailbox: str) -> None:
        """A wake-up for the mailbox has arrived."""
        self._redis.delete(keys.armed(mailbox))

    def hold(self, mailboxes: Sequence[str]) -> None:
        """These mailboxes wait in line for a place: for a while no wake-up is needed."""
        if self._clock() < self._rest_until:
            return
        try:
            # What is armed already is not held longer: it must not seem to be woken for ever.
            self._arm(mailboxes, 0.0)
        except (RedisError, OSError) as error:
            self._give_up()
            log.warning("not_held", mailboxes=len(mailboxes), error=type(error).__name__)

    def pull(self, hook_id: int) -> None:
        """Have the hook pulled soon; several wishes within seconds are one. Never raises for a broker that is away."""
        if self._clock() < self._rest_until:
            return
        try:
            if self._redis.set(keys.pull_wanted(hook_id), 1, nx=True, px=round(PULL_DELAY_S * 1000)):
                self._send(PULL, [hook_id], PULL_QUEUE, PULL_DELAY_S)
        except (RedisError, KombuError, OSError) as error:
            self._give_up()
            # The hook is pulled at its interval all the same.
            log.warning("pull_not_published", hook=hook_id, error=type(error).__name__)

    def _give_up(self) -> None:
        with self._guard:
            self._rest_until = self._clock() + REST_S

    def _arm(self, mailboxes: Sequence[str], delay_s: float) -> list[str]:
        """Those of the mailboxes that had no wake-up on its way; from now on they have."""
        lifetime_ms = round((delay_s + ARMED_S) * 1000)
        pipeline = self._redis.pipeline(transaction=False)
        for mailbox in mailboxes:
            pipeline.set(keys.armed(mailbox), 1, nx=True, px=lifetime_ms)
        return [mailbox for mailbox, armed in zip(mailboxes, pipeline.execute(), strict=True) if armed]

    def _publish(self, mailboxes: Sequence[str], delay_s: float) -> None:
        self._send(WAKE, [list(mailboxes)], QUEUE, delay_s)

    def _send(self, task: str, args: list[object], queue: str, delay_s: float) -> None:
        with self._connections.acquire(block=True, timeout=1) as connection:
            self._app.send_task(
                task,
                args=args,
                queue=queue,
                countdown=delay_s or None,
                connection=connection,
                retry=False,
                ignore_result=True,
            )
