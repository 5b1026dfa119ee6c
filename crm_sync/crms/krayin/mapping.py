"""Chatwoot's records as Krayin's fields. Pure functions: no call, no clock.

Krayin cuts columns of 255 characters and comments of 64 KiB without a word (contracts: 101*), so they are cut here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from crm_sync.events import Contact, Conversation

Fields = dict[str, Any]

#: Krayin cuts longer titles and names.
NAME_LIMIT = 255
#: The description is a column of 64 KiB; four bytes are the most a character takes.
TEXT_LIMIT = 16_000

#: The custom attributes that carry our markers; one code must not serve persons and leads (facts).
PERSON_MARKER, LEAD_MARKER = "chatwoot_person", "chatwoot_lead"

#: What stands for an e-mail address: a domain that can never be anybody's (RFC 2606).
PLACEHOLDER_DOMAIN = "no-email.invalid"

#: Krayin's activity types by the words of the setting. Up to 2.1 any word is taken, but only these are shown.
ACTIVITY_TYPES = {"call": "call", "meeting": "meeting", "lunch": "lunch", "chat": "note", "email": "email"}
#: What Chatwoot shows of them.
ACTIVITY_NAMES = {"call": "Call", "meeting": "Meeting", "lunch": "Lunch", "chat": "Chat", "email": "Email"}

#: How Chatwoot calls an e-mail inbox.
EMAIL_CHANNEL = "Channel::Email"


def api_url(given: str) -> str:
    """The address of the API; people copy that of Krayin itself as well."""
    base = given.strip().rstrip("/")
    return base if base.endswith("/api/v1") else f"{base}/api/v1"


def web_url(address: str) -> str:
    """Where people open Krayin."""
    return address.removesuffix("/api/v1")


def lead_url(address: str, lead_id: str) -> str:
    """Where people open a lead."""
    return f"{web_url(address)}/admin/leads/view/{lead_id}"


def person_url(address: str, person_id: str) -> str:
    """Where people open a person."""
    return f"{web_url(address)}/admin/contacts/persons/view/{person_id}"


def activity_url(address: str, activity_id: str) -> str:
    """Where people open an activity."""
    return f"{web_url(address)}/admin/activities/edit/{activity_id}"


def marker(chatwoot_url: str, account_id: int, kind: str, number: int) -> str:
    """What identifies a record of ours in Krayin. Without the signs that its search would read as syntax."""
    parts = urlsplit(chatwoot_url)
    host = re.sub(r"[^a-z0-9.-]", "-", parts.hostname or "chatwoot")
    return f"cw-{host}{f'-{parts.port}' if parts.port else ''}-{account_id}-{kind}-{number}"[:NAME_LIMIT]


def cut(text: str, limit: int = NAME_LIMIT) -> str:
    """A text as Krayin will hold it: no longer than the limit, and without the blanks around it, which it trims."""
    return text.strip()[:limit].rstrip()


# -- persons -------------------------------------------------------------------------------------------------------


def is_identifiable(contact: Contact) -> bool:
    """Whether a contact can be told from others: by an e-mail address or a telephone number."""
    return bool(contact.email or contact.phone_number)


def person_fields(contact: Contact, region: str | None = None) -> Fields:
    """What a contact says of its person; an empty text for what it does not (or no longer) say."""
    return {
        "name": name_of(contact),
        "email": (contact.email or "").strip().lower(),
        "phone": phone(contact.phone_number, region),
        "job_title": cut(_text(contact.additional_attributes, "job_title")),
    }


def name_of(contact: Contact) -> str:
    """The name of a person, which Krayin wants of everybody (contracts: 38)."""
    known = (contact.name or "").strip() or contact.email or contact.phone_number or f"Contact {contact.id}"
    return cut(known)


def phone(number: str | None, region: str | None = None) -> str:
    """A telephone number as E.164; what is not a valid number stays as it is."""
    parsed = parsed_number(number, region)
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return cut(number or "")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def parsed_number(number: str | None, region: str | None) -> phonenumbers.PhoneNumber | None:
    """What a text says as a telephone number; None where it does not look like one."""
    try:
        return phonenumbers.parse(re.sub(r"^\s*00", "+", number), region) if number else None
    except phonenumbers.NumberParseException:
        return None


def placeholder(phone_number: str) -> str:
    """An address for a person who has none; the same for a number at every try."""
    return f"{re.sub(r'[^0-9]', '', phone_number) or 'unknown'}@{PLACEHOLDER_DOMAIN}"


def stand_in(mark: str) -> str:
    """An address for a person whose own Krayin does not take; nobody else's, as the marker is."""
    return f"{mark[-64:].lstrip('.-')}@{PLACEHOLDER_DOMAIN}"


