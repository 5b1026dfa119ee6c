"""The one family of errors, named after what the engine must do with them.

::

    CrmSyncError                 str() is one sentence for a person; never holds a secret
    ├─ ConfigError               refuse to start, or to save
    ├─ PayloadError              refuse the delivery (4xx)
    │   └─ SignatureError        401, counted by reason: missing, stale, mismatch
    ├─ Skip                      an outcome, not an error: the event ends as skipped, with the reason
    ├─ Defer                     not an attempt: the event waits for its turn
    │   └─ NotYet                a call to the CRM was not made: it would have been one too many by now
    ├─ ClaimLost                 another worker took the event over: stop, write nothing
    └─ ApiError                  an answer of Chatwoot or a CRM that is not success
        ├─ Retriable             try again later
        │   ├─ Unreachable       the request was never sent
        │   ├─ Timeout           a read got no answer in time
        │   ├─ RateLimited       the other side asked us to wait
        │   ├─ ServerFault       the other side is broken, and did not act
        │   └─ OutcomeUnknown    a write that may have happened: look before repeating it
        └─ Permanent             repeating the same request cannot help
            ├─ Unauthorized      the hook needs attention; its events wait
            ├─ NotFound          the record is gone: resolve its link once more
            ├─ Duplicate         the record is there already: adopt it
            └─ Rejected          the event fails, in the words of the CRM
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

#: Longest part of an answer kept with an error, in characters: enough to diagnose, too little to flood a log.
BODY_LIMIT = 1024


class CrmSyncError(Exception):
    """Something crm_sync has words for."""

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def __str__(self) -> str:
        return self.message


class ConfigError(CrmSyncError):
    """A setting is missing or wrong.

    ``setting`` names it, so that a form can mark the field. ``code`` is the machine's word for what is wrong, by which
    the app's texts say it in other languages.
    """

    def __init__(self, message: str, *, setting: str | None = None, code: str | None = None) -> None:
        super().__init__(message, setting=setting, code=code)
        self.setting = setting
        self.code = code


class PayloadError(CrmSyncError):
    """A delivery that cannot be understood. ``code`` is the machine's word for it, the message a person's."""

    def __init__(self, message: str, *, code: str = "invalid_payload") -> None:
        super().__init__(message, code=code)
        self.code = code


class SignatureError(PayloadError):
    """A delivery whose sender is not proven. ``reason`` is ``missing``, ``stale`` or ``mismatch``."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, code=f"signature_{reason}")
        self.reason = reason


class Skip(CrmSyncError):
    """Nothing is to be done for this event. ``reason`` is a short code to count by, the message says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


class Defer(CrmSyncError):
    """The event waits until ``until`` (UTC) without this being counted as an attempt."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(reason, until=until)
        self.until = until


class NotYet(Defer):
    """A call was not made, since the CRM takes no more of them until ``until``."""


class ClaimLost(CrmSyncError):
    """Another worker has taken this event over; whatever this one still wanted to write is void."""


class ApiError(CrmSyncError):
    """An answer that is not success. Never holds headers or a token; ``body`` is cut at 1 KiB."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        path: str = "",
        body: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, path=path, request_id=request_id)
        self.status = status
        self.code = code
        self.path = path
        self.body = body[:BODY_LIMIT]
        self.request_id = request_id


class Retriable(ApiError):
    """The same request may succeed later."""


class Unreachable(Retriable):
    """No connection was made, so the request was never sent."""


class Timeout(Retriable):
    """A request that changes nothing got no answer in time."""


class RateLimited(Retriable):
    """Too many requests. ``retry_after_s`` is what the other side asked for, if it did."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry_after_s = retry_after_s


class ServerFault(Retriable):
    """The other side is out of order and did not act on the request."""


class OutcomeUnknown(Retriable):
    """A write whose answer never came, or came broken: it may have happened."""


class Permanent(ApiError):
    """The same request will be refused again."""


class Unauthorized(Permanent):
    """The credentials are refused: a person must mend the hook."""


class NotFound(Permanent):
    """The record is not there (any more)."""


class Duplicate(Permanent):
    """A record with this key is there already."""


class Rejected(Permanent):
    """The other side understood and refused. ``field`` names what it did not like, where it says so."""

    def __init__(self, message: str, *, field: str | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.field = field
