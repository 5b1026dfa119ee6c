"""What an event costs: the calls to GLPI, counted in one place (docs/crms/glpi.md, *What it costs*)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crm_sync.engine import mailbox
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk
from tests.integration.glpi.test_openings import category, insert

PICTURE = {"file_type": "image", "name": "a label.jpg", "content": b"a picture"}
DOCS = Path(__file__).parents[3] / "docs/crms/glpi.md"


def ana(desk: Desk) -> tuple[int, int]:
    """Somebody known, with a conversation that GLPI has."""
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com").id
    number = desk.chatwoot.create_conversation(contact, WEBSITE, "It does not print").id
    desk.sync()
    desk.calls()
    return contact, number


def cost(desk: Desk) -> list[str]:
    """The calls that whatever just happened costs."""
    desk.calls()
    desk.sync()
    return desk.calls()


# -- with the settings as they are ---------------------------------------------------------------------------------


def test_the_login_comes_once_and_so_does_the_look_at_the_clock(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com").id
    desk.chatwoot.create_conversation(contact, WEBSITE, "It does not print")

    assert cost(desk) == [
        "GET /initSession",
        "GET /search/User",
        "POST /User",
        "GET /getFullSession",
        "POST /Ticket",
    ]


def test_a_known_contact_without_news_costs_nothing(desk: Desk) -> None:
    contact, _ = ana(desk)
    desk.take([desk.told_again(contact)])

    assert cost(desk) == []


def test_a_known_contact_that_changed_costs_one_call(desk: Desk) -> None:
    contact, _ = ana(desk)
    desk.chatwoot.update_contact(contact, name="Ana Lima", phone_number="+5511912345678")

    assert cost(desk) == ["PUT /User"]


def test_a_new_address_costs_three_calls(desk: Desk) -> None:
    contact, _ = ana(desk)
    desk.chatwoot.update_contact(contact, email="lima@example.com")

    assert cost(desk) == ["PUT /User", "GET /User/UserEmail", "DELETE /UserEmail"]


def test_a_new_contact_costs_two_calls(desk: Desk) -> None:
    ana(desk)
    desk.chatwoot.create_contact(name="Bia", email="bia@example.com")

    assert cost(desk) == ["GET /search/User", "POST /User"]


def test_a_new_conversation_of_a_known_contact_costs_one_call(desk: Desk) -> None:
    contact, _ = ana(desk)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")

    assert cost(desk) == ["POST /Ticket"]


@pytest.mark.parametrize("private", [False, True])
def test_a_message_costs_one_call(desk: Desk, *, private: bool) -> None:
    _, number = ana(desk)
    desk.chatwoot.add_message(number, "Is it on?", direction="outgoing", private=private)

    assert cost(desk) == ["POST /ITILFollowup"]


def test_a_message_that_is_edited_costs_one_call_and_a_receipt_none(desk: Desk) -> None:
    _, number = ana(desk)
    message = desk.chatwoot.add_message(number, "Is it on?", direction="outgoing").id
    desk.sync()
    desk.chatwoot.edit_message(message, "Is it plugged in?")
    assert cost(desk) == ["PUT /ITILFollowup"]

    desk.take([payload for payload in map(_again, desk.chatwoot.deliveries) if payload])
    assert cost(desk) == []


def _again(delivery: Any) -> dict[str, Any] | None:
    """The last update of a message, once more."""
    payload: dict[str, Any] = json.loads(delivery.body)
    return payload if payload["event"] == "message_updated" else None


@pytest.mark.parametrize("status", ["resolved", "pending", "snoozed"])
def test_a_change_of_status_costs_one_call(desk: Desk, status: str) -> None:
    _, number = ana(desk)
    desk.chatwoot.set_status(number, status)

    assert cost(desk) == ["PUT /Ticket"]


def test_a_change_of_priority_costs_one_call(desk: Desk) -> None:
    _, number = ana(desk)
    desk.chatwoot.set_priority(number, "urgent")

    assert cost(desk) == ["PUT /Ticket"]


def test_what_glpi_does_not_show_costs_nothing(desk: Desk) -> None:
    _, number = ana(desk)
    desk.chatwoot.set_labels(number, ["vip"])

    assert cost(desk) == []


def test_a_conversation_whose_contact_is_unknown_costs_nothing(desk: Desk) -> None:
    ana(desk)
    visitor = desk.chatwoot.create_contact(name="Visitor").id
    desk.chatwoot.create_conversation(visitor, WEBSITE, "Hello")

    assert cost(desk) == []


def test_an_agent_who_comes_costs_a_call_and_a_search_and_one_who_leaves_another(desk: Desk) -> None:
    desk.add_user("joan", "joan.example@example.com")
    desk.add_user("rui", "rui.sample@example.com")
    contact, number = ana(desk)
    other = desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing").id
    desk.sync()

    desk.chatwoot.assign(number, assignee_id=31)
    assert cost(desk) == ["GET /search/User", "POST /Ticket_User"]
    desk.chatwoot.assign(other, assignee_id=31)
    assert cost(desk) == ["POST /Ticket_User"], "who that is is known for ten minutes"
    desk.chatwoot.assign(number)
    assert "DELETE /Ticket_User" in cost(desk)


def test_one_process_logs_in_once_for_many_events_on_many_threads(desk: Desk) -> None:
    for number in range(6):
        contact = desk.chatwoot.create_contact(name=f"Person {number}", email=f"p{number}@example.com").id
        conversation = desk.chatwoot.create_conversation(contact, WEBSITE, "Hello").id
        for message in range(3):
            desk.chatwoot.add_message(conversation, f"Message {message}")
    desk.take(desk.deliveries())
    barrier = threading.Barrier(2)
    names = sorted({event.mailbox for event in desk.events(EventState.PENDING)})

    def work(mailboxes: list[str]) -> None:
        barrier.wait(30)
        for name in mailboxes:
            mailbox.drain(desk.runtime, name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [names[::2], names[1::2]]))

    calls = desk.calls()
    assert desk.waiting() == []
    assert calls.count("GET /initSession") == calls.count("GET /getFullSession") == 1
    assert len(calls) == 2 + 6 * (2 + 1 + 3)
    assert "GET /killSession" not in calls


# -- with more switched on -----------------------------------------------------------------------------------------


def _solved(desk: Desk, _contact: int, number: int) -> None:
    desk.chatwoot.set_status(number, "resolved")


def _asks(desk: Desk, contact: int, _number: int) -> None:
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")


def _sends_a_file(desk: Desk, _contact: int, number: int) -> None:
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE])


def _goes_to_sales(desk: Desk, _contact: int, number: int) -> None:
    desk.chatwoot.assign(number, team_id=2)


def _fills_a_field(desk: Desk, _contact: int, number: int) -> None:
    desk.chatwoot.set_custom_attributes(number, {"how": 5}, merge=True)


def _writes_again(desk: Desk, _contact: int, number: int) -> None:
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.chatwoot.add_message(number, "Still broken")


Deed = Callable[[Desk, int, int], None]

#: What is switched on, what happens, and the calls that it costs; GLPI 11's where they differ.
SWITCHED_ON: dict[str, tuple[dict[str, str], Deed, list[str], list[str] | None]] = {
    "a solution": ({"resolve_with": "solution"}, _solved, ["GET /Ticket", "POST /ITILSolution"], None),
    "a continued ticket": (
        {"on_reopen": "new_ticket"},
        _writes_again,
        ["POST /Ticket", "POST /Ticket_Ticket"],
        None,
    ),
    "computers": ({"link_computers": "true"}, _asks, ["GET /Computer", "POST /Ticket"], None),
    "an SLA": ({"sla_id": "SLA"}, _asks, ["POST /Ticket", "GET /Ticket"], None),
    "two observers": (
        {"observer_ids": "[2,4]"},
        _asks,
        ["POST /Ticket"],
        ["POST /Ticket", "POST /Ticket_User", "POST /Ticket_User"],
    ),
    "a category by its name": (
        {"category_named_like_inbox": "true"},
        _asks,
        ["GET /ITILCategory", "POST /Ticket"],
        None,
    ),
    "a team": ({"group_by_team": '{"sales":GROUP}'}, _goes_to_sales, ["POST /Group_Ticket"], None),
    "a field of the ticket": ({"ticket_fields": '{"how":"urgency"}'}, _fills_a_field, ["PUT /Ticket"], None),
    "a document": (
        {"attachments": "document"},
        _sends_a_file,
        ["POST /ITILFollowup", "POST /Document"],
        None,
    ),
    "a template": ({"title_template": "{inbox}: {message}"}, _asks, ["POST /Ticket"], None),
    "no followups": ({"enable_followup_sync": "false"}, _sends_a_file, [], None),
    "no tickets": ({"enable_ticket_sync": "false"}, _asks, [], None),
    "no agents": ({"sync_assignee": "false"}, lambda desk, _, number: _joan(desk, number), [], None),
    "a person's field": (
        {"person_fields": '{"badge":"registration_number"}'},
        lambda desk, contact, _: _badge(desk, contact),
        ["PUT /User"],
        None,
    ),
}


def _joan(desk: Desk, number: int) -> None:
    desk.chatwoot.assign(number, assignee_id=31)


def _badge(desk: Desk, contact: int) -> None:
    desk.chatwoot.update_contact(contact, custom_attributes={"badge": "EMP-1"})


@pytest.mark.parametrize("feature", SWITCHED_ON)
def test_a_feature_costs_calls_only_where_it_has_something_to_do(desk: Desk, feature: str) -> None:
    chosen, deed, calls, calls_11 = SWITCHED_ON[feature]
    rows: dict[str, Callable[[], int]] = {
        "SLA": lambda: insert(desk, "SLA", name="4 h", number_time=4, definition_time="hour"),
        "GROUP": lambda: insert(desk, "Group", name="Sales", completename="Sales"),
    }
    category(desk, "Website")
    desk.chatwoot.state.public_url = desk.account.chatwoot_url
    contact, number = ana(desk)
    desk.set(
        **{
            key: re.sub("SLA|GROUP", lambda found: str(rows[found[0]]()), value)
            for key, value in chosen.items()
        }
    )
    # What a client that was made anew asks for once is not of the feature's making.
    desk.runtime.client(*_present(desk)).utc_offset()
    deed(desk, contact, number)

    expected = calls_11 if desk.glpi.state.flavour.is_11 and calls_11 is not None else calls
    assert cost(desk) == expected


def _present(desk: Desk) -> tuple[Any, int]:
    """The hook as the engine sees it, and its version."""
    hook = desk.hook()
    return desk.runtime.view(hook, desk.account), hook.version


@pytest.mark.parametrize("settings", [{"use_contact": "true"}])
def test_a_glpi_contact_costs_a_call_more_for_each_ticket_and_a_third_once(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com").id
    assert cost(desk) == ["GET /initSession", "GET /search/Contact", "POST /Contact"]
    desk.chatwoot.create_conversation(contact, WEBSITE, "It does not print")
    assert [call for call in cost(desk) if "Session" not in call] == [
        "POST /Ticket",
        "POST /Item_Ticket",
        "GET /Ticket/Ticket_User",
    ]
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")
    assert cost(desk) == ["POST /Ticket", "POST /Item_Ticket"]


def test_a_conversation_that_changed_hands_by_a_merge_costs_three_calls_once(desk: Desk) -> None:
    _, number = ana(desk)
    other = desk.chatwoot.create_contact(name="Bia", email="bia@example.com").id
    desk.sync()
    desk.chatwoot.merge_contacts(other, desk.chatwoot.state.conversations[number].contact_id)
    desk.sync()
    desk.chatwoot.set_status(number, "pending")
    assert len(cost(desk)) == 3 + 1
    desk.chatwoot.set_status(number, "open")
    assert cost(desk) == ["PUT /Ticket"]


def test_a_days_look_at_requester_and_ticket_costs_a_call_each(desk: Desk) -> None:
    contact, number = ana(desk)
    desk.clock.forward(25 * 3600)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")
    assert cost(desk) == ["POST /Ticket", "GET /Ticket/Ticket_User"]
    desk.chatwoot.set_status(number, "resolved")
    assert cost(desk) == ["GET /Ticket", "PUT /Ticket"]


def test_the_page_of_costs_says_what_is_counted_here() -> None:
    page = DOCS.read_text(encoding="utf-8")
    costs = " ".join(page[page.index("## What it costs") : page.index("## Limits")].split())
    for said in (
        "one login for each process and hook",
        "for a known contact without news none",
        "for one that changed one call (three when its e-mail address changed)",
        "for a new contact two",
        "a new conversation of a known contact, a message, and a change of status one each",
        "and one for each document",
        "once a day for each requester",
        "once a day for each ticket",
        "a solution costs one call more than a status, a continued ticket one for the link",
        "`link_computers` one, an SLA one, each of `observer_ids` one (GLPI 11 only), a category by its name one",
        "with `use_contact` a ticket costs two calls, and once for each address a third",
        "a conversation that changed hands by a merge costs three, once",
    ):
        assert said.lower() in costs.lower(), said
