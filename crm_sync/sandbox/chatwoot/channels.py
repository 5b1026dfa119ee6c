"""What a channel adds to the records that come through it: source ids, e-mail headers, browser data, files."""

from __future__ import annotations

import html
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from crm_sync.sandbox.chatwoot.records import INCOMING, ContactRow, InboxRow
from crm_sync.sandbox.chatwoot.state import State

_TYPES = {
    "image": ("image/jpeg", "jpg"),
    "audio": ("audio/ogg", "ogg"),
    "video": ("video/mp4", "mp4"),
    "file": ("application/pdf", "pdf"),
}


def source_id(state: State, inbox: InboxRow, contact: ContactRow) -> str:
    """What identifies a contact within the channel."""
    if inbox.channel_type == "Channel::Email" and contact.email:
        return contact.email
    if inbox.channel_type == "Channel::Whatsapp" and contact.phone_number:
        return contact.phone_number.removeprefix("+")
    return str(uuid.UUID(int=state.random.getrandbits(128), version=4))


def conversation_extras(inbox: InboxRow, *, subject: str | None, at: str | None) -> dict[str, Any]:
    """``additional_attributes`` of a new conversation (contracts: conversation_created.*)."""
    if inbox.channel_type == "Channel::Email":
        return {
            "source": "email",
            "auto_reply": False,
            "in_reply_to": None,
            "initiated_at": {"timestamp": at},
            "mail_subject": subject or "",
        }
    if inbox.channel_type == "Channel::WebWidget":
        return {
            "browser": {
                "device_name": "Unknown",
                "browser_name": "Firefox",
                "platform_name": "Linux",
                "browser_version": "142.0",
                "platform_version": "",
            },
            "referer": "https://shop.example.com/rings?utm=a&b=1",
            "initiated_at": {"timestamp": at},
            "browser_language": "en",
        }
    return {}


def message_source_id(state: State, inbox: InboxRow, message_id: int, message_type: int) -> str | None:
    """The channel's own id of a public message."""
    if inbox.channel_type == "Channel::Whatsapp":
        return f"wamid.SANDBOX{message_id}"
    if inbox.channel_type == "Channel::Email" and message_type == INCOMING:
        return f"{message_id}.{state.account_id}@mail.example.com"
    return None


def email_attributes(contact: ContactRow, content: str | None, *, subject: str | None) -> dict[str, Any]:
    """What an incoming e-mail carries in ``content_attributes``."""
    text = content or ""
    lines = html.escape(text, quote=False).replace("\n", "<br>")
    page = f'<div dir="auto">{lines}</div>'
    return {
        "email": {
            "bcc": None,
            "cc": None,
            "content_type": "multipart/alternative; boundary=sandbox",
            "date": None,
            "from": [contact.email],
            "headers": None,
            "html_content": {"full": page, "reply": page, "quoted": page},
            "in_reply_to": None,
            "message_id": None,
            "multipart": True,
            "number_of_attachments": 0,
            "subject": subject,
            "text_content": {"full": text, "reply": text, "quoted": text},
            "to": ["support@example.com"],
        }
    }


def attachments(state: State, message_id: int, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of files, places and cards (app/models/attachment.rb).

    A file is given as ``{"file_type": "image", "name": "label.jpg", "content": b"..."}``, a place with its
    ``coordinates_*`` and ``fallback_title``, a card with ``fallback_title`` and ``meta``.
    """
    return [_attachment(state, message_id, dict(item)) for item in items]


def _attachment(state: State, message_id: int, item: dict[str, Any]) -> dict[str, Any]:
    number = next(state.attachment_ids)
    kind = str(item.get("file_type", "file"))
    found = {"id": number, "message_id": message_id, "file_type": kind, "account_id": state.account_id}
    if kind == "location":
        place = ("coordinates_lat", "coordinates_long", "fallback_title", "data_url")
        return found | {key: item.get(key) for key in place}
    if kind == "contact":
        return found | {"fallback_title": item.get("fallback_title"), "meta": item.get("meta") or {}}
    content_type, extension = _TYPES.get(kind, _TYPES["file"])
    name = str(item.get("name") or f"{kind}.{extension}")
    content = item.get("content") or f"{name} of attachment {number}".encode()
    mime = str(item.get("content_type") or content_type)
    state.files[number] = (content, mime)
    files = f"{state.public_url}/rails/active_storage"
    found |= {
        "extension": name.rpartition(".")[2] if "." in name else extension,
        "content_type": mime,
        "data_url": f"{files}/blobs/redirect/sandbox--{number}/{quote(name)}",
        "thumb_url": f"{files}/representations/redirect/sandbox--{number}/{quote(name)}"
        if kind == "image"
        else "",
        "file_size": item.get("file_size") or 48_211,
        "width": 1280 if kind == "image" else None,
        "height": 960 if kind == "image" else None,
    }
    return found | ({"transcribed_text": str(item.get("transcribed_text") or "")} if kind == "audio" else {})
