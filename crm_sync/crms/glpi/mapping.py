"""Chatwoot's records as GLPI's fields. Pure functions: no call, no clock.

Contents are HTML and are always sent as an escaped text within a tag, since GLPI 10 takes a text without a tag that
holds an entity for one that is encoded already (contracts/glpi: ticket-create-escaped-only). Names are plain text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from crm_sync.events import Attachment, Contact, Conversation, Message, SenderKind, Status

#: GLPI's ticket states (facts, §8).
NEW, PROCESSING, PLANNED, PENDING, SOLVED, CLOSED = range(1, 7)

STATUS = {
    Status.OPEN: PROCESSING,
    Status.PENDING: PENDING,
    Status.SNOOZED: PENDING,
    Status.RESOLVED: SOLVED,
}

#: Urgency and impact for a conversation's priority; GLPI makes its own priority from the two.
PRIORITY = {"urgent": 5, "high": 4, "medium": 3, "low": 2, None: 3}

#: Columns of 255 characters: longer texts are cut silently by GLPI 10 and refused by GLPI 11.
NAME_LIMIT = 255

_MARKER = re.compile(r"crm-sync/([^/\s]+)/(\d+)/(conversation|message)/(\d+)/(?:first/(\d+)/)?")


# -- people --------------------------------------------------------------------------------------------------------


def is_identifiable(contact: Contact) -> bool:
    """Whether a contact can be told from others: by an e-mail address or a telephone number."""
    return bool(contact.email or contact.phone_number)


def login(chatwoot_url: str, account_id: int, contact_id: int) -> str:
    """The login of the user made for a contact. The same at every try: GLPI lets each login exist once."""
    return f"cw-{account_id}-{contact_id}@{host(chatwoot_url)}"


def host(chatwoot_url: str) -> str:
    """The host name of a Chatwoot, which tells several of them apart."""
    return urlsplit(chatwoot_url).hostname or "chatwoot"


def user_fields(contact: Contact, region: str | None = None) -> dict[str, Any]:
    """What a contact says of its GLPI user; an empty text for what it does not (or no longer) say.

    ``email`` is not a column of User: see ``email_input``.
    """
    first, last = split_name(contact.name)
    phone = international(contact.phone_number, region)
    return {
        "firstname": first,
        "realname": last,
        "phone": phone,
        "mobile": phone,
        "email": contact.email or "",
        "comment": comment(contact.additional_attributes),
    }


def split_name(name: str | None) -> tuple[str, str]:
    """First and last name, split at the first white space; one word is a first name."""
    first, _, last = (name or "").strip().partition(" ")
    return first[:NAME_LIMIT], last.strip()[:NAME_LIMIT]


def international(number: str | None, region: str | None = None) -> str:
    """A telephone number in international form; what is not a valid number stays as it is."""
    if not number:
        return ""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return number[:NAME_LIMIT]
    if not phonenumbers.is_valid_number(parsed):
        return number[:NAME_LIMIT]
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def comment(attributes: Mapping[str, Any]) -> str:
    """The contact's additional attributes as a readable comment, without the empty ones."""
    filled = {key: value for key, value in attributes.items() if value not in ("", None, {}, [])}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True) if filled else ""


def email_input(email: str) -> dict[str, Any]:
    """How an address is added to a user: under a negative key, since others name rows of anybody's (facts, §7)."""
    return {"_useremails": {"-1": email}, "_default_email": -1} if email else {}


