"""``crm-sync apps``: what can be connected, for people and for programs, in their language."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_sync.cli.apps import as_markdown, as_picture
from crm_sync.crms.texts import LANGUAGES
from crm_sync.engine import apps
from tests.commands import asked, crm_sync

#: What Chatwoot's own list of apps says of each of them.
KEYS = {
    "app_id",
    "name",
    "description",
    "help_text",
    "logo",
    "i18n_key",
    "action",
    "hook_type",
    "allow_multiple_hooks",
    "feature_flag",
    "events",
    "settings_json_schema",
    "settings_form_schema",
    "visible_properties",
    "aliases",
    "custom_attributes",
}
PAGES = Path(__file__).parents[3] / "docs" / "crms"

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_the_apps_are_listed() -> None:
    rows = {row["app_id"]: row for row in crm_sync("apps", "list", "--json").objects}
    assert {app_id: row["name"] for app_id, row in rows.items()} == {"glpi": "GLPI", "krayin": "Krayin"}
    assert {row["feature_flag"] for row in rows.values()} == {"crm_integration"}
    for row in rows.values():
        assert row["description"] in crm_sync("apps", "list").stdout


def test_a_program_gets_everything_about_an_app() -> None:
    found = asked("apps", "show", "glpi")
    assert set(found) == KEYS
    assert found["settings_json_schema"]["required"] == ["api_url", "app_token", "user_token"]
    names = [field["name"] for field in found["settings_form_schema"]]
    assert names == list(found["settings_json_schema"]["properties"])
    assert [name for name in names if name not in found["visible_properties"]] == ["app_token", "user_token"]
    assert found["custom_attributes"][0]["key"] == "glpi_user_id"


def test_secrets_are_asked_for_and_have_no_value() -> None:
    fields = {field["name"]: field for field in asked("apps", "show", "glpi")["settings_form_schema"]}
    assert {fields[name]["type"] for name in apps.find("glpi").manifest.secret} == {"password"}
    assert all("default" not in fields[name] for name in apps.find("glpi").manifest.secret)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_reads_every_setting_and_attribute(language: str) -> None:
    whole = asked("apps", "show", "glpi", "--language", language)
    page = " ".join(crm_sync("apps", "show", "glpi", "--language", language).stdout.split())
    assert whole["description"] in page
    for field in whole["settings_form_schema"]:
        assert field["name"] in page
        assert field["label"] in page
        assert field["help"] in page
    for attribute in whole["custom_attributes"]:
        assert attribute["key"] in page
        assert attribute["description"] in page


def test_documents_get_tables_and_a_picture_of_the_same() -> None:
    settings, attributes = as_markdown(apps.find("glpi").manifest, "fr")
    printed = crm_sync("apps", "show", "glpi", "--language", "fr", "--markdown").stdout
    assert printed == f"{settings}\n\n{attributes}\n"
    assert "| `api_url` | required | Adresse de l'API REST de GLPI." in settings
    assert "| `glpi_user_id` | contact | number | ID de l'utilisateur GLPI |" in attributes
    assert crm_sync("apps", "show", "glpi", "--language", "fr", "--svg").stdout.startswith("<svg ")


def test_the_language_is_that_of_the_options_unless_another_is_named(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    clean_environment.setenv("CRM_SYNC_LANGUAGE", "fr")
    rows = crm_sync("apps", "list", "--json").objects
    assert all(row["description"].startswith("Transforme ") for row in rows)
    assert "Type de ticket" in crm_sync("apps", "show", "glpi").stdout
    assert "Ticket type" in crm_sync("apps", "show", "glpi", "--language", "en").stdout


def test_an_app_that_is_not_there_is_named() -> None:
    answer = crm_sync("apps", "show", "sap", "--json")
    assert (answer.status, answer.object["setting"]) == (1, "app_id")
    assert crm_sync("apps", "show", "glpi", "--language", "de").status == 2


@pytest.mark.parametrize("app_id", sorted(apps.installed()))
def test_the_picture_in_the_documents_shows_the_settings_there_are(app_id: str) -> None:
    shown = (PAGES / f"{app_id}.svg").read_text(encoding="utf-8")
    assert shown == as_picture(apps.find(app_id).manifest, "en"), (
        f"renew it: .venv/bin/crm-sync apps show {app_id} --language en --svg > docs/crms/{app_id}.svg"
    )
    assert shown == crm_sync("apps", "show", app_id, "--svg").stdout
    assert "@font-face" not in shown
