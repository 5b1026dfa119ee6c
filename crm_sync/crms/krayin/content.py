"""What Chatwoot's people wrote, as the comments of Krayin's activities. Pure functions: no call, no clock.

Krayin shows comments as HTML (facts), so what people wrote is escaped; it cuts them at 64 KiB, so they are cut here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crm_sync.crms import markup
from crm_sync.crms.texts import Texts
from crm_sync.events import Direction, Message

#: A column of 64 KiB; room is left for what stands around a text.
COMMENT_BYTES = 60_000

#: The keys in an activity's ``additional`` that hold our marker, and the message its comment shows.
_KEY, _FIRST = "crm_sync", "first_message"


#: What Krayin's pages read of an activity of type email, and break without (activities/index.blade.php).
_MAIL = {"from": "", "to": [], "cc": [], "bcc": [], "folders": ["inbox"]}


def tag(mark: str, first_message: int | None = None, *, mail: bool = False) -> str:
    """What an activity of ours carries unseen: ``additional`` has to be a text of JSON (contracts: 90r, 90s).

    A conversation's tells also which message its comment shows; one of type email (``mail``) what its page reads of it.
    """
    first = {_FIRST: first_message} if first_message is not None else {}
    return json.dumps({**(_MAIL if mail else {}), _KEY: mark, **first})


def is_tagged(row: Mapping[str, Any], mark: str) -> bool:
    """Whether an activity is ours with this marker."""
    additional = row.get("additional")
    return isinstance(additional, Mapping) and additional.get(_KEY) == mark


def first_message_in(row: Mapping[str, Any]) -> int | None:
    """The message that an activity's comment shows, as its tag tells."""
    additional = row.get("additional")
    found = additional.get(_FIRST) if isinstance(additional, Mapping) else None
    return found if isinstance(found, int) else None


def has_content(message: Message) -> bool:
    """Whether there is anything to read or to open in a message."""
    return not message.deleted and bool((message.content or "").strip() or message.attachments)


def is_readable(message: Message) -> bool:
    """Whether people are to read a message in Krayin."""
    return message.direction is not Direction.TEMPLATE and not message.ours and has_content(message)


def comment(message: Message, texts: Texts) -> str:
    """A message as a note: who and when, what was written, what was attached."""
    if message.deleted:
        return f"{heading(message, texts)}<p><em>{markup.escaped(texts('words.deleted'))}</em></p>"
    return heading(message, texts) + body(message, texts)


def body(message: Message, texts: Texts) -> str:
    """What a message says and carries."""
    parts = [_text(message, texts)] if (message.content or "").strip() else []
    if message.attachments:
        items = "".join(
            f"<li>{markup.link(item.url or '', item.name or item.file_type)}</li>"
            for item in message.attachments
        )
        parts.append(f"<p>{markup.escaped(texts('words.attachments'))}</p><ul>{items}</ul>")
    if message.content_attributes.get("edited"):
        parts.append(f"<p><em>{markup.escaped(texts('words.edited'))}</em></p>")
    return "".join(parts)


def moment(at: datetime) -> str:
    """A time, for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def heading(message: Message, texts: Texts) -> str:
    """Who wrote a message, and when."""
    name = message.sender.name or texts(f"words.{message.sender.kind.value}")
    return f"<p><strong>{markup.escaped(f'[{moment(message.created_at)}] {name}:')}</strong></p>"


def _text(message: Message, texts: Texts) -> str:
    """What was written; of what does not fit, as much of its plain text as does, and that it goes on."""
    made = markup.written(message)
    if len(made.encode()) <= COMMENT_BYTES:
        return made
    text = message.content or ""
    while len(markup.paragraph(text).encode()) > COMMENT_BYTES:
        text = text[: len(text) * 9 // 10]
    cut = markup.escaped(texts("words.cut", count=len(text)))
    return f"{markup.paragraph(text)}<p><em>{cut}</em></p>"
