"""Chatwoot's records as GLPI's fields, and which of GLPI's users a contact is. Pure functions: no call, no clock.

Names are plain texts and are sent as they are; what is HTML is made in :mod:`crm_sync.crms.glpi.content`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    parsed = _parsed(number, region)
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return (number or "")[:NAME_LIMIT]
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _parsed(number: str | None, region: str | None) -> phonenumbers.PhoneNumber | None:
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


def email_input(email: str) -> dict[str, Any]:
    """How an address is added to a user: under a negative key, since others name rows of anybody's."""
    return {"_useremails": {"-1": email}, "_default_email": -1} if email else {}


def user_input(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body for creating or changing a user from (some of) its fields."""
    columns = {key: value for key, value in fields.items() if key != "email"}
    return {**columns, **email_input(str(fields.get("email") or ""))}


# -- finding people ------------------------------------------------------------------------------------------------

_LOGIN, _ID, _EMAIL, _PHONE, _ACTIVE, _PHONE2, _MOBILE = 1, 2, 5, 6, 8, 10, 11

#: The columns that ``choose_user`` reads.
USER_DISPLAY = (_LOGIN, _ID, _EMAIL, _PHONE, _ACTIVE, _PHONE2, _MOBILE)

#: Fewer digits than this are in too many numbers to be looked for with anything between them.
SHORTEST_NUMBER = 6

_ENCODED = {"&#60;": "<", "&#62;": ">", "&#38;": "&"}


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user that is the contact. ``own`` tells that it was made for it, by the login that only we give."""

    id: int
    own: bool


def user_criteria(contact: Contact, login_name: str, region: str | None = None) -> list[dict[str, Any]]:
    """One search for everybody who may be this contact: by login, by e-mail, by telephone however it is written.

    Anchored ``contains``: ``equals`` never matches an address (contracts/glpi: search-user-email-equals). A number is
    looked for by its digits with anything between them. What is found too much, ``choose_user`` leaves out.
    """
    wanted = [(_LOGIN, f"^{login_name}$")]
    wanted += [(_EMAIL, f"^{form}$") for form in _forms(contact.email or "")]
    digits = _national_digits(contact.phone_number, region)
    if digits:
        number = "%".join(digits) if len(digits) >= SHORTEST_NUMBER else f"^{digits}$"
        wanted += [(field, number) for field in (_PHONE, _PHONE2, _MOBILE)]
    return [
        {**({"link": "OR"} if index else {}), "field": field, "searchtype": "contains", "value": value}
        for index, (field, value) in enumerate(wanted)
    ]


def _forms(text: str) -> Iterator[str]:
    """A text as GLPI may hold it: as it is, and as a GLPI 10 encoded it before it became an 11."""
    if text:
        yield text
    encoded = text.replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#62;")
    if encoded != text:
        yield encoded


def _national_digits(number: str | None, region: str | None) -> str:
    parsed = _parsed(number, region)
    if parsed is not None:
        return phonenumbers.national_significant_number(parsed)
    return re.sub(r"\D", "", number or "")


def choose_user(
    rows: Sequence[Mapping[str, Any]],
    contact: Contact,
    login_name: str,
    *,
    region: str | None = None,
    never: int | None = None,
) -> FoundUser | None:
    """Which of the users found is the contact: ours by login, else by e-mail, else by telephone; the oldest first.

    Never one that is switched off, nor ``never``: the account we work as, whose own tickets GLPI reopens. A telephone
    is proof only where addresses do not contradict: a number can be shared by people with addresses of their own.
    """
    ranked: list[tuple[int, int]] = []
    for row in rows:
        rank = _rank(row, contact, login_name, region)
        if rank is not None and is_active(row) and int(row[str(_ID)]) != never:
            ranked.append((rank, int(row[str(_ID)])))
    if not ranked:
        return None
    rank, number = min(ranked)
    return FoundUser(number, own=rank == 0)


def is_active(row: Mapping[str, Any]) -> bool:
    """Whether the user in a row of a search is switched on."""
    return str(row.get(str(_ACTIVE), 1)) != "0"


def has_login(row: Mapping[str, Any], login_name: str) -> bool:
    """Whether the user in a row of a search has this login."""
    return str(row.get(str(_LOGIN), "")).lower() == login_name.lower()


def _rank(row: Mapping[str, Any], contact: Contact, login_name: str, region: str | None) -> int | None:
    addresses = {_decoded(address).lower() for address in _texts(row.get(str(_EMAIL)))}
    if has_login(row, login_name):
        return 0
    if contact.email and contact.email.lower() in addresses:
        return 1
    wanted = _dialled(contact.phone_number, region)
    numbers = [text for field in (_PHONE, _PHONE2, _MOBILE) for text in _texts(row.get(str(field)))]
    near = region or _region_of(contact.phone_number)
    same = wanted and any(_dialled(number, near) == wanted for number in numbers)
    return 2 if same and not (contact.email and addresses) else None


def _dialled(number: str | None, region: str | None) -> str:
    """What is dialled: the number in E.164, or the digits of what is no number."""
    parsed = _parsed(number, region)
    if parsed is not None:
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return re.sub(r"\D", "", number or "")


def _region_of(number: str | None) -> str | None:
    """The country of an international number: people there write theirs without its code."""
    parsed = _parsed(number, None)
    return phonenumbers.region_code_for_number(parsed) if parsed is not None else None


def _texts(value: Any) -> list[str]:
    """A column of a search row as a list: GLPI gives one value bare, several as a list that may hold null."""
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if item]


def _decoded(text: str) -> str:
    """A text of a search as it was meant: GLPI 10 keeps the three special characters encoded."""
    for code, character in _ENCODED.items():
        text = text.replace(code, character)
    return text


# -- tickets -------------------------------------------------------------------------------------------------------


def status(conversation: Conversation) -> int:
    """A conversation's state as GLPI's: one that a bot still handles is new."""
    handled_by_bot = conversation.assignee is not None and conversation.assignee.kind is SenderKind.BOT
    if conversation.status is Status.PENDING and handled_by_bot:
        return NEW
    return STATUS[conversation.status]


def ticket_url(api_url: str, ticket_id: str) -> str:
    """Where people open a ticket."""
    return f"{_web_url(api_url)}/front/ticket.form.php?id={ticket_id}"


def user_url(api_url: str, user_id: str) -> str:
    """Where people open a user."""
    return f"{_web_url(api_url)}/front/user.form.php?id={user_id}"


def _web_url(api_url: str) -> str:
    return re.sub(r"/(apirest\.php|api\.php(/v1)?)/?$", "", api_url)
