"""Connecting a Krayin: what is found out, what is made, and what is refused with a sentence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from crm_sync.config import Config
from crm_sync.engine import hooks, renewal
from crm_sync.errors import ConfigError
from crm_sync.store.models import Hook, HookState
from tests.integration.krayin.desk import Desk, once, opened


def picture(desk: Desk) -> dict[str, Any]:
    with desk.krayin.state.lock:
        return {"rows": desk.krayin.state.dump(), "tokens": dict(desk.krayin.state.tokens)}


def test_the_setup_finds_pipeline_stage_source_and_type_and_the_generation(desk: Desk, flavour: str) -> None:
    hook = desk.hook()
    source = desk.row("lead_sources", name="Chatwoot")["id"]
    names = ("default_pipeline_id", "default_stage_id", "lead_source_id", "lead_type_id")
    assert [hook.settings[name] for name in names] == [1, 1, source, 1]
    assert hook.facts["generation"] == flavour[:3]
    assert [stage["code"] for stage in hook.facts["pipelines"][0]["stages"]][:3] == [
        "new",
        "follow-up",
        "prospect",
    ]


def test_the_setup_makes_unique_attributes_for_the_markers_once(desk: Desk) -> None:
    desk.set(default_lead_value="1")
    for code, entity in (("chatwoot_person", "persons"), ("chatwoot_lead", "leads")):
        attribute = desk.row("attributes", code=code)
        assert (attribute["entity_type"], bool(attribute["is_unique"])) == (entity, True)


def test_the_setup_defines_both_lists_of_attributes_in_chatwoot(desk: Desk) -> None:
    defined = {str(row["attribute_key"]) for row in desk.chatwoot.state.definitions}
    assert {
        "krayin_person_id",
        "krayin_lead_id",
        "krayin_organization_id",
        "krayin_lead_value",
        "krayin_lead_stage",
        "krayin_lead_source",
        "krayin_person_type",
        "krayin_job_title",
        "krayin_activity_id",
        "krayin_activity_url",
        "krayin_activity_type",
        "krayin_is_done",
        "krayin_expected_value",
        "krayin_related_quote_id",
    } <= defined


def test_a_check_changes_nothing(desk: Desk) -> None:
    before = picture(desk)
    hooks.test(desk.runtime, desk.hook_id)
    assert picture(desk) == before


def test_a_login_gives_one_token_that_is_kept_secret_and_serves_all(config: Config, flavour: str) -> None:
    given = {"api_token": "", "login_email": "admin@example.com", "login_password": "admin123"}
    with opened(config, flavour, given) as desk:
        desk.begin()
        desk.sync()
        assert len(desk.rows("persons")) == 1
        assert "api_token" not in desk.hook().settings
        assert "POST /login" not in desk.calls()
        desk.set(default_lead_value="1")
        assert "POST /login" not in desk.calls()
        with desk.krayin.state.lock:
            desk.krayin.state.revoke_tokens()
        assert hooks.resume(desk.runtime, desk.hook_id).state == HookState.ACTIVE
        assert desk.calls().count("POST /login") == 1


LOGIN = {"api_token": "", "login_email": "admin@example.com", "login_password": "admin123"}


def lose_token(desk: Desk) -> None:
    """Somebody logs in as the same user, and an event finds out."""
    with desk.krayin.state.lock:
        desk.krayin.state.revoke_tokens()
    hook = desk.hook()
    client = desk.runtime.client(desk.runtime.view(hook, desk.account), hook.version)
    client._clock = lambda: desk.clock().timestamp()
    desk.chatwoot.create_contact(name="Ana", email=f"ana{desk.clock().timestamp():.0f}@example.com")
    desk.take(desk.deliveries())
    for _ in range(6):
        desk.drain()
        desk.clock.forward(400)
    assert desk.hook().state == HookState.NEEDS_ATTENTION


def test_a_revoked_token_is_renewed_by_one_login_and_everything_goes_on(config: Config, flavour: str) -> None:
    with opened(config, flavour, LOGIN) as desk:
        lose_token(desk)
        desk.krayin.reset_requests()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: renewal.renew_due(desk.runtime), range(4)))
        assert desk.hook().state == HookState.ACTIVE
        assert desk.calls().count("POST /login") == 1
        desk.settle()
        assert len(desk.rows("persons")) == 1


def test_who_is_logged_out_again_and_again_lets_some_time_pass(config: Config, flavour: str) -> None:
    with opened(config, flavour, LOGIN) as desk:
        lose_token(desk)
        renewal.renew_due(desk.runtime)
        with desk.runtime.store.write() as session:
            session.get_one(Hook, desk.hook_id).state = HookState.NEEDS_ATTENTION
        desk.calls()
        renewal.renew_due(desk.runtime)
        assert desk.calls() == []
        desk.clock.forward(renewal.REST.total_seconds())
        renewal.renew_due(desk.runtime)
        assert desk.hook().state == HookState.ACTIVE


def test_a_token_that_was_given_is_for_people_to_renew(desk: Desk) -> None:
    lose_token(desk)
    renewal.renew_due(desk.runtime)
    assert desk.hook().state == HookState.NEEDS_ATTENTION


def test_a_krayin_that_was_out_of_order_is_gone_on_with_though_it_seemed_to_refuse_the_token(
    desk: Desk, flavour: str
) -> None:
    with desk.krayin.state.lock:
        known = dict(desk.krayin.state.tokens)
    lose_token(desk)
    with desk.krayin.state.lock:
        desk.krayin.state.tokens.update(known)
    renewal.renew_due(desk.runtime)
    # From 2.2 on Krayin says itself that it does not know a token, so that is for people to see to.
    expected = HookState.ACTIVE if flavour == "2.1.0" else HookState.NEEDS_ATTENTION
    assert desk.hook().state == expected


def test_another_login_is_used_though_the_former_ones_token_is_still_good(
    config: Config, flavour: str
) -> None:
    with opened(config, flavour, LOGIN) as desk:
        report = hooks.change(desk.runtime, desk.hook_id, {"login_email": "nobody@example.com"})
        assert report.state == HookState.NEEDS_ATTENTION
        assert "login_password" in (report.state_reason or "")


def test_a_webhook_that_cannot_be_set_up_is_told_and_stops_nothing(desk: Desk) -> None:
    def broken(_app: Any, _environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 Internal Server Error", [("Content-Type", "text/html")])
        return [b"<h1>Server Error</h1>"]

    fault, hit = once(broken, "GET", "/settings/webhooks", times=9)
    desk.strike(fault)
    desk.runtime.config = replace(desk.runtime.config, public_url="https://sync.example.com")
    wanted = {"enable_bidirectional_sync": "true", "enable_krayin_webhooks": "true"}
    report = hooks.change(desk.runtime, desk.hook_id, wanted)
    assert hit.is_set()
    assert report.state == HookState.ACTIVE
    assert any("webhook could not be set up" in note for note in report.notes)


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"default_pipeline_id": "99"}, "default_pipeline_id"),
        ({"default_stage_id": "99"}, "default_stage_id"),
        ({"lead_type_id": "99"}, "lead_type_id"),
        ({"default_owner_id": "99"}, "default_owner_id"),
        ({"stage_by_status": '{"open":"nope"}'}, "stage_by_status"),
        ({"qualified_stage": "qualified", "auto_qualify_on_resolved": "true"}, "qualified_stage"),
        ({"status_by_stage": '{"nope":"resolved"}'}, "status_by_stage"),
        ({"person_fields": '{"a":"nope"}'}, "person_fields"),
        ({"lead_fields": '{"a":"nope"}'}, "lead_fields"),
        ({"api_token": "1|wrong"}, "api_token"),
    ],
)
def test_what_is_not_there_is_refused_by_the_name_of_its_setting(
    desk: Desk, given: dict[str, str], setting: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        hooks.change(desk.runtime, desk.hook_id, given)
    assert caught.value.setting == setting
    assert desk.hook().state == HookState.ACTIVE


def test_a_source_that_is_not_there_needs_attention(desk: Desk) -> None:
    report = hooks.change(desk.runtime, desk.hook_id, {"lead_source_id": "99"})
    assert report.state == HookState.NEEDS_ATTENTION
    assert "lead_source_id" in (report.state_reason or "")


def test_a_user_who_sees_only_some_records_is_refused(desk: Desk) -> None:
    desk.write("users", 1, view_permission="individual")
    with pytest.raises(ConfigError) as caught:
        hooks.test(desk.runtime, desk.hook_id)
    assert caught.value.code == "rights_missing"


def test_an_address_without_krayin_is_refused(desk: Desk) -> None:
    with pytest.raises(ConfigError) as caught:
        hooks.change(desk.runtime, desk.hook_id, {"api_url": desk.account.chatwoot_url})
    assert caught.value.setting == "api_url"


def test_a_wrong_password_needs_attention(desk: Desk) -> None:
    with desk.krayin.state.lock:
        desk.krayin.state.revoke_tokens()
    report = hooks.change(
        desk.runtime,
        desk.hook_id,
        {"api_token": "", "login_email": "admin@example.com", "login_password": "wrong"},
    )
    assert report.state == HookState.NEEDS_ATTENTION
    assert "wrong" not in (report.state_reason or "")
