"""What of GLPI is shown in Chatwoot: a table each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from crm_sync.crms.glpi import attributes
from crm_sync.events import Contact

LINK = {"rel": "Entity", "href": "https://g.example/api.php/v1/Entity/4"}


@pytest.mark.parametrize(
    ("value", "synced"),
    [
        ({}, True),
        ({"glpi_sync_enabled": True}, True),
        ({"glpi_sync_enabled": None}, True),
        ({"glpi_sync_enabled": ""}, True),
        ({"glpi_sync_enabled": False}, False),
        ({"glpi_sync_enabled": "false"}, False),
        ({"glpi_sync_enabled": "False"}, False),
        ({"glpi_sync_enabled": 0}, False),
    ],
)
def test_a_contact_is_synchronised_unless_it_is_switched_off(value: dict[str, Any], *, synced: bool) -> None:
    assert attributes.is_synced(Contact(1, custom_attributes=value)) is synced


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({}, {}),
        (
            {
                "locations_id": "Recife > Floor 3",
                "groups_id": "IT",
                "usercategories_id": "VIP",
                "phone2": "+55 11",
                "registration_number": "E-17",
                "links": [{"rel": "Location", "href": "https://g.example/Location/9"}, LINK],
            },
            {
                "glpi_location": "Recife > Floor 3",
                "glpi_department": "IT",
                "glpi_user_category": "VIP",
                "glpi_phone2": "+55 11",
                "glpi_registration_number": "E-17",
                "glpi_entity_id": 4,
            },
        ),
        ({"locations_id": 0, "groups_id": "", "usercategories_id": " ", "phone2": None, "links": []}, {}),
        ({"links": [{"rel": "Entity", "href": "https://g.example/Entity/0"}]}, {"glpi_entity_id": 0}),
        ({"links": [{"rel": "Entity", "href": "https://g.example/Entity/"}, {}]}, {}),
    ],
)
def test_what_glpi_knows_of_somebody_is_shown_as_far_as_it_is_filled(
    row: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert attributes.details(row) == shown


@pytest.mark.parametrize(
    ("itemtype", "had", "shown"),
    [
        ("User", {}, {"glpi_user_id": 7, "glpi_entity_id": 4, "glpi_sync_enabled": True}),
        ("Contact", {}, {"glpi_contact_id": 7, "glpi_entity_id": 4, "glpi_sync_enabled": True}),
        ("User", {"glpi_sync_enabled": False}, {"glpi_user_id": 7, "glpi_entity_id": 4}),
    ],
)
def test_a_linked_contact_shows_its_record_and_what_an_agent_switched_stays(
    itemtype: str, had: dict[str, Any], shown: dict[str, Any]
) -> None:
    contact = Contact(1, custom_attributes=had)
    assert attributes.linked(itemtype, "7", contact, {"glpi_entity_id": 4}) == shown


def test_the_time_of_a_write_is_told_in_utc() -> None:
    at = datetime(2026, 11, 2, 6, 0, 0, 5, tzinfo=timezone(timedelta(hours=-3)))
    assert attributes.written(at) == {"glpi_last_sync_at": "2026-11-02T09:00:00Z"}
    assert attributes.written(at.astimezone(UTC)) == attributes.written(at)
