"""How the database compares, as far as a client can see it.

MariaDB's text columns compare without case and accents, its JSON columns byte by byte on the text PHP wrote into
them; a number compared with a text takes what number the text starts with.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Row = dict[str, Any]

_LEADING_NUMBER = re.compile(r"^\s*[+-]?\d+(?:\.\d+)?")
_DECIMAL = re.compile(r"^-?\d+\.\d{4}$")


def json_text(value: Any) -> str:
    """A JSON column as PHP writes it: no spaces, everything beyond ASCII and the slash escaped (167)."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/")


def fold(text: str) -> str:
    """A text as the collation sees it: no case, no accents, no blanks at the end."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold().rstrip(" ")


def number_in(text: str) -> float:
    """The number a text starts with, 0 when it starts with none."""
    found = _LEADING_NUMBER.match(text)
    return float(found.group()) if found else 0.0


def equals(stored: Any, wanted: Any) -> bool:
    """``stored = wanted``, the wanted value as it came from the URL; null equals nothing."""
    if stored is None or wanted is None:
        return False
    if isinstance(stored, (list, dict)):
        return json_text(stored) == str(wanted)
    if isinstance(stored, (int, float)):
        return float(stored) == number_in(str(wanted))
    if _DECIMAL.match(stored):
        return float(stored) == number_in(str(wanted))
    return fold(stored) == fold(str(wanted))


def like(stored: Any, pattern: str) -> bool:
    """``stored LIKE pattern``, with ``%`` and ``_`` as wildcards (59q); JSON with its case (51d)."""
    if stored is None:
        return False
    if isinstance(stored, (list, dict)):
        return _pattern(pattern).match(json_text(stored)) is not None
    return _pattern(fold(pattern)).match(fold(str(stored))) is not None


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    # A backslash makes the sign after it an ordinary one.
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts) + r"\Z", re.DOTALL)


def sort_key(row: Mapping[str, Any], column: str) -> tuple[bool, float, str]:
    """Where a row stands when sorted by a column: nulls first, then numbers, then folded texts."""
    value = row.get(column)
    if value is None:
        return False, 0.0, ""
    if isinstance(value, (int, float)):
        return True, float(value), ""
    if isinstance(value, (list, dict)):
        return True, 0.0, json_text(value)
    return (True, float(value), "") if _DECIMAL.match(value) else (True, 0.0, fold(value))
