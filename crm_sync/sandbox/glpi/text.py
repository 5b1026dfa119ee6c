"""What GLPI 10 does to text on its way in and out, and how MariaDB compares text.

10.0 keeps ``& < >`` encoded in the database; 11 keeps text raw and uses none of the encoding functions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import escape

_ENCODED = {"&": "&#38;", "<": "&#60;", ">": "&#62;"}
_LEGACY = {"<": "&lt;", ">": "&gt;"}
_RAW_SPECIAL = re.compile(r"<|>|&(?!#?[a-z0-9]+;)", re.IGNORECASE)
_ANY_ENCODED = re.compile("|".join([*_ENCODED.values(), *_LEGACY.values()]))
_TAG = re.compile(r"<[^>]*>")


def is_encoded(text: str) -> bool:
    """Whether the server takes the text for already encoded: nothing raw, but some entity of its own.

    This is the trap of case ``ticket-create-escaped-only``: plain text that mentions ``&lt;`` looks encoded.
    """
    return _RAW_SPECIAL.search(text) is None and _ANY_ENCODED.search(text) is not None


def encode(text: str) -> str:
    """The form 10.0 stores (case ``ticket-get-script``)."""
    if is_encoded(text):
        return text
    return text.replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#62;")


def decode(text: str) -> str:
    """What ``X-GLPI-Sanitized-Content: false`` gives back; the older entities are only tried alone."""
    if not is_encoded(text):
        return text
    table = _ENCODED if any(code in text for code in _ENCODED.values()) else _LEGACY
    for raw in reversed(table):
        text = text.replace(table[raw], raw)
    return text


def php_escape(text: str) -> str:
    """HTML-escaped as 11 does it in its messages (case ``user-create-special-chars`` of 11.0.6)."""
    return escape(text, quote=True).replace("&#x27;", "&#039;")


def without_tags(text: str) -> str:
    """The text of an HTML fragment, tags dropped."""
    return _TAG.sub("", text)


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Letters without case and accents, as the database's collation compares them (``^conceicao$``)."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


class Pattern:
    """A ``contains`` value: ``^`` and ``$`` anchor it, ``%`` stands for anything, ``_`` for itself.

    ``NULL`` looks for no value, ``^$`` for no value or an empty one. :attr:`exact` is the folded text when
    the pattern can only match one, so that an index may answer.
    """

    def __init__(self, value: str) -> None:
        value = value.strip()
        self.wants_null = value in ("NULL", "null")
        self.wants_empty = value in ("^$", "$", "")
        start = value.startswith("^")
        end = value.endswith("$") and value != "^"
        body = fold(value[1 if start else 0 : -1 if end else None])
        self.exact: str | None = None
        if start and end and "%" not in body and not self.wants_empty:
            self.exact = body
        self._anywhere = body if not (start or end or "%" in body) else None
        self._test = _tester(body, start=start, end=end)

    def matches(self, folded: str | None) -> bool:
        """Whether the folded text of a column (None for NULL) is found."""
        if self.wants_null:
            return folded is None
        if self.wants_empty:
            return not folded
        return folded is not None and self._test(folded)

    def found_in(self, texts: Mapping[int, str | None]) -> list[int]:
        """The ids of all folded texts that match; the usual case, a plain substring, takes one pass."""
        if self._anywhere is None or self.wants_null or self.wants_empty:
            return [number for number, text in texts.items() if self.matches(text)]
        wanted = self._anywhere
        return [number for number, text in texts.items() if text is not None and wanted in text]


def _tester(body: str, *, start: bool, end: bool) -> Callable[[str], bool]:
    if "%" in body:
        inner = ".*".join(re.escape(part) for part in body.split("%"))
        expression = re.compile(("" if start else ".*") + inner + ("" if end else ".*"), re.DOTALL)
        return lambda text: expression.fullmatch(text) is not None
    if start and end:
        return lambda text: text == body
    if start:
        return lambda text: text.startswith(body)
    if end:
        return lambda text: text.endswith(body)
    return lambda text: body in text
