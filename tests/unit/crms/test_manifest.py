"""Settings are either complete, typed and known, or refused in a sentence that names the one to mend."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.engine import apps
from crm_sync.errors import ConfigError

GLPI = apps.find("glpi").manifest
GIVEN = {
    "api_url": "https://glpi.example.com/apirest.php",
    "app_token": "an-app-token-0123456789",
    "user_token": "a-user-token-0123456789",
}
PROPERTIES: dict[str, Any] = {
    "name": {"type": "string", "description": "What it is called."},
    "share": {"type": "number", "description": "A share.", "maximum": 1},
    "stages": {
        "type": "object",
        "description": "Stage of each status.",
        "required": ["open"],
        "properties": {"open": {"type": "integer"}},
    },
    "flag": {"type": "boolean", "default": True},
    "pin": {"type": "integer", "secret": True, "description": "A secret number."},
}
ODD = replace(
    GLPI,
    name="Odd",
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": PROPERTIES,
    },
    package=None,
    form=(),
    secret=frozenset({"pin"}),
    aliases={"title": "name"},
)


def refusal(which: manifest.Manifest, given: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        manifest.validated(which, manifest.typed(which, given))
    assert caught.value.setting is not None
    assert caught.value.setting in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.mark.parametrize("app_id", sorted(apps.installed()))
def test_an_app_says_everything_about_its_settings(app_id: str) -> None:
    found = apps.find(app_id).manifest
    properties = found.settings_schema["properties"]
    assert found.settings_schema["additionalProperties"] is False
    assert set(found.settings_schema.get("required", ())) <= set(properties)
    assert found.visible | found.secret == set(properties)
    assert not found.visible & found.secret
    assert set(found.aliases.values()) <= set(properties)
    assert not set(found.aliases) & set(properties)
    assert (found.hook_type, found.allow_multiple_hooks) == ("account", False)
    assert found.i18n_key
    assert found.action.startswith("/")
    assert found.package
    assert found.logo is None or files(found.package).joinpath(found.logo).is_file()
    assert all(schema["description"] and schema["type"] for schema in properties.values())
    assert found.events
    assert len({(one.model, one.key) for one in found.attributes}) == len(found.attributes)


@pytest.mark.parametrize("odd", ["hook_type: inbox", "allow_multiple_hooks: true"])
def test_an_app_that_wants_hooks_there_are_not_is_refused(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert GLPI.package
    usual = files(GLPI.package).joinpath("app.yml").read_text(encoding="utf-8")
    package = tmp_path / odd.partition(":")[0] / "odd_crm"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").touch()
    package.joinpath("app.yml").write_text(f"{usual}\n{odd}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "odd_crm", raising=False)
    with pytest.raises(ConfigError, match="odd_crm: an account has one hook of each app"):
        manifest.load("odd_crm")


def test_settings_get_their_types_and_defaults() -> None:
    given = {"entity_id": "0", "enable_followup_sync": "yes", "observer_ids": "[12, 13.0]"}
    found = manifest.validated(GLPI, manifest.typed(GLPI, {**GIVEN, **given}))
    assert found == {
        **manifest.defaults(GLPI),
        **GIVEN,
        "entity_id": 0,
        "enable_followup_sync": True,
        "observer_ids": [12, 13],
    }
    assert all(isinstance(number, int) for number in found["observer_ids"])
    assert manifest.defaults(GLPI)["ticket_type"] == 1


def test_a_setting_is_known_under_its_older_name_too() -> None:
    found = manifest.validated(GLPI, manifest.typed(GLPI, {**GIVEN, "default_ticket_type": "2"}))
    assert found["ticket_type"] == 2
    assert "default_ticket_type" not in found


@pytest.mark.parametrize(
    ("text", "value"),
    [(word, True) for word in ("true", "True", "1", "yes", "ON", " on ")]
    + [(word, False) for word in ("false", "0", "no", "off")],
)
def test_true_and_false_have_several_names(text: str, *, value: bool) -> None:
    assert manifest.typed(GLPI, {"enable_ticket_sync": text}) == {"enable_ticket_sync": value}


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"colour": "red"}, "colour", "has no setting called colour"),
        ({"ticket_type": "two"}, "ticket_type", "must be a whole number, not 'two'"),
        ({"ticket_type": "1.5"}, "ticket_type", "must be a whole number"),
        ({"ticket_type": "3"}, "ticket_type", "must be one of 1, 2, not 3"),
        ({"entity_id": "-1"}, "entity_id", "must be 0 or more, not -1"),
        ({"entity_id": "9" * 5000}, "entity_id", "must be a whole number"),
        ({"default_user_id": "0"}, "default_user_id", "must be 1 or more"),
        ({"enable_ticket_sync": "perhaps"}, "enable_ticket_sync", "must be true or false, not 'perhaps'"),
        ({"app_token": ""}, "app_token", "must not be empty"),
        ({"default_region": "brazil"}, "default_region", "Country (two letters)"),
        ({"api_url": "glpi.example.com/apirest.php"}, "api_url", "It ends with /apirest.php"),
        ({"api_url": "https://glpi.example.com"}, "api_url", "It ends with /apirest.php"),
        ({"api_url": "ftp://glpi.example.com/apirest.php"}, "api_url", "ftp://glpi.example.com"),
    ],
)
def test_a_setting_is_refused_by_its_name_when_it_is_wrong(
    changes: dict[str, str], setting: str, words: str
) -> None:
    error = refusal(GLPI, {**GIVEN, **changes})
    assert error.setting == setting
    assert words in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_a_setting_is_named_when_it_is_missing(missing: str) -> None:
    error = refusal(GLPI, {name: value for name, value in GIVEN.items() if name != missing})
    assert error.setting == missing
    assert f"The setting {missing} is missing." in str(error)


def test_an_error_never_shows_a_secret() -> None:
    error = refusal(ODD, {"name": "x", "pin": "hunter2hunter2"})
    assert (error.setting, "hunter2" in str(error)) == ("pin", False)
    assert "A secret number." in str(error)


@pytest.mark.parametrize("text", ["NaN", "inf", "-Infinity", "1e400", "much"])
def test_a_number_that_no_database_keeps_is_refused(text: str) -> None:
    assert refusal(ODD, {"name": "x", "share": text}).setting == "share"


@pytest.mark.parametrize("text", ['{"open": NaN}', "{open: 1}", "[" * 100_000])
def test_json_that_is_none_is_refused(text: str) -> None:
    error = refusal(ODD, {"name": "x", "stages": text})
    assert "must be JSON" in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize("text", ["{}", '{"open": "one"}', "[1]"])
def test_the_setting_is_named_when_something_within_it_is_wrong(text: str) -> None:
    assert refusal(ODD, {"name": "x", "stages": text}).setting == "stages"


@pytest.mark.parametrize(
    ("setting", "text", "words"),
    [
        ("group_by_team", "Sales=3", "must be JSON of the form {\"key\": value}, not 'Sales=3'."),
        ("group_by_team", '{"Sales":3', "Character 11 is not what JSON has there."),
        ("group_by_team", "[3]", 'must be JSON of the form {"key": value}, not [3].'),
        ("group_by_team", '{"Sales":"3"}', "is wrong at Sales, which must be a whole number, not '3'."),
        ("group_by_team", '{"Sales":0}', "is wrong at Sales, which must be 1 or more, not 0."),
        ("group_by_team", '{"Sales":true}', "is wrong at Sales, which must be a whole number, not True."),
        ("group_by_team", '{"Sales":1,"Sales":2}', "names 'Sales' twice."),
        ("group_by_team", '{"Sa\\u0000les":1}', "holds a character that no database keeps."),
        ("group_by_team", '{"Sa\\ud800les":1}', "holds a character that no database keeps."),
        ("urgency_by_priority", '{"urgnt":5}', "may only hold the keys urgent, high, medium, low, none"),
        ("urgency_by_priority", '{"urgent":6}', "is wrong at urgent, which must be 5 or less, not 6."),
        ("type_by_inbox", '{"Shop":3}', "is wrong at Shop, which must be one of 1, 2, not 3."),
        ("person_fields", '{"vip":"vip"}', "is wrong at vip, which must be one of phone2, "),
        ("person_fields", json.dumps({f"a{n}": "fax" for n in range(21)}), "must hold 20 keys or less"),
        ("observer_ids", '{"a":1}', "must be JSON of the form [value, value]"),
        ("observer_ids", '[12,"x"]', "is wrong at 1, which must be a whole number, not 'x'."),
        ("observer_ids", "[12,12]", "must not hold a value twice, not [12, 12]."),
        ("observer_ids", json.dumps(list(range(1, 22))), "must hold 20 values or less"),
        ("title_template", "x" * 501, "must be 500 characters or less, not 'xxx"),
    ],
)
def test_what_is_wrong_within_a_setting_is_said_with_its_place(setting: str, text: str, words: str) -> None:
    error = refusal(GLPI, {**GIVEN, setting: text})
    assert (error.setting, error.code) == (setting, "setting_invalid")
    assert words in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (
            {"colour": "red"},
            "setting_unknown",
            "GLPI n'a pas de paramètre nommé colour ; crm-sync apps show glpi",
        ),
        ({"api_url": "GLPI"}, "setting_invalid", "Elle se termine par /apirest.php."),
        (
            {"ticket_type": "two"},
            "setting_invalid",
            "Le paramètre ticket_type doit être un nombre entier, et non 'two'. Type des nouveaux tickets.",
        ),
    ],
)
def test_people_are_told_in_their_language(changes: dict[str, str], code: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        manifest.validated(GLPI, manifest.typed(GLPI, {**GIVEN, **changes}, "fr"), "fr")
    assert caught.value.code == code
    assert sentence in str(caught.value)


def test_a_setting_that_is_missing_is_named_in_every_language() -> None:
    with pytest.raises(ConfigError, match=r"^Falta a configuração api_url\. Endereço da API REST") as caught:
        manifest.validated(GLPI, {}, "pt_BR")
    assert caught.value.code == "setting_missing"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("entity", "entity_id"),
        ("catgory_id", "category_id"),
        ("default_categories_id", "default_category_id"),
    ],
)
def test_a_name_that_is_nearly_one_is_told_the_one(name: str, meant: str) -> None:
    assert str(refusal(GLPI, {**GIVEN, name: "1"})).endswith(f"Perhaps {meant} is meant.")


def test_json_is_taken_as_it_is() -> None:
    found = manifest.validated(ODD, manifest.typed(ODD, {"title": "x", "stages": json.dumps({"open": 4})}))
    assert found == {"name": "x", "stages": {"open": 4}, "flag": True}


def test_a_setting_without_description_is_refused_in_a_sentence_too() -> None:
    assert refusal(ODD, {"name": "x", "flag": "maybe"}).setting == "flag"


def test_a_value_of_none_counts_as_not_given() -> None:
    found = manifest.validated(GLPI, {**GIVEN, "entity_id": None})
    assert "entity_id" not in found
