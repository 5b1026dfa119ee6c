"""Turns an answer of Chatwoot's API into what it says, or into the error tree.

:func:`content` is the only place where a status of Chatwoot becomes an error, so that everybody who calls the
API can rely on one reading of it. No error holds the token.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import requests

from crm_sync.crms.http import SAFE_METHODS
from crm_sync.errors import (
    ApiError,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
)

#: Chatwoot's own words for "it is there already" (contracts: webhooks_create_422_duplicate_url).
_TAKEN = "has already been taken"
#: And for 200 messages a minute in one conversation (contracts: message_create_422_flood).
_FLOOD = "Too many messages"
#: A wrong token, a right that is missing, an account without API (contracts: error_401_*,
#: error_403_api_disabled).
_REFUSED_TOKEN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def content(response: requests.Response, *, path: str, token: str = "", empty: bool = False) -> Any:
    """What a successful answer says, as JSON; raises an ApiError for any other answer.

    ``empty`` allows a success without a body (contracts: conversation_toggle_priority). A success that is not
    JSON came from something in front of Chatwoot: nobody knows whether a write was carried out.
    """
    status = response.status_code
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(response, path, token)
    if empty and not response.content.strip():
        return None
    try:
        return response.json()
    except ValueError:
        about = _about(response, path, token)
        raise _broken(response)("Chatwoot answered something that is not JSON.", **about) from None


def _refusal(response: requests.Response, path: str, token: str) -> ApiError:  # noqa: PLR0911 (a return a rule)
    """The error for an answer that is no success (contracts: error_*, *_404, *_422*)."""
    status = response.status_code
    words, field = _words(response)
    words = _without(words, token)
    about = _about(response, path, token)
    if status in _REFUSED_TOKEN and words:
        return Unauthorized(f"Chatwoot refuses our access token: {words}", **about)
    if status == HTTPStatus.NOT_FOUND and words:
        return NotFound(f"Chatwoot has no such record: {words}", **about)
    if status == HTTPStatus.TOO_MANY_REQUESTS or _FLOOD in words:
        return RateLimited("Chatwoot asks us to slow down.", retry_after_s=_retry_after(response), **about)
    if _TAKEN in words:
        return Duplicate(f"Chatwoot has this already: {words}", **about)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return _broken(response)(f"Chatwoot has a fault of its own (status {status}).", **about)
    if status in {HTTPStatus.NOT_FOUND, *_REFUSED_TOKEN} or status < HTTPStatus.BAD_REQUEST:
        # The API says in JSON what is missing and never redirects: this is a proxy, or a wrong address.
        return ServerFault(f"Something else answered at Chatwoot's address (status {status}).", **about)
    return Rejected(f"Chatwoot refused: {words or f'status {status}'}", field=field, **about)


def odd(response: requests.Response, *, path: str) -> ApiError:
    """The error for JSON that is not of the endpoint's shape. The body may hold secrets and is left out."""
    words = "Chatwoot answered JSON of an unknown shape."
    request_id = response.headers.get("X-Request-Id")
    return _broken(response)(words, status=response.status_code, path=path, request_id=request_id)


def _broken(response: requests.Response) -> type[ServerFault | OutcomeUnknown]:
    """What a broken answer means: a read can be repeated, a write may have happened."""
    return ServerFault if response.request.method in SAFE_METHODS else OutcomeUnknown


def _about(response: requests.Response, path: str, token: str) -> dict[str, Any]:
    return {
        "status": response.status_code,
        "path": path,
        "body": _without(response.text, token),
        "request_id": response.headers.get("X-Request-Id"),
    }


def _words(response: requests.Response) -> tuple[str, str | None]:
    """What Chatwoot says is wrong, and which field it names: ``error`` or ``message`` with ``attributes``."""
    try:
        body = response.json()
    except ValueError:
        return "", None
    if not isinstance(body, dict):
        return "", None
    words = body.get("message") or body.get("error") or body.get("errors") or ""
    attributes = body.get("attributes")
    field = str(attributes[0]) if isinstance(attributes, list) and attributes else None
    return (", ".join(map(str, words)) if isinstance(words, list) else str(words)), field


def _without(text: str, token: str) -> str:
    return text.replace(token, "***") if token else text


def _retry_after(response: requests.Response) -> float | None:
    """Chatwoot sends none (rack-attack's default), a proxy in front of it may."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
