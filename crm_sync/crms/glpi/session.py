"""A session with GLPI's REST API (apirest.php): one login for a process, calls within it, and GLPI's clock.

One login serves a process: the session token is kept, and renewed when GLPI says that it is gone or shows that it is
out of date. Safe to share by threads: however many need a login, one logs in and all go on with what came of it.

What GLPI means is read by :mod:`crm_sync.crms.glpi.answers`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from crm_sync.crms.glpi.answers import SYSTEM, DatabaseRefusal, SessionOver, read_answer
from crm_sync.crms.http import SAFE_METHODS, Response, Transport
from crm_sync.crms.lookups import Lookups
from crm_sync.errors import ApiError, Rejected, Retriable, ServerFault

#: How long GLPI's time zone is believed to stay what it is: it moves with daylight saving time.
OFFSET_KEEP_S = 3600.0
_QUARTER = timedelta(minutes=15)

#: Refusals that an old session may be the reason of: its rights and entities are those of its login.
_MAY_BE_OUTDATED = frozenset(
    {"ERROR_RIGHT_MISSING", "ERROR_GLPI_ADD", "ERROR_GLPI_UPDATE", "ERROR_GLPI_DELETE"}
)


@dataclass(frozen=True, slots=True)
class _Session:
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Offset:
    """How far GLPI's dates are ahead of UTC, and when (by the client's clock) that was measured."""

    value: timedelta
    at: float


class GlpiSession:
    """Calls within a session. All of them raise the error tree.

    ``api_url`` ends with /apirest.php. Dates go in as aware times; GLPI's own are naive in the zone of its server,
    which is measured. ``clock`` counts seconds from any moment on.
    """

    def __init__(
        self,
        api_url: str,
        app_token: str,
        user_token: str,
        *,
        timeouts_s: tuple[float, float] = (3.0, 30.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self._http = Transport(self.api_url, system=SYSTEM, timeouts_s=timeouts_s)
        self._app_token = app_token
        self._user_token = user_token
        self._clock = clock
        self._session: _Session | None = None
        self._login = threading.Lock()
        self._logins = 0
        self._refused: ApiError | None = None
        self._offset: _Offset | None = None
        self._measuring = threading.Lock()
        self.lookups = Lookups(clock)

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
        # A session keeps the time zone of its login (contracts/glpi: getfullsession-utc).
        self._offset = None
        return token

    def kill_session(self) -> None:
        """Log out, if logged in (GET /killSession)."""
        with self._login:
            session, self._session = self._session, None
        if session is not None:
            self._request("GET", "/killSession", session)

    @contextmanager
    def logged_in(self) -> Iterator[None]:
        """A session of this block's own: logged in before it, and out after it, whatever happened within."""
        self.init_session()
        try:
            yield
        finally:
            # A session that stays open is no harm: GLPI closes it in its time.
            with suppress(ApiError):
                self.kill_session()

    def log_in_anew(self) -> None:
        """Begin a new session, with the rights, entities and time zone that the account has by now."""
        self.kill_session()
        self.init_session()

    def _current(self, stale: _Session | None = None) -> _Session:
        """The session to use; a new one when there is none or the one given is of no use any more.

        Who waits while another thread logs in gets the session of that login, or its failure.
        """
        seen = self._logins
        with self._login:
            if self._session is not None and self._session != stale:
                return self._session
            if self._refused is not None and self._logins != seen:
                raise copy(self._refused)
            self._session, self._refused = None, None
            try:
                return _Session(self.init_session())
            except ApiError as error:
                self._refused = error
                raise
            finally:
                self._logins += 1

    def _drop(self, stale: _Session) -> None:
        with self._login:
            if self._session == stale:
                self._session = None

    def _request(
        self,
        method: str,
        path: str,
        session: _Session,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Any = None,
    ) -> Response:
        headers = {
            "App-Token": self._app_token,
            "Session-Token": session.token,
            "X-GLPI-Sanitized-Content": "false",
        }
        return self._http.request(method, path, params=params, json=body, headers=headers, files=files)

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Any = None,
    ) -> tuple[Response, Any]:
        """Make a call within the session and return its answer, known to be success, and the answer's JSON.

        ``body`` goes as JSON; ``files`` as the parts of a form, as the requests library takes them.
        Where the session may be at fault it is renewed once, and the call repeated once if GLPI did not act on it.
        """
        before = self._session
        session = self._current()
        response = self._request(method, path, session, params=params, body=body, files=files)
        try:
            return response, read_answer(response, method, path)
        except ApiError as error:
            renewed = self._renewed(error, session, method, fresh=session != before)
            if renewed is None:
                raise
        response = self._request(method, path, renewed, params=params, body=body, files=files)
        return response, read_answer(response, method, path)

    def _renewed(self, error: ApiError, session: _Session, method: str, *, fresh: bool) -> _Session | None:
        """The session to repeat a failed call with; None when that is not to be done.

        ``fresh`` tells that the session was opened for this very call.
        """
        if isinstance(error, SessionOver):
            return self._current(stale=session)
        if isinstance(error, Retriable):
            # GLPI 11 breaks on a session token of another version. Whether it did, a write cannot know.
            if error.status == 500 and error.code is None and not fresh:
                self._drop(session)
                return self._current() if method in SAFE_METHODS else None
            return None
        if isinstance(error, DatabaseRefusal):
            return None
        if isinstance(error, Rejected) and error.code in _MAY_BE_OUTDATED and not fresh:
            return self._current(stale=session)
        if error.code == "ERROR":
            # What GLPI says of a wrong parameter, and of its API when that is switched off: a login tells which.
            self._current(stale=session)
        return None

    def call(self, method: str, path: str, *, body: Any = None) -> Any:
        """Make a call and return the JSON of its answer."""
        return self.exchange(method, path, body=body)[1]

    def get(self, path: str, **params: Any) -> Any:
        """GET and the JSON of the answer."""
        return self.exchange("GET", path, params=params)[1]

    @staticmethod
    def part(body: Any, key: str) -> dict[str, Any]:
        """The object an answer holds under a key; raises ServerFault when there is none."""
        found = body.get(key) if isinstance(body, dict) else None
        if not isinstance(found, dict):
            raise ServerFault(f"GLPI's answer has no {key}.")
        return found

    @staticmethod
    def rows_of(body: Any, key: str) -> list[dict[str, Any]]:
        """The list of objects an answer holds under a key; raises ServerFault when there is none."""
        found = body.get(key) if isinstance(body, dict) else None
        if not isinstance(found, list):
            raise ServerFault(f"GLPI's answer has no {key}.")
        return [row for row in found if isinstance(row, dict)]

    def full_session(self) -> dict[str, Any]:
        """The PHP session (GET /getFullSession): the account's id, its entity, and the time as GLPI tells it."""
        return self._looked_at_clock()[0]

    def utc_offset(self) -> timedelta:
        """How far GLPI's naive dates are ahead of UTC, measured once an hour and once a session.

        From the session's clock against the answer's Date header, rounded to a quarter of an hour.
        """
        with self._measuring:
            known = self._offset
            if known is None or self._clock() - known.at > OFFSET_KEEP_S:
                known = self._looked_at_clock()[1]
            return known.value

    def _looked_at_clock(self) -> tuple[dict[str, Any], _Offset]:
        """The session, and what its clock says. A login's is no good: GLPI 11 tells another time there."""
        response, body = self.exchange("GET", "/getFullSession")
        session = self.part(body, "session")
        try:
            local = datetime.fromisoformat(str(session.get("glpi_currenttime"))).replace(tzinfo=UTC)
        except ValueError as error:
            raise ServerFault("GLPI's session does not tell the time.", path="/getFullSession") from error
        header = response.headers.get("Date")
        utc = parsedate_to_datetime(header) if header else datetime.now(UTC)
        self._offset = _Offset(round((local - utc) / _QUARTER) * _QUARTER, self._clock())
        return session, self._offset

    def local_date(self, moment: datetime) -> str:
        """A time as GLPI takes it: naive, full seconds, in its server's zone."""
        return f"{moment.astimezone(UTC) + self.utc_offset():%Y-%m-%d %H:%M:%S}"

    def utc_date(self, date: str) -> datetime:
        """A date of GLPI's as a time. Raises ValueError for what is none."""
        return datetime.fromisoformat(date).replace(tzinfo=UTC) - self.utc_offset()
