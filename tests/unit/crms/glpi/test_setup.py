"""Connecting to a GLPI: everything wrong is said in a sentence that names the setting to mend."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.crms.base import HookView
from crm_sync.crms.glpi import app
from crm_sync.crms.glpi.setup import RIGHTS, check, connect, missing_rights, setup
from crm_sync.errors import ConfigError
from tests.unit.crms.glpi.world import Glpi, answering, page


def hook(glpi: Glpi, **settings: Any) -> HookView:
    """A hook with these settings, the rest as it should be."""
    given = {
        "api_url": f"{glpi.url}/apirest.php",
        "app_token": glpi.sandbox.app_token,
        "user_token": glpi.sandbox.user_tokens["super"],
        **settings,
    }
    return HookView(1, "glpi", manifest.validated(app.manifest, given), {}, "http://chat.example.com", 3)


def trouble(view: HookView) -> ConfigError:
    """What the check says is wrong."""
    with pytest.raises(ConfigError) as caught:
        check(connect(view), view)
    return caught.value


def test_a_check_finds_the_facts_and_changes_nothing(glpi: Glpi) -> None:
    before = glpi.sandbox.state.dump()
    view = hook(glpi)
    found = check(connect(view), view)

    assert found.facts == {
        "version": glpi.sandbox.state.flavour.version,
        "profile": "Super-Admin",
        "entity_id": 0,
        "user_id": 2,
        "default_profile_id": 1,
    }
    assert found.notes == ()
    after = glpi.sandbox.state.dump()
    assert {name: len(rows) for name, rows in after.items()} == {n: len(rows) for n, rows in before.items()}


def test_a_setup_makes_the_request_source_once(glpi: Glpi) -> None:
    view = hook(glpi)
    first, second = setup(connect(view), view), setup(connect(view), view)

    [source] = [row for row in glpi.sandbox.state.dump()["RequestType"] if row["name"] == "Chat"]
    assert first.settings == second.settings == {"request_source_id": source["id"]}


def test_a_request_source_of_the_settings_is_kept(glpi: Glpi) -> None:
    view = hook(glpi, request_source_id=2)
    assert setup(connect(view), view).settings == {}


def test_an_account_that_may_not_make_a_request_source_is_told_so(glpi: Glpi) -> None:
    view = hook(glpi, user_token=glpi.sandbox.user_tokens["tech"])
    found = setup(connect(view), view)

    assert found.settings == {}
    assert found.notes[-1].startswith(
        "New tickets carry no request source, since 'Chat' could not be made: GLPI refused"
    )


@pytest.mark.parametrize(
    ("settings", "setting", "words"),
    [
        ({"user_token": "wrong"}, "user_token", "user_token: GLPI does not know this API token"),
        ({"app_token": "wrong"}, "app_token", "app_token: GLPI does not know this application token."),
        ({"entity_id": 4711}, "entity_id", "entity_id: GLPI has no entity 4711 that this account may use."),
        ({"category_id": 4711}, "category_id", "category_id: GLPI has no ITIL category 4711."),
        (
            {"request_source_id": 4711},
            "request_source_id",
            "request_source_id: GLPI has no request source 4711.",
        ),
        ({"default_user_id": 4711}, "default_user_id", "default_user_id: GLPI has no user 4711."),
        (
            {"api_url": "http://127.0.0.1:1/apirest.php"},
            "api_url",
            "api_url: GLPI cannot be reached. Check that",
        ),
    ],
)
def test_what_is_wrong_is_named(glpi: Glpi, settings: dict[str, Any], setting: str, words: str) -> None:
    error = trouble(hook(glpi, **settings))
    assert error.setting == setting
    assert str(error).startswith(words)


def test_an_api_that_is_switched_off_is_named(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["api_enabled"] = False
    error = trouble(hook(glpi))
    assert (error.setting, "switched off (Setup > General > API)" in str(error)) == ("api_url", True)


def test_an_address_that_may_not_call_is_named(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["address_allowed"] = False
    assert "No API client of GLPI allows the address of this machine." in str(trouble(hook(glpi)))


def test_a_page_instead_of_the_api_is_named(glpi: Glpi) -> None:
    glpi.strike(page(404))
    assert "answers 404 with something that is not the API" in str(trouble(hook(glpi)))


def test_an_api_that_lets_us_in_and_then_answers_nonsense_is_named(glpi: Glpi) -> None:
    view = hook(glpi)
    client = connect(view)
    client.init_session()
    glpi.strike(answering(200, {"session_token": "t"}))
    with pytest.raises(ConfigError, match="lets us in but does not answer as it should"):
        check(client, view)


def test_a_session_that_is_over_again_and_again_is_named(glpi: Glpi) -> None:
    over = answering(401, ["ERROR_SESSION_TOKEN_INVALID", "session_token semble incorrect"])

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        logs_in = environ["PATH_INFO"].endswith("/initSession")
        return app(environ, start_response) if logs_in else over(app, environ, start_response)

    view = hook(glpi)
    glpi.strike(fault)
    assert trouble(view).code == "session_expired"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"user_token": "wrong"}, "invalid_credentials"),
        ({"app_token": "wrong"}, "invalid_credentials"),
        ({"entity_id": 4711}, "entity_not_found"),
        ({"category_id": 4711}, "record_not_found"),
        ({"api_url": "http://127.0.0.1:1/apirest.php"}, "connection_failed"),
    ],
)
def test_what_is_wrong_has_a_code(glpi: Glpi, settings: dict[str, Any], code: str) -> None:
    assert trouble(hook(glpi, **settings)).code == code


def test_a_server_that_lets_nobody_in_from_here_is_no_matter_of_credentials(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["address_allowed"] = False
    assert trouble(hook(glpi)).code == "connection_failed"


def test_every_right_that_is_missing_is_named(glpi: Glpi) -> None:
    error = trouble(hook(glpi, user_token=glpi.sandbox.user_tokens["self"]))

    assert error.setting == "user_token"
    assert "the profile Self-Service of this account lacks rights: User: Read, User: Create" in str(error)
    assert missing_rights({}) == [words for _, _, words in RIGHTS]


def test_a_technician_may_do_all_the_work(glpi: Glpi) -> None:
    view = hook(glpi, user_token=glpi.sandbox.user_tokens["tech"])
    assert check(connect(view), view).facts["profile"] == "Technician"


@pytest.mark.parametrize("entity", [0, 1])
def test_an_entity_of_the_settings_is_taken_even_the_first(glpi: Glpi, entity: int) -> None:
    if entity:
        entity = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    view = hook(glpi, entity_id=entity)
    assert check(connect(view), view).facts["entity_id"] == entity
