"""What Celery runs. A task parses its arguments and calls the engine; it holds no truth and may run twice."""

from __future__ import annotations

from crm_sync.celery import app
from crm_sync.engine import housekeeping, mailbox, pull as pulling
from crm_sync.engine.sweep import sweep as sweep_all
from crm_sync.service import runtime
from crm_sync.telemetry import metrics


@app.task(name="crm_sync.wake")
def wake(mailboxes: list[str]) -> None:
    """Drain these mailboxes."""
    metrics.WAKES.inc()
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
        pull.delay(hook_id)


@app.task(name="crm_sync.pull")
def pull(hook_id: int) -> None:
    """Bring what changed in a hook's CRM into the journal."""
    pulling.attend(runtime(), hook_id)


@app.task(name="crm_sync.housekeeping")
def housekeep() -> None:
    """Take away what is old enough to be forgotten."""
    housekeeping.tidy(runtime())
