"""How the database compares, as far as a client can see it.

MariaDB's text columns compare without case and accents, its JSON columns byte by byte on the text PHP wrote into
them; a number compared with a text takes what number the text starts with.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Row = dict[str, Any]

_LEADING_NUMBER = re.compile(r"^\s*[+-]?\d+(?:\.\d+)?")
_encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_DECIMAL = re.compile(r"^-?\d+\.\d{4}$")


def json_text(value: Any) -> str:
    """A JSON column as PHP writes it: no spaces, everything beyond ASCII and the slash escaped (167)."""
    return _encoder.encode(value).replace("/", "\\/")


@lru_cache(maxsize=65536)
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
        return _matcher(pattern)(json_text(stored))
    return _matcher(fold(pattern))(fold(str(stored)))


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """A test for a pattern; most are a text with ``%`` around it, which is a part of another text and no more."""
    middle = pattern[1:-1]
    if pattern[:1] == pattern[-1:] == "%" and not set("%_\\") & set(middle):
        return lambda text: middle in text
    # A backslash makes the sign after it an ordinary one.
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    regex = re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
    return lambda text: regex.fullmatch(text) is not None


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
