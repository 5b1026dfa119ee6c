"""What Chatwoot's people wrote, as the HTML of GLPI's tickets and followups. Pure functions: no call, no clock.

A content is always an escaped text within a tag, since GLPI 10 takes a text without a tag that holds an entity for one
that is encoded already (contracts/glpi: ticket-create-escaped-only); and since GLPI stores whatever it is sent, nothing
a customer writes may come out as markup. A comment that readers do not see tells which record of Chatwoot it is.
"""

from __future__ import annotations

import html
import re
from datetime import UTC
from urllib.parse import urlsplit

from crm_sync.events import Attachment, Conversation, Message, SenderKind

#: How a comment of ours begins, as it was sent, as GLPI 10 encodes it in what /search answers, and as GLPI 9.5 does
#: everywhere. The last is also how somebody's ``<`` is escaped, so only the last one in a content counts: it is ours.
_MARKER = re.compile(
    r"(?:<|&#60;|&lt;)!-- (crm-sync/\S+/\d+/(?:conversation|message)/\d+/)(?:first/(\d+)/)? --"
)

#: Chatwoot's mention of an agent or a team: [@Rui](mention://user/32/Rui). Names may hold brackets.
_MENTION = re.compile(r"\[@?([^\]\n]+)\]\(mention://(?:[^()\n]|\([^()\n]*\))*\)")

_NOBODY = {
    SenderKind.CONTACT: "Customer",
    SenderKind.AGENT: "Agent",
    SenderKind.BOT: "Bot",
    SenderKind.SYSTEM: "Chatwoot",
}


# -- markers -------------------------------------------------------------------------------------------------------


def host(chatwoot_url: str) -> str:
    """The host of a Chatwoot, with its port where it names one: it tells several Chatwoots apart."""
    parts = urlsplit(chatwoot_url)
    name = re.sub(r"[^a-z0-9.-]", "-", parts.hostname or "chatwoot")
    return f"{name}-{parts.port}" if parts.port else name


def marker(chatwoot_url: str, account_id: int, kind: str, record_id: int) -> str:
    """What identifies a record of ours within a content. Ends in a slash, so that 81 is not found in 812."""
    return f"crm-sync/{host(chatwoot_url)}/{account_id}/{kind}/{record_id}/"


def hidden(mark: str, first_message: int | None = None) -> str:
    """A marker that readers do not see; a ticket's also tells which message the content was made from."""
    return f"<!-- {mark}{'' if first_message is None else f'first/{first_message}/'} -->"


def is_marked(content: str, mark: str) -> bool:
    """Whether a content, as sent or as GLPI 10 encodes it, is of the record with this marker."""
    found = _marker_in(content)
    return found is not None and found[1] == mark


def first_message_in(content: str) -> int | None:
    """The id of the message that a ticket's content was made from, as its marker tells."""
    found = _marker_in(content)
    return int(found[2]) if found and found[2] else None


def _marker_in(content: str) -> re.Match[str] | None:
    return max(_MARKER.finditer(content), key=re.Match.start, default=None)


# -- contents ------------------------------------------------------------------------------------------------------


def has_content(message: Message) -> bool:
    """Whether there is anything to read or to open in a message."""
    return bool(not message.deleted and ((message.content or "").strip() or message.attachments))


def ticket_content(conversation: Conversation, first: Message | None, mark: str) -> str:
    """The ticket's description: the conversation's first public message, or who it is with."""
    if first is None:
        text = paragraph(f"New conversation from {conversation.contact.name or 'an unknown contact'}")
    else:
        text = message_body(first)
    return text + hidden(mark, first.id if first else 0)


def followup_content(message: Message, mark: str) -> str:
    """A message as a followup: who and when, what was written, what was attached."""
    return f"<p><strong>{escaped(heading(message))}</strong></p>{message_body(message)}{hidden(mark)}"


def heading(message: Message) -> str:
    """Who wrote a message, and when."""
    name = message.sender.name or _NOBODY[message.sender.kind]
    return f"[{message.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC] {name}:"


def message_body(message: Message) -> str:
    """What a message says and carries, as HTML."""
    text = readable(message.content or "")
    parts = [paragraph(text)] if text.strip() else []
    if message.attachments:
        items = "".join(f"<li>{attachment(item)}</li>" for item in message.attachments)
        parts.append(f"<p>Attachments:</p><ul>{items}</ul>")
    return "".join(parts)


def readable(text: str) -> str:
    """A message as Chatwoot shows it: mentions as names, a backslash at the end of a line as the line's end."""
    return _MENTION.sub(r"@\1", re.sub(r"\r\n?", "\n", text)).replace("\\\n", "\n")


def attachment(item: Attachment) -> str:
    """An attachment as a link, or in words where there is nothing to link to."""
    label = escaped(item.name or item.file_type)
    if item.latitude is not None and item.longitude is not None:
        return f"{label} ({item.latitude}, {item.longitude})"
    link = f'<a href="{html.escape(item.url)}">{label}</a>' if item.url and is_web(item.url) else label
    return f"{link}: {escaped(item.transcript)}" if item.transcript else link


def is_web(url: str) -> bool:
    """Whether an address is one a browser may follow from within GLPI."""
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def paragraph(text: str) -> str:
    """A plain text as one HTML paragraph."""
    return f"<p>{escaped(text)}</p>"


def escaped(text: str) -> str:
    """A plain text within HTML, its lines kept."""
    return re.sub(r"\r\n?|\n", "<br>", html.escape(text, quote=False))
