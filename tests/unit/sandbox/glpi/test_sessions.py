"""Logging in, staying in and being thrown out."""

from __future__ import annotations

import base64
from typing import Any

import pytest


def _code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()[0]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (400, "ERROR_APP_TOKEN_PARAMETERS_MISSING")),
        ({"App-Token": "wrong"}, (400, "ERROR_WRONG_APP_TOKEN_PARAMETER")),
        ({"App-Token": "good"}, (400, "ERROR_LOGIN_PARAMETERS_MISSING")),
        ({"App-Token": "good", "Authorization": "user_token nobody"}, (401, "ERROR_GLPI_LOGIN_USER_TOKEN")),
        ({"App-Token": "good", "Authorization": "user_token"}, (400, "ERROR_LOGIN_PARAMETERS_MISSING")),
        ({"App-Token": "good", "Authorization": "Bearer x"}, (400, "ERROR_LOGIN_PARAMETERS_MISSING")),
        ({"App-Token": "good", "Authorization": "Basic !!!"}, (400, "ERROR_LOGIN_PARAMETERS_MISSING")),
        ({"App-Token": "good", "Authorization": "Basic Z2xwaTpub3Bl"}, (401, "ERROR_GLPI_LOGIN")),
    ],
)
def test_login_is_refused_when_credentials_are_not_good(glpi: Any, headers: Any, expected: Any) -> None:
    headers = {name: glpi.sandbox.app_token if value == "good" else value for name, value in headers.items()}

    assert _code(glpi.raw("GET", "/initSession", headers=headers)) == expected


def test_two_spaces_hide_the_user_token(glpi: Any) -> None:
    headers = {
        "App-Token": glpi.sandbox.app_token,
        "Authorization": f"user_token  {glpi.sandbox.user_tokens['super']}",
    }

    assert _code(glpi.raw("GET", "/initSession", headers=headers)) == (400, "ERROR_LOGIN_PARAMETERS_MISSING")


def test_password_opens_a_session_until_it_is_switched_off(glpi: Any) -> None:
    secret = base64.b64encode(b"glpi:glpi").decode()
    headers = {"App-Token": glpi.sandbox.app_token, "Authorization": f"Basic {secret}"}
    assert glpi.raw("GET", "/initSession", headers=headers).status_code == 200

    glpi.sandbox.state.settings["password_login"] = False

    answer = glpi.raw("GET", "/initSession", headers=headers)
    assert _code(answer) == (400, "ERROR_LOGIN_WITH_CREDENTIALS_DISABLED")


def test_a_killed_session_is_invalid_and_others_live_on(glpi: Any) -> None:
    first, second = glpi.login(), glpi.login()
    tokens = [{"App-Token": glpi.sandbox.app_token, "Session-Token": token} for token in (first, second)]

    assert glpi.raw("GET", "/killSession", headers=tokens[0]).get_json() is True

    assert _code(glpi.raw("GET", "/killSession", headers=tokens[0])) == (401, "ERROR_SESSION_TOKEN_INVALID")
    assert glpi.raw("GET", "/getMyEntities", headers=tokens[1]).status_code == 200


def test_calls_without_session_or_with_a_foreign_one_are_told_apart(glpi: Any) -> None:
    app_token = {"App-Token": glpi.sandbox.app_token}

    assert _code(glpi.raw("GET", "/getMyEntities", headers=app_token)) == (400, "ERROR_SESSION_TOKEN_MISSING")
    garbage = {**app_token, "Session-Token": "this is !! none"}
    assert _code(glpi.raw("GET", "/getMyEntities", headers=garbage)) == (401, "ERROR_SESSION_TOKEN_INVALID")
    alone = {"Session-Token": glpi.login()}
    assert _code(glpi.raw("GET", "/getMyEntities", headers=alone)) == (
        400,
        "ERROR_APP_TOKEN_PARAMETERS_MISSING",
    )


def test_the_clean_up_job_ends_all_sessions(glpi: Any) -> None:
    glpi.headers()

    assert glpi.app.test_client().post("/_sandbox/sessions/expire").get_json() == {"expired": 1}

    assert _code(glpi.get("/getMyEntities")) == (401, "ERROR_SESSION_TOKEN_INVALID")


def test_a_deactivated_user_keeps_its_session_but_gets_no_new_one(glpi: Any) -> None:
    glpi.headers("tech")
    glpi.put("/User/4", is_active=0)

    assert glpi.get("/getActiveProfile", "tech").status_code == 200
    headers = {"App-Token": glpi.sandbox.app_token, "user_token": "x"}
    headers["Authorization"] = f"user_token {glpi.sandbox.user_tokens['tech']}"
    assert _code(glpi.raw("GET", "/initSession", headers=headers)) == (401, "ERROR_GLPI_LOGIN_USER_TOKEN")


def test_a_reset_token_opens_nothing_any_more(glpi: Any) -> None:
    glpi.put("/User/4", _reset_api_token=1)

    headers = {
        "App-Token": glpi.sandbox.app_token,
        "Authorization": f"user_token {glpi.sandbox.user_tokens['tech']}",
    }
    assert glpi.raw("GET", "/initSession", headers=headers).status_code == 401


