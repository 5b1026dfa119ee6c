"""Calls to Krayin's REST API with one token. Safe to share by threads.

What an answer means is read by :mod:`crm_sync.crms.krayin.answers`. Whether it is the token that Krayin 2.1 refuses one
answer cannot tell: it is, once no request has been let in for longer than a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from crm_sync.crms.http import SAFE_METHODS, Transport
from crm_sync.crms.krayin.answers import NOT_LET_IN, SYSTEM, WINDOW_S, read_answer
from crm_sync.crms.lookups import Lookups
from crm_sync.errors import OutcomeUnknown, RateLimited, ServerFault, Unauthorized

#: After so long without a refusal the next one is the first, in seconds.
FORGET_S = 600.0


class KrayinSession:
    """Calls with a token. All of them raise the error tree.

    ``generation`` is that of the server, None while nobody knows it. ``clock`` counts seconds from any moment on.
    """

    def __init__(
        self,
        api_url: str,
        token: str | None,
        *,
        generation: str | None = None,
        timeouts_s: tuple[float, float] = (3.0, 30.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api_url = api_url
        self.generation = generation
        self._token = token
        self._http = Transport(api_url, system=SYSTEM, timeouts_s=timeouts_s)
        self._clock = clock
        self._guard = threading.Lock()
        self._kept_out_since: float | None = None
        self._kept_out_at = 0.0
        self.lookups = Lookups(clock)
        #: How far the server's wall clock is ahead of UTC, as far as it has shown by what it makes of times.
        self.ahead = timedelta(0)

    def use(self, token: str) -> None:
        """From now on this is the token."""
        self._token = token

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        files: Any = None,
        anonymous: bool = False,
    ) -> dict[str, Any]:
        """Make a call and return the JSON of its answer.

        ``files`` are parts of a form, sent instead of ``body``. ``anonymous`` sends no token.
        """
        headers = {"Accept": "application/json"}
        if path == "/activities" and method == "POST":
            # Without it Krayin redirects where a meeting overlaps (contracts: 90o, 90p).
            headers["X-Requested-With"] = "XMLHttpRequest"
        if self._token and not anonymous:
            headers["Authorization"] = f"Bearer {self._token}"
        response = self._http.request(method, path, params=params, json=body, headers=headers, files=files)
        try:
            found: dict[str, Any] = read_answer(response, method, path, generation=self.generation)
        except RateLimited as error:
            if error.code == NOT_LET_IN and self._is_kept_out():
                raise Unauthorized(
                    "Krayin has let no request in for more than a minute, so it does not know this token (any more).",
                    status=error.status,
                    path=path,
                ) from error
            raise
        with self._guard:
            self._kept_out_since = None
        return found

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The rows of a list or search."""
        found = self.call("GET", path, params=params).get("data")
        if not isinstance(found, list):
            raise ServerFault("Krayin's answer has no rows.", path=path)
        return [row for row in found if isinstance(row, dict)]

    def row(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, files: Any = None
    ) -> dict[str, Any]:
        """The one record of an answer."""
        found = self.call(method, path, body=body, files=files).get("data")
        if not isinstance(found, dict) or "id" not in found:
            kind = ServerFault if method in SAFE_METHODS else OutcomeUnknown
            raise kind("Krayin's answer holds no record.", path=path)
        return found

    def _is_kept_out(self) -> bool:
        """Whether no request has been let in for longer than Krayin counts them."""
        now = self._clock()
        with self._guard:
            if self._kept_out_since is None or now - self._kept_out_at > FORGET_S:
                self._kept_out_since = now
            self._kept_out_at = now
            return now - self._kept_out_since > WINDOW_S
