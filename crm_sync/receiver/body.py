"""The body of a delivery: from bytes to a JSON object that can be stored, or a sentence saying what is wrong."""

from __future__ import annotations

import json
from typing import Any

from crm_sync.errors import PayloadError

#: No delivery of Chatwoot nests deeper than a few levels; what does is an attack on the parsers behind us.
DEPTH_LIMIT = 50


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises PayloadError with the code ``invalid_json`` or ``invalid_payload``."""
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise PayloadError(f"The body is not JSON: {_where(error)}.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise PayloadError(f"The body is not a JSON object but {_kind(value)}.", code="invalid_payload")
    _check(value)
    return value


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _kind(value: object) -> str:
    return {list: "an array", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def _too_deep() -> PayloadError:
    return PayloadError(f"The body is nested more than {DEPTH_LIMIT} levels deep.", code="invalid_payload")


def _check(value: dict[str, Any]) -> None:
    """No text with a NUL character, which no database of ours or Chatwoot's can hold; no bottomless nesting."""
    level: list[Any] = [value]
    for _ in range(DEPTH_LIMIT):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following.extend(item)
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
            elif isinstance(item, str) and "\0" in item:
                raise PayloadError(
                    "A text holds a NUL character, which Chatwoot never sends.", code="invalid_payload"
                )
        if not following:
            return
        level = following
    raise _too_deep()