def test_a_user_without_profile_cannot_connect(glpi: Any) -> None:
    glpi.delete("/Profile_User/4")

    headers = {
        "App-Token": glpi.sandbox.app_token,
        "Authorization": f"user_token {glpi.sandbox.user_tokens['tech']}",
    }
    assert glpi.raw("GET", "/initSession", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("name", "user", "profile"), [("super", 2, 4), ("tech", 4, 6), ("self", 3, 1), ("obs", 5, 2)]
)
def test_tokens_belong_to_the_stock_users(either: Any, name: str, user: int, profile: int) -> None:
    session = either.get("/getFullSession", name).get_json()["session"]

    assert session["glpiID"] == user
    assert either.get("/getActiveProfile", name).get_json()["active_profile"]["id"] == profile
    assert either.get("/getMyProfiles", name).get_json()["myprofiles"][0]["id"] == profile


def test_config_tells_the_version(either: Any) -> None:
    config = either.get("/getGlpiConfig", "self").get_json()["cfg_glpi"]

    assert config["version"] == either.sandbox.state.flavour.version
    assert config["priority_matrix"]["5"]["3"] == 4


def test_narrowing_moves_searches_reads_and_new_tickets(glpi: Any) -> None:
    root = glpi.add("Ticket", name="in root", content="x")
    below = glpi.add("Entity", name="Customer", entities_id=0)

    assert glpi.call("POST", "/changeActiveEntities", json={"entities_id": below}).get_json() is True

    assert _code(glpi.get(f"/Ticket/{root}")) == (403, "ERROR_RIGHT_MISSING")
    assert glpi.put(f"/Ticket/{root}", name="x").status_code == 400
    mine = glpi.add("Ticket", name="here", content="x")
    assert glpi.item("Ticket", mine)["entities_id"] == below
    assert glpi.found("Ticket") == [mine]
    active = glpi.get("/getActiveEntities").get_json()["active_entity"]
    assert active == {"id": below, "active_entity_recursive": False, "active_entities": [{"id": below}]}
    assert glpi.call("POST", "/changeActiveEntities", json={}).get_json() is True
    assert glpi.found("Ticket") == [root, mine]


def test_an_entity_out_of_reach_cannot_become_active(glpi: Any) -> None:
    assert glpi.call("POST", "/changeActiveEntities", json={"entities_id": 77}).status_code == 404


def test_profiles_change_only_to_ones_the_user_has(glpi: Any) -> None:
    glpi.add("Profile_User", users_id=2, profiles_id=1, entities_id=0, is_recursive=1)

    assert glpi.call("POST", "/changeActiveProfile", json={}).status_code == 400
    assert glpi.call("POST", "/changeActiveProfile", json={"profiles_id": 6}).status_code == 404
    assert glpi.call("POST", "/changeActiveProfile", json={"profiles_id": 1}).get_json() is True
    assert glpi.get("/User").status_code == 403


def test_the_accounts_zone_moves_its_dates_on_10(glpi: Any) -> None:
    ticket = glpi.add("Ticket", name="x", content="x")
    assert glpi.item("Ticket", ticket)["date"] == "2026-11-22 09:00:00"
    glpi.put("/User/2", timezone="UTC")
    glpi.forget_sessions()

    answer = glpi.get(f"/Ticket/{ticket}")

    assert answer.get_json()["date"] == "2026-11-22 12:00:00"
    assert answer.headers["Last-Modified"] == "Sun, 22 Nov 2026 12:00:00 GMT"
    session = glpi.get("/getFullSession").get_json()["session"]
    assert (session["glpi_tz"], session["glpi_currenttime"]) == ("UTC", "2026-11-22 12:00:00")
    written = glpi.add("Ticket", name="x", content="x", date="2026-11-22 12:00:00")
    assert glpi.sandbox.state["Ticket"].rows[written]["date"] == "2026-11-22 09:00:00"
    assert glpi.found("Ticket", (19, "morethan", "2026-11-22 11:59:59")) == [ticket, written]
    assert (
        glpi.get("/search/Ticket", **{"forcedisplay[0]": 19}).get_json()["data"][0]["19"]
        == "2026-11-22 12:00:00"
    )


@pytest.mark.parametrize(
    ("setting", "code"), [("api_enabled", "ERROR"), ("address_allowed", "ERROR_NOT_ALLOWED_IP")]
)
def test_settings_close_the_api(glpi: Any, setting: str, code: str) -> None:
    control = glpi.app.test_client()
    control.post("/_sandbox/settings", json={setting: False, "nosuch": True})

    assert _code(glpi.raw("GET", "/getMyEntities")) == (400, code)


def test_maintenance_answers_200_and_html(glpi: Any) -> None:
    glpi.app.test_client().post("/_sandbox/settings", json={"maintenance": True})

    answer = glpi.raw("GET", "/initSession")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "MAINTENANCE" in answer.text


def test_preflight_and_documentation_need_no_session(glpi: Any) -> None:
    assert glpi.raw("OPTIONS", "/Ticket").status_code == 200
    assert glpi.raw("GET", "/").mimetype == "text/html"
