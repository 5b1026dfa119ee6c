"""Templates of titles and descriptions: a text with places like ``{contact}`` in it. Pure functions.

What people wrote is put into its place and never read: a customer who writes ``{link}`` gets these six characters.
A brace that is to be seen is written twice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence

#: What the template of a title may hold, in braces.
TITLE_PLACEHOLDERS = ("id", "inbox", "channel", "contact", "email", "phone", "subject", "message")
#: What any template may hold; a description may hold each of them.
PLACEHOLDERS = (*TITLE_PLACEHOLDERS, "link")

_PART = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<name>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")


def check(template: str, placeholders: Sequence[str] = PLACEHOLDERS) -> None:
    """Raises ValueError, in words, for a template that cannot be filled."""
    for match in _PART.finditer(template):
        name = match["name"]
        if name is not None and name not in placeholders:
            known = ", ".join(f"{{{known}}}" for known in placeholders)
            raise ValueError(f"{{{name}}} stands for nothing; there are {known}.")
        if match["stray"]:
            raise ValueError(
                f"The {match['stray']} at character {match.start() + 1} belongs to nothing; "
                "write it twice if it is to be seen."
            )


def names(template: str) -> frozenset[str]:
    """The placeholders that a template holds."""
    return frozenset(name for _, name in _parts(template) if name)


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with these values in its places; nothing for a placeholder without a value."""
    return "".join(values.get(name, "") if name else text for text, name in _parts(template))


def fill_html(template: str, values: Mapping[str, str], blocks: Mapping[str, str]) -> str:
    """A template as HTML paragraphs.

    The template is plain text. ``values`` are HTML that stands within a paragraph, ``blocks`` are paragraphs of
    their own. What is empty leaves no paragraph behind.
    """
    made: list[str] = []
    inline: list[str] = []
    for text, name in _parts(template):
        if name in blocks:
            made += [*_paragraphs("".join(inline)), blocks[name]]
            inline.clear()
        else:
            inline.append(values.get(name, "") if name else html.escape(text, quote=False))
    return "".join([*made, *_paragraphs("".join(inline))])


def _paragraphs(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", re.sub(r"\r\n?", "\n", text)):
        if part.strip():
            lines = part.strip().replace("\n", "<br>")
            yield f"<p>{lines}</p>"


def _parts(template: str) -> Iterator[tuple[str, str]]:
    """A template in pieces: a text and no name, or no text and the name of a placeholder."""
    for match in _PART.finditer(template):
        if match["name"]:
            yield "", match["name"]
        else:
            yield match["brace"][0] if match["brace"] else match[0], ""
