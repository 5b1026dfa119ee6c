"""The client: what each generation's answers mean (contracts/krayin), and what is asked of which endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests_mock as mocking

from crm_sync.crms.http import Call, observed
from crm_sync.crms.krayin.answers import NEW, OLD, Overlap
from crm_sync.crms.krayin.client import LEADS, PERSONS, KrayinClient
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

URL = "http://krayin/api/v1"
JSON = {"Content-Type": "application/json"}
LET_IN = {**JSON, "X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "57"}
CRASH = {"message": "admin::app.common.internal-server-error"}
FAULT = {"message": "An unexpected error occurred on the server. Please try again later."}


class Clock:
    """Seconds, as the test wants them."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mock() -> Iterator[mocking.Mocker]:
    with mocking.Mocker() as found:
        yield found


def client(generation: str | None = OLD, clock: Callable[[], float] | None = None) -> KrayinClient:
    return KrayinClient(URL, "1|token", generation=generation, **({"clock": clock} if clock else {}))


def query(mock: mocking.Mocker) -> dict[str, list[str]]:
    return parse_qs(urlsplit(mock.request_history[-1].url).query, keep_blank_values=True)


@pytest.mark.parametrize(
    ("generation", "method", "status", "body", "headers", "kind"),
    [
        # 05, 09, 110: not let in, whatever the method; nothing was done.
        (OLD, "GET", 500, CRASH, JSON, RateLimited),
        (OLD, "POST", 500, CRASH, JSON, RateLimited),
        (None, "POST", 500, CRASH, JSON, RateLimited),
        # 32, 58: let in, and broken on the way; a write may have been done.
        (OLD, "GET", 500, CRASH, LET_IN, ServerFault),
        (OLD, "POST", 500, CRASH, LET_IN, OutcomeUnknown),
        (OLD, "PUT", 500, CRASH, LET_IN, OutcomeUnknown),
        # 06, 13: with its errors shown.
        (OLD, "GET", 401, {"message": "admin::app.common.unauthenticated"}, JSON, Unauthorized),
        # 2.2 says what it means, and sets no limit.
        (NEW, "GET", 401, {"message": "You are not authenticated."}, JSON, Unauthorized),
        (NEW, "GET", 500, FAULT, JSON, ServerFault),
        (NEW, "POST", 500, FAULT, JSON, OutcomeUnknown),
        (NEW, "GET", 404, {"message": "The requested resource could not be found."}, JSON, NotFound),
        (OLD, "GET", 404, {"message": "admin::app.common.resource-not-found"}, LET_IN, NotFound),
        (NEW, "GET", 429, {"message": "Too Many Attempts."}, {**JSON, "Retry-After": "7"}, RateLimited),
        (OLD, "POST", 422, {"message": "m", "errors": {"emails.0.value": ["t"]}}, LET_IN, Duplicate),
        (OLD, "POST", 422, {"message": "m", "errors": {"person.emails.0.value": ["t"]}}, LET_IN, Duplicate),
        (OLD, "POST", 422, {"message": "m", "errors": {"contact_numbers.0.value": ["t"]}}, LET_IN, Duplicate),
        (OLD, "POST", 422, {"message": "m", "errors": {"chatwoot_lead": ["t"]}}, LET_IN, Duplicate),
        (OLD, "POST", 422, {"message": "m", "errors": {"title": ["r"]}}, LET_IN, Rejected),
        (
            OLD,
            "POST",
            422,
            {"message": "m", "errors": {"emails.0.value": ["t"], "emails.0.label": ["r"]}},
            LET_IN,
            Rejected,
        ),
        (OLD, "POST", 413, {"message": "m"}, LET_IN, Rejected),
    ],
)
def test_an_answer_means_what_must_be_done(
    mock: mocking.Mocker,
    generation: str | None,
    method: str,
    status: int,
    body: Any,
    headers: dict[str, str],
    kind: type[ApiError],
) -> None:
    mock.register_uri(method, f"{URL}/leads", status_code=status, json=body, headers=headers)
    with pytest.raises(ApiError) as caught:
        client(generation).call(method, "/leads")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("method", "status", "kind"),
    [
        ("GET", 200, ServerFault),
        ("POST", 200, OutcomeUnknown),
        ("GET", 302, ServerFault),
        ("POST", 404, ServerFault),
        ("GET", 502, ServerFault),
        ("POST", 502, OutcomeUnknown),
    ],
)
def test_a_page_is_no_answer_of_the_api(
    mock: mocking.Mocker, method: str, status: int, kind: type[ApiError]
) -> None:
    headers = {"Content-Type": "text/html", "Location": "http://krayin/"}
    mock.register_uri(method, f"{URL}/leads", status_code=status, text="<html></html>", headers=headers)
    with pytest.raises(kind):
        client().call(method, "/leads")


