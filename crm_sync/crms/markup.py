"""What people wrote, made HTML: their plain text, the markdown of agents, the HTML of mails. Pure functions.

GLPI and Krayin store whatever they are sent (contracts/glpi: ticket-get-script), so nothing anybody writes may come out
as more than the few tags listed here: no script, no style, no image that is fetched from elsewhere, no comment (ours
are how a record is known again), no address but of the web and of mail. And everything comes out within a tag, since
GLPI 10 takes a text without one that holds an entity for one that is encoded already (contracts/glpi:
ticket-create-escaped-only).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from crm_sync.events import Direction, Message

#: What is left of people's markup.
# fmt: off
TAGS = frozenset(
    {
        "a", "b", "blockquote", "br", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3",
        "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "table",
        "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
    }
)
# fmt: on
_ATTRIBUTES = {"a": {"href"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
#: Elements that go with all that is in them.
_UNREADABLE = {"script", "style", "title", "template", "noscript", "textarea", "select"}
#: Elements without an end, and what ends unsaid where one of these begins.
_VOID = {"br", "hr"}
_ENDS = {
    "p": {"p"},
    "li": {"p", "li"},
    "td": {"p", "td", "th"},
    "th": {"p", "td", "th"},
    "tr": {"p", "td", "th", "tr"},
    "dt": {"p", "dt", "dd"},
    "dd": {"p", "dt", "dd"},
}
#: Deeper than this no mail is nested that people read. A parser of HTML takes the square of the depth.
_DEEPEST = 64
#: Longer texts are not looked through for markdown, which may take the square of the length.
MARKDOWN_LIMIT = 20_000
#: The HTML of a mail that is larger is not read; its text is.
MAIL_LIMIT = 500_000

#: Chatwoot's mention of an agent or a team: [@Rui](mention://user/32/Rui). Names may hold brackets.
_MENTION = re.compile(r"\[@?([^\]\n]+)\]\(mention://(?:[^()\n]|\([^()\n]*\))*\)")
_AFTER_BLOCK = re.compile(r"(</?(?:p|ul|ol|li|blockquote|h[1-6]|hr|br)(?: start=\"\d+\")?>)\n")


# -- plain text ----------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """A plain text within HTML, its lines kept."""
    return html.escape(lines(text), quote=False).replace("\n", "<br>")


def paragraph(text: str) -> str:
    """A plain text as one HTML paragraph."""
    return f"<p>{escaped(text)}</p>"


def lines(text: str) -> str:
    """A text with its ends of lines made one: GLPI makes them one anyway."""
    return re.sub(r"\r\n?", "\n", text)


def link(url: str, words: str) -> str:
    """A link, or its words alone where the address is not one that a browser may follow from within the CRM."""
    return f'<a href="{html.escape(url)}">{escaped(words)}</a>' if is_web(url) else escaped(words)


def is_web(url: str) -> bool:
    """Whether an address is one a browser may follow from within the CRM."""
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def written(message: Message) -> str:
    """The text of a message, by its own rules: a customer's stars are stars, an agent's are markdown."""
    text = message.content or ""
    return markdown(text) if _is_markdown(message) else paragraph(text)


def _is_markdown(message: Message) -> bool:
    """Whether Chatwoot's editor (or a bot) made it. What an agent wrote in the channel's own app is as it is."""
    return message.direction is Direction.OUTGOING and not message.content_attributes.get("external_echo")


# -- markdown ------------------------------------------------------------------------------------------------------


def mentions(text: str) -> str:
    """A text with Chatwoot's mentions as names."""
    return _MENTION.sub(r"@\1", text)


def markdown(text: str) -> str:
    """What an agent wrote in Chatwoot's editor, as Chatwoot shows it: each end of a line is one."""
    if len(text) > MARKDOWN_LIMIT:
        return paragraph(mentions(text))
    made = harmless(str(_MARKDOWN.render(mentions(lines(text))))).strip()
    # A text that markdown makes nothing of, like the address of a link that is never used, is shown as it is.
    return _AFTER_BLOCK.sub(r"\1", made) if words(made) else paragraph(text)


