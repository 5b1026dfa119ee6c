"""HTTP to a CRM or to Chatwoot: time limits, the error tree for a broken line, and a record of every call.

A :class:`Transport` is safe to share by threads: each thread has a connection pool of its own. Before a call it
asks the observer of the current attempt, so that a worker whose claim was taken over stops, and after it reports
the call for the journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import LocationParseError

from crm_sync.errors import OutcomeUnknown, Timeout, Unreachable

#: What a call gives back; clients need no other part of the library.
Response = requests.Response

#: What every request says of us.
_HEADERS = dict(requests.utils.default_headers())

#: Methods that change nothing, so that a missing answer leaves no doubt behind.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call made, without anything secret: no headers, no query, no body. ``status`` 0: no answer."""

    system: str
    method: str
    path: str
    status: int
    duration_ms: int
    #: How many more calls the other side takes for now, where it says so (X-RateLimit-Remaining).
    remaining: int | None = None


class CallObserver(Protocol):
    """Who watches the calls of an attempt."""

    def before_call(self, system: str, method: str) -> None:
        """May wait until the call may be made, and raise ClaimLost to keep it from being made."""
        ...

    def after_call(self, call: Call) -> None:
        """Takes the call down."""
        ...


_observer: ContextVar[CallObserver | None] = ContextVar("crm_sync_call_observer", default=None)


@contextmanager
def observed(observer: CallObserver) -> Iterator[None]:
    """Within this block every call of this thread is reported to the observer."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


@contextmanager
def reported(system: str, method: str, path: str) -> Iterator[Callable[[int], None]]:
    """A call that no Transport makes, reported to the observer all the same; yields what takes its status."""
    observer = _observer.get()
    if observer is not None:
        observer.before_call(system, method)
    started, status = time.monotonic(), [0]
    try:
        yield lambda answered: status.__setitem__(0, answered)
    finally:
        if observer is not None:
            elapsed_ms = round((time.monotonic() - started) * 1000)
            observer.after_call(Call(system, method, path, status[0], elapsed_ms))


class Transport:
    """Requests to one base URL. Raises Unreachable, Timeout or OutcomeUnknown; returns any answer that came.

    ``system`` names the other side in calls and messages; ``timeouts_s`` is (connect, read).
    """

    def __init__(self, base_url: str, *, system: str, timeouts_s: tuple[float, float] = (3.0, 30.0)) -> None:
        self.base_url = base_url.rstrip("/")
        self.system = system
        self.timeouts_s = timeouts_s
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        """This thread's connections, and no more.

        It does not prepare the requests: what it would merge into each (cookies, proxies and passwords of the
        environment) is not wanted, and costs as much as the rest of a call.
        """
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            adapter = HTTPAdapter(pool_connections=1, pool_maxsize=4)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            self._local.session = session
        return session

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        files: Any = None,
    ) -> requests.Response:
        """Make a call and return its answer, whatever its status. ``path`` starts with a slash."""
        prepared = self._prepared(method, path, params, json, headers, files)
        observer = _observer.get()
        if observer is not None:
            observer.before_call(self.system, method)
        started = time.monotonic()
        status, remaining = 0, None
        try:
            response = self._session.send(
                prepared, timeout=self.timeouts_s, allow_redirects=False, proxies={}
            )
            status, remaining = response.status_code, _remaining(response)
            return response
        except requests.exceptions.ConnectTimeout as error:
            raise Unreachable(f"{self.system} did not accept a connection in time.", path=path) from error
        except requests.exceptions.ReadTimeout as error:
            raise self._no_answer(method, path, f"{self.system} did not answer in time.") from error
        except requests.exceptions.ConnectionError as error:
            if _never_sent(error):
                raise Unreachable(f"{self.system} cannot be reached.", path=path) from error
            raise self._no_answer(method, path, f"{self.system} broke the connection.") from error
        except LocationParseError as error:
            raise self._no_address(path) from error
        except requests.exceptions.RequestException as error:
            raise self._no_answer(method, path, f"{self.system} answered something unreadable.") from error
        finally:
            if observer is not None:
                elapsed_ms = round((time.monotonic() - started) * 1000)
                observer.after_call(Call(self.system, method, path, status, elapsed_ms, remaining))

    def _prepared(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        json: Any,
        headers: Mapping[str, str] | None,
        files: Any,
    ) -> requests.PreparedRequest:
        """The request, made before its turn comes, so that nobody waits for that."""
        wanted = requests.Request(
            method,
            self.base_url + path,
            params=dict(params or {}),
            json=json,
            headers={**_HEADERS, **(headers or {})},
            files=files,
        )
        try:
            return wanted.prepare()
        except (LocationParseError, requests.exceptions.RequestException) as error:
            raise self._no_address(path) from error

    def _no_address(self, path: str) -> Unreachable:
        return Unreachable(f"{self.system} has an address that cannot be one.", path=path)

    @staticmethod
    def _no_answer(method: str, path: str, words: str) -> Timeout | OutcomeUnknown:
        if method in SAFE_METHODS:
            return Timeout(words, path=path)
        return OutcomeUnknown(words, path=path)


#: How a failed TLS handshake is called. Other faults of TLS may come after the request was sent.
_HANDSHAKE = frozenset(
    {
        "CERTIFICATE_VERIFY_FAILED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)


def _remaining(response: requests.Response) -> int | None:
    told = response.headers.get("X-RateLimit-Remaining", "")
    return int(told) if told.isdecimal() else None


def _never_sent(error: requests.exceptions.ConnectionError) -> bool:
    """Whether the connection could not even be made (refused, no route, unknown host, TLS)."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        cause = reason.args[0] if isinstance(reason, Exception) and reason.args else None
        return getattr(cause, "reason", None) in _HANDSHAKE
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}