@pytest.mark.parametrize("status", [302, 400])
def test_a_meeting_that_overlaps_is_told_apart(mock: mocking.Mocker, status: int) -> None:
    mock.post(f"{URL}/activities", status_code=status, json={"message": "m"}, headers=LET_IN)
    with pytest.raises(Overlap):
        client().create_activity({"type": "meeting"})
    assert mock.last_request.headers["X-Requested-With"] == "XMLHttpRequest"


def test_a_token_is_refused_once_nothing_was_let_in_for_a_minute(mock: mocking.Mocker, clock: Clock) -> None:
    mock.get(f"{URL}/get", status_code=500, json=CRASH, headers=JSON)
    krayin = client(clock=clock)
    for seconds in (0.0, 30.0, 60.0):
        clock.seconds = seconds
        with pytest.raises(RateLimited) as caught:
            krayin.account()
        assert caught.value.retry_after_s == 60
    clock.seconds = 61.0
    with pytest.raises(Unauthorized):
        krayin.account()


def test_two_refusals_hours_apart_say_nothing_of_the_token(mock: mocking.Mocker, clock: Clock) -> None:
    mock.get(f"{URL}/get", status_code=500, json=CRASH, headers=JSON)
    krayin = client(clock=clock)
    for seconds in (0.0, 7200.0, 7230.0):
        clock.seconds = seconds
        with pytest.raises(RateLimited):
            krayin.account()


def test_one_request_let_in_says_that_the_token_is_good(mock: mocking.Mocker, clock: Clock) -> None:
    krayin = client(clock=clock)
    kept_out = {"status_code": 500, "json": CRASH, "headers": JSON}
    mock.get(f"{URL}/get", [kept_out, {"json": {"data": {"id": 1}}, "headers": LET_IN}, kept_out, kept_out])
    with pytest.raises(RateLimited):
        krayin.account()
    clock.seconds = 50.0
    krayin.account()
    clock.seconds = 100.0
    with pytest.raises(RateLimited):
        krayin.account()
    clock.seconds = 130.0
    with pytest.raises(RateLimited):
        krayin.account()


def test_every_call_asks_for_json_with_the_whole_token_and_follows_no_redirect(mock: mocking.Mocker) -> None:
    mock.get(f"{URL}/get", json={"data": {"id": 1}}, headers=LET_IN)
    client().account()
    sent = mock.last_request
    assert (sent.headers["Accept"], sent.headers["Authorization"]) == ("application/json", "Bearer 1|token")


def test_a_login_sends_no_token_and_returns_one(mock: mocking.Mocker) -> None:
    mock.post(f"{URL}/login", json={"data": {"id": 1}, "token": "2|new"}, headers=LET_IN)
    assert client().login("a@example.com", "secret") == "2|new"
    assert "Authorization" not in mock.last_request.headers
    assert mock.last_request.json() == {
        "email": "a@example.com",
        "password": "secret",
        "device_name": "crm_sync",
    }


def test_what_krayin_says_is_left_is_reported(mock: mocking.Mocker) -> None:
    class Observer:
        calls: list[Call] = []  # noqa: RUF012 - one test

        def before_call(self, _system: str, _method: str) -> None:
            return

        def after_call(self, call: Call) -> None:
            self.calls.append(call)

    mock.get(f"{URL}/get", json={"data": {"id": 1}}, headers=LET_IN)
    mock.get(f"{URL}/leads/1", json={"data": {"id": 1}}, headers=JSON)
    with observed(Observer()):
        client().account()
        client().lead("1")
    assert [call.remaining for call in Observer.calls] == [57, None]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ('"ana+b@example.com"', "search=emails%3A%22ana%2Bb%40example.com%22"),
        ('"o\'hara@example.com"', "search=emails%3A%22o%27hara%40example.com%22"),
    ],
)
def test_plus_and_quotes_of_a_search_are_encoded(mock: mocking.Mocker, value: str, sent: str) -> None:
    mock.get(f"{URL}/contacts/persons/search", json={"data": []}, headers=LET_IN)
    client().search_persons({"emails": value})
    assert sent in mock.last_request.url


def test_a_search_for_nothing_asks_nobody(mock: mocking.Mocker) -> None:
    assert client().search_persons({}) == []
    assert mock.call_count == 0


