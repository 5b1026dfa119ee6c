"""What Krayin's answers mean: the JSON of a success, or the error tree's word for everything else.

The two generations lie in different ways (contracts/krayin). Up to 2.1 a wrong token, the 61st request of a minute and
a crash are the same 500; but only a request that was let in tells how many more there may be, so that one without
``X-RateLimit-Remaining`` was not carried out. Texts are in the language of the installation, so nothing is decided by
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crm_sync.crms.http import SAFE_METHODS, Response
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

SYSTEM = "Krayin"

#: The generations of the REST API: that of Krayin 2.0 and 2.1 (rest-api 2.x), and that of 2.2.
OLD, NEW = "2.1", "2.2"

#: How long Krayin 2.1 counts requests before it begins anew, in seconds.
WINDOW_S = 60.0

#: What an answer to a request is marked with that was not let in.
NOT_LET_IN = "not_let_in"

#: What says how many requests are left.
REMAINING = "X-RateLimit-Remaining"

#: The fields whose refusal may mean that the value is taken; of ours all others are free.
_UNIQUE = re.compile(r"(person\.)?(emails|contact_numbers)\.\d+\.value|name|code|chatwoot_\w+")

#: People's data that Krayin quotes.
_QUOTED = re.compile(r"[^\s@'\"<>(=]+@[^\s@'\"<>)]+")


class Overlap(Rejected):
    """A meeting that Krayin takes to overlap with another one."""


def read_answer(response: Response, method: str, path: str, *, generation: str | None) -> Any:
    """The JSON of an answer that is success; raises the error tree's word for everything else.

    The one place where Krayin's answers are judged. ``generation`` is None until the setup has found it out.
    """
    body = _json(response)
    if 200 <= response.status_code < 300 and isinstance(body, Mapping):
        return body
    where: dict[str, Any] = {"status": response.status_code, "path": path}
    refusal = _refusal(response, body, where)
    if refusal is not None:
        raise refusal
    if generation != NEW and _is_kept_out(response, body):
        raise RateLimited(
            "Krayin did not let the request in: it takes 60 a minute of a user, or does not know the token.",
            retry_after_s=WINDOW_S,
            code=NOT_LET_IN,
            **where,
        )
    raise _no_answer(response, body, method, where)


def _refusal(response: Response, body: Any, where: dict[str, Any]) -> ApiError | None:
    """What an answer means that says no."""
    status, says = response.status_code, isinstance(body, Mapping)
    found: ApiError | None = None
    if status == 401:
        words = "Krayin does not know this token (any more)."
        found = Unauthorized(words, body=response.text, **where)
    elif status == 429:
        told = response.headers.get("Retry-After", "")
        wait_s = float(told) if told.isdecimal() else WINDOW_S
        found = RateLimited("Krayin takes no more requests for now.", retry_after_s=wait_s, **where)
    elif status == 422 and says:
        found = _invalid(body, where)
    elif status == 404 and says:
        found = NotFound("Krayin has no such record (any more).", **where)
    elif where["path"] == "/activities" and (status == 400 or 300 <= status < 400):
        found = Overlap("Krayin says that this meeting overlaps with another one.", **where)
    elif status in {400, 403, 413}:
        found = Rejected(f"Krayin refused: {_words(body) or f'answer {status}'}", **where)
    return found


def _is_kept_out(response: Response, body: Any) -> bool:
    """Whether a request was not carried out: one that was let in tells how many more there may be."""
    return response.status_code == 500 and isinstance(body, Mapping) and REMAINING not in response.headers


def _no_answer(response: Response, body: Any, method: str, where: dict[str, Any]) -> ApiError:
    """What an answer means that says nothing of the request."""
    status = response.status_code
    if 300 <= status < 500:
        words = f"The address of Krayin's API answers {status} with something that is not the API."
        return ServerFault(words, **where)
    words = f"Krayin answered {status} with {'an error' if isinstance(body, Mapping) else 'a page instead of data'}."
    kind = ServerFault if method in SAFE_METHODS else OutcomeUnknown
    return kind(words, **where, body=_QUOTED.sub("…", response.text))


def _json(response: Response) -> Any:
    if "json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        return response.json()
    except ValueError:
        return None


def _invalid(body: Mapping[str, Any], where: Mapping[str, Any]) -> ApiError:
    """What a 422 means: every field it names may be taken, or one cannot be as it is."""
    errors = body.get("errors")
    fields = [str(name) for name in errors] if isinstance(errors, Mapping) else []
    words = f"Krayin refused {', '.join(fields) or 'the request'}: {_words(body)}"
    if fields and all(_UNIQUE.fullmatch(field) for field in fields):
        return Duplicate(words, code=fields[0], **where)
    return Rejected(words, field=fields[0] if fields else None, **where)


def _words(body: Any) -> str:
    told = body.get("message") if isinstance(body, Mapping) else None
    return _QUOTED.sub("…", told) if isinstance(told, str) else ""
