"""Custom attributes of contacts: what GLPI knows is shown, what agents fill in is written, and one switches off."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk, Row

PERSON_FIELDS = '{"badge": "registration_number", "office": "locations_id", "second_phone": "phone2"}'


def shown(desk: Desk, contact_id: int) -> Row:
    """A contact's custom attributes."""
    return dict(desk.chatwoot.state.contacts[contact_id].custom_attributes)


def fill(desk: Desk, contact_id: int, **attributes: Any) -> None:
    """An agent fills attributes in."""
    desk.chatwoot.update_contact(contact_id, custom_attributes=attributes)


def insert(desk: Desk, itemtype: str, **values: Any) -> int:
    """A record of GLPI."""
    with desk.glpi.state.lock:
        return int(desk.glpi.state[itemtype].insert(values)["id"])


# -- shown ---------------------------------------------------------------------------------------------------------


def test_what_glpi_knows_of_a_user_who_was_there_before_us_is_shown(desk: Desk) -> None:
    there = desk.add_user(
        "someone-else",
        "ana@example.com",
        phone2="+55 11 3333-4444",
        registration_number="E-17",
        locations_id=insert(desk, "Location", name="Floor 3", completename="Recife > Floor 3"),
        groups_id=insert(desk, "Group", name="IT Support", completename="IT Support"),
        usercategories_id=insert(desk, "UserCategory", name="VIP"),
    )
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert shown(desk, contact.id) == {
        "glpi_user_id": there,
        "glpi_entity_id": 0,
        "glpi_location": "Recife > Floor 3",
        "glpi_department": "IT Support",
        "glpi_user_category": "VIP",
        "glpi_phone2": "+55 11 3333-4444",
        "glpi_registration_number": "E-17",
        "glpi_sync_enabled": True,
    }
    assert desk.calls() == ["GET /initSession", "GET /search/User", "GET /User"]


def test_a_user_whom_nobody_filled_in_shows_nothing_empty(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com")
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert shown(desk, contact.id) == {"glpi_user_id": there, "glpi_entity_id": 0, "glpi_sync_enabled": True}


def test_the_time_of_the_last_write_moves_only_when_something_is_written(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    assert shown(desk, contact.id)["glpi_last_sync_at"] == "2026-11-02T09:00:00Z"

    desk.clock.forward(3600)
    desk.chatwoot.calls.clear()
    desk.take([desk.told_again(contact.id)])
    desk.drain()
    assert desk.chatwoot.requests == []

    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()
    assert shown(desk, contact.id)["glpi_last_sync_at"] == "2026-11-02T10:00:00Z"


# -- switched off --------------------------------------------------------------------------------------------------


def test_a_contact_that_an_agent_switched_off_is_no_longer_written_while_its_tickets_go_on(
    desk: Desk,
) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    fill(desk, contact.id, glpi_sync_enabled=False)
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()

    assert (desk.events()[-1].state, desk.events()[-1].reason) == (EventState.SKIPPED, "sync_switched_off")
    assert desk.users()[0]["realname"] in ("", None)

    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    desk.sync()
    assert desk.requesters(desk.row("Ticket")["id"]) == [desk.users()[0]["id"]]
    assert shown(desk, contact.id)["glpi_sync_enabled"] is False


def test_what_was_missed_is_made_up_for_once_a_contact_is_switched_on_again(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    fill(desk, contact.id, glpi_sync_enabled=False)
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()
    fill(desk, contact.id, glpi_sync_enabled=True)
    desk.chatwoot.update_contact(contact.id, phone_number="+5511912345678")
    desk.sync()

    [user] = desk.users()
    assert (user["realname"], user["mobile"]) == ("Lima", "+55 11 91234-5678")


def test_what_an_agent_switched_off_before_stays_switched_off_once_a_ticket_needs_a_user(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"glpi_sync_enabled": False}
    )
    desk.sync()
    assert desk.users() == []

    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    desk.sync()
    assert desk.requesters(desk.row("Ticket")["id"]) == [desk.users()[0]["id"]]
    assert shown(desk, contact.id)["glpi_sync_enabled"] is False


# -- filled in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"person_fields": PERSON_FIELDS}])
def test_attributes_of_a_contact_fill_the_fields_of_its_user(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"badge": "E-17", "office": 4}
    )
    desk.sync()
    [user] = desk.users()
    assert (user["registration_number"], user["locations_id"], user["phone2"]) == ("E-17", 4, None)

    heard = desk.listen()
    fill(desk, contact.id, second_phone="123")
    desk.sync()
    assert [fields for _, fields in heard] == [{"phone2": "123"}]
    assert desk.outcome() == f"User {user['id']} updated: phone2."

    desk.chatwoot.remove_contact_attributes(contact.id, ["badge", "office"])
    desk.sync()
    assert [fields for _, fields in heard[1:]] == [{"registration_number": "", "locations_id": 0}]
    assert desk.row("User", id=user["id"])["locations_id"] == 0


@pytest.mark.parametrize("settings", [{"person_fields": PERSON_FIELDS}])
def test_a_wrong_attribute_is_left_out_and_told(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"badge": "E-17", "office": "upstairs"}
    )
    desk.sync()

    [user] = desk.users()
    assert (user["registration_number"], user["locations_id"]) == ("E-17", 0)
    assert desk.outcome() == (
        f"User {user['id']} created. The attribute office was left out: locations_id takes a whole number."
    )
    assert shown(desk, contact.id)["office"] == "upstairs"


@pytest.mark.parametrize("settings", [{"person_fields": PERSON_FIELDS}])
def test_a_field_nobody_filled_in_from_chatwoot_is_left_as_it_is(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com", registration_number="E-1", locations_id=3)
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()

    user = desk.row("User", id=there)
    assert (user["realname"], user["registration_number"], user["locations_id"]) == ("Lima", "E-1", 3)


def test_attributes_that_come_to_be_wanted_are_written_with_the_next_change(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"badge": "E-17"}
    )
    desk.sync()
    desk.set(person_fields='{"badge": "registration_number"}')
    desk.take([desk.told_again(contact.id)])
    desk.drain()

    assert desk.users()[0]["registration_number"] == "E-17"


@pytest.mark.parametrize(
    "settings", [{"use_contact": "true", "person_fields": '{"road": "address", "title": "usertitles_id"}'}]
)
def test_attributes_of_a_contact_fill_the_fields_of_its_glpi_contact(desk: Desk) -> None:
    desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"road": "Rua 1", "title": "Dr."}
    )
    desk.sync()

    row = desk.row("Contact")
    assert row["address"] == "Rua 1"
    assert desk.outcome() == (
        f"GLPI contact {row['id']} created. "
        "The attribute title was left out: usertitles_id takes a whole number."
    )
