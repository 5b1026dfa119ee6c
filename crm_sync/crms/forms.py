"""The form of an app's settings: how a page asks for each of them, made from their JSON schema and the app's words.

What a form can know of a setting stands in the schema once; labels, placeholders, the names of choices, and the help
in other languages stand in the app's locales, under ``fields``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.crms.texts import Texts

#: How a page asks for a value of each type.
_INPUTS = {
    "boolean": "checkbox",
    "integer": "number",
    "number": "number",
    "object": "json",
    "array": "json",
    "string": "text",
}


def form(schema: Mapping[str, Any], texts: Texts) -> tuple[dict[str, Any], ...]:
    """A field for each setting of a JSON schema, in its order and in the language of these texts.

    A field has ``label``, ``type`` (text, password, number, checkbox, select, json), ``name`` and ``help``, and as far
    as they apply ``default``, ``options`` (``label``, ``value``), ``placeholder`` and ``validation`` (rules as
    ``required|min:5``).
    """
    required = frozenset(schema.get("required", ()))
    return tuple(
        _field(name, item, texts, required=name in required) for name, item in schema["properties"].items()
    )


def _field(name: str, schema: Mapping[str, Any], texts: Texts, *, required: bool) -> dict[str, Any]:
    key = f"fields.{name}"
    rules = _rules(schema, required=required)
    placeholder = texts.find(f"{key}.placeholder")
    choices = schema.get("enum", ())
    return {
        "label": texts.find(f"{key}.label") or name,
        "type": _input(schema),
        "name": name,
        **({"default": schema["default"]} if "default" in schema else {}),
        **({"options": [_option(key, value, texts) for value in choices]} if choices else {}),
        **({"placeholder": placeholder} if placeholder else {}),
        **({"validation": "|".join(rules)} if rules else {}),
        "help": texts.find(f"{key}.help") or schema.get("description", ""),
    }


def _input(schema: Mapping[str, Any]) -> str:
    if schema.get("secret"):
        return "password"
    return "select" if "enum" in schema else _INPUTS[schema["type"]]


def _option(key: str, value: Any, texts: Texts) -> dict[str, Any]:
    return {"label": texts.find(f"{key}.options.{value}") or str(value), "value": value}


def _rules(schema: Mapping[str, Any], *, required: bool) -> list[str]:
    """What a page can check before it sends anything; everything is checked again when the settings arrive."""
    rules = ["required"] if required else []
    if schema.get("format") == "uri":
        rules.append("url")
    if "minimum" in schema:
        rules.append(f"min:{schema['minimum']}")
    if "maximum" in schema:
        rules.append(f"max:{schema['maximum']}")
    if "maxLength" in schema:
        rules.append(f"length:{schema.get('minLength', 0)},{schema['maxLength']}")
    return rules
