"""What the settings say beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.crms.base import HookView
from crm_sync.crms.krayin import app, pull
from crm_sync.errors import ConfigError

GIVEN = {"api_url": "https://crm.example.com/api/v1", "api_token": "1|t"}


def settings(**more: Any) -> dict[str, Any]:
    given = {key: value for key, value in {**GIVEN, **more}.items() if value is not None}
    return manifest.validated(app.manifest, given)


def test_a_token_is_all_that_is_needed() -> None:
    assert app.validate(settings()) == ()


def test_an_address_and_a_password_stand_for_a_token() -> None:
    assert app.validate(settings(api_token=None, login_email="a@b.example", login_password="p")) == ()


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"api_token": None}, "api_token"),
        ({"login_email": "a@b.example"}, "login_password"),
        ({"login_password": "p"}, "login_email"),
        ({"default_region": "XX"}, "default_region"),
        ({"person_fields": {"a": "emails"}}, "person_fields"),
        ({"lead_fields": {"a": "chatwoot_lead"}}, "lead_fields"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        app.validate(settings(**given))
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"activity_type": "chats"}, "activity_type"),
        ({"stage_by_status": {"closed": "won"}}, "stage_by_status"),
        ({"status_by_stage": {"won": "closed"}}, "status_by_stage"),
        ({"sync_interval_minutes": 1}, "sync_interval_minutes"),
        ({"default_lead_value": -1}, "default_lead_value"),
        ({"person_fields": {"a": "no code!"}}, "person_fields"),
        ({"api_url": "crm.example.com"}, "api_url"),
    ],
)
def test_what_the_schema_knows_is_refused(given: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**given)
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"create_person": False, "create_lead": False}, "nothing is made"),
        ({"create_person": False, "sync_to_organization": True}, "sync_to_organization"),
        ({"create_lead": False, "auto_qualify_on_resolved": True}, "auto_qualify_on_resolved"),
        ({"stage_notes": True}, "stage_notes"),
    ],
)
def test_what_has_no_effect_is_noted(given: dict[str, Any], named: str) -> None:
    assert any(named in note for note in app.validate(settings(**given)))


def test_secrets_are_never_shown() -> None:
    assert app.manifest.secret == {"api_token", "login_password"}
    assert not app.manifest.secret & app.manifest.visible


@pytest.mark.parametrize(("generation", "paced"), [("2.1", True), (None, True), ("2.2", False)])
def test_only_the_generation_that_counts_is_paced(generation: str | None, *, paced: bool) -> None:
    hook = HookView(
        1, "krayin", settings(), {"generation": generation} if generation else {}, "http://chat", 1
    )
    assert (app.pace(hook) is not None) is paced


def test_the_settings_say_how_often_krayin_is_asked() -> None:
    assert pull.interval_s(settings()) is None
    assert pull.interval_s(settings(enable_bidirectional_sync=True, sync_interval_minutes=5)) == 300.0
