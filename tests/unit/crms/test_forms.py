"""How a page asks for settings: made from their schema and the app's words."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms import forms, manifest
from crm_sync.crms.texts import LANGUAGES, Texts
from crm_sync.engine import apps

WORDS = Texts(
    {
        "fields": {
            "url": {"label": "Address", "placeholder": "https://…"},
            "stage": {"label": "Stage", "options": {"1": "New", "won": "Won"}},
        }
    }
)


def field(schema: dict[str, Any], name: str = "url", *required: str) -> dict[str, Any]:
    (found,) = forms.form({"properties": {name: schema}, "required": list(required)}, WORDS)
    return found


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "secret": True}, "password"),
        ({"type": "integer"}, "number"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "checkbox"),
        ({"type": "string", "enum": ["a"]}, "select"),
        ({"type": "object"}, "json"),
        ({"type": "array"}, "json"),
    ],
)
def test_a_field_is_asked_for_as_its_type_wants(schema: dict[str, Any], kind: str) -> None:
    assert field(schema)["type"] == kind


@pytest.mark.parametrize(
    ("schema", "required", "rules"),
    [
        ({"type": "string", "format": "uri"}, True, "required|url"),
        ({"type": "integer", "minimum": 0}, False, "min:0"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, True, "required|min:1|max:5"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, False, "length:1,9"),
        ({"type": "string"}, False, None),
    ],
)
def test_a_page_can_check_what_the_schema_says(
    schema: dict[str, Any], rules: str | None, *, required: bool
) -> None:
    assert field(schema, "url", *["url"] * required).get("validation") == rules


def test_a_field_has_its_words_and_nothing_that_does_not_apply() -> None:
    assert field({"type": "string", "description": "Where it is."}) == {
        "label": "Address",
        "type": "text",
        "name": "url",
        "placeholder": "https://…",
        "help": "Where it is.",
    }


def test_choices_are_told_by_name_and_by_value_where_they_have_none() -> None:
    schema = {"type": "string", "enum": [1, "won", "lost"], "default": 1}
    found = field(schema, "stage")
    assert found["default"] == 1
    assert found["options"] == [
        {"label": "New", "value": 1},
        {"label": "Won", "value": "won"},
        {"label": "lost", "value": "lost"},
    ]


@pytest.mark.parametrize("app_id", sorted(apps.installed()))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_of_an_app_has_a_field_with_a_label_and_help(app_id: str, language: str) -> None:
    found = apps.find(app_id).manifest
    form = manifest.form_in(found, language)
    assert [item["name"] for item in form] == list(found.settings_schema["properties"])
    labels = [item["label"] for item in form]
    assert len(set(labels)) == len(labels)
    for item in form:
        assert item["label"] != item["name"]
        assert item["help"].endswith(".")
        assert all(option["label"] for option in item.get("options", ()))
    if language == "en":
        assert form == found.form
