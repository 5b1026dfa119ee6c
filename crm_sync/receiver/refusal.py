"""What a sender is told when something cannot be taken: a status, a code, a sentence. Nothing else ever goes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import structlog
from flask import current_app, request
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from crm_sync.errors import ConfigError, PayloadError, SignatureError
from crm_sync.receiver.deadline import Deadline, Overdue
from crm_sync.store import DatabaseDown

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: What a token of ours can look like; nothing else is worth asking the database.
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refusal(Exception):
    """What came is refused with this status, code and sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def raw_body(limit: int) -> bytes:
    """All bytes of the request's body, at most ``limit``. Raises Refusal."""
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


def in_time(work: Callable[[], T]) -> T:
    """The result of the work, within the time there is; whatever goes wrong with it is a Refusal."""
    deadline: Deadline = current_app.extensions["crm_sync_deadline"]
    try:
        return deadline.run(work)
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
