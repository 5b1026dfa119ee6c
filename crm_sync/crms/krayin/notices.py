"""Krayin's workflows: proof that a notice comes from our Krayin, and the webhook that sends it. It is only a hint.

Krayin signs nothing, but sends what headers it was given. It splices values into JSON without escaping them (facts), so
that nothing is sent but the marker of the lead.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from crm_sync.crms.base import HookView
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.mapping import LEAD_MARKER
from crm_sync.errors import SignatureError

HEADER = "x-crm-sync-secret"

WEBHOOKS, WORKFLOWS = "/settings/webhooks", "/settings/workflows"

#: What the webhook and the workflow are called, together with whom they tell.
NAME = "crm_sync: lead changed"

#: What is told to us.
EVENT = "lead.update.after"


def verify(secret: str, _body: bytes, headers: Mapping[str, str], _now: datetime) -> None:
    """Raise SignatureError unless the notice carries the secret."""
    given = headers.get(HEADER, "")
    if not given:
        raise SignatureError(f"The notice carries no secret: {HEADER} is missing.", reason="missing")
    if not hmac.compare_digest(given.encode(errors="replace"), secret.encode()):
        raise SignatureError("The secret of the notice is not ours.", reason="mismatch")


def name_of(hook: HookView) -> str:
    """What a hook's webhook and workflow are called, by which they are found again: several may share one Krayin."""
    host = urlsplit(hook.chatwoot_url).netloc
    return f"{NAME} ({host}, account {hook.chatwoot_account_id})"


def register(client: KrayinClient, name: str, url: str, secret: str) -> None:
    """See that Krayin tells us at this address (contracts: 121, 122, 125-form: the one form both generations send)."""
    webhook = client.ensure_row(
        WEBHOOKS,
        name,
        {
            "entity_type": "leads",
            "description": "Tells crm_sync that a lead changed.",
            "method": "post",
            "end_point": url,
            "query_params": [],
            "headers": [
                {"key": "Content-Type", "value": "application/x-www-form-urlencoded"},
                {"key": HEADER, "value": secret},
            ],
            "payload_type": "default",
            "raw_payload_type": "json",
            "payload": [{"key": "lead", "value": f"{{%leads.{LEAD_MARKER}%}}"}],
        },
    )
    client.ensure_row(
        WORKFLOWS,
        name,
        {
            "entity_type": "leads",
            "event": EVENT,
            "condition_type": "and",
            "conditions": [],
            "actions": [{"id": "trigger_webhook", "value": webhook}],
        },
    )


def unregister(client: KrayinClient, name: str) -> None:
    """Take our workflow and webhook away."""
    client.remove_named(WORKFLOWS, name)
    client.remove_named(WEBHOOKS, name)
