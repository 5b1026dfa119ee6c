"""What GLPI's answers mean: the JSON of a success, or the error tree's word for everything else.

Read from the code in the answer, not from the status alone (contracts/glpi): 400 stands for gone, forbidden and invalid
alike, and a 200 that is not JSON is GLPI's page for maintenance, for a database that is down, or for a crash. Texts
are in the language of the service account; only the codes are the same everywhere.
"""

from __future__ import annotations

import html
import re
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

SYSTEM = "GLPI"

#: Codes that mean the session is over: log in once, repeat once.
_SESSION_OVER = frozenset({"ERROR_SESSION_TOKEN_INVALID", "ERROR_SESSION_TOKEN_MISSING"})

#: Codes of refused credentials, with the setting to mend and what to do.
CREDENTIAL_ERRORS = {
    "ERROR_WRONG_APP_TOKEN_PARAMETER": ("app_token", "GLPI does not know this application token."),
    "ERROR_APP_TOKEN_PARAMETERS_MISSING": ("app_token", "GLPI wants an application token."),
    "ERROR_GLPI_LOGIN_USER_TOKEN": (
        "user_token",
        "GLPI does not know this API token, or its user is switched off. Copy the user's API token anew.",
    ),
    "ERROR_GLPI_LOGIN": ("user_token", "GLPI refuses the login."),
    "ERROR_LOGIN_PARAMETERS_MISSING": ("user_token", "GLPI did not see an API token."),
    "ERROR_LOGIN_WITH_CREDENTIALS_DISABLED": ("user_token", "GLPI does not allow this kind of login."),
    "ERROR_NOT_ALLOWED_IP": (
        "app_token",
        "No API client of GLPI allows the address of this machine. Widen the range in Setup > General > API.",
    ),
}

#: What GLPI adds to its error texts, for programmers rather than for people.
_TAIL = "; view documentation in your browser"

#: What people's data GLPI quotes: the values of the database's complaints, whose record it is that stands in the way of
#: a unique one (contracts/glpi: contact-create-refused-by-unicity), and addresses anywhere.
_QUOTED = (
    (re.compile(r"(Duplicate entry|value:) '.*?' (?=for )", re.DOTALL), r"\1 … "),
    (re.compile(r" = .*\[[^\]]*\bID\s*:\s*(\d+)[^\]]*\]", re.DOTALL), r" = … [ID: \1]"),
    (re.compile(r"[^\s@'\"<>(=]+@[^\s@'\"<>)]+"), "…"),
)


#: How the database's complaints look that GLPI passes on as refusals (contracts/glpi: useremail-create-duplicate).
_DATABASE = re.compile(
    r"MySQL query error|in SQL query|Duplicate entry .* for key|Data too long for|Incorrect \w+ value"
)
#: Those that say nothing about the record: the same will do at another time. Some come after it was written.
_PASSING = re.compile(
    r"Deadlock found|try restarting transaction|Lock wait timeout|server has gone away|Lost connection to"
)


class SessionOver(ServerFault):
    """GLPI no longer knows our session."""


class DatabaseRefusal(Rejected):
    """The database does not take it, which no login changes."""


def read_answer(response: Response, method: str, path: str) -> Any:
    """The JSON of an answer that is success; raises the error tree's word for everything else.

    The one place where GLPI's answers are judged.
    """
    body = _json(response)
    if isinstance(body, list) and body and isinstance(body[0], str) and body[0].startswith("ERROR"):
        raise _refusal(response.status_code, body[0], body[1] if len(body) > 1 else None, method, path)
    if body is None or not response.ok or response.is_redirect:
        raise _not_glpi(response, method, path)
    return body


def _json(response: Response) -> Any:
    if "json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        return response.json()
    except ValueError:
        return None


def for_people(words: str) -> str:
    """GLPI's sentence without its link, the SQL that GLPI 11 quotes, and people's data."""
    told = html.unescape(words.partition(_TAIL)[0].partition(" in SQL query")[0]).strip()
    for quoted, instead in _QUOTED:
        told = quoted.sub(instead, told)
    return told


def _not_glpi(response: Response, method: str, path: str) -> ApiError:
    """What an answer means that the API cannot have given: of a web server, a proxy, or a GLPI out of order."""
    status = response.status_code
    if status == 429:
        return RateLimited(
            "GLPI's web server asks us to slow down.",
            status=status,
            path=path,
            retry_after_s=_retry_after_s(response),
        )
    if status == 413:
        return Rejected("GLPI's web server refuses this as too large.", status=status, path=path)
    if 300 <= status < 500:
        return ServerFault(
            f"The address of GLPI's API answers {status} with something that is not the API.",
            status=status,
            path=path,
        )
    words = f"GLPI answered {status} with a page instead of data; it may be in maintenance or without its database."
    if method in SAFE_METHODS:
        return ServerFault(words, status=status, path=path, body=response.text)
    return OutcomeUnknown(words, status=status, path=path, body=response.text)


def _retry_after_s(response: Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _refusal(status: int, code: str, told: Any, method: str, path: str) -> ApiError:
    """What an error array means: a code, and a text, nothing, or (for several records at once) a list."""
    where: dict[str, Any] = {"status": status, "code": code, "path": path}
    words = for_people(told) if isinstance(told, str) else ""
    if code in CREDENTIAL_ERRORS:
        return Unauthorized(CREDENTIAL_ERRORS[code][1], **where)
    if code == "ERROR" and path == "/initSession":
        return Unauthorized(f"GLPI's API is switched off (Setup > General > API). {words}".strip(), **where)
    kind: type[ApiError] = Rejected
    sentence = f"GLPI refused: {words or code}"
    if code in _SESSION_OVER:
        kind, sentence = SessionOver, "GLPI no longer knows our session."
    elif code == "ERROR_ITEM_NOT_FOUND" or (code == "ERROR_GLPI_UPDATE" and told is None):
        kind, sentence = NotFound, "GLPI has no such record (any more)."
    elif code == "ERROR_GLPI_ADD" and told == "":
        kind, sentence = Duplicate, "GLPI has this already."
    elif status >= 500 or (isinstance(told, str) and _PASSING.search(told)):
        kind = ServerFault if method in SAFE_METHODS else OutcomeUnknown
        # Of a broken search the text is the database's (GLPI 9.5: ERROR_SQL).
        sentence = f"GLPI answered {status} ({code})."
    elif isinstance(told, str) and _DATABASE.search(told):
        kind = DatabaseRefusal
    return kind(sentence, **where)
