"""Reads an app's ``app.yml`` and checks the settings people give for it, with a sentence for everything wrong."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from crm_sync.crms import texts
from crm_sync.crms.base import AttributeDefinition, Manifest
from crm_sync.crms.forms import form
from crm_sync.crms.texts import ENGLISH
from crm_sync.errors import ConfigError
from crm_sync.events import EventName

#: The codes of the errors raised here.
MISSING, INVALID, UNKNOWN = "setting_missing", "setting_invalid", "setting_unknown"

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
#: What of a schema is told with its bound, by the name that its sentence has among the words.
_BOUNDS = frozenset(
    {"enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"}
)


def load(package: str) -> Manifest:
    """The manifest of the CRM in this package. Raises ConfigError for one that asks for what there is not."""
    raw = yaml.safe_load(files(package).joinpath("app.yml").read_text(encoding="utf-8"))
    if raw["hook_type"] != "account" or raw["allow_multiple_hooks"]:
        raise ConfigError(f"{package}: an account has one hook of each app; there are no other hooks.")
    schema = raw["settings_json_schema"]
    return Manifest(
        app_id=raw["id"],
        name=raw["name"],
        feature_flag=raw["feature_flag"],
        events=frozenset(EventName(name) for name in raw["events"]),
        settings_schema=schema,
        form=form(schema, texts.load(package)),
        visible=frozenset(raw["visible_properties"]),
        secret=frozenset(name for name, item in schema["properties"].items() if item.get("secret")),
        aliases=raw.get("aliases", {}),
        attributes=tuple(
            AttributeDefinition(**{**item, "values": tuple(item.get("values", ()))})
            for item in raw["attributes"]
        ),
        package=package,
        logo=raw.get("logo"),
        i18n_key=raw["i18n_key"],
        action=raw["action"],
        hook_type=raw["hook_type"],
        allow_multiple_hooks=raw["allow_multiple_hooks"],
    )


def form_in(manifest: Manifest, language: str) -> Sequence[Mapping[str, Any]]:
    """The form in a language; the manifest holds the English one."""
    words = texts.load(manifest.package, language) if manifest.package else texts.Texts({})
    return form(manifest.settings_schema, words)


def defaults(manifest: Manifest) -> dict[str, Any]:
    """What settings are when nobody gives them, for those that have a default."""
    properties = manifest.settings_schema["properties"]
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


def typed(manifest: Manifest, given: Mapping[str, str], language: str = ENGLISH) -> dict[str, Any]:
    """Settings given as texts (``--set key=value``), in their types and under their present names.

    Raises ConfigError, in this language, for a text that cannot be of its setting's type.
    """
    refusals = _Refusals(manifest, language)
    settings: dict[str, Any] = {}
    for name, text in given.items():
        present = manifest.aliases.get(name, name)
        schema = manifest.settings_schema["properties"].get(present)
        if schema is None:
            raise refusals.unknown(name)
        settings[present] = _typed(refusals, present, schema, text)
    return settings


def validated(manifest: Manifest, settings: Mapping[str, Any], language: str = ENGLISH) -> dict[str, Any]:
    """The settings with their defaults; raises ConfigError naming the first that is missing or wrong."""
    refusals = _Refusals(manifest, language)
    properties = manifest.settings_schema["properties"]
    present = {manifest.aliases.get(name, name): value for name, value in settings.items()}
    for name in present:
        if name not in properties:
            raise refusals.unknown(name)
    complete = defaults(manifest) | {name: value for name, value in present.items() if value is not None}
    validator = Draft202012Validator(dict(manifest.settings_schema), format_checker=FormatChecker())
    for error in sorted(
        validator.iter_errors(complete), key=lambda error: [str(part) for part in error.path]
    ):
        raise refusals.schema(error)
    for name, value in complete.items():
        if not _storable(value):
            raise refusals.invalid(name, refusals.words("not_storable"))
    return complete


def _typed(refusals: _Refusals, name: str, schema: Mapping[str, Any], text: str) -> Any:
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
        return json.loads(
            text, parse_constant=_no_json, parse_float=_number, object_pairs_hook=_without_repeats
        )
    except json.JSONDecodeError as error:
        why = refusals.words("json_breaks", position=error.pos + 1)
        raise refusals.invalid(name, refusals.type(kind), text, why) from None
    except _Repeated as repeated:
        raise refusals.invalid(name, refusals.words("repeated_key", key=_shown(repeated.key))) from None
    except (ValueError, KeyError, RecursionError):
        raise refusals.invalid(name, refusals.type(kind), text) from None


class _Repeated(Exception):
    """An object of JSON that names a key twice, of which only one could count."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Repeated(key)
        found[key] = value
    return found


