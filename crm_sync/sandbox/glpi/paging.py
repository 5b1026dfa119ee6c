"""Ranges: which rows of a list or a search a call gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.sandbox.glpi.errors import ApiError, plain

_RANGE = re.compile(r"^(\d+)-(\d+)$")

#: The rows of a list without a range: the user's ``list_limit``.
LIST_LIMIT = 20


@dataclass(frozen=True)
class Page:
    """First and last row asked for, both included."""

    start: int
    end: int
    given: bool


def page_of(params: Mapping[str, Any], *, default_end: int) -> Page:
    """The page of a call; 400 for a range that is none."""
    text = params.get("range")
    if text is None:
        return Page(0, default_end, given=False)
    parts = _RANGE.match(str(text))
    if parts is None or int(parts.group(1)) > int(parts.group(2)):
        raise plain("range must be in format : [start-end] with integers")
    return Page(int(parts.group(1)), int(parts.group(2)), given=True)


def exceeded(total: int) -> ApiError:
    """A page that starts behind the end."""
    text = f"Provided range exceed total count of data: {total}"
    return ApiError(400, "ERROR_RANGE_EXCEED_TOTAL", text, documented=True)
