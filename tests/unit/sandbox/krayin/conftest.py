"""A client of a Krayin sandbox inside the test process, and a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from crm_sync.sandbox.krayin import FLAVOURS, KrayinSandbox, create_app

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
OLD, NEW = FLAVOURS


class Clock:
    """Time in a test."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)


class Krayin:
    """Calls as the administrator, in JSON."""

    def __init__(self, flavour: str, rate_limit: int = 0) -> None:
        self.app = create_app(flavour=flavour, rate_limit=rate_limit)
        self.sandbox: KrayinSandbox = self.app.extensions["sandbox"]
        self.clock = Clock()
        self.sandbox.state.clock = self.clock
        self.token = self.sandbox.token
        self.client = self.app.test_client()

    def call(self, method: str, path: str, **kw: Any) -> TestResponse:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self.token}"}
        return self.client.open(
            f"/api/v1/{path}", method=method, headers={**headers, **kw.pop("headers", {})}, **kw
        )

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.call("GET", path, query_string=query)

    def post(self, path: str, **fields: Any) -> TestResponse:
        return self.call("POST", path, json=fields)

    def put(self, path: str, **fields: Any) -> TestResponse:
        return self.call("PUT", path, json=fields)

    def delete(self, path: str) -> TestResponse:
        return self.call("DELETE", path)

    def data(self, answer: TestResponse) -> Any:
        """What a successful answer holds."""
        assert answer.status_code == 200, answer.text
        return answer.get_json()["data"]

    def person(self, email: str = "ana@example.com", phone: str = "+5511", **fields: Any) -> int:
        """Creates a person that must be taken; its id."""
        sent = {
            "name": "Ana",
            "emails": [{"value": email, "label": "work"}],
            "contact_numbers": [{"value": phone, "label": "work"}],
        }
        number: int = self.data(self.post("contacts/persons", **{**sent, **fields}))["id"]
        return number

    def lead(self, **fields: Any) -> int:
        """Creates a lead that must be taken; its id."""
        sent = {"title": "Chat", "lead_value": 5, "lead_pipeline_stage_id": 1}
        number: int = self.data(self.post("leads", **{**sent, **fields}))["id"]
        return number


Make = Callable[..., Krayin]


@pytest.fixture
def make() -> Make:
    return Krayin


@pytest.fixture
def old(make: Make) -> Krayin:
    return make(OLD)


@pytest.fixture
def new(make: Make) -> Krayin:
    return make(NEW)


@pytest.fixture(params=FLAVOURS)
def either(request: pytest.FixtureRequest, make: Make) -> Krayin:
    return make(request.param)
