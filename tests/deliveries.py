"""Deliveries as they come over the wire: signed bytes, and what the receiver counted of them."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from datetime import UTC, datetime

from crm_sync.telemetry import metrics

#: The secret that the recorded deliveries are signed with, and a moment within the window of most of them.
SECRET = "k3yT9mQ2vX7pLz4RbN8sWc1D"
MOMENT = datetime.fromtimestamp(1_789_392_000, UTC)


def signed(
    raw: bytes,
    *,
    secret: str = SECRET,
    timestamp: str | None = None,
    at: datetime = MOMENT,
    delivery_id: str | None = None,
) -> dict[str, str]:
    """The headers of a delivery."""
    moment = str(int(at.timestamp())) if timestamp is None else timestamp
    digest = hmac.new(secret.encode(), moment.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Chatwoot-Delivery": delivery_id or str(uuid.uuid4()),
        "X-Chatwoot-Timestamp": moment,
        "X-Chatwoot-Signature": f"sha256={digest}",
    }


def refused() -> dict[str, float]:
    """How many deliveries this process refused so far, by reason."""
    return _by_reason("crm_sync_deliveries_refused_total")


def ignored() -> dict[str, float]:
    """How many deliveries this process ignored so far, by reason."""
    return _by_reason("crm_sync_deliveries_ignored_total")


def _by_reason(name: str) -> dict[str, float]:
    return {reason: value for (reason,), value in metrics.counts(name).items()}
