"""Chatwoot's records as GLPI's fields. Pure functions: no call, no clock.

Names are plain texts and are sent as they are; what is HTML is made in :mod:`crm_sync.crms.glpi.content`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import phonenumbers

from crm_sync.crms.glpi.content import host
from crm_sync.events import Contact, Conversation, SenderKind, Status

#: GLPI's ticket states.
NEW, PROCESSING, PLANNED, PENDING, SOLVED, CLOSED = range(1, 7)

STATUS = {
    Status.OPEN: PROCESSING,
    Status.PENDING: PENDING,
    Status.SNOOZED: PENDING,
    Status.RESOLVED: SOLVED,
}

#: A ticket's state as a conversation's.
CONVERSATION_STATUS = {
    NEW: Status.OPEN,
    PROCESSING: Status.OPEN,
    PLANNED: Status.OPEN,
    PENDING: Status.PENDING,
    SOLVED: Status.RESOLVED,
    CLOSED: Status.RESOLVED,
}

#: GLPI's names of a ticket's states.
STATUS_NAMES = {
    NEW: "New",
    PROCESSING: "Processing (assigned)",
    PLANNED: "Processing (planned)",
    PENDING: "Pending",
    SOLVED: "Solved",
    CLOSED: "Closed",
}

#: A ticket's priority (1 to 6, Major) as a conversation's.
CONVERSATION_PRIORITY = {1: "low", 2: "low", 3: "medium", 4: "high", 5: "urgent", 6: "urgent"}

#: Urgency and impact for a conversation's priority; GLPI makes its own priority from the two.
PRIORITY = {"urgent": 5, "high": 4, "medium": 3, "low": 2, None: 3}

#: Columns of 255 characters: longer texts are cut silently by GLPI 10 and refused by GLPI 11.
NAME_LIMIT = 255
#: The comment is a column of 64 KiB; four bytes are the most a character takes.
COMMENT_LIMIT = 16_000


# -- people --------------------------------------------------------------------------------------------------------


def is_identifiable(contact: Contact) -> bool:
    """Whether a contact can be told from others: by an e-mail address or a telephone number."""
    return bool(contact.email or contact.phone_number)


def login(chatwoot_url: str, account_id: int, contact_id: int) -> str:
    """The login of the user made for a contact. The same at every try: GLPI lets each login exist once.

    Only of characters that GLPI takes in a login.
    """
    return f"cw-{account_id}-{contact_id}@{host(chatwoot_url)}"[:NAME_LIMIT]


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
    first, *rest = (name or "").split(None, 1) or [""]
    return first[:NAME_LIMIT], "".join(rest).strip()[:NAME_LIMIT]


def international(number: str | None, region: str | None = None) -> str:
    """A telephone number in international form; what is not a valid number stays as it is."""
    parsed = parsed_number(number, region)
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return (number or "")[:NAME_LIMIT]
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def parsed_number(number: str | None, region: str | None) -> phonenumbers.PhoneNumber | None:
    """What a text says as a telephone number; None where it does not look like one."""
    try:
        # 00 stands for the plus nearly everywhere, but not in every country's rules.
        return phonenumbers.parse(re.sub(r"^\s*00", "+", number), region) if number else None
    except phonenumbers.NumberParseException:
        return None


def comment(attributes: Mapping[str, Any]) -> str:
    """The contact's additional attributes as a readable comment, without the empty ones."""
    filled = _filled(attributes)
    return json.dumps(filled, ensure_ascii=False, sort_keys=True)[:COMMENT_LIMIT] if filled else ""


def _filled(value: Any) -> Any:
    """A JSON value without anything empty in it."""
    if isinstance(value, Mapping):
        pairs = ((key, _filled(item)) for key, item in value.items())
        return {key: item for key, item in pairs if not _is_empty(item)}
    if isinstance(value, list | tuple):
        return [item for item in map(_filled, value) if not _is_empty(item)]
    return value.strip() if isinstance(value, str) else value


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | dict | list) and not value)


def contact_fields(contact: Contact, region: str | None = None) -> dict[str, Any]:
    """What a contact says of its GLPI Contact; an empty text for what it does not (or no longer) say."""
    phone = international(contact.phone_number, region)
    return {
        "name": (contact.name or "").strip()[:NAME_LIMIT],
        "firstname": split_name(contact.name)[0],
        "phone": phone,
        "mobile": phone,
        "email": contact.email or "",
        "comment": comment(contact.additional_attributes),
    }


def contact_input(fields: Mapping[str, Any], mark: str | None) -> dict[str, Any]:
    """The body for creating or changing a GLPI Contact from (some of) its fields.

    ``mark`` tells which of Chatwoot's contacts it was made for; it stands in a line of its own, below what the comment
    says. The JSON above is one line, so nobody's attributes can pass for it.
    """
    if mark is None or "comment" not in fields:
        return dict(fields)
    said = str(fields["comment"])
    return {**fields, "comment": f"{said}\n{mark}" if said else mark}


def is_marked(comment_text: str, mark: str) -> bool:
    """Whether the comment of a GLPI Contact tells that it was made for the contact of this marker."""
    return mark in (line.strip() for line in comment_text.split("\n"))


def changes(agreed: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are to be written; what was never agreed on counts as empty."""
    return {key: value for key, value in fields.items() if (agreed.get(key) or None) != (value or None)}


def email_input(email: str) -> dict[str, Any]:
    """How an address is added to a user: under a negative key, since others name rows of anybody's."""
    return {"_useremails": {"-1": email}, "_default_email": -1} if email else {}


def user_input(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body for creating or changing a user from (some of) its fields."""
    columns = {key: value for key, value in fields.items() if key != "email"}
    return {**columns, **email_input(str(fields.get("email") or ""))}


# -- tickets -------------------------------------------------------------------------------------------------------


def status(conversation: Conversation) -> int:
    """A conversation's state as GLPI's: one that a bot still handles is new."""
    handled_by_bot = conversation.assignee is not None and conversation.assignee.kind is SenderKind.BOT
    if conversation.status is Status.PENDING and handled_by_bot:
        return NEW
    return STATUS[conversation.status]


def says_the_same(conversation: Conversation, ticket_status: int) -> bool:
    """Whether a ticket in this status is as its conversation says; one that is snoozed is pending in GLPI."""
    if status(conversation) == ticket_status:
        return True
    return CONVERSATION_STATUS.get(ticket_status) is conversation.status


def ticket_url(api_url: str, ticket_id: str) -> str:
    """Where people open a ticket."""
    return f"{web_url(api_url)}/front/ticket.form.php?id={ticket_id}"


def person_url(api_url: str, itemtype: str, person_id: str) -> str:
    """Where people open a user or a contact."""
    return f"{web_url(api_url)}/front/{itemtype.lower()}.form.php?id={person_id}"


def web_url(api_url: str) -> str:
    """Where people open GLPI itself."""
    return re.sub(r"/(apirest\.php|api\.php(/v1)?)/?$", "", api_url)
