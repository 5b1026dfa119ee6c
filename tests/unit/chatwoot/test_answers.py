"""Each answer of Chatwoot becomes the error that says what to do."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock

from crm_sync.chatwoot.answers import content, odd
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


def answer(method: str = "GET", **response: Any) -> requests.Response:
    with requests_mock.Mocker() as mock:
        mock.register_uri(method, "https://chat.example.com/x", **response)
        return requests.request(method, "https://chat.example.com/x", timeout=1, allow_redirects=False)


@pytest.mark.parametrize(
    ("method", "response", "kind"),
    [
        ("GET", {"status_code": 401, "json": {"error": "Invalid Access Token"}}, Unauthorized),
        ("GET", {"status_code": 401, "text": "<html>"}, ServerFault),
        ("GET", {"status_code": 403, "text": "<html>Blocked</html>"}, ServerFault),
        ("GET", {"status_code": 403, "json": {"error": "API access is not enabled"}}, Unauthorized),
        ("GET", {"status_code": 404, "json": {"error": "Resource could not be found"}}, NotFound),
        ("GET", {"status_code": 404, "text": "<html>no such page</html>"}, ServerFault),
        ("PUT", {"status_code": 404, "json": []}, ServerFault),
        ("GET", {"status_code": 302, "headers": {"Location": "/login"}}, ServerFault),
        ("POST", {"status_code": 422, "json": {"message": "Bad", "attributes": ["email"]}}, Rejected),
        ("POST", {"status_code": 422, "json": {"error": ["One", "Two"]}}, Rejected),
        ("POST", {"status_code": 422, "json": {"message": "Url has already been taken"}}, Duplicate),
        (
            "POST",
            {"status_code": 422, "json": {"error": "Validation failed: Too many messages"}},
            RateLimited,
        ),
        ("POST", {"status_code": 413, "text": "too large"}, Rejected),
        ("GET", {"status_code": 429, "text": "Retry later\n"}, RateLimited),
        ("GET", {"status_code": 500, "text": "oops"}, ServerFault),
        ("GET", {"status_code": 408}, ServerFault),
        ("POST", {"status_code": 502, "text": "Bad Gateway"}, OutcomeUnknown),
        ("GET", {"status_code": 200, "text": "<html>"}, ServerFault),
        ("DELETE", {"status_code": 200, "text": "<html>"}, OutcomeUnknown),
        ("GET", {"status_code": 200, "text": ""}, ServerFault),
    ],
)
def test_an_answer_that_is_no_success(method: str, response: dict[str, Any], kind: type[ApiError]) -> None:
    with pytest.raises(ApiError) as caught:
        content(answer(method, **response), path="/x", token="t0ken")
    assert type(caught.value) is kind
    assert caught.value.path == "/x"
    assert caught.value.status == response["status_code"]


def test_the_words_and_the_field_of_a_refusal_are_kept() -> None:
    response = answer(
        "POST", status_code=422, json={"message": "Phone is odd", "attributes": ["phone_number"]}
    )
    with pytest.raises(Rejected, match="Phone is odd") as caught:
        content(response, path="/x")
    assert caught.value.field == "phone_number"


def test_a_waiting_time_is_taken_over_where_there_is_one() -> None:
    for header, seconds in (("30", 30.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)):
        response = answer(status_code=429, headers={"Retry-After": header})
        with pytest.raises(RateLimited) as caught:
            content(response, path="/x")
        assert caught.value.retry_after_s == seconds


def test_no_error_repeats_the_token() -> None:
    response = answer(status_code=422, json={"error": "who is t0ken?"}, headers={"X-Request-Id": "r-1"})
    with pytest.raises(Rejected) as caught:
        content(response, path="/x", token="t0ken")
    assert "t0ken" not in f"{caught.value} {caught.value.body}"
    assert caught.value.request_id == "r-1"


def test_an_empty_success_is_allowed_where_it_is_known() -> None:
    assert content(answer("POST", status_code=200, text=""), path="/x", empty=True) is None
    assert content(answer("POST", status_code=200, json=[1]), path="/x", empty=True) == [1]


@pytest.mark.parametrize(("method", "kind"), [("GET", ServerFault), ("POST", OutcomeUnknown)])
def test_json_of_an_unknown_shape_keeps_its_body_to_itself(method: str, kind: type[ApiError]) -> None:
    error = odd(answer(method, status_code=200, json={"secret": "s"}), path="/x")
    assert type(error) is kind
    assert not error.body
