"""A client of a sandbox inside the test process, and a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from crm_sync.sandbox.glpi import GlpiSandbox, create_app

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Clock:
    """Time in a test."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)


class Glpi:
    """Calls as one of the stock users; ``as_`` is a name of ``user_tokens``."""

    def __init__(self, flavour: str) -> None:
        self.app = create_app(flavour=flavour)
        self.sandbox: GlpiSandbox = self.app.extensions["sandbox"]
        self.clock = Clock()
        self.sandbox.state.clock = self.clock
        self._client = self.app.test_client()
        self._sessions: dict[str, str] = {}

    def raw(self, method: str, path: str, **kw: Any) -> TestResponse:
        return self._client.open(f"/apirest.php{path}", method=method, **kw)

    def login(self, as_: str = "super") -> str:
        headers = {
            "App-Token": self.sandbox.app_token,
            "Authorization": f"user_token {self.sandbox.user_tokens[as_]}",
        }
        token: str = self.raw("GET", "/initSession", headers=headers).get_json()["session_token"]
        return token

    def headers(self, as_: str = "super") -> dict[str, str]:
        if as_ not in self._sessions:
            self._sessions[as_] = self.login(as_)
        return {"App-Token": self.sandbox.app_token, "Session-Token": self._sessions[as_]}

    def forget_sessions(self) -> None:
        self._sessions.clear()

    def call(self, method: str, path: str, as_: str = "super", **kw: Any) -> TestResponse:
        headers = {**self.headers(as_), **kw.pop("headers", {})}
        return self.raw(method, path, headers=headers, **kw)

    def get(
        self, path: str, as_: str = "super", headers: dict[str, str] | None = None, **query: Any
    ) -> TestResponse:
        return self.call("GET", path, as_, query_string=query, headers=headers or {})

    def post(self, path: str, as_: str = "super", **fields: Any) -> TestResponse:
        return self.call("POST", path, as_, json={"input": fields})

    def put(self, path: str, as_: str = "super", **fields: Any) -> TestResponse:
        return self.call("PUT", path, as_, json={"input": fields})

    def delete(self, path: str, as_: str = "super") -> TestResponse:
        return self.call("DELETE", path, as_)

    def add(self, kind: str, as_: str = "super", /, **fields: Any) -> int:
        """Creates an item that must be taken; its id."""
        answer = self.post(f"/{kind}", as_, **fields)
        assert answer.status_code == 201, answer.text
        number: int = answer.get_json()["id"]
        return number

    def item(self, itemtype: str, number: int, as_: str = "super", **headers: str) -> dict[str, Any]:
        answer = self.get(f"/{itemtype}/{number}", as_, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.get_json()
        return found

    def found(self, itemtype: str, *criteria: tuple[int, str, Any], **query: Any) -> list[Any]:
        """The ids a search finds, in its order."""
        sent: dict[str, Any] = {"sort": 2}
        for position, (field, searchtype, value) in enumerate(criteria):
            sent[f"criteria[{position}][field]"] = field
            sent[f"criteria[{position}][searchtype]"] = searchtype
            sent[f"criteria[{position}][value]"] = value
        query = {**sent, **query}
        answer = self.get(f"/search/{itemtype}", **{**query, "forcedisplay[0]": 2})
        assert answer.status_code in (200, 206), answer.text
        return [row["2"] for row in answer.get_json().get("data", [])]


@pytest.fixture
def make() -> Callable[[str], Glpi]:
    return Glpi


@pytest.fixture
def glpi(make: Callable[[str], Glpi]) -> Glpi:
    return make("10.0.19")


@pytest.fixture
def glpi11(make: Callable[[str], Glpi]) -> Glpi:
    return make("11.0.6")


@pytest.fixture(params=["10.0.19", "11.0.6"])
def either(request: pytest.FixtureRequest, make: Callable[[str], Glpi]) -> Glpi:
    return make(request.param)