def real(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Addresses without those that only stand for one, unless there are no others."""
    return [row for row in rows if not row["value"].endswith(f"@{PLACEHOLDER_DOMAIN}")] or rows


def emails(fields: Mapping[str, Any], phone_only: str) -> list[dict[str, str]]:
    """The addresses of a new person. Krayin wants a label with each (contracts: 31)."""
    email = fields["email"]
    if not email and fields["phone"] and phone_only == "placeholder":
        email = placeholder(fields["phone"])
    return [labelled(email)] if email else []


def numbers(phone_number: str) -> list[dict[str, str]]:
    """The numbers of a new person; up to 2.1 there has to be one, be it empty (contracts: 34c)."""
    return [labelled(phone_number)]


def labelled(value: str) -> dict[str, str]:
    """An address or number with the label that Krayin wants."""
    return {"value": value, "label": "work"}


def replaced(rows: Any, before: str, after: str) -> list[dict[str, str]]:
    """A person's addresses or numbers with one of them replaced, or taken away; all others stay as they are."""
    kept = [
        {"value": str(row.get("value") or ""), "label": str(row.get("label") or "work")}
        for row in rows or ()
        if isinstance(row, Mapping) and row.get("value")
    ]
    if before.lower() == after.lower():
        return kept
    kept = [row for row in kept if row["value"].lower() not in {before.lower(), after.lower()}]
    return [labelled(after), *kept] if after else kept


def company(contact: Contact) -> str:
    """The company of a contact: Chatwoot's own field, or the one of the API."""
    attributes = contact.additional_attributes
    return cut(_text(attributes, "company_name") or _text(attributes, "company"))


def address(contact: Contact) -> dict[str, str]:
    """The address of a contact's company, as far as it is known."""
    attributes = contact.additional_attributes
    found = {
        "address": _text(attributes, "address"),
        "city": _text(attributes, "city"),
        "state": _text(attributes, "state"),
        "postcode": _text(attributes, "postal_code") or _text(attributes, "postcode"),
        "country": _text(attributes, "country_code") or _text(attributes, "country"),
    }
    return {key: value for key, value in found.items() if value}


def custom(attributes: Mapping[str, Any], table: Mapping[str, str] | None) -> Fields:
    """The attributes of Krayin that custom attributes of Chatwoot fill; those without a value fill nothing."""
    found = {code: attributes.get(key) for key, code in (table or {}).items()}
    return {
        code: ", ".join(map(str, value)) if isinstance(value, list) else value
        for code, value in found.items()
        if value is not None and value not in ("", [], {})
    }


def changes(agreed: Mapping[str, Any], fields: Mapping[str, Any]) -> Fields:
    """The fields that are to be written; what was never agreed on counts as empty."""
    return {key: value for key, value in fields.items() if (agreed.get(key) or None) != (value or None)}


# -- leads ---------------------------------------------------------------------------------------------------------


def lead_title(contact: Contact, conversation: Conversation | None) -> str:
    """The title of a lead: the person's name, and the conversation where it is made of one."""
    if conversation is None:
        return name_of(contact)
    tail = f" (#{conversation.id})"
    return cut(name_of(contact), NAME_LIMIT - len(tail)) + tail


def description(contact: Contact) -> str:
    """What else is known of a contact, readable, without what is empty."""
    filled = {
        key: value for key, value in contact.additional_attributes.items() if value not in (None, "", {}, [])
    }
    lines = [
        f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in sorted(filled.items())
    ]
    return cut("\n".join(lines), TEXT_LIMIT)


def digest(text: str) -> str:
    """What a long text is told from another one by."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


def said_of(fields: Mapping[str, str]) -> Fields:
    """Title and description of a lead as they are remembered."""
    return {key: digest(text) if key == "description" else text for key, text in fields.items()}


def value_of(row: Mapping[str, Any]) -> float:
    """A lead's value: a number when it was just made, a text later (facts)."""
    return float(row.get("lead_value") or 0)


def owner_of(row: Mapping[str, Any]) -> int | None:
    """Who owns a lead or person."""
    owner = row.get("user") or row.get("sales_owner") or {}
    return int(owner["id"]) if owner.get("id") else None


def products_of(row: Mapping[str, Any]) -> list[str]:
    """The names of a lead's products."""
    rows = row.get("lead_products") or ()
    return [
        str((item.get("product") or {}).get("name") or item.get("name") or item.get("id")) for item in rows
    ]


def lead_state(row: Mapping[str, Any]) -> Fields:
    """What both sides agree on of a lead, as a pull shows it too."""
    return {
        "stage": int(row["lead_pipeline_stage_id"]),
        "pipeline": int(row["lead_pipeline_id"]),
        "value": value_of(row),
        "owner": owner_of(row),
        "products": products_of(row),
    }


# -- activities ----------------------------------------------------------------------------------------------------


def activity_kind(conversation: Conversation, settings: Mapping[str, Any]) -> str:
    """The kind of a conversation's activity, in the words of the setting."""
    if settings["email_activities"] and conversation.channel == EMAIL_CHANNEL:
        return "email"
    return str(settings["activity_type"])


def local_time(moment: datetime, ahead: timedelta) -> str:
    """A time as Krayin takes it: the wall time of its server (contracts: 90f, 168)."""
    return f"{moment.astimezone(UTC) + ahead:%Y-%m-%d %H:%M:%S}"


def _text(attributes: Mapping[str, Any], key: str) -> str:
    value = attributes.get(key)
    return value.strip() if isinstance(value, str) else ""
