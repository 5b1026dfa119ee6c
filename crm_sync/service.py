"""Puts the engine together for a process: the store, Redis, the locks, the publisher."""

from __future__ import annotations

import threading
from functools import lru_cache

from crm_sync import keys
from crm_sync.config import Config, load
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.engine.runtime import Alarm, Runtime
from crm_sync.locks import Mutexes
from crm_sync.publisher import Publisher
from crm_sync.store import open_store


def build(config: Config, *, alarm: Alarm | None = None) -> Runtime:
    """A runtime of its own. Connects to nothing yet. Without an ``alarm`` wake-ups are published for the workers."""
    from celeryconfig import broker_url  # noqa: PLC0415 - read from the environment when it is first wanted
    from crm_sync.celery import app  # noqa: PLC0415

    url = config.redis_url or broker_url
    redis = keys.connect(url)
    return Runtime(
        config=config,
        store=open_store(config),
        redis=redis,
        mutexes=Mutexes(redis, config.lease_s),
        places=Places(redis, ceiling=config.ceiling, hold_s=config.lease_s),
        ceiling=Ceiling(redis, size=config.ceiling, call_s=config.lease_s),
        alarm=alarm or Publisher(app, url),
    )


_guard = threading.Lock()


@lru_cache
def _made() -> Runtime:
    return build(load())


def runtime() -> Runtime:
    """The runtime of this process, made on first use: after a worker has forked, by the first of its threads."""
    with _guard:
        return _made()
