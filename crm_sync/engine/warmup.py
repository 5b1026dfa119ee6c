"""What a worker does before it takes its first event: everything that is slow only the first time.

Its threads take up as many mailboxes as there are places at once. Were they all to wait for one of them to log in, the
places would be kept from the workers that are at work already. So the session is there first, for hooks with events
that wait. It is a favour, not a condition: what fails is tried again by the first event, and nobody waits for long.
"""

from __future__ import annotations

import threading

import structlog

from crm_sync.crms.base import HookView
from crm_sync.crms.http import observed
from crm_sync.engine import apps
from crm_sync.engine.limits import Bounded
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import CrmSyncError
from crm_sync.store import DatabaseDown, journal
from crm_sync.store.models import Hook

log = structlog.get_logger(__name__)

#: How long the start of a worker waits for all of it, in seconds.
WAIT_S = 2.0
#: Hooks that are prepared at a start; the rest has its first event.
HOOKS = 8


def warm_up(runtime: Runtime, *, wait_s: float = WAIT_S) -> None:
    """Prepare the hooks that have events waiting. Never raises, and returns in time."""
    # In a thread of its own: a database or a CRM that is frozen must not keep a worker from starting.
    thread = threading.Thread(target=_prepare_all, args=(runtime,), daemon=True)
    thread.start()
    thread.join(wait_s)


def _prepare_all(runtime: Runtime) -> None:
    try:
        with runtime.store.read() as session:
            hooks = [session.get_one(Hook, hook_id) for hook_id in journal.waiting_hooks(session, HOOKS)]
            prepared = [(runtime.view(hook, hook.account), hook.version) for hook in hooks]
    except (CrmSyncError, *DatabaseDown) as error:
        log.warning("not_warmed_up", error=type(error).__name__)
        return
    threads = [threading.Thread(target=_prepare, args=(runtime, *hook), daemon=True) for hook in prepared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _prepare(runtime: Runtime, view: HookView, version: int) -> None:
    try:
        app, client = apps.find(view.app_id), runtime.client(view, version)
        with observed(Bounded(runtime.ceiling, view.id, app.pace(view))):
            app.warm_up(client)
    except Exception as error:  # noqa: BLE001 - the first event will tell, and be repeated
        log.warning("not_warmed_up", hook=view.id, error=type(error).__name__)