def test_an_address_or_a_number_is_one_search(mock: mocking.Mocker) -> None:
    mock.get(f"{URL}/contacts/persons/search", json={"data": []}, headers=LET_IN)
    client().search_persons({"emails": '"a@b.example"', "contact_numbers": "1%2"})
    assert query(mock) == {
        "search": ['emails:"a@b.example";contact_numbers:1%2'],
        "searchFields": ["emails:like;contact_numbers:like"],
        "limit": ["50"],
    }


def test_a_person_is_asked_for_by_a_filter_and_believed_only_if_it_is_the_one(mock: mocking.Mocker) -> None:
    mock.get(f"{URL}/contacts/persons", json={"data": [{"id": 3}, {"id": 4}]}, headers=LET_IN)
    assert client().person("4") == {"id": 4}
    with pytest.raises(NotFound):
        client().person("5")
    assert query(mock) == {"id": ["5"]}


def test_marked_records_carry_the_marker_where_krayin_shows_it(mock: mocking.Mocker) -> None:
    rows = [{"id": 1, "chatwoot_lead": "cw-1"}, {"id": 2, "chatwoot_lead": "other"}]
    mock.get(f"{URL}/leads/search", json={"data": rows}, headers=LET_IN)
    assert client(NEW).marked(LEADS, "chatwoot_lead", "cw-1") == [rows[0]]
    assert query(mock)["searchFields"] == ["attribute_values.text_value:="]


def test_a_marker_that_too_many_carry_was_not_searched_for(mock: mocking.Mocker) -> None:
    rows = [{"id": number} for number in range(10)]
    mock.get(f"{URL}/contacts/persons/search", json={"data": rows}, headers=LET_IN)
    with pytest.raises(ServerFault):
        client().marked(PERSONS, "chatwoot_person", "cw-1")


def test_leads_of_a_person_are_that_persons(mock: mocking.Mocker) -> None:
    rows = [{"id": 2, "person": {"id": 7}}, {"id": 1, "person": {"id": 8}}, {"id": 3, "person": None}]
    mock.get(f"{URL}/leads", json={"data": rows}, headers=LET_IN)
    assert [row["id"] for row in client().leads_of("7")] == [2]


@pytest.mark.parametrize(
    ("name", "asked"), [("Globex SA", {"name": ["Globex SA"]}), ("Foo, Inc", {"pagination": ["0"]})]
)
def test_an_organization_is_found_by_its_whole_name_comma_or_not(
    mock: mocking.Mocker, name: str, asked: dict[str, list[str]]
) -> None:
    rows = [{"id": 1, "name": name.upper()}, {"id": 2, "name": "Foo"}, {"id": 3, "name": None}]
    mock.get(f"{URL}/contacts/organizations", json={"data": rows}, headers=LET_IN)
    assert [row["id"] for row in client().organizations_named(name)] == [1]
    assert query(mock) == asked


def test_a_lead_is_edited_with_its_close_date_said_again_and_nothing_else(mock: mocking.Mocker) -> None:
    mock.put(f"{URL}/leads/attributes/edit/3", json={"data": {"id": 3}}, headers=LET_IN)
    row = {"id": 3, "expected_close_date": "2027-01-14T18:30:00.000000Z", "title": "t"}
    client().edit_lead(row, {"lead_pipeline_stage_id": 2})
    assert mock.last_request.json() == {"lead_pipeline_stage_id": 2, "expected_close_date": "2027-01-15"}


def test_an_activity_found_by_its_title_has_it(mock: mocking.Mocker) -> None:
    rows = [{"id": 1, "title": "Other", "type": "note"}, {"id": 2, "title": "T", "type": "note"}]
    mock.get(f"{URL}/activities", json={"data": rows}, headers=LET_IN)
    assert [row["id"] for row in client().activities("T", "note")] == [2]


def test_an_answer_without_a_record_is_no_success(mock: mocking.Mocker) -> None:
    mock.post(f"{URL}/leads", json={"message": "ok"}, headers=LET_IN)
    with pytest.raises(OutcomeUnknown):
        client().create_lead({"title": "t"})


def test_people_are_not_quoted_in_errors(mock: mocking.Mocker) -> None:
    mock.post(f"{URL}/leads", status_code=500, json={"message": "Duplicate ana@example.com"}, headers=LET_IN)
    with pytest.raises(OutcomeUnknown) as caught:
        client().create_lead({"title": "t"})
    assert "ana@" not in caught.value.body + str(caught.value)
