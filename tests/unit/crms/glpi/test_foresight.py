"""The record an event will make is told from the event and its links, as the processor will do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from crm_sync.chatwoot import payloads as reader
from crm_sync.crms.base import HookView, Link, LinkKey, Local
from crm_sync.crms.glpi.foresight import foresees
from tests.payloads import contact_created, conversation_created, message_created

CONTACT, CONVERSATION, MESSAGE = Local("contact", 1), Local("conversation", 10), Local("message", 101)
USER: LinkKey = (CONTACT, "User")
TICKET: LinkKey = (CONVERSATION, "Ticket")
FOLLOWUP: LinkKey = (MESSAGE, "ITILFollowup")

ON = {"enable_ticket_sync": True, "enable_followup_sync": True, "use_contact": False}


def guess(payload: dict[str, Any], *linked: LinkKey, first: int = 0, **settings: bool) -> list[LinkKey]:
    agreed: Mapping[str, Any] = {"first_message": first}
    known = {key: Link(*key, "1", None, agreed) for key in linked}
    hook = HookView(1, "glpi", {**ON, **settings}, {}, "http://chatwoot.example.com", 3)
    return list(foresees(reader.read(payload), hook, lambda local, kind: known.get((local, kind))))


@pytest.mark.parametrize("payload", [contact_created(1), conversation_created(10), message_created(101)])
def test_somebody_new_becomes_a_user_first(payload: dict[str, Any]) -> None:
    assert guess(payload) == [USER]


@pytest.mark.parametrize("payload", [contact_created(1), conversation_created(10), message_created(101)])
def test_somebody_new_becomes_a_glpi_contact_first_where_that_is_wanted(payload: dict[str, Any]) -> None:
    assert guess(payload, USER, use_contact=True) == [(CONTACT, "Contact")]


@pytest.mark.parametrize("payload", [conversation_created(10), message_created(101)])
def test_a_conversation_without_a_ticket_gets_one(payload: dict[str, Any]) -> None:
    assert guess(payload, USER) == [TICKET]


def test_a_message_of_a_ticket_becomes_a_followup() -> None:
    assert guess(message_created(101), USER, TICKET) == [FOLLOWUP]


@pytest.mark.parametrize(
    ("payload", "linked", "first", "settings"),
    [
        (contact_created(1), (USER,), 0, {}),
        (contact_created(1, email=None), (), 0, {}),
        (contact_created(1, custom_attributes={"glpi_sync_enabled": False}), (), 0, {}),
        (conversation_created(10), (USER, TICKET), 0, {}),
        (conversation_created(10), (USER,), 0, {"enable_ticket_sync": False}),
        (message_created(101), (USER, TICKET), 101, {}),
        (message_created(101), (USER, TICKET, FOLLOWUP), 0, {}),
        (message_created(101), (USER, TICKET), 0, {"enable_followup_sync": False}),
    ],
)
def test_nothing_is_foreseen_where_nothing_will_be_made(
    payload: dict[str, Any], linked: tuple[LinkKey, ...], first: int, settings: dict[str, bool]
) -> None:
    assert guess(payload, *linked, first=first, **settings) == []
