"""Deliveries in: authenticate, understand, store, wake, answer.

Chatwoot never sends a failed webhook again, so a refusal is a loss: whatever can be stored is answered with 202,
also when the broker is away. This never talks to a CRM.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import structlog
from flask import Blueprint, Request, Response, current_app, jsonify, request
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from crm_sync import clock
from crm_sync.engine.ingest import Arrival, Ingested, ingest
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import PayloadError, SignatureError
from crm_sync.receiver import body
from crm_sync.receiver.deadline import Deadline, Overdue
from crm_sync.receiver.signature import SIGNATURE, SignatureVerifier
from crm_sync.store.models import Account, SignatureMode, Source
from crm_sync.telemetry import metrics

log = structlog.get_logger(__name__)
blueprint = Blueprint("webhooks", __name__)

DELIVERY = "X-Chatwoot-Delivery"
#: A delivery id longer than this is nobody's: Chatwoot's are UUIDs.
DELIVERY_ID_LIMIT = 100

T = TypeVar("T")


class Refusal(Exception):
    """The delivery is refused with this status, code and sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@blueprint.post("/webhooks/chatwoot/<token>")
def receive(token: str) -> tuple[Response, int]:
    """Take a delivery; see this module. Answers as design/interfaces states: 202, 400, 401, 404, 413, 415, 503."""
    with metrics.INGEST_DURATION.time():
        try:
            result = _accept(_runtime(), token, request)
        except Refusal as refusal:
            metrics.DELIVERIES_REFUSED.labels(refusal.code).inc()
            log.warning("delivery_refused", status=refusal.status, code=refusal.code, reason=refusal.message)
            return jsonify(error=refusal.code, message=refusal.message), refusal.status
    if result.ignored is not None:
        metrics.DELIVERIES_IGNORED.labels(result.ignored).inc()
    return jsonify(accepted=len(result.events), events=list(result.events), ignored=result.ignored), 202


def _accept(runtime: Runtime, token: str, delivery: Request) -> Ingested:
    raw = _raw(delivery)
    account = _stored(lambda: _account(runtime, token))
    if account is None:
        raise Refusal(404, "unknown_token", "No account is connected under this address.")
    if delivery.mimetype != "application/json":
        raise Refusal(
            415, "unsupported_media_type", "A delivery is JSON: Content-Type must be application/json."
        )
    arrival = Arrival(
        source=Source.WEBHOOK,
        delivery_id=(delivery.headers.get(DELIVERY) or "")[:DELIVERY_ID_LIMIT] or None,
        settle=timedelta(seconds=runtime.config.settle_s),
    )
    try:
        _authenticate(runtime, account, raw, delivery)
        payload = body.parse(raw)
        result = _stored(lambda: ingest(runtime.store, account, payload, arrival, clock.now()))
    except SignatureError as error:
        raise Refusal(401, error.code, str(error)) from error
    except PayloadError as error:
        raise Refusal(400, error.code, str(error)) from error
    if result.mailboxes:
        metrics.DELIVERIES.labels(Source.WEBHOOK.value, str(payload["event"])).inc()
        runtime.alarm.wake(result.mailboxes, delay_s=runtime.config.settle_s)
    return result


def _raw(delivery: Request) -> bytes:
    try:
        return delivery.get_data(cache=False)
    except RequestEntityTooLarge:
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        raise Refusal(413, "too_large", f"The delivery is larger than {limit} bytes.") from None


def _authenticate(runtime: Runtime, account: Account, raw: bytes, delivery: Request) -> None:
    """Check the signature as the account wants it; the address itself is the proof where nothing is signed."""
    if account.signature == SignatureMode.OFF:
        return
    stored = (account.signing_secret, account.previous_signing_secret)
    secrets = [runtime.store.keyring.decrypt(secret) for secret in stored if secret]
    if account.signature == SignatureMode.OPTIONAL and (not secrets or SIGNATURE not in delivery.headers):
        return
    SignatureVerifier(secrets, window_s=runtime.config.signature_window_s, clock=time.time).verify(
        raw, delivery.headers
    )


def _account(runtime: Runtime, token: str) -> Account | None:
    with runtime.store.read() as session:
        found: Account | None = session.scalar(select(Account).where(Account.webhook_token == token))
        return found


def _stored(work: Callable[[], T]) -> T:
    """Do something with the database, within the time there is."""
    deadline: Deadline = current_app.extensions["crm_sync_deadline"]
    try:
        return deadline.run(work)
    except (SQLAlchemyError, Overdue) as error:
        log.error("database_unavailable", error=type(error).__name__)
        raise Refusal(
            503, "database_unavailable", "The delivery could not be stored: the database does not answer."
        ) from None


def _runtime() -> Runtime:
    found: Runtime = current_app.extensions["crm_sync_runtime"]
    return found
