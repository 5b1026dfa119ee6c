"""A Chatwoot and a CRM that stand as long as the test process, and the hooks between them, as desks want them.

To build, serve, connect and stop two stand-ins takes longer than most tests. So they are built once, each pair is used
by one desk at a time, and what came of ``hooks add`` with the same settings is kept: the database, and what both
stand-ins held. A desk begins with copies of that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select

from crm_sync import keys
from crm_sync.chatwoot.client import SUBSCRIPTIONS
from crm_sync.config import Config
from crm_sync.engine import hooks
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.engine.runtime import Runtime
from crm_sync.locks import Mutexes
from crm_sync.sandbox.chatwoot import create_app as chatwoot_app
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import open_store
from crm_sync.store.models import Account, Hook, HookState, SignatureMode
from tests.databases import migrated
from tests.integration.clock import MORNING, Clock
from tests.integration.picture import Picture
from tests.servers import wait_for

#: Where hooks are added, so that a desk's Redis is as empty for the first as for all later ones.
_ELSEWHERE = 1


class Asleep:
    """Nobody is woken: the tests say when a worker comes. What was to be woken is written down."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, float]] = []

    def wake(self, mailboxes: Any, *, delay_s: float = 0.0) -> None:
        """See Runtime's Alarm."""
        self.woken.extend((name, delay_s) for name in mailboxes)

    def disarm(self, mailbox: str) -> None:
        """See Runtime's Alarm."""

    def hold(self, mailboxes: Any) -> None:
        """See Runtime's Alarm."""

    def pull(self, hook_id: int) -> None:
        """See Runtime's Alarm."""


@contextmanager
def running(config: Config, clock: Clock) -> Iterator[Runtime]:
    """The real engine on a real database and a real Redis; nobody is woken, and the time is the clock's."""
    with ExitStack() as stack:
        redis = stack.enter_context(keys.connect(config.redis_url))
        store = open_store(config)
        stack.callback(store.close)
        yield Runtime(
            config=config,
            store=store,
            redis=redis,
            mutexes=Mutexes(redis, config.lease_s),
            places=Places(redis, ceiling=config.ceiling, hold_s=config.lease_s),
            ceiling=Ceiling(
                redis, size=config.ceiling, call_s=config.lease_s, clock=lambda: clock().timestamp()
            ),
            alarm=Asleep(),
            now=clock,
        )


def add_account(runtime: Runtime, url: str, chatwoot: ChatwootSandbox) -> Account:
    """The account of a Chatwoot that is served there."""
    with runtime.store.write() as session:
        account = Account(
            chatwoot_url=url,
            chatwoot_account_id=chatwoot.account_id,
            api_token_secret=runtime.store.keyring.encrypt(chatwoot.api_token),
            webhook_token="webhook-token",
            signature=SignatureMode.OFF,
            created_at=runtime.now(),
        )
        session.add(account)
    return account


@dataclass
class _Connected:
    """What came of adding a hook."""

    folder: tempfile.TemporaryDirectory[str]
    picture: Picture


