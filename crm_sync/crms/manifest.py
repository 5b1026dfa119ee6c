"""Reads an app's ``app.yml`` and checks the settings people give for it, with a sentence for everything wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from crm_sync.crms.base import AttributeDefinition, Manifest
from crm_sync.errors import ConfigError
from crm_sync.events import EventName

_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
#: Longest part of a wrong value that a sentence shows, in characters.
_SHOWN = 80


def load(package: str) -> Manifest:
    """The manifest of the CRM in this package."""
    raw = yaml.safe_load(files(package).joinpath("app.yml").read_text(encoding="utf-8"))
    properties = raw["settings_schema"]["properties"]
    return Manifest(
        app_id=raw["id"],
        name=raw["name"],
        feature_flag=raw["feature_flag"],
        events=frozenset(EventName(name) for name in raw["events"]),
        settings_schema=raw["settings_schema"],
        form=tuple({"name": name, **schema} for name, schema in properties.items()),
        visible=frozenset(raw["visible"]),
        secret=frozenset(name for name, schema in properties.items() if schema.get("secret")),
        aliases=raw.get("aliases", {}),
        attributes=tuple(
            AttributeDefinition(**{**item, "values": tuple(item.get("values", ()))})
            for item in raw["attributes"]
        ),
    )


def typed(manifest: Manifest, given: Mapping[str, str]) -> dict[str, Any]:
    """Settings given as texts (``--set key=value``), in their types and under their present names."""
    settings: dict[str, Any] = {}
    for name, text in given.items():
        present = manifest.aliases.get(name, name)
        schema = manifest.settings_schema["properties"].get(present)
        if schema is None:
            raise _unknown(manifest, name)
        settings[present] = _typed(present, schema, text)
    return settings


def validated(manifest: Manifest, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with their defaults; raises ConfigError naming the first that is missing or wrong."""
    properties = manifest.settings_schema["properties"]
    present = {manifest.aliases.get(name, name): value for name, value in settings.items()}
    for name in present:
        if name not in properties:
            raise _unknown(manifest, name)
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    complete = defaults | {name: value for name, value in present.items() if value is not None}
    validator = Draft202012Validator(dict(manifest.settings_schema), format_checker=FormatChecker())
    for error in sorted(validator.iter_errors(complete), key=lambda error: list(error.path)):
        raise _wrong(manifest, error)
    return complete


def _typed(name: str, schema: Mapping[str, Any], text: str) -> Any:
    kind = schema["type"]
    if kind == "string":
        return text
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return _finite(float(text))
        if kind == "boolean":
            return _BOOLEANS[text.strip().lower()]
        return json.loads(text, parse_constant=_no_json)
    except (ValueError, KeyError, RecursionError):
        given = "" if schema.get("secret") else f", not {_shown(text)}"
        raise ConfigError(
            f"The setting {name} must be {_article(kind)}{given}. {schema.get('description', '')}".strip(),
            setting=name,
        ) from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("no database keeps it")
    return number


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


def _shown(value: object) -> str:
    """A value as people gave it, cut to what fits a sentence."""
    words = repr(value)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def _unknown(manifest: Manifest, name: str) -> ConfigError:
    known = ", ".join(sorted(manifest.settings_schema["properties"]))
    return ConfigError(f"{manifest.name} has no setting called {name}. It has: {known}.", setting=name)


def _wrong(manifest: Manifest, error: ValidationError) -> ConfigError:
    properties = manifest.settings_schema["properties"]
    instance: Any = error.instance
    expectation: Any = error.validator_value
    if error.validator == "required" and not error.path:
        name = next(item for item in expectation if item not in instance)
        return ConfigError(
            f"The setting {name} is missing. {properties[name].get('description', '')}".strip(), setting=name
        )
    name = str(error.path[0]) if error.path else ""
    words = _expected(str(error.validator), expectation)
    given = "" if name in manifest.secret else f", not {_shown(instance)}"
    description = properties.get(name, {}).get("description", "")
    return ConfigError(f"The setting {name} {words}{given}. {description}".strip(), setting=name)


def _expected(validator: str, expectation: Any) -> str:
    if validator == "type":
        return f"must be {_article(str(expectation))}"
    if validator == "enum":
        return "must be one of " + ", ".join(str(value) for value in expectation)
    if validator == "minimum":
        return f"must be {expectation} or more"
    if validator == "maximum":
        return f"must be {expectation} or less"
    return "must not be empty" if validator == "minLength" else "must be written as described here"


def _article(kind: str) -> str:
    return {
        "integer": "a whole number",
        "boolean": "true or false",
        "string": "a text",
        "number": "a number",
    }.get(kind, "JSON")
