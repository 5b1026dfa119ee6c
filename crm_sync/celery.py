"""The Celery app. Everything about it is in celeryconfig.py; what it runs is in tasks.py."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init, worker_ready

from crm_sync.config import load
from crm_sync.telemetry import logging as telemetry_logging, readiness

app = Celery("crm_sync", include=["crm_sync.tasks"])
app.config_from_object("celeryconfig")


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    telemetry_logging.configure(load())


@worker_init.connect
def _load_apps(**_: Any) -> None:
    # Rather now than while the first event waits, with every thread waiting for the same imports.
    from crm_sync.engine import apps  # noqa: PLC0415

    apps.installed()


@worker_ready.connect
@beat_init.connect
def _announce(**_: Any) -> None:
    readiness.announce()