def _number(text: str) -> float | int:
    """A number of JSON that is written with a point: a whole one is meant as such (an id, say)."""
    number = _finite(float(text))
    return int(number) if number.is_integer() else number


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("no database keeps it")
    return number


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


def _storable(value: Any) -> bool:
    """Whether every database keeps a value: PostgreSQL knows neither NUL nor half a character."""
    if isinstance(value, Mapping):
        return all(_storable(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(map(_storable, value))
    return not isinstance(value, str) or not any(
        sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value
    )


def _shown(value: object) -> str:
    """A value as people gave it, cut to what fits a sentence."""
    return _cut(repr(value))


def _cut(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


class _Refusals:
    """The sentences about settings that are wrong, in one language."""

    def __init__(self, manifest: Manifest, language: str) -> None:
        self._manifest = manifest
        self._texts = texts.load(__package__, language)
        self._help = {str(item["name"]): str(item["help"]) for item in form_in(manifest, language)}

    def words(self, key: str, /, **values: object) -> str:
        """The part of a sentence that says what is wrong."""
        return self._texts(f"settings.{key}", **values)

    def type(self, kind: str) -> str:
        """That a value must be of this type."""
        return self.words(f"type_{kind}")

    def unknown(self, name: str) -> ConfigError:
        """There is no such setting; perhaps the name is only misspelt."""
        manifest = self._manifest
        names = [*manifest.settings_schema["properties"], *manifest.aliases]
        near = difflib.get_close_matches(name, names, n=1)
        guess = self.words("perhaps", name=near[0]) if near else ""
        sentence = self.words("unknown", app=manifest.name, app_id=manifest.app_id, name=_cut(name))
        return ConfigError(f"{sentence} {guess}".strip(), setting=name, code=UNKNOWN)

    def missing(self, name: str) -> ConfigError:
        """A setting that is needed was not given."""
        sentence = self.words("missing", name=name)
        return ConfigError(self._with_help(sentence, name), setting=name, code=MISSING)

    def invalid(self, name: str, what: str, given: object = None, why: str = "") -> ConfigError:
        """A setting is not as it must be. A secret is not repeated."""
        shown = name not in self._manifest.secret and given is not None
        sentence = self.words(
            "invalid",
            name=name,
            what=what,
            given=self.words("not_this", given=_shown(given)) if shown else "",
        )
        return ConfigError(self._with_help(f"{sentence} {why}".strip(), name), setting=name, code=INVALID)

    def schema(self, error: ValidationError) -> ConfigError:
        """What the JSON schema found wrong."""
        if error.validator == "required" and not error.path:
            wanted: Any = error.validator_value
            given: Any = error.instance
            return self.missing(next(name for name in wanted if name not in given))
        name, *within = [str(part) for part in error.path]
        what = self._expected(error)
        if within:
            what = self.words("within", place=" > ".join(within), what=what)
        return self.invalid(name, what, error.instance)

    def _expected(self, error: ValidationError) -> str:
        kind, bound = str(error.validator), error.validator_value
        if "propertyNames" in error.schema_path:
            return self.words("key", bound=_listed(bound)) if kind == "enum" else self.words("described")
        if kind == "type":
            return self.type(str(bound))
        if kind == "required":
            return self.words("required", bound=_listed(bound))
        if kind == "uniqueItems":
            return self.words("unique")
        return self.words(kind, bound=_listed(bound)) if kind in _BOUNDS else self.words("described")

    def _with_help(self, sentence: str, name: str) -> str:
        return f"{sentence} {self._help.get(name, '')}".strip()


def _listed(bound: Any) -> str:
    return ", ".join(str(value) for value in bound) if isinstance(bound, list) else str(bound)
