"""The sweep: wakes what is due or was forgotten. What makes every loss of a wake-up harmless.

Cheap, and safe to run twice or by two beats at once: it only wakes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crm_sync.engine import mirror
from crm_sync.engine.waking import wake_all
from crm_sync.store import journal

if TYPE_CHECKING:
    from crm_sync.engine.runtime import Runtime

#: Most mailboxes woken by one sweep; the next one takes the rest.
BATCH = 1000
#: An event that has been due for less than this has a wake-up on its way, most likely.
LATE = timedelta(seconds=1)


def sweep(runtime: Runtime) -> int:
    """Wake every mailbox with something due; returns how many."""
    now = runtime.now()
    with runtime.store.read() as session:
        found = journal.due_mailboxes(session, now, late=LATE, limit=BATCH)
        found += mirror.due_mailboxes(session, now - LATE, BATCH)
    mailboxes = list(dict.fromkeys(found))
    wake_all(runtime, mailboxes)
    return len(mailboxes)
