"""What an event will most likely make."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.crms.base import HookView, Link, Local
from crm_sync.crms.krayin import app
from crm_sync.events import Contact, Event, EventName

GIVEN = {"api_url": "https://crm.example.com/api/v1", "api_token": "1|t"}
ANA = Contact(5, name="Ana", email="ana@example.com")


@pytest.mark.parametrize(
    ("contact", "given", "linked", "expected"),
    [
        (ANA, {}, (), ["Person", "Lead"]),
        (ANA, {}, ("Person",), ["Lead"]),
        (ANA, {}, ("Person", "Lead"), []),
        (ANA, {"create_lead": False}, (), ["Person"]),
        (ANA, {"create_person": False}, (), ["Lead"]),
        (ANA, {"lead_per": "conversation"}, (), ["Person"]),
        (Contact(5, name="Ana"), {}, (), []),
    ],
)
def test_person_and_lead_are_foreseen_where_there_are_none(
    contact: Contact, given: dict[str, Any], linked: tuple[str, ...], expected: list[str]
) -> None:
    hook = HookView(1, "krayin", manifest.validated(app.manifest, {**GIVEN, **given}), {}, "http://chat", 1)

    def link(local: Local, kind: str) -> Link | None:
        return Link(local, kind, "1", None, {}) if kind in linked else None

    found = app.foresees(Event(EventName.CONTACT_UPDATED, contact), hook, link)
    assert [kind for _, kind in found] == expected
