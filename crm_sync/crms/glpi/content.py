"""What Chatwoot's people wrote, as the HTML of GLPI's tickets and followups. Pure functions: no call, no clock.

What people wrote is made HTML in :mod:`crm_sync.crms.markup`. A comment that readers do not see tells which record
of Chatwoot a content is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from crm_sync.crms import markup
from crm_sync.crms.glpi.versions import Version
from crm_sync.crms.texts import Texts
from crm_sync.events import Attachment, Message

#: How a comment of ours begins, as it was sent, as GLPI 10 encodes it in what /search answers, and as GLPI 9.5 does
#: everywhere. The last is also how somebody's ``<`` is escaped, so only the last one in a content counts: it is ours.
_MARKER = re.compile(
    r"(?:<|&#60;|&lt;)!-- (crm-sync/[^\s/]+/\d+/[a-z]+/[\d.]+/)(?:first/(\d+)/)?(?:said/([0-9a-f]+)/)? --"
)

#: Web servers take 1 MiB unless they are told otherwise (nginx: client_max_body_size), and GLPI's columns take that
#: (contracts/glpi: ticket-create-huge-content). Chatwoot's longest texts, of 150,000 letters of any alphabet, fit in,
#: and there is room left for what stands around them; only of emoji there may be too many.
TEXT_LIMIT = 950_000


# -- markers -------------------------------------------------------------------------------------------------------


def host(chatwoot_url: str) -> str:
    """The host of a Chatwoot, with its port where it names one: it tells several Chatwoots apart."""
    parts = urlsplit(chatwoot_url)
    name = re.sub(r"[^a-z0-9.-]", "-", parts.hostname or "chatwoot")
    return f"{name}-{parts.port}" if parts.port else name


def marker(chatwoot_url: str, account_id: int, kind: str, record_id: int | str) -> str:
    """What identifies a record of ours within a content. Ends in a slash, so that 81 is not found in 812."""
    return f"crm-sync/{host(chatwoot_url)}/{account_id}/{kind}/{record_id}/"


def hidden(mark: str, first_message: int | None = None, said: str | None = None) -> str:
    """A marker that readers do not see.

    A ticket's tells which message the content was made from; and both tell what that said, so that a record which is
    found again is known to be up to date or not.
    """
    first = "" if first_message is None else f"first/{first_message}/"
    return f"<!-- {mark}{first}{f'said/{said}/' if said else ''} -->"


def is_marked(content: str, mark: str) -> bool:
    """Whether a content, as sent or as GLPI 10 encodes it, is of the record with this marker."""
    found = _marker_in(content)
    return found is not None and found[1] == mark


def is_ours(content: str) -> bool:
    """Whether a content was written by us, for whatever record."""
    return _marker_in(content) is not None


def first_message_in(content: str) -> int | None:
    """The id of the message that a ticket's content was made from, as its marker tells."""
    found = _marker_in(content)
    return int(found[2]) if found and found[2] else None


def said_in(content: str) -> str | None:
    """What the message said that a content was made from, as its marker tells (see versions)."""
    found = _marker_in(content)
    return found[3] if found else None


def _marker_in(content: str) -> re.Match[str] | None:
    return max(_MARKER.finditer(content), key=re.Match.start, default=None)


# -- contents ------------------------------------------------------------------------------------------------------


def has_content(message: Message) -> bool:
    """Whether there is anything to read or to open in a message."""
    return not message.deleted and bool(
        (message.content or "").strip() or message.attachments or _mail(message) or _choices(message)
    )


def followup_content(message: Message, mark: str, texts: Texts, version: Version | None = None) -> str:
    """A message as a followup: who and when, what was written, what was attached, and what came of it."""
    version = version or Version.of(message)
    head = f"<p><strong>{markup.escaped(heading(message, texts))}</strong></p>"
    return head + message_body(message, texts, version) + hidden(mark, said=version.said)


def heading(message: Message, texts: Texts) -> str:
    """Who wrote a message, and when."""
    name = message.sender.name or texts(f"words.{message.sender.kind.value}")
    return f"[{moment(message.created_at)}] {name}:"


