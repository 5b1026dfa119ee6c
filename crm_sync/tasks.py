"""What Celery runs. A task parses its arguments and calls the engine; it holds no truth and may run twice."""

from __future__ import annotations

from typing import Any

from celery.concurrency.thread import TaskPool
from celery.signals import worker_ready
from celery.worker.consumer import Consumer

from crm_sync.celery import app
from crm_sync.engine import housekeeping, mailbox, pull as pulling, renewal, warmup
from crm_sync.engine.sweep import sweep as sweep_all
from crm_sync.publisher import QUEUE
from crm_sync.service import runtime
from crm_sync.telemetry import metrics

#: Of this process.
warming = warmup.WarmUp()


@app.task(name="crm_sync.wake")
def wake(mailboxes: list[str]) -> None:
    """Drain these mailboxes."""
    metrics.WAKES.inc()
    warming.wait()
    for name in mailboxes:
        mailbox.drain(runtime(), name)


@app.task(name="crm_sync.sweep")
def sweep() -> None:
    """Wake what is due or was forgotten."""
    sweep_all(runtime())


@app.task(name="crm_sync.pull_due")
def pull_due() -> None:
    """Start the pull of every hook whose time has come."""
    for hook_id in pulling.due(runtime()):
        # The next look asks again: what nobody took by then would only pile up.
        pull.apply_async([hook_id], expires=app.conf.beat_schedule["pull_due"]["schedule"])


@app.task(name="crm_sync.pull")
def pull(hook_id: int) -> None:
    """Bring what changed in a hook's CRM into the journal."""
    pulling.attend(runtime(), hook_id)


@app.task(name="crm_sync.renew")
def renew() -> None:
    """Get new credentials for the hooks whose app can do that."""
    renewal.renew_due(runtime())


@app.task(name="crm_sync.housekeeping")
def housekeep() -> None:
    """Take away what is old enough to be forgotten."""
    housekeeping.tidy(runtime())


@worker_ready.connect
def warm_up(sender: Consumer, **_: Any) -> None:
    """Before the first wake-up is worked on; only where the threads of this very process take events.

    What the children of a prefork pool inherited would be of no use to them.
    """
    if QUEUE in app.amqp.queues.consume_from and isinstance(sender.pool, TaskPool):
        warmup.settle()
        warming.begin(runtime())
