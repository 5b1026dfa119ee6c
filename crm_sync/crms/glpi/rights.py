"""The rights that the service account needs for what the settings switch on, by GLPI's own words.

GLPI keeps a profile's rights as numbers made of bits (contracts/glpi: getactiveprofile, tech-profile).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

READ, UPDATE, CREATE, PURGE = 1, 2, 4, 16
SEE_ALL_TICKETS = 1024
UPDATE_ALL_FOLLOWUPS, ADD_ALL_FOLLOWUPS, SEE_PRIVATE_FOLLOWUPS = 1024, 4096, 8192

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as GLPI tells it."""

    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What GLPI calls it."""
        return str(self.told.get("name"))

    def may(self, entry: str, bit: int) -> bool:
        """Whether the profile holds a right. What GLPI does not tell it does not hold."""
        return bool(int(self.told.get(entry) or 0) & bit)


@dataclass(frozen=True, slots=True)
class Right:
    """A right: the profile's entry and bit, what GLPI's form of rights calls it, and which settings want it."""

    entry: str
    bit: int
    words: str
    is_needed: Callable[[Settings], bool]


def _users(settings: Settings) -> bool:
    return not settings["use_contact"]


def _contacts(settings: Settings) -> bool:
    return bool(settings["use_contact"])


def _tickets(settings: Settings) -> bool:
    return bool(settings["enable_ticket_sync"])


def _users_or_agents(settings: Settings) -> bool:
    return _users(settings) or (_tickets(settings) and bool(settings["sync_assignee"]))


def _followups(settings: Settings) -> bool:
    return _tickets(settings) and bool(settings["enable_followup_sync"])


def _documents(settings: Settings) -> bool:
    return _tickets(settings) and bool(settings["attachments"] == "document")


def _computers(settings: Settings) -> bool:
    return _tickets(settings) and bool(settings["link_computers"])


#: Assigning, solving and linking are changes of a ticket to GLPI.
RIGHTS = (
    Right("user", READ, "Users: Read", _users_or_agents),
    Right("user", CREATE, "Users: Create", _users),
    Right("user", UPDATE, "Users: Update", _users),
    Right("contact_enterprise", READ, "Contacts / Suppliers: Read", _contacts),
    Right("contact_enterprise", CREATE, "Contacts / Suppliers: Create", _contacts),
    Right("contact_enterprise", UPDATE, "Contacts / Suppliers: Update", _contacts),
    Right("ticket", CREATE, "Tickets: Create", _tickets),
    Right("ticket", UPDATE, "Tickets: Update", _tickets),
    Right("ticket", SEE_ALL_TICKETS, "Tickets: See all tickets", _tickets),
    Right("followup", ADD_ALL_FOLLOWUPS, "Followups: Add to all tickets", _followups),
    Right("followup", UPDATE_ALL_FOLLOWUPS, "Followups: Update all", _followups),
    Right("followup", SEE_PRIVATE_FOLLOWUPS, "Followups: See private ones", _followups),
    Right("document", READ, "Documents: Read", _documents),
    Right("document", CREATE, "Documents: Create", _documents),
    Right("document", PURGE, "Documents: Delete permanently", _documents),
    Right("computer", READ, "Computers: Read", _computers),
)


def missing_rights(profile: Profile, settings: Settings) -> list[str]:
    """The rights that these settings want and the account lacks, by GLPI's own words."""
    return [
        right.words
        for right in RIGHTS
        if right.is_needed(settings) and not profile.may(right.entry, right.bit)
    ]