@dataclass
class Stage:
    """A pair of stand-ins, served."""

    chatwoot: ChatwootSandbox
    chatwoot_server: SandboxServer
    crm: Any
    crm_server: SandboxServer
    _new: Picture
    _connected: dict[str, _Connected] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        crm_app: Flask,
        parts: Callable[[Any], list[object]],
        constants: Callable[[Any], list[object]] = lambda _: [],
    ) -> Stage:
        """Serve a Chatwoot and a CRM.

        ``parts`` are the objects that hold what the CRM's stand-in remembers, ``constants`` what never changes in them.
        """
        web = chatwoot_app(deliver=False)
        chatwoot: ChatwootSandbox = web.extensions["sandbox"]
        crm = crm_app.extensions["sandbox"]
        servers = [SandboxServer(app) for app in (web, crm_app)]
        for server in servers:
            server.start()
        subjects = [
            chatwoot,
            chatwoot.state,
            chatwoot.outbox,
            chatwoot.faults,
            chatwoot.calls,
            crm,
            *parts(crm),
        ]
        picture = Picture(subjects, [crm.state.flavour, *constants(crm)])
        return cls(chatwoot, servers[0], crm, servers[1], picture)

    @contextmanager
    def connected(
        self,
        config: Config,
        app_id: str,
        given: Mapping[str, str],
        prepare: Callable[[Clock], None],
        variant: str = "",
    ) -> Iterator[tuple[Runtime, Clock, Account, int]]:
        """The engine, its clock, the account and its hook of ``app_id`` with the settings ``given``.

        ``prepare`` makes the CRM what it is to be before and after the hook is added, ``variant`` tells how.
        """
        clock = Clock()
        name = f"{app_id} {variant} {sorted(given.items())} {_options(config)}"
        if config.database_url:
            self._connect(config, app_id, given, prepare)
        elif name in self._connected:
            kept = self._connected[name]
            kept.picture.restore()
            shutil.copytree(kept.folder.name, config.data_dir, dirs_exist_ok=True)
        else:
            self._connect(config, app_id, given, prepare)
            folder = tempfile.TemporaryDirectory(prefix="crm_sync_connected_")
            shutil.copytree(config.data_dir, folder.name, dirs_exist_ok=True)
            self._connected[name] = _Connected(folder, self._new.anew())
        prepare(clock)
        with running(config, clock) as runtime:
            with runtime.store.read() as session:
                account = session.scalars(select(Account)).one()
                hook = session.scalars(select(Hook)).one()
            yield runtime, clock, account, hook.id

    def _connect(
        self, config: Config, app_id: str, given: Mapping[str, str], prepare: Callable[[Clock], None]
    ) -> None:
        """Add the hook as ``crm-sync hooks add`` does it."""
        clock = Clock()
        self._new.restore()
        self.chatwoot.state._now = lambda: MORNING
        prepare(clock)
        migrated(config)
        redis_url = f"{config.redis_url.rpartition('/')[0]}/{_ELSEWHERE}"
        with running(replace(config, redis_url=redis_url), clock) as runtime:
            runtime.redis.flushdb()
            account = add_account(runtime, self.chatwoot_server.url, self.chatwoot)
            report = hooks.add(runtime, app_id, account.id, given)
            assert report.state == HookState.ACTIVE, report.state_reason
        self.chatwoot.add_webhook("http://nobody.example.com/", SUBSCRIPTIONS)
        self.chatwoot.calls.clear()
        self.crm.reset_requests()

    def leave(self) -> None:
        """Let nobody of before call any more, and see that nothing is being answered."""
        for server in (self.chatwoot_server, self.crm_server):
            server.disconnect()
            wait_for(lambda server=server: not server.connections, 30, "every answer is given", poll_s=0.001)

    def stop(self) -> None:
        """End it."""
        for server in (self.chatwoot_server, self.crm_server):
            server.stop()
        for kept in self._connected.values():
            kept.folder.cleanup()


class Stages:
    """The stages of a test process."""

    def __init__(self) -> None:
        self._all: list[Stage] = []
        self._free: dict[str, list[Stage]] = {}

    @contextmanager
    def taken(self, kind: str, build: Callable[[], Stage]) -> Iterator[Stage]:
        """A stage of this kind that nobody else has at present."""
        free = self._free.setdefault(kind, [])
        if free:
            stage = free.pop()
        else:
            stage = build()
            self._all.append(stage)
        try:
            yield stage
        finally:
            stage.leave()
            free.append(stage)

    def stop(self) -> None:
        """End all of them."""
        for stage in self._all:
            stage.stop()
        self._all.clear()
        self._free.clear()


def _options(config: Config) -> str:
    """The options, apart from where things are kept."""
    return str(replace(config, data_dir=Path(), redis_url=""))


#: Those of this process.
stages = Stages()