def _image(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: MutableMapping[str, Any],
) -> str:
    """An image is fetched from elsewhere whenever the ticket is looked at; a link is not."""
    address = str(tokens[index].attrs.get("src") or "")
    return link(address, tokens[index].content or address)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False, "xhtmlOut": False})
    parser.enable(["strikethrough", "table"])
    parser.add_render_rule("image", _image)
    return parser


_MARKDOWN = _parser()


# -- HTML ----------------------------------------------------------------------------------------------------------


def harmless(text: str) -> str:
    """HTML with nothing left in it but what is listed here."""
    return nh3.clean(
        text,
        tags=set(TAGS),
        clean_content_tags=_UNREADABLE,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        link_rel=None,
        strip_comments=True,
    )


def _attribute(_tag: str, name: str, value: str) -> str | None:
    """The value of an attribute, if it may stay. An address without a host would be one of the CRM's own."""
    if name != "href":
        return value
    try:
        return value if urlsplit(value).scheme in _SCHEMES else None
    except ValueError:
        return None


def words(text: str) -> str:
    """What there is to read in HTML."""
    return html.unescape(nh3.clean(text, tags=set())).strip()


def mail(text: str) -> str | None:
    """The HTML of a mail as it may stand in a CRM; None when there is nothing to read in it."""
    made = harmless(_flattened(lines(text))).strip() if len(text) <= MAIL_LIMIT else ""
    return f"<div>{made}</div>" if words(made) else None


def _flattened(text: str) -> str:
    """HTML with its elements closed, in order, and not too deep: what can be read in time, whatever it was.

    What it leaves is judged by ``harmless``; here it only matters that all tags are of our own making.
    """
    made: list[str] = []
    opened: list[str] = []
    read = 0
    for token in _TOKEN.finditer(text):
        made.append(_text(text[read : token.start()]))
        read = token.end()
        begun, ended = (token["begun"] or "").lower(), (token["ended"] or "").lower()
        if begun in TAGS:
            while opened and opened[-1] in _ENDS.get(begun, ()):
                made.append(f"</{opened.pop()}>")
            if begun in _VOID or len(opened) < _DEEPEST:
                made.append(f"<{begun}{_attributes(begun, token['attributes'])}>")
                opened += [] if begun in _VOID else [begun]
        elif ended in opened:
            while (tag := opened.pop()) != ended:
                made.append(f"</{tag}>")
            made.append(f"</{ended}>")
    made.append(_text(text[read:]))
    return "".join([*made, *(f"</{tag}>" for tag in reversed(opened))])


#: A comment, an element that goes with all that is in it, an end, or a beginning; each goes on to the end of the text
#: where it has none, and none is read twice.
_TOKEN = re.compile(
    rf"""
    <!--.*?(?:--!?>|\Z) | <[!?][^>]*>?
    | <(?P<gone>{"|".join(sorted(_UNREADABLE))})(?=[\s/>]).*?(?:</(?P=gone)\s*>|\Z)
    | </(?P<ended>[a-z][^\s/>]*)[^>]*>?
    | <(?P<begun>[a-z][^\s/>]*)(?P<attributes>(?:[^>"']|"[^"]*"|'[^']*'|["'])*+)>?
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""(?<![a-z])([a-z]++)\s*+=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


def _attributes(tag: str, text: str) -> str:
    kept = _ATTRIBUTES.get(tag, set())
    if not kept:
        return ""
    found = {name.lower(): one or two or three for name, one, two, three in _ATTRIBUTE.findall(text)}
    return "".join(
        f' {name}="{html.escape(html.unescape(found[name]))}"' for name in sorted(kept & found.keys())
    )


def _text(text: str) -> str:
    return html.escape(html.unescape(text), quote=False)


# -- size ----------------------------------------------------------------------------------------------------------


def size(text: str) -> int:
    """How many bytes a text takes on its way to GLPI: JSON, whose letters are of seven bits."""
    return len(json.dumps(text)) - 2


def beginning(text: str, limit: int) -> str:
    """As much of a plain text as takes no more than this, once it is HTML and on its way."""
    taken = 0
    for index, character in enumerate(text):
        taken += size(escaped(character))
        if taken > limit:
            return text[:index]
    return text
