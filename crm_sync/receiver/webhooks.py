"""Deliveries in: authenticate, understand, store, wake, answer.

Chatwoot never sends a failed webhook again, so a refusal is a loss: whatever can be stored is answered with 202,
also when the broker is away. This never talks to a CRM.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import select
from werkzeug.datastructures import Headers

from crm_sync.engine.ingest import Arrival, Ingested, ingest
from crm_sync.engine.runtime import Runtime
from crm_sync.receiver import body
from crm_sync.receiver.refusal import TOKEN, Refusal, in_time, raw_body
from crm_sync.receiver.signature import SIGNATURE, TIMESTAMP, SignatureVerifier
from crm_sync.store.models import Account, SignatureMode, Source
from crm_sync.telemetry import metrics

log = structlog.get_logger(__name__)
blueprint = Blueprint("webhooks", __name__)

DELIVERY = "X-Chatwoot-Delivery"
#: A delivery id longer than this is nobody's: Chatwoot's are UUIDs.
DELIVERY_ID_LIMIT = 100


@blueprint.post("/webhooks/chatwoot/<token>")
def receive(token: str) -> tuple[Response, int]:
    """Take a delivery; see this module. Answers 202, 400, 401, 404, 413, 415 or 503, and nothing else."""
    runtime: Runtime = current_app.extensions["crm_sync_runtime"]
    with metrics.INGEST_DURATION.time():
        try:
            raw, headers, mimetype = (
                raw_body(runtime.config.max_body_bytes),
                request.headers,
                request.mimetype,
            )
            result = in_time(lambda: _accept(runtime, token, raw, headers, mimetype))
        except Refusal as refusal:
            metrics.DELIVERIES_REFUSED.labels(refusal.code).inc()
            log.warning("delivery_refused", status=refusal.status, code=refusal.code, reason=refusal.message)
            return jsonify(error=refusal.code, message=refusal.message), refusal.status
        runtime.alarm.wake(result.mailboxes, delay_s=runtime.config.settle_s)
    if result.ignored is not None:
        metrics.DELIVERIES_IGNORED.labels(result.ignored).inc()
    else:
        metrics.DELIVERIES.labels(Source.WEBHOOK.value, result.event_name).inc()
    return jsonify(accepted=len(result.events), events=list(result.events), ignored=result.ignored), 202


def _accept(runtime: Runtime, token: str, raw: bytes, headers: Headers, mimetype: str) -> Ingested:
    account = _account(runtime, token)
    if account is None:
        raise Refusal(404, "unknown_token", "No account is connected under this address.")
    if mimetype != "application/json":
        raise Refusal(
            415, "unsupported_media_type", "A delivery is JSON: Content-Type must be application/json."
        )
    _authenticate(runtime, account, raw, headers)
    arrival = Arrival(
        source=Source.WEBHOOK,
        delivery_id=_delivery_id(headers),
        settle=timedelta(seconds=runtime.config.settle_s),
    )
    return ingest(runtime.store, account, body.parse(raw), arrival, runtime.now)


def _authenticate(runtime: Runtime, account: Account, raw: bytes, headers: Headers) -> None:
    """Check the signature as the account wants it; the address itself is the proof where nothing is signed."""
    if account.signature == SignatureMode.OFF:
        return
    stored = (account.signing_secret, account.previous_signing_secret)
    secrets = [runtime.store.keyring.decrypt(secret) for secret in stored if secret]
    if account.signature == SignatureMode.OPTIONAL and (not secrets or SIGNATURE not in headers):
        return
    verifier = SignatureVerifier(
        secrets, window_s=runtime.config.signature_window_s, clock=lambda: runtime.now().timestamp()
    )
    verifier.verify(raw, signature=headers.get(SIGNATURE, ""), timestamp=headers.get(TIMESTAMP, ""))


def _delivery_id(headers: Headers) -> str | None:
    """The delivery's own id. One that is cut off could be another one's, so an odd one counts as none."""
    given = headers.get(DELIVERY, "").strip()
    return given if given.isprintable() and 0 < len(given) <= DELIVERY_ID_LIMIT else None


def _account(runtime: Runtime, token: str) -> Account | None:
    if not TOKEN.fullmatch(token):
        return None
    with runtime.store.read() as session:
        found: Account | None = session.scalar(select(Account).where(Account.webhook_token == token))
        return found
