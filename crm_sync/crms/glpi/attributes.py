"""What of GLPI is shown in Chatwoot, as custom attributes. Pure functions.

Attributes are written only when they change, and a change of them alone makes no event (crm_sync.chatwoot.noise).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crm_sync.crms.glpi.work import CONTACT, USER
from crm_sync.events import Contact

#: By which an agent takes a contact out of the synchronisation: the attribute is switched off in Chatwoot.
SYNC_ENABLED = "glpi_sync_enabled"

_IDS = {USER: "glpi_user_id", CONTACT: "glpi_contact_id"}

#: What GLPI knows of somebody who was there before us, by the columns of User and Contact that hold it.
_DETAILS = {
    "glpi_location": "locations_id",
    "glpi_department": "groups_id",
    "glpi_user_category": "usercategories_id",
    "glpi_phone2": "phone2",
    "glpi_registration_number": "registration_number",
}


def is_synced(contact: Contact) -> bool:
    """Whether the contact is to be kept up to date in GLPI: always, unless an agent switched it off."""
    value = contact.custom_attributes.get(SYNC_ENABLED)
    return str(value).lower() not in {"false", "0", "no"}


def details(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a User or Contact of GLPI, read with names for ids, says that is worth showing."""
    found = {key: row.get(column) for key, column in _DETAILS.items()}
    # A drop-down where nothing is chosen stays a number.
    shown: dict[str, Any] = {
        key: value.strip() for key, value in found.items() if isinstance(value, str) and value.strip()
    }
    entity = _linked_id(row, "Entity")
    return shown if entity is None else {**shown, "glpi_entity_id": entity}


def _linked_id(row: Mapping[str, Any], itemtype: str) -> int | None:
    """The id of what a row refers to: names stand for ids in it, so that only its links tell."""
    for link in row.get("links") or ():
        number = str(link.get("href", "")).rpartition("/")[2]
        if link.get("rel") == itemtype and number.isdigit():
            return int(number)
    return None


def linked(itemtype: str, person_id: str, contact: Contact, known: Mapping[str, Any]) -> dict[str, Any]:
    """What a contact shows once it is linked; ``known`` is what is known of its User or Contact."""
    shown = {_IDS[itemtype]: int(person_id), **known}
    return shown if SYNC_ENABLED in contact.custom_attributes else {**shown, SYNC_ENABLED: True}


def written(at: datetime) -> dict[str, Any]:
    """What a contact shows after something was written to GLPI."""
    return {"glpi_last_sync_at": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
