"""Parameters as PHP reads them: brackets make nested arrays, the words true and false are booleans."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_BRACKET = re.compile(r"\[([^\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """``criteria[0][field]=19`` becomes ``{"criteria": {"0": {"field": "19"}}}``; ``x[]`` counts up."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, _ = name.partition("[")
        keys = [head, *_BRACKET.findall(name)] if bracket else [name]
        _put(found, keys, boolean(value))
    return found


def boolean(value: Any) -> Any:
    """The words true and false as booleans, anything else as it is."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _put(target: dict[str, Any], keys: list[str], value: Any) -> None:
    key = keys[0] or str(len(target))
    if len(keys) == 1:
        target[key] = value
        return
    below = target.get(key)
    if not isinstance(below, dict):
        below = target[key] = {}
    _put(below, keys[1:], value)
