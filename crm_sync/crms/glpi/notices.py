"""GLPI 11's webhooks: proof that a notice comes from our GLPI, and the rules that send it. A notice is only a hint.

The signature is the hex HMAC-SHA256 of the raw body followed by the timestamp, with nothing between (contracts/glpi,
v11/webhooks). The timestamp is that of the change, not of the sending, and stays the same when GLPI sends again:
minutes later, or hours after an outage.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.errors import Rejected, SignatureError

SIGNATURE = "x-glpi-signature"
TIMESTAMP = "x-glpi-timestamp"

#: How old a notice may be, in seconds, and how far GLPI's clock may be ahead of ours.
OLDEST_S = 86_400
AHEAD_S = 900

#: What is told to us. Followups and solutions change nothing of a ticket that its own webhook would tell.
RULES = (("Ticket", "update"), ("Ticket", "delete"), ("ITILFollowup", "new"), ("ITILSolution", "new"))

WEBHOOK = "Webhook"


def verify(secret: str, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    """Raise SignatureError unless the notice is signed with the secret, and not too old."""
    signature, timestamp = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
    if not signature or not timestamp:
        raise SignatureError(
            f"The notice is not signed: {SIGNATURE} or {TIMESTAMP} is missing.", reason="missing"
        )
    expected = _signed(secret, body + timestamp.encode(errors="replace"))
    if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
        raise SignatureError("The signature does not fit the notice.", reason="mismatch")
    age_s = now.timestamp() - int(timestamp) if timestamp.isdecimal() and len(timestamp) < 20 else None
    if age_s is None or not -AHEAD_S <= age_s <= OLDEST_S:
        raise SignatureError("The notice is too old. Check both clocks.", reason="stale")


def answer(secret: str, challenge: str) -> str:
    """What GLPI wants to hear before it sends (CRA challenge; contracts/glpi v11/webhooks/16-cra-challenge)."""
    return _signed(secret, challenge.encode())


def register(client: GlpiClient, url: str, secret: str) -> tuple[str, ...]:
    """See that GLPI tells us at this address; returns notes on what a person should know."""
    try:
        rows = client.items(WEBHOOK, {"searchText[url]": f"^{url}$"}, limit=100)
        known = {(row.get("itemtype"), row.get("event")): row["id"] for row in rows if row.get("url") == url}
        for itemtype, event in RULES:
            fields = {
                "name": f"crm_sync: {itemtype} {event}",
                "itemtype": itemtype,
                "event": event,
                "url": url,
                "secret": secret,
                "http_method": "POST",
                "entities_id": 0,
                "is_recursive": 1,
                "is_active": 1,
                "sent_try": 3,
            }
            if (itemtype, event) in known:
                client.update(WEBHOOK, known[itemtype, event], {"secret": secret, "is_active": 1})
            else:
                client.create(WEBHOOK, fields)
    except Rejected as refused:
        note = (
            "GLPI's webhooks could not be set up, so its changes come with the next pull only. Give the account the "
            f"right to configure webhooks, or leave enable_glpi_webhooks off. {refused}"
        )
        return (note,)
    if urlsplit(url).port is not None:
        note = (
            "GLPI sends to no address with a port unless GLPI_SERVERSIDE_URL_ALLOWLIST in its config/local_define.php "
            "allows it. Changes come with the next pull until then."
        )
        return (note,)
    return ()


def unregister(client: GlpiClient, url: str) -> None:
    """Take our webhooks away, as far as the account may."""
    try:
        rows = client.items(WEBHOOK, {"searchText[url]": f"^{url}$"}, limit=100)
        for row in rows:
            if row.get("url") == url:
                client.delete(WEBHOOK, row["id"])
    except Rejected:
        return


def _signed(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