def moment(at: datetime) -> str:
    """A time, for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def message_body(message: Message, texts: Texts, version: Version | None = None) -> str:
    """What a message says and carries, as HTML; and that it was edited, deleted, or never reached the customer."""
    version = version or Version.of(message)
    if version.deleted_at is not None:
        return _remark(texts("words.deleted", time=version.deleted_at))
    parts = [_text(message, texts), *_choices(message)]
    if message.attachments:
        items = "".join(f"<li>{attachment(item)}</li>" for item in message.attachments)
        parts.append(f"{markup.paragraph(texts('words.attachments'))}<ul>{items}</ul>")
    if version.edited:
        parts.append(_remark(texts("words.edited")))
    failure = undelivered(message)
    if failure is not None:
        parts.append(_remark(texts("words.not_delivered", error=failure or texts("words.unknown_error"))))
    return "".join(parts)


def undelivered(message: Message) -> str | None:
    """Why a message never reached the customer (empty where nobody says why); None where it did, or may have."""
    error = message.content_attributes.get("external_error")
    if error:
        return str(error)
    return "" if message.status == "failed" else None


def _remark(words: str) -> str:
    return f"<p><em>{markup.escaped(words)}</em></p>"


def _text(message: Message, texts: Texts) -> str:
    """What was written, by its own rules: a customer's stars are stars, an agent's are markdown, a mail is HTML."""
    text = message.content or ""
    made = _mail(message)
    if made is None:
        if not text.strip():
            return ""
        made = markup.written(message)
    if markup.size(made) <= TEXT_LIMIT:
        return made
    cut = markup.beginning(text, TEXT_LIMIT)
    return markup.paragraph(cut) + _remark(texts("words.cut", count=len(cut)))


def _mail(message: Message) -> str | None:
    """The HTML of a mail, without the mails it answers where Chatwoot could tell."""
    mail = message.content_attributes.get("email")
    if message.content_type != "incoming_email" or not isinstance(mail, Mapping):
        return None
    for form in ("html_content", "text_content"):
        bodies = mail.get(form)
        for part in ("reply", "full"):
            body = bodies.get(part) if isinstance(bodies, Mapping) else None
            if isinstance(body, str) and body.strip():
                made = markup.mail(body) if form == "html_content" else markup.paragraph(body)
                if made is not None:
                    return made
    return None


def _choices(message: Message) -> list[str]:
    """What a message offers besides its text (contracts: content_type input_select, cards, form, article), as a list.

    And what the customer answered.
    """
    items = _objects(message.content_attributes.get("items"))
    lines = [line for item in items if (line := _choice(item))]
    answers = [
        words
        for item in _objects(message.content_attributes.get("submitted_values"))
        if (words := _words(item, "title", "name", "value"))
    ]
    email = message.content_attributes.get("submitted_email")
    answers += [markup.escaped(email)] if isinstance(email, str) and email else []
    lines += [f"→ {answer}" for answer in answers]
    return [f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"] if lines else []


def _choice(item: Mapping[str, Any]) -> str:
    words = _words(item, "title", "label", "description")
    if isinstance(address := item.get("link"), str) and address:
        words = f"{words} {markup.link(address, address)}".strip()
    actions = [
        markup.link(str(action.get("uri") or ""), str(action.get("text") or action.get("uri") or ""))
        for action in _objects(item.get("actions"))
    ]
    return " – ".join(part for part in [words, *actions] if part)


def _words(item: Mapping[str, Any], *keys: str) -> str:
    found = [
        str(item[key]) for key in keys if isinstance(item.get(key), str | int | float) and item[key] != ""
    ]
    return markup.escaped(": ".join(dict.fromkeys(found)))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def attachment(item: Attachment) -> str:
    """An attachment as a link, or in words where there is nothing to link to."""
    label = item.name or item.file_type
    if item.latitude is not None and item.longitude is not None:
        return f"{markup.escaped(label)} ({item.latitude}, {item.longitude})"
    linked = markup.link(item.url or "", label)
    return f"{linked}: {markup.escaped(item.transcript)}" if item.transcript else linked
