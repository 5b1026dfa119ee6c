"""What technicians write in GLPI, as the text of a Chatwoot message. Pure functions: no call, no clock.

GLPI keeps whatever HTML it is sent, scripts too (contracts/glpi: ticket-get-script). What comes out here is Markdown
made of what is safe: words, lists, quotes, and links to the web. Pictures and documents become links into GLPI.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from urllib.parse import urljoin

import nh3
from markdownify import markdownify

#: Longest text Chatwoot takes in a message, in characters, with room for a heading.
TEXT_LIMIT = 149_000

_TAGS = {
    "a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li",
    "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt"}}
_WEB = {"http", "https", "mailto"}

#: How GLPI 9.5 keeps the angle brackets of what it is sent.
_ENCODED = re.compile(r"^\s*&lt;[a-z!]", re.IGNORECASE)


#: A picture as it comes out of the sanitiser.
_PICTURE = re.compile(r"<img\b([^>]*)>")
#: A link, which GLPI's editor puts around each picture; there is none within another.
_LINK = re.compile(r"<a\b.*?</a>", re.DOTALL)
_GIVEN = re.compile(r'(src|alt)="([^"]*)"')


def message(text: str, files: Sequence[tuple[str, str]], *, author: str | None, heading: str) -> str:
    """A message of Chatwoot: for agents with who wrote it, and with links to files (name, address)."""
    parts = [f"**{author}** (GLPI):"] if author else []
    parts += [text] if text else []
    if files:
        parts.append("\n".join([heading, *(f"- [{name}]({url})" for name, url in files)]))
    return "\n\n".join(parts)


def markdown(content: str, base_url: str) -> str:
    """A content of GLPI as Markdown; ``base_url`` is GLPI's own address, for links without one."""
    text = (html.unescape(content) if _ENCODED.match(content) else content).strip()
    if not text:
        return ""
    if not re.search(r"<[a-z!/]", text, re.IGNORECASE):
        # No tag at all: GLPI shows its lines as they are.
        text = html.escape(text, quote=False).replace("\n", "<br>")
    clean = nh3.clean(
        text,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_WEB,
        link_rel=None,
        attribute_filter=lambda _tag, name, value: value if name == "alt" else urljoin(base_url, value),
    )
    named = _LINK.sub(lambda link: _PICTURE.sub(lambda picture: _label(picture[1]), link[0]), clean)
    linked = _PICTURE.sub(_as_link, named)
    try:
        found = markdownify(linked, bullets="-", heading_style="ATX", newline_style="BACKSLASH")
    except RecursionError:
        # Nested more deeply than anybody writes: the words alone.
        found = html.unescape(nh3.clean(linked, tags=set()))
    return re.sub(r"\n{3,}", "\n\n", found).strip()[:TEXT_LIMIT]


def _as_link(picture: re.Match[str]) -> str:
    """A picture as a link: only who is logged in to GLPI may see it."""
    source = dict(_GIVEN.findall(picture[1])).get("src")
    label = _label(picture[1])
    return f'<a href="{source}">{label}</a>' if source else label


def _label(attributes: str) -> str:
    """What a picture is called."""
    return " ".join(dict(_GIVEN.findall(attributes)).get("alt", "").split()) or "image"
