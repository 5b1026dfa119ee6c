"""Settings that cannot work together are refused; those that only rest are said."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.crms.glpi import app, templates
from crm_sync.crms.glpi.settings import CONTACT_FIELDS, USER_FIELDS
from crm_sync.errors import ConfigError

GIVEN = {
    "api_url": "https://glpi.example.com/apirest.php",
    "app_token": "an-app-token-0123456789",
    "user_token": "a-user-token-0123456789",
}


def notes(**settings: Any) -> tuple[str, ...]:
    return app.validate(manifest.validated(app.manifest, {**GIVEN, **settings}))


def test_the_usual_settings_need_no_word() -> None:
    assert notes() == ()
    assert notes(enable_followup_sync=True, attachments="document", default_user_id=7) == ()


@pytest.mark.parametrize(
    ("settings", "setting", "code", "words"),
    [
        ({"title_template": "#{id} {nam}"}, "title_template", "template_wrong", "{nam} stands for nothing"),
        ({"title_template": "{link}"}, "title_template", "template_wrong", "{link} stands for nothing"),
        ({"content_template": "{message"}, "content_template", "template_wrong", "character 1"),
        ({"default_region": "ZZ"}, "default_region", "setting_invalid", "no country ZZ"),
        (
            {"use_contact": True, "person_fields": {"a": "usercategories_id"}},
            "person_fields",
            "settings_conflict",
            "a Contact of GLPI has no usercategories_id (use_contact is on)",
        ),
        (
            {"person_fields": {"a": "phone2", "b": "fax"}},
            "person_fields",
            "settings_conflict",
            "a User of GLPI has no fax (use_contact is off)",
        ),
        ({"use_contact": True, "link_computers": True}, "link_computers", "settings_conflict", "use_contact"),
        (
            {"sla_id": 3, "ticket_fields": {"until": "time_to_resolve"}},
            "ticket_fields",
            "settings_conflict",
            "time_to_resolve while sla_id",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_name(
    settings: dict[str, Any], setting: str, code: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        notes(**settings)
    assert (caught.value.setting, caught.value.code) == (setting, code)
    assert str(caught.value).startswith(setting)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("on", [True, False])
def test_each_person_has_the_fields_of_its_kind(*, on: bool) -> None:
    fields = CONTACT_FIELDS if on else USER_FIELDS
    assert notes(use_contact=on, person_fields={f"a_{field}": field for field in fields}) == ()


def test_every_field_a_person_may_have_is_of_one_kind_at_least() -> None:
    schema = app.manifest.settings_schema["properties"]["person_fields"]
    assert set(schema["additionalProperties"]["enum"]) == USER_FIELDS | CONTACT_FIELDS


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"enable_ticket_sync": False, "enable_followup_sync": True, "sla_id": 3},
            "While enable_ticket_sync is off these settings have no effect: enable_followup_sync, sla_id.",
        ),
        ({"enable_ticket_sync": False, "resolve_with": "solution"}, "resolve_with"),
        (
            {"pull_priority": True, "conflict_policy": "glpi", "enable_followup_sync": True},
            "While enable_bidirectional_sync is off these settings have no effect: conflict_policy, pull_priority.",
        ),
        (
            {"enable_bidirectional_sync": True, "pulled_followups": "message"},
            "While enable_followup_pull is off pulled_followups has no effect",
        ),
        ({"default_user_id": 7}, "While enable_followup_sync is off default_user_id has no effect"),
        ({"attachments": "document"}, "While enable_followup_sync is off, attachments become documents only"),
    ],
)
def test_what_has_no_effect_at_present_is_said(settings: dict[str, Any], words: str) -> None:
    (note,) = notes(**settings)
    assert words in note
    assert note.endswith(".")


def test_settings_of_contacts_work_without_tickets() -> None:
    assert notes(enable_ticket_sync=False, use_contact=True, default_region="BR", entity_id=4) == ()


def test_the_help_names_the_places_there_are() -> None:
    properties = app.manifest.settings_schema["properties"]
    for name in templates.TITLE_PLACEHOLDERS:
        assert f"{{{name}}}" in properties["title_template"]["description"]
    assert "{link}" in properties["content_template"]["description"]
