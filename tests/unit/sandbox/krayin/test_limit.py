"""The limit of calls a minute on 2.1, and that there is none on 2.2."""

from __future__ import annotations

from tests.unit.sandbox.krayin.conftest import NEW, OLD, Make


def test_the_61st_call_of_a_minute_is_a_500_without_saying_why(make: Make) -> None:
    krayin = make(OLD, rate_limit=60)

    left = [int(krayin.get("get").headers["X-RateLimit-Remaining"]) for _ in range(60)]
    refused = krayin.get("get")

    assert left == list(range(59, -1, -1))
    assert refused.status_code == 500
    assert refused.get_json() == {"message": "admin::app.common.internal-server-error"}
    assert not {"X-RateLimit-Limit", "X-RateLimit-Remaining", "Retry-After"} & set(refused.headers.keys())


def test_a_new_window_opens_a_minute_after_the_first_call_when_calls_go_on(make: Make) -> None:
    krayin = make(OLD, rate_limit=2)
    statuses = []
    for seconds in (0, 30, 29, 1):
        krayin.clock.advance(seconds)
        statuses.append(krayin.get("get").status_code)

    assert statuses == [200, 200, 500, 200]


def test_calls_that_are_refused_for_their_body_count_and_unknown_tokens_do_not(make: Make) -> None:
    krayin = make(OLD, rate_limit=60)
    assert krayin.post("settings/sources").headers["X-RateLimit-Remaining"] == "59"

    assert krayin.call("GET", "get", headers={"Authorization": "Bearer 1|no"}).status_code == 500

    assert krayin.get("get").headers["X-RateLimit-Remaining"] == "58"


def test_logins_have_a_limit_of_their_own_by_address(make: Make) -> None:
    krayin = make(OLD, rate_limit=1)
    assert krayin.get("get").status_code == 200
    assert krayin.get("get").status_code == 500

    assert krayin.post("login", email="a@b.c", password="x", device_name="d").status_code == 422


def test_the_limit_can_be_changed_and_reset_while_it_runs(make: Make) -> None:
    krayin = make(OLD, rate_limit=1)
    krayin.get("get")
    assert krayin.get("get").status_code == 500

    krayin.client.post("/_sandbox/limit/reset")
    assert krayin.get("get").status_code == 200

    krayin.client.post("/_sandbox/settings", json={"rate_limit": 0})
    assert krayin.get("get").headers["X-RateLimit-Remaining"] == "59"


def test_the_minute_can_be_made_shorter(make: Make) -> None:
    krayin = make(OLD, rate_limit=1)
    krayin.client.post("/_sandbox/settings", json={"rate_window_s": 2})
    statuses = []
    for _ in range(4):
        statuses.append(krayin.get("get").status_code)
        krayin.clock.advance(1)

    assert statuses == [200, 500, 200, 500]


def test_the_newer_generation_knows_no_limit_when_one_is_set(make: Make) -> None:
    krayin = make(NEW, rate_limit=1)

    answers = [krayin.get("get") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "X-RateLimit-Remaining" not in answers[0].headers
