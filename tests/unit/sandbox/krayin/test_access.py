"""Tokens, and how the generations say that one is wrong."""

from __future__ import annotations

from tests.unit.sandbox.krayin.conftest import Krayin


def _login(krayin: Krayin) -> str:
    sent = {"email": krayin.sandbox.email, "password": krayin.sandbox.password, "device_name": "d"}
    token: str = krayin.post("login", **sent).get_json()["token"]
    return token


def test_a_login_takes_away_every_earlier_token(either: Krayin) -> None:
    first, second = _login(either), _login(either)

    either.token = first
    assert either.get("get").status_code != 200
    either.token = second
    assert either.get("get").status_code == 200


def test_a_wrong_token_is_a_500_on_the_older_generation_and_401_on_the_newer(
    old: Krayin, new: Krayin
) -> None:
    old.token = new.token = "1|wrong"

    assert old.get("leads").status_code == 500
    assert new.get("leads").status_code == 401
    assert new.get("leads").get_json()["message"].startswith("You are not authenticated")


def test_a_wrong_token_is_a_page_with_status_200_when_no_json_is_asked_for(old: Krayin) -> None:
    answer = old.client.get("/api/v1/leads")

    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert "500 Internal Server Error" in answer.text


def test_broken_rules_are_a_redirect_when_no_json_is_asked_for(old: Krayin) -> None:
    answer = old.client.post("/api/v1/login", json={})

    assert answer.status_code == 302
    assert answer.headers["Location"] == "http://localhost"


def test_a_logout_takes_away_every_token(either: Krayin) -> None:
    assert either.delete("logout").status_code == 200

    assert either.get("get").status_code != 200


def test_somebody_who_may_not_see_everything_can_list_but_not_search(either: Krayin) -> None:
    either.post(
        "settings/users",
        name="Bot",
        email="bot@example.com",
        password="x",
        confirm_password="x",
        role_id=1,
        view_permission="individual",
        status=0,
    )
    login = either.post("login", email="bot@example.com", password="x", device_name="d")
    either.token = login.get_json()["token"]

    assert either.get("leads").status_code == 200
    assert either.get("leads/search", search="x", searchFields="title:like").status_code == 500
    assert either.get("contacts/persons/search", search="x", searchFields="name:like").status_code == 500


def test_paths_and_methods_that_do_not_exist_are_told_apart(either: Krayin) -> None:
    assert either.get("persons").status_code == 404
    assert either.get("pipelines").status_code == 404
    assert either.call("PATCH", "leads/1").status_code == 500
    assert either.get("contacts/organizations/search", search="x").status_code == 500
