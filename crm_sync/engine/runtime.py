"""What a process needs to work on mailboxes, made once and shared by its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from redis import Redis

from crm_sync import clock
from crm_sync.chatwoot.client import ChatwootClient
from crm_sync.config import Config
from crm_sync.crms import manifest
from crm_sync.crms.base import HookView
from crm_sync.engine import apps
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.locks import Mutexes
from crm_sync.store import Store
from crm_sync.store.models import Account, Hook


class Alarm(Protocol):
    """Wakes mailboxes: publishes that there is something to do, which may get lost without harm."""

    def wake(self, mailboxes: Sequence[str], *, delay_s: float = 0.0) -> None:
        """Have these mailboxes drained, after a while."""
        ...

    def disarm(self, mailbox: str) -> None:
        """A wake-up has arrived: from now on another one is needed."""
        ...

    def hold(self, mailboxes: Sequence[str]) -> None:
        """These mailboxes wait in line for a place: no wake-up is needed until their turn comes."""
        ...

    def pull(self, hook_id: int) -> None:
        """Have the hook pulled soon; several wishes within seconds are one."""
        ...


@dataclass
class Runtime:
    """The parts of the engine. Clients are kept for each hook until its settings change."""

    config: Config
    store: Store
    redis: Redis
    mutexes: Mutexes
    places: Places
    ceiling: Ceiling
    alarm: Alarm
    now: Callable[[], datetime] = clock.now
    _clients: dict[int, tuple[int, Any]] = field(default_factory=dict)
    _chatwoots: dict[int, tuple[str, ChatwootClient]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def view(self, hook: Hook, account: Account) -> HookView:
        """What the CRM may know of the hook, its secrets included.

        A setting that the app got after the hook was added has its default.
        """
        app = apps.installed().get(hook.app_id)
        settings = {
            **(manifest.defaults(app.manifest) if app else {}),
            **hook.settings,
            **self.store.keyring.decrypt_json(hook.settings_secret),
        }
        return HookView(
            id=hook.id,
            app_id=hook.app_id,
            settings=settings,
            facts=hook.facts,
            chatwoot_url=account.chatwoot_url,
            chatwoot_account_id=account.chatwoot_account_id,
            timeouts_s=(self.config.connect_timeout_s, self.config.read_timeout_s),
            notice_url=(
                f"{self.config.base_url}/hooks/{hook.notice_token}/{hook.app_id}"
                if hook.notice_token
                else None
            ),
            notice_secret=self.store.keyring.decrypt(hook.notice_secret) if hook.notice_secret else None,
            language=self.config.language,
        )

    def client(self, view: HookView, version: int) -> Any:
        """The CRM client of a hook; a new one after its settings changed."""
        with self._guard:
            kept = self._clients.get(view.id)
            if kept is None or kept[0] != version:
                kept = self._clients[view.id] = (version, apps.find(view.app_id).connect(view))
            return kept[1]

    def chatwoot(self, account: Account) -> ChatwootClient:
        """The Chatwoot client of an account; a new one after its token changed."""
        with self._guard:
            kept = self._chatwoots.get(account.id)
            if kept is None or kept[0] != account.api_token_secret:
                client = chatwoot_client(self.config, account, self.store)
                kept = self._chatwoots[account.id] = (account.api_token_secret, client)
            return kept[1]


def chatwoot_client(config: Config, account: Account, store: Store) -> ChatwootClient:
    """A client for an account as it is stored."""
    return ChatwootClient(
        account.chatwoot_url,
        account.chatwoot_account_id,
        store.keyring.decrypt(account.api_token_secret),
        timeouts_s=(config.connect_timeout_s, config.read_timeout_s),
    )