def user_input(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body for creating or changing a user from (some of) its fields."""
    columns = {key: value for key, value in fields.items() if key != "email"}
    return {**columns, **email_input(str(fields.get("email") or ""))}


def user_criteria(contact: Contact, login_name: str, region: str | None = None) -> list[dict[str, Any]]:
    """One search for everybody who may be this contact: by login, by e-mail, by telephone as written or formatted.

    Anchored ``contains``: ``equals`` never matches an address (contracts/glpi: search-user-email-equals).
    """
    numbers = {
        number for number in (contact.phone_number, international(contact.phone_number, region)) if number
    }
    wanted = [(1, login_name)]
    wanted += [(5, contact.email)] if contact.email else []
    wanted += [(field, number) for number in sorted(numbers) for field in (6, 11)]
    return [
        {
            **({"link": "OR"} if index else {}),
            "field": field,
            "searchtype": "contains",
            "value": f"^{value}$",
        }
        for index, (field, value) in enumerate(wanted)
    ]


#: The columns that choose_user reads: login, id, addresses, phone, active, mobile.
USER_DISPLAY = (1, 2, 5, 6, 8, 11)


def choose_user(rows: Sequence[Mapping[str, Any]], contact: Contact, login_name: str) -> int | None:
    """Which of the users found is the contact: ours by login, else by e-mail, else by telephone; the oldest first.

    Never one that is switched off. A telephone is proof only where addresses do not contradict: a number can be
    shared by people with addresses of their own.
    """
    ranked: list[tuple[int, int]] = []
    for row in rows:
        if str(row.get("8", 1)) == "0":
            continue
        addresses = {address.lower() for address in _texts(row.get("5"))}
        if str(row.get("1", "")).lower() == login_name.lower():
            rank = 0
        elif contact.email and contact.email.lower() in addresses:
            rank = 1
        elif not contact.email or not addresses:
            rank = 2
        else:
            continue
        ranked.append((rank, int(row["2"])))
    return min(ranked)[1] if ranked else None


def _texts(value: Any) -> list[str]:
    """A column of a search row as a list: GLPI gives one value bare, several as a list that may hold null."""
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if item]


# -- tickets -------------------------------------------------------------------------------------------------------


def marker(
    chatwoot_url: str, account_id: int, kind: str, record_id: int, first_message: int | None = None
) -> str:
    """What identifies a record of ours within a content. Ends in a slash, so that 81 is not found in 812."""
    text = f"crm-sync/{host(chatwoot_url)}/{account_id}/{kind}/{record_id}/"
    return f"{text}first/{first_message}/" if first_message is not None else text


def first_message_in(content: str) -> int | None:
    """The id of the message that a ticket's content was made from, as its marker tells."""
    found = _MARKER.search(content)
    return int(found[5]) if found and found[5] else None


def ticket_state(conversation: Conversation) -> dict[str, Any]:
    """The part of a ticket that follows its conversation."""
    level = PRIORITY.get(conversation.priority, PRIORITY[None])
    return {"status": status(conversation), "urgency": level, "impact": level}


def status(conversation: Conversation) -> int:
    """A conversation's state as GLPI's: one that a bot still handles is new."""
    handled_by_bot = conversation.assignee is not None and conversation.assignee.kind is SenderKind.BOT
    if conversation.status is Status.PENDING and handled_by_bot:
        return NEW
    return STATUS[conversation.status]


def title(conversation: Conversation) -> str:
    """The ticket's name."""
    return f"Conversation #{conversation.id}"


def ticket_content(conversation: Conversation, first: Message | None, mark: str) -> str:
    """The ticket's description: the conversation's first public message, or who it is with."""
    if first is None:
        text = paragraph(f"New conversation from {conversation.contact.name or 'an unknown contact'}")
    else:
        text = message_body(first)
    return text + hidden(mark)


def followup_content(message: Message, mark: str) -> str:
    """A message as a followup: who and when, what was written, what was attached."""
    return paragraph(heading(message), strong=True) + message_body(message) + hidden(mark)


def heading(message: Message) -> str:
    """Who wrote a message, and when."""
    name = (
        message.sender.name
        or {
            SenderKind.CONTACT: "Customer",
            SenderKind.AGENT: "Agent",
            SenderKind.BOT: "Bot",
            SenderKind.SYSTEM: "Chatwoot",
        }[message.sender.kind]
    )
    return f"[{message.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC] {name}:"


def message_body(message: Message) -> str:
    """What a message says and carries, as HTML."""
    parts = [paragraph(message.content)] if message.content else []
    if message.attachments:
        items = "".join(f"<li>{attachment(item)}</li>" for item in message.attachments)
        parts.append(f"<p>Attachments:</p><ul>{items}</ul>")
    return "".join(parts)


def attachment(item: Attachment) -> str:
    """An attachment as a link, or in words where there is nothing to link to."""
    label = html.escape(item.name or item.file_type)
    if item.latitude is not None and item.longitude is not None:
        return f"{label} ({item.latitude}, {item.longitude})"
    link = f'<a href="{html.escape(item.url)}">{label}</a>' if item.url and is_web(item.url) else label
    return f"{link}: {html.escape(item.transcript)}" if item.transcript else link


def is_web(url: str) -> bool:
    """Whether an address is one a browser may follow from within GLPI."""
    return urlsplit(url).scheme in {"http", "https"}


def paragraph(text: str, *, strong: bool = False) -> str:
    """A plain text as one HTML paragraph."""
    escaped = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")
    return f"<p><strong>{escaped}</strong></p>" if strong else f"<p>{escaped}</p>"


def hidden(mark: str) -> str:
    """A marker that readers do not see."""
    return f"<!-- {mark} -->"


def ticket_url(api_url: str, ticket_id: str) -> str:
    """Where people open a ticket."""
    base = re.sub(r"/(apirest\.php|api\.php(/v1)?)/?$", "", api_url)
    return f"{base}/front/ticket.form.php?id={ticket_id}"


def user_url(api_url: str, user_id: str) -> str:
    """Where people open a user."""
    base = re.sub(r"/(apirest\.php|api\.php(/v1)?)/?$", "", api_url)
    return f"{base}/front/user.form.php?id={user_id}"
