"""Housekeeping: finished events and their deliveries are forgotten after a while. Links never are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, exists, select

from crm_sync.store.models import Delivery, Event, EventState

if TYPE_CHECKING:
    from crm_sync.engine.runtime import Runtime

log = structlog.get_logger(__name__)

#: Deliveries taken away in one transaction, so that no writer waits long.
BATCH = 500


def tidy(runtime: Runtime) -> int:
    """Take away deliveries that are old and whose events have all ended; returns how many."""
    before = runtime.now() - timedelta(days=runtime.config.keep_days)
    waiting = exists().where(Event.delivery_id == Delivery.id, Event.state == EventState.PENDING)
    total = 0
    while True:
        with runtime.store.write() as session:
            old = session.scalars(
                select(Delivery.id)
                .where(Delivery.received_at < before, ~waiting)
                .order_by(Delivery.id)
                .limit(BATCH)
            ).all()
            session.execute(delete(Delivery).where(Delivery.id.in_(old)))
        total += len(old)
        if len(old) < BATCH:
            log.info("tidied", deliveries=total)
            return total
