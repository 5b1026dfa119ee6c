"""What technicians write in GLPI, as the text of a Chatwoot message. Pure functions: no call, no clock.

GLPI keeps whatever HTML it is sent, scripts too (contracts/glpi: ticket-get-script). What comes out here is Markdown made
of what is safe: words, lists, quotes, and links to the web. Pictures and documents become links into GLPI.
"""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urljoin

import nh3
from markdownify import MarkdownConverter

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


class _Converter(MarkdownConverter):  # type: ignore[misc]  # it ships no types
    """Markdown with links into GLPI where GLPI wrote relative ones."""

    def convert_a(self, el: Any, text: str, parent_tags: Any) -> str:
        """A link."""
        el["href"] = urljoin(self.options["base_url"], el.get("href") or "")
        return str(super().convert_a(el, text, parent_tags))

    def convert_img(self, el: Any, text: str, parent_tags: Any) -> str:  # noqa: ARG002 - the library's shape
        """A picture: only who is logged in to GLPI may see it, so it is a link."""
        target = urljoin(self.options["base_url"], el.get("src") or "")
        label = " ".join((el.get("alt") or "image").split()).replace("]", "")
        return f"[{label}]({target})"


def markdown(content: str, base_url: str) -> str:
    """A content of GLPI as Markdown; ``base_url`` is GLPI's own address, for links without one."""
    text = html.unescape(content) if _ENCODED.match(content) else content
    if not re.search(r"<[a-z!/]", text, re.IGNORECASE):
        # No tag at all: GLPI shows its lines as they are.
        text = html.escape(text, quote=False).replace("\n", "<br>")
    clean = nh3.clean(text, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_WEB, link_rel=None)
    converter = _Converter(base_url=base_url, bullets="-", heading_style="ATX", newline_style="BACKSLASH")
    found = str(converter.convert(clean))
    return re.sub(r"\n{3,}", "\n\n", found).strip()[:TEXT_LIMIT]
