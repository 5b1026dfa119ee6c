"""What a worker does before it takes its first event: everything that is slow only the first time.

Its threads take up as many mailboxes as there are places at once. Were they all to wait for one of them to log in, the
places would be kept from the workers that are at work already. So the session is there first, for hooks with events
that wait; meanwhile the worker starts and fetches wake-ups, so that its threads can all begin when it is there. It is a
favour, not a condition: what fails is tried again by the first event, and nobody waits for long.
"""

from __future__ import annotations

import gc
import threading
import time

import structlog
from sqlalchemy.orm import Session

from crm_sync import clock
from crm_sync.crms.base import HookView
from crm_sync.crms.http import observed
from crm_sync.engine import apps, mirror
from crm_sync.engine.limits import Bounded
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import CrmSyncError
from crm_sync.store import DatabaseDown, journal, links
from crm_sync.store.models import Hook

log = structlog.get_logger(__name__)

#: How long the first wake-ups of a worker wait for all of it, in seconds.
WAIT_S = 2.0
#: Hooks that are prepared at a start; the rest has its first event.
HOOKS = 8
#: The most records an event concerns: its contact, its conversation and a message.
RECORDS = 3
#: After how many more objects made than freed the collector looks at the youngest. Python's own is 700.
GC_EVERY = 20_000


class WarmUp:
    """Prepares the hooks that have events waiting, while the worker goes on starting. Never raises.

    Whoever takes an event waits for it first (:meth:`wait`), before a place is taken. Nobody waits beyond ``wait_s``
    after the beginning, whatever is frozen, and nobody where nothing was begun.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._over.set()
        self._until = 0.0

    def begin(self, runtime: Runtime, *, wait_s: float = WAIT_S) -> None:
        """Prepare in a thread of its own: a database or a CRM that is frozen must not keep a worker from starting."""
        self._until = time.monotonic() + wait_s
        self._over.clear()
        threading.Thread(target=self._run, args=(runtime,), daemon=True).start()

    def wait(self) -> None:
        """Come back when all is prepared, or the time for it is over."""
        if not self._over.is_set():
            self._over.wait(max(0.0, self._until - time.monotonic()))

    def _run(self, runtime: Runtime) -> None:
        try:
            _prepare_all(runtime)
        finally:
            self._over.set()


def settle() -> None:
    """What is there now stays: have the collector pass it over, and look at what comes and goes less often.

    A worker has some hundred thousand objects from its imports, and every event makes thousands that are freed without
    the collector; left to itself it looks through all of them again and again, while all threads wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_EVERY, 20, 20)


def _prepare_all(runtime: Runtime) -> None:
    try:
        with runtime.store.read() as session:
            hooks = [session.get_one(Hook, hook_id) for hook_id in journal.waiting_hooks(session, HOOKS)]
            _read_ahead(session)
            prepared = [(runtime.view(hook, hook.account), hook.version) for hook in hooks]
    except (CrmSyncError, *DatabaseDown) as error:
        log.warning("not_warmed_up", error=type(error).__name__)
        return
    threads = [threading.Thread(target=_prepare, args=(runtime, *hook), daemon=True) for hook in prepared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _read_ahead(session: Session) -> None:
    """Ask the database what every event asks, of nobody: statements are compiled when they are first used."""
    journal.gate(session, 0)
    journal.pending(session, "")
    journal.message_payloads(session, 0, 0)
    mirror.due(session, "", clock.now())
    for records in range(1, RECORDS + 1):
        links.load(session, 0, [("contact", 0)] * records)


def _prepare(runtime: Runtime, view: HookView, version: int) -> None:
    try:
        app, client = apps.find(view.app_id), runtime.client(view, version)
        with observed(Bounded(runtime.ceiling, view.id, app.pace(view))):
            app.warm_up(client)
    except Exception as error:  # noqa: BLE001 - the first event will tell, and be repeated
        log.warning("not_warmed_up", hook=view.id, error=type(error).__name__)
