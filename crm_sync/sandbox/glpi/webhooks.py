"""GLPI 11's webhooks, as far as the API shows them: rules and the queue; nothing is ever sent.

Cases ``v11-webhook-*`` and ``v11-queuedwebhook-list``. Delivery is the job of the server's cron, which a
sandbox has not.
"""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.glpi.errors import Refused
from crm_sync.sandbox.glpi.kinds import Context, ItemKind
from crm_sync.sandbox.glpi.schema import Row


class WebhookKind(ItemKind):
    """Rules; the event is not validated, the item type is mandatory."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        if not columns.get("itemtype"):
            raise Refused("An item type is required")


def notice(ctx: Context, itemtype: str, row: Row, event: str) -> None:
    """Queues a delivery for every active rule of this type and event."""
    if not ctx.state.flavour.is_11:
        return
    for rule in ctx.state["Webhook"].where("itemtype", itemtype):
        if rule["is_active"] and rule["event"] == event:
            _queue(ctx, rule, itemtype, row, event)


def _queue(ctx: Context, rule: Row, itemtype: str, row: Row, event: str) -> None:
    item = {name: row[name] for name in ("id", "name", "content", "status", "date_mod") if name in row}
    body = json.dumps({"item": item, "event": event}, indent=4)
    stamp = int(ctx.state.clock().timestamp())
    signed = hmac.new((rule["secret"] or "").encode(), f"{body}{stamp}".encode(), hashlib.sha256)
    headers = {"X-GLPI-signature": signed.hexdigest(), "X-GLPI-timestamp": stamp}
    ctx.state["QueuedWebhook"].insert(
        {
            "itemtype": itemtype,
            "items_id": row["id"],
            "entities_id": row.get("entities_id", 0),
            "webhooks_id": rule["id"],
            "url": rule["url"],
            "create_time": ctx.now,
            "send_time": ctx.now,
            "headers": json.dumps(headers, separators=(",", ":")),
            "body": body,
            "event": event,
            "http_method": rule["http_method"],
        }
    )
