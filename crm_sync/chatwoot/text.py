"""Makes text from outside fit for a database: takes out what none can hold, and touches nothing else."""

from __future__ import annotations

import math
import re
from typing import Any

from crm_sync.errors import PayloadError

#: Chatwoot nests about ten levels; more than this can only be an attempt to exhaust the stack.
MAX_DEPTH = 64

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text without NUL (PostgreSQL refuses it) and without halves of surrogate pairs (UTF-8 does)."""
    if _UNSTORABLE.search(text) is None:
        return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\x00", ""))


def storable_json(value: Any, depth: int = 0) -> Any:
    """A copy of a JSON value in which every text and key is storable, and no number is NaN or infinite."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        check_depth(depth)
        return {storable(str(key)): storable_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        check_depth(depth)
        return [storable_json(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def check_depth(depth: int) -> None:
    """Raises PayloadError for a value nested too deeply to be one of Chatwoot's."""
    if depth > MAX_DEPTH:
        raise PayloadError(f"The delivery is nested more than {MAX_DEPTH} levels deep.")
