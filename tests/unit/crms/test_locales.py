"""All languages say the same things, with the same places for what is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest
import yaml

from crm_sync.crms import manifest, texts
from crm_sync.crms.base import Manifest
from crm_sync.crms.texts import ENGLISH, LANGUAGES
from crm_sync.engine import apps

#: What every app says, as Chatwoot's own apps do.
NAMED = ("name", "description", "help_text")
ERRORS = ("invalid_credentials", "connection_failed")


def leaves(words: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in words.items():
        assert isinstance(key, str), f"{before}{key} must be quoted"
        if isinstance(value, Mapping):
            yield from leaves(value, f"{before}{key}.")
        else:
            assert isinstance(value, str), f"{before}{key} must be a text"
            yield f"{before}{key}", value


def written(package: str, language: str) -> dict[str, str]:
    raw = files(package).joinpath("locales", f"{language}.yml").read_text(encoding="utf-8")
    return dict(leaves(yaml.safe_load(raw)))


def in_app_yml(found: Manifest) -> dict[str, str]:
    """What is said in English in the app's manifest."""
    properties = found.settings_schema["properties"]
    return {
        **{f"fields.{name}.help": schema["description"] for name, schema in properties.items()},
        **{f"attributes.{item.key}.name": item.name for item in found.attributes},
        **{f"attributes.{item.key}.description": item.description for item in found.attributes},
    }


def english(package: str) -> dict[str, str]:
    found = next((app.manifest for app in apps.installed().values() if app.manifest.package == package), None)
    return {**(in_app_yml(found) if found else {}), **written(package, ENGLISH)}


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


PACKAGES = ["crm_sync.crms", *sorted(app.manifest.package or "" for app in apps.installed().values())]
OTHERS = [language for language in LANGUAGES if language != ENGLISH]


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_words_and_places_of_english(package: str, language: str) -> None:
    wanted, found = english(package), written(package, language)
    assert sorted(found) == sorted(wanted)
    assert {key: places(text) for key, text in found.items()} == {
        key: places(text) for key, text in wanted.items()
    }


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_ends_alike_in_every_language_and_no_text_is_empty(package: str, language: str) -> None:
    wanted, found = english(package), written(package, language)
    for key, text in found.items():
        assert text.strip() == text or key.endswith("not_this"), key
        assert text, key
        assert text.endswith(".") == wanted[key].endswith("."), key


@pytest.mark.parametrize("app_id", sorted(apps.installed()))
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_app_says_what_it_is_and_what_can_go_wrong(app_id: str, language: str) -> None:
    found = apps.find(app_id).manifest
    assert found.package
    words = written(found.package, language)
    assert {*NAMED, *(f"errors.{code}" for code in ERRORS)} <= set(words)
    assert words["name"] == found.name


@pytest.mark.parametrize("app_id", sorted(apps.installed()))
def test_choices_and_fields_in_the_words_are_those_of_the_settings(app_id: str) -> None:
    found = apps.find(app_id).manifest
    assert found.package
    properties = found.settings_schema["properties"]
    fields = {key.split(".")[1] for key in written(found.package, ENGLISH) if key.startswith("fields.")}
    assert fields == set(properties)
    for name, schema in properties.items():
        told = {
            key.rpartition(".")[2]
            for key in written(found.package, ENGLISH)
            if key.startswith(f"fields.{name}.options.")
        }
        assert told == {str(value) for value in schema.get("enum", ())}


def test_what_a_language_lacks_is_said_in_english() -> None:
    app = apps.find("glpi").manifest
    assert app.package
    assert texts.load(app.package, "xx").find("name") == "GLPI"
    assert manifest.form_in(app, "xx") == app.form
    assert texts.Texts({}, texts.Texts({"a": "x"})).find("a") == "x"
