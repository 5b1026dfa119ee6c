"""The rights the account needs follow from the settings."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.crms.glpi import app
from crm_sync.crms.glpi.rights import RIGHTS, Profile, missing_rights

CREDENTIALS = {"api_url": "http://glpi.example/apirest.php", "app_token": "a", "user_token": "u"}

USERS = ["Users: Read", "Users: Create", "Users: Update"]
CONTACTS = [f"Contacts / Suppliers: {word}" for word in ("Read", "Create", "Update")]
TICKETS = ["Tickets: Create", "Tickets: Update", "Tickets: See all tickets"]
FOLLOWUPS = ["Followups: Add to all tickets", "Followups: Update all", "Followups: See private ones"]
DOCUMENTS = ["Documents: Read", "Documents: Create", "Documents: Delete permanently"]


def settings(**given: Any) -> dict[str, Any]:
    """Settings as they are stored."""
    return dict(manifest.validated(app.manifest, CREDENTIALS | given))


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({}, USERS + TICKETS),
        ({"enable_followup_sync": True}, USERS + TICKETS + FOLLOWUPS),
        ({"enable_ticket_sync": False, "enable_followup_sync": True}, USERS),
        ({"use_contact": True}, ["Users: Read", *CONTACTS, *TICKETS]),
        ({"use_contact": True, "sync_assignee": False}, CONTACTS + TICKETS),
        ({"use_contact": True, "enable_ticket_sync": False}, CONTACTS),
        ({"attachments": "document"}, USERS + TICKETS + DOCUMENTS),
        ({"link_computers": True}, [*USERS, *TICKETS, "Computers: Read"]),
    ],
)
def test_an_account_without_rights_lacks_those_that_the_settings_want(
    given: dict[str, Any], needed: list[str]
) -> None:
    assert missing_rights(Profile({}), settings(**given)) == needed


@pytest.mark.parametrize("right", RIGHTS, ids=lambda right: right.words)
def test_a_right_is_a_bit_of_its_entry(right: Any) -> None:
    contacts = right.entry == "contact_enterprise"
    wanting = settings(
        enable_followup_sync=True,
        attachments="document",
        link_computers=not contacts,
        use_contact=contacts,
    )
    every = {each.entry: 0xFFFF for each in RIGHTS}
    without = every | {right.entry: 0xFFFF & ~right.bit}

    assert missing_rights(Profile(every), wanting) == []
    assert missing_rights(Profile(without), wanting) == [right.words]


def test_what_glpi_says_nothing_of_is_not_allowed() -> None:
    profile = Profile({"name": "P", "user": None, "ticket": "7"})
    assert (profile.name, profile.may("user", 1), profile.may("ticket", 4), profile.may("x", 1)) == (
        "P",
        False,
        True,
        False,
    )
