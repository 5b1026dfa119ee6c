"""The words an app shows to people in their language: its form's labels and help, errors, what it adds to records.

Each app keeps them in ``locales/<language>.yml``, all files of one shape; what a file lacks is said in English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

#: The language every app speaks.
ENGLISH = "en"
#: The languages there are, by the codes Chatwoot uses.
LANGUAGES = (ENGLISH, "fr", "pt_BR")


class Texts:
    """An app's words in one language, by dotted keys (``words.attachments``)."""

    def __init__(self, words: Mapping[str, Any], otherwise: Texts | None = None) -> None:
        self._words = words
        self._otherwise = otherwise

    def find(self, key: str) -> str | None:
        """The text of a key; None when there is none, in English either."""
        found: Any = self._words
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, str):
            return found
        return self._otherwise.find(key) if self._otherwise else None

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key with these values in its places. Raises KeyError for a key nobody has written."""
        text = self.find(key)
        if text is None:
            raise KeyError(key)
        return text.format(**values) if values else text


@lru_cache
def load(package: str, language: str = ENGLISH) -> Texts:
    """The words of the app in this package; English where the language is not one of ours."""
    otherwise = None if language == ENGLISH else load(package)
    if language not in LANGUAGES:
        return load(package)
    raw = files(package).joinpath("locales", f"{language}.yml").read_text(encoding="utf-8")
    return Texts(yaml.safe_load(raw) or {}, otherwise)
