"""GLPI's REST API (apirest.php), and nothing else: sessions, one method an endpoint, answers as the error tree.

One login serves a process: the session token is kept and renewed when GLPI says it is gone. Safe to share by
threads. What GLPI means is read from the code in its answer, not from the status alone (contracts/glpi): 400 stands
for gone, forbidden and invalid alike, and a 200 that is not JSON is its page for a database that is down.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from crm_sync.crms.http import SAFE_METHODS, Response, Transport
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
        "GLPI does not know this API token, or its user is switched off. Copy it anew from the user's Remote "
        "access keys (API token, not personal token).",
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


class SessionOver(ServerFault):
    """GLPI no longer knows our session."""


@dataclass(frozen=True, slots=True)
class _Session:
    token: str
    offset: timedelta | None = None


def read_answer(response: Response, method: str, path: str) -> Any:
    """The JSON of an answer that is success; raises the error tree's word for everything else.

    The one place where GLPI's answers are judged (facts: 200 that is no proof, error arrays).
    """
    body = _json(response)
    if body is None:
        raise _not_json(response, method, path)
    code, words = _error_of(body)
    if code is None:
        if response.status_code < 400:
            return body
        code, words = "ERROR", str(body)
    raise _error(response.status_code, code, words, method, path)


def _json(response: Response) -> Any:
    if "json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        return response.json()
    except ValueError:
        return None


def _error_of(body: Any) -> tuple[str | None, str | None]:
    if isinstance(body, list) and body and isinstance(body[0], str) and body[0].startswith("ERROR"):
        words = body[1] if len(body) > 1 else None
        return body[0], _for_people(words) if isinstance(words, str) else None
    return None, None


def _for_people(words: str) -> str:
    """GLPI's sentence without its link, and without the SQL that GLPI 11 quotes (it holds people's data)."""
    return words.partition(_TAIL)[0].partition(" in SQL query")[0].strip()


def _not_json(response: Response, method: str, path: str) -> ApiError:
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


def _error(status: int, code: str, words: str | None, method: str, path: str) -> ApiError:
    where: dict[str, Any] = {"status": status, "code": code, "path": path}
    if code in _SESSION_OVER:
        return SessionOver("GLPI no longer knows our session.", **where)
    if code in CREDENTIAL_ERRORS:
        return Unauthorized(CREDENTIAL_ERRORS[code][1], **where)
    if code == "ERROR" and path in {"/initSession", "/getGlpiConfig"} and status == 400:
        return Unauthorized(words or "GLPI's API is switched off (Setup > General > API).", **where)
    if code == "ERROR_ITEM_NOT_FOUND" or (code == "ERROR_GLPI_UPDATE" and words is None):
        return NotFound("GLPI has no such record (any more).", **where)
    if code == "ERROR_GLPI_ADD" and not words:
        return Duplicate("GLPI has this already.", **where)
    if status >= 500:
        broken = ServerFault if method in SAFE_METHODS else OutcomeUnknown
        return broken(f"GLPI answered {status}. {words or ''}".strip(), **where)
    return Rejected(f"GLPI refused: {words or code}", **where)


class GlpiClient:
    """A method for each endpoint in use. All of them raise the error tree.

    ``api_url`` ends with /apirest.php. Dates go in and out as aware times; GLPI's own are naive in the zone of its
    server, which is measured once a session.
    """

    def __init__(
        self, api_url: str, app_token: str, user_token: str, *, timeouts_s: tuple[float, float] = (3.0, 30.0)
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self._http = Transport(self.api_url, system=SYSTEM, timeouts_s=timeouts_s)
        self._app_token = app_token
        self._user_token = user_token
        self._session: _Session | None = None
        self._login = threading.Lock()
        self._measuring = threading.Lock()

    # -- the session ---------------------------------------------------------------------------------------------

    def init_session(self) -> str:
        """Log in and keep the token (GET /initSession)."""
        headers = {"App-Token": self._app_token, "Authorization": f"user_token {self._user_token}"}
        response = self._http.request("GET", "/initSession", headers=headers)
        body = read_answer(response, "GET", "/initSession")
        token = body.get("session_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise ServerFault("GLPI answered a login without a session token.", path="/initSession")
        self._session = _Session(token)
        return token

    def kill_session(self) -> None:
        """Log out, if logged in (GET /killSession)."""
        with self._login:
            session, self._session = self._session, None
            if session is not None:
                self._request("GET", "/killSession", session)

    def _current(self, stale: _Session | None = None) -> _Session:
        """The session to use; a new one when there is none or the one given has run out."""
        with self._login:
            if self._session is None or (stale is not None and self._session.token == stale.token):
                self.init_session()
            assert self._session is not None  # noqa: S101 - init_session sets it or raises
            return self._session

    def _request(
        self,
        method: str,
        path: str,
        session: _Session,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Response:
        headers = {
            "App-Token": self._app_token,
            "Session-Token": session.token,
            "X-GLPI-Sanitized-Content": "false",
        }
        return self._http.request(method, path, params=params, json=body, headers=headers)

    def exchange(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> tuple[Response, Any]:
        """Make a call within the session and return its answer, known to be success, and the answer's JSON.

        When the session has run out it is renewed once, and the call repeated once: GLPI did not act on it.
        """
        session = self._current()
        response = self._request(method, path, session, params=params, body=body)
        try:
            return response, read_answer(response, method, path)
        except SessionOver:
            session = self._current(stale=session)
            response = self._request(method, path, session, params=params, body=body)
            return response, read_answer(response, method, path)

    def call(self, method: str, path: str, *, body: Any = None) -> Any:
        """Make a call and return the JSON of its answer."""
        return self.exchange(method, path, body=body)[1]

    def get(self, path: str, **params: Any) -> Any:
        """GET and the JSON of the answer."""
        return self.exchange("GET", path, params=params)[1]

    def active_profile(self) -> dict[str, Any]:
        """The profile of the service account with its rights (GET /getActiveProfile)."""
        body: dict[str, Any] = self.get("/getActiveProfile")["active_profile"]
        return body

    def full_session(self) -> dict[str, Any]:
        """The PHP session (GET /getFullSession)."""
        body: dict[str, Any] = self.get("/getFullSession")["session"]
        return body

    def active_entity(self) -> int:
        """The entity the session stands in (GET /getActiveEntities)."""
        return int(self.get("/getActiveEntities")["active_entity"]["id"])

    def version(self) -> str:
        """GLPI's version (GET /getGlpiConfig)."""
        return str(self.get("/getGlpiConfig")["cfg_glpi"]["version"])

    def utc_offset(self) -> timedelta:
        """How far GLPI's naive dates are ahead of UTC, measured once a session.

        From the session's clock against the answer's Date header, rounded to a quarter of an hour (facts, §3).
        """
        session = self._current()
        if session.offset is not None:
            return session.offset
        with self._measuring:
            known = self._current()
            if known.offset is not None:
                return known.offset
            response, body = self.exchange("GET", "/getFullSession")
            local = datetime.fromisoformat(body["session"]["glpi_currenttime"]).replace(tzinfo=UTC)
            header = response.headers.get("Date")
            utc = parsedate_to_datetime(header) if header else datetime.now(UTC)
            offset = round((local - utc) / timedelta(minutes=15)) * timedelta(minutes=15)
            with self._login:
                if self._session is not None:
                    self._session = _Session(self._session.token, offset)
            return offset

    def local_date(self, moment: datetime) -> str:
        """A time as GLPI takes it: naive, full seconds, in its server's zone."""
        return f"{moment.astimezone(UTC) + self.utc_offset():%Y-%m-%d %H:%M:%S}"

    # -- items ---------------------------------------------------------------------------------------------------

    def item(self, itemtype: str, item_id: int | str) -> dict[str, Any]:
        """One record (GET /Itemtype/id). Raises NotFound."""
        body: dict[str, Any] = self.get(f"/{itemtype}/{item_id}")
        return body

    def items(self, path: str, *, limit: int = 50, **params: Any) -> list[dict[str, Any]]:
        """Records of a list or of a record's sub-list; newest last unless ``sort`` and ``order`` say otherwise."""
        rows = self.get(f"/{path}", **{"range": f"0-{limit - 1}", "get_hateoas": "false", **params})
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def create(self, itemtype: str, fields: Mapping[str, Any]) -> int:
        """Create a record (POST /Itemtype) and return its id."""
        body = self.call("POST", f"/{itemtype}", body={"input": dict(fields)})
        created = body.get("id") if isinstance(body, dict) else None
        if not created:
            raise OutcomeUnknown(f"GLPI did not say which {itemtype} it made.", path=f"/{itemtype}")
        return int(created)

    def update(self, itemtype: str, item_id: int | str, fields: Mapping[str, Any]) -> None:
        """Change a record (PUT /Itemtype/id). Raises NotFound when it is gone, Rejected in GLPI's words."""
        path = f"/{itemtype}/{item_id}"
        rows = self.call("PUT", path, body={"input": dict(fields)})
        row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
        if row.get(str(item_id)) is not True:
            raise Rejected(f"GLPI refused: {row.get('message') or 'no reason given'}", path=path)

    def delete(self, itemtype: str, item_id: int | str) -> None:
        """Take a record away (DELETE /Itemtype/id); tickets and users go to the bin."""
        self.call("DELETE", f"/{itemtype}/{item_id}")

    def search(
        self, itemtype: str, criteria: Sequence[Mapping[str, Any]], display: Sequence[int], *, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Rows found (GET /search/Itemtype), keyed by field number as text, by id.

        A criterion has ``field``, ``searchtype``, ``value`` and, from the second on, ``link``.
        """
        params: dict[str, Any] = {"range": f"0-{limit - 1}", "sort": 2, "order": "ASC"}
        for index, criterion in enumerate(criteria):
            for key, value in criterion.items():
                params[f"criteria[{index}][{key}]"] = value
        for index, field in enumerate(display):
            params[f"forcedisplay[{index}]"] = field
        body = self.get(f"/search/{itemtype}", **params)
        rows: list[dict[str, Any]] = body.get("data", []) if isinstance(body, dict) else []
        return rows
