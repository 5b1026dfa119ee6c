"""Deliveries in: authenticate, understand, store, wake, answer.

Chatwoot never sends a failed webhook again, so a refusal is a loss: whatever can be stored is answered with 202,
also when the broker is away. This never talks to a CRM.
"""

from __future__ import annotations

import re
from datetime import timedelta

import structlog
from flask import Blueprint, Response, current_app, jsonify, request
from gunicorn.http.errors import ParseException
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from crm_sync.engine.ingest import Arrival, Ingested, ingest
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import ConfigError, PayloadError, SignatureError
from crm_sync.receiver import body
from crm_sync.receiver.deadline import Deadline, Overdue
from crm_sync.receiver.signature import SIGNATURE, TIMESTAMP, SignatureVerifier
from crm_sync.store import DatabaseDown
from crm_sync.store.models import Account, SignatureMode, Source
from crm_sync.telemetry import metrics

log = structlog.get_logger(__name__)
blueprint = Blueprint("webhooks", __name__)

DELIVERY = "X-Chatwoot-Delivery"
#: A delivery id longer than this is nobody's: Chatwoot's are UUIDs.
DELIVERY_ID_LIMIT = 100
#: What a token of ours can look like (engine.accounts makes them); nothing else is worth asking the database.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refusal(Exception):
    """The delivery is refused with this status, code and sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@blueprint.post("/webhooks/chatwoot/<token>")
def receive(token: str) -> tuple[Response, int]:
    """Take a delivery; see this module. Answers 202, 400, 401, 404, 413, 415 or 503, and nothing else."""
    runtime: Runtime = current_app.extensions["crm_sync_runtime"]
    with metrics.INGEST_DURATION.time():
        try:
            result = _stored(
                runtime, token, _raw(runtime.config.max_body_bytes), request.headers, request.mimetype
            )
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


def _raw(limit: int) -> bytes:
    """All bytes of the body."""
    too_large = Refusal(413, "too_large", f"The delivery is larger than {limit} bytes.")
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large from None
    except (ClientDisconnected, OSError, ParseException):
        raise _incomplete() from None
    if len(raw) > limit:
        raise too_large
    if len(raw) < (request.content_length or 0):
        raise _incomplete()
    return raw


def _incomplete() -> Refusal:
    return Refusal(400, "incomplete", "The delivery broke off before all of it was there.")


def _stored(runtime: Runtime, token: str, raw: bytes, headers: Headers, mimetype: str) -> Ingested:
    """Accept the delivery within the time there is; whatever goes wrong with that is a Refusal."""
    deadline: Deadline = current_app.extensions["crm_sync_deadline"]
    try:
        return deadline.run(lambda: _accept(runtime, token, raw, headers, mimetype))
    except Refusal:
        raise
    except SignatureError as error:
        raise Refusal(401, error.code, str(error)) from error
    except PayloadError as error:
        raise Refusal(400, error.code, str(error)) from error
    except (*DatabaseDown, Overdue) as error:
        # What SQLAlchemy raises quotes the row, and with it a customer's words: its name must do.
        raise _not_stored(
            "database_unavailable", type(error).__name__, "the database does not answer"
        ) from None
    except SQLAlchemyError as error:
        raise _not_stored("not_stored", type(error).__name__, "the database refuses it") from None
    except ConfigError as error:
        raise _not_stored("not_stored", str(error), "the service is not configured as it should be") from None
    except Exception as error:
        log.exception("delivery_failed")
        raise _not_stored("not_stored", type(error).__name__, "the service has a fault") from None


def _not_stored(code: str, error: str, why: str) -> Refusal:
    log.error("delivery_not_stored", code=code, error=error)
    return Refusal(503, code, f"The delivery could not be stored: {why}.")


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
    return ingest(runtime.store, account, body.parse(raw), arrival, runtime.now())


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
    if not _TOKEN.fullmatch(token):
        return None
    with runtime.store.read() as session:
        found: Account | None = session.scalar(select(Account).where(Account.webhook_token == token))
        return found
