"""Conversations become tickets: opened once, with their requester, and kept in the conversation's state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk

NEW, PROCESSING, PENDING, SOLVED, CLOSED = 1, 2, 4, 5, 6


def begin(desk: Desk, text: str | None = "It does not print", **more: Any) -> tuple[int, int]:
    """Ana writes; returns her contact's id and the conversation's."""
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    conversation = desk.chatwoot.create_conversation(contact.id, WEBSITE, text, **more)
    return contact.id, conversation.id


def test_a_conversation_becomes_a_ticket_of_its_contact(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()

    ticket = desk.row("Ticket")
    assert ticket["name"] == f"Conversation #{number}"
    assert desk.texts(ticket["id"]) == ["It does not print"]
    assert desk.requesters(ticket["id"]) == [desk.users()[0]["id"]]
    assert (ticket["entities_id"], ticket["type"], ticket["itilcategories_id"]) == (0, 1, 0)
    assert (ticket["status"], ticket["urgency"], ticket["impact"]) == (PROCESSING, 3, 3)
    assert ticket["requesttypes_id"] == desk.row("RequestType", name="Chat")["id"]


def test_a_ticket_begins_when_the_conversation_began_by_the_clock_of_glpi(desk: Desk) -> None:
    begin(desk)
    desk.sync()

    assert desk.row("Ticket")["date"] == "2026-11-02 06:00:00"


def test_the_settings_say_entity_type_and_category(desk: Desk) -> None:
    with desk.glpi.state.lock:
        state = desk.glpi.state
        entity = state["Entity"].insert({"name": "Shop", "completename": "Root > Shop", "entities_id": 0})[
            "id"
        ]
        category = state["ITILCategory"].insert({"name": "Printers", "completename": "Printers"})["id"]
    desk.set(entity_id=str(entity), default_ticket_type="2", default_category_id=str(category))
    begin(desk)
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["entities_id"], ticket["type"], ticket["itilcategories_id"]) == (entity, 2, category)
    assert desk.requesters(ticket["id"]) == [desk.users()[0]["id"]]
    assert desk.chatwoot.state.contacts[2101].custom_attributes["glpi_entity_id"] == entity


def test_a_conversation_shows_its_ticket_and_keeps_its_other_attributes(desk: Desk) -> None:
    _, number = begin(desk, custom_attributes={"order": "A-17"})
    desk.sync()

    ticket = desk.row("Ticket")
    base = desk.api_url.removesuffix("/apirest.php")
    assert desk.chatwoot.state.conversations[number].custom_attributes == {
        "order": "A-17",
        "glpi_ticket_id": ticket["id"],
        "glpi_ticket_url": f"{base}/front/ticket.form.php?id={ticket['id']}",
        "glpi_ticket_type": "Incident",
        "glpi_urgency": "Medium",
        "glpi_impact": "Medium",
    }


def test_a_conversation_without_a_message_still_becomes_a_ticket(desk: Desk) -> None:
    begin(desk, None)
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["New conversation from Ana Souza"]


def test_a_conversation_of_somebody_unknown_is_skipped(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Visitor")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
    desk.sync()

    assert desk.rows("Ticket") == []
    assert {event.reason for event in desk.events()} == {"not_identifiable"}


def test_nothing_is_opened_nor_changed_while_tickets_are_switched_off(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.set(enable_ticket_sync="false")
    desk.chatwoot.set_status(number, "resolved")
    desk.chatwoot.add_message(number, "Hello?")
    begin(desk)
    desk.sync()

    assert desk.row("Ticket")["status"] == PROCESSING
    assert desk.rows("ITILFollowup") == []
    assert desk.outcomes().count("Tickets are switched off (enable_ticket_sync).") >= 4


def test_a_ticket_that_glpi_refuses_fails_the_event_and_is_said_in_the_language_of_the_people(
    desk: Desk,
) -> None:
    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "POST" or not environ["PATH_INFO"].endswith("/Ticket"):
            return app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'["ERROR_GLPI_ADD", "Um filtro recusa."]']

    desk.runtime.config = replace(desk.runtime.config, language="pt_BR")
    desk.strike(refuses)
    begin(desk)
    desk.sync()

    assert desk.events()[-1].state == EventState.FAILED
    assert desk.outcome() == "Não foi possível criar o chamado no GLPI. GLPI refused: Um filtro recusa."


# -- states --------------------------------------------------------------------------------------------------------

STATES = {"open": PROCESSING, "pending": PENDING, "snoozed": PENDING, "resolved": SOLVED}


@pytest.mark.parametrize(("first", "then"), [(a, b) for a in STATES for b in STATES if a != b])
def test_a_ticket_follows_every_change_of_state(desk: Desk, first: str, then: str) -> None:
    _, number = begin(desk)
    if first != "open":
        desk.chatwoot.set_status(number, first)
    desk.sync()
    assert desk.row("Ticket")["status"] == STATES[first]

    desk.chatwoot.set_status(number, then)
    desk.sync()
    ticket = desk.row("Ticket")
    assert ticket["status"] == STATES[then]
    assert bool(ticket["solvedate"]) == (then == "resolved")


def test_a_conversation_that_a_bot_handles_is_a_new_ticket_until_a_person_takes_it(desk: Desk) -> None:
    _, number = begin(desk, status="pending")
    payloads = desk.deliveries()
    for payload in payloads:
        if payload["event"] == "conversation_created":
            payload["meta"] |= {"assignee": {"id": 5, "name": "Bot"}, "assignee_type": "AgentBot"}
    desk.take([payload for payload in payloads if payload["event"] == "conversation_created"])
    desk.drain()
    assert desk.row("Ticket")["status"] == NEW

    desk.chatwoot.set_status(number, "open")
    desk.sync()
    assert desk.row("Ticket")["status"] == PROCESSING


@pytest.mark.parametrize(
    ("priority", "level"), [("urgent", 5), ("high", 4), ("medium", 3), ("low", 2), (None, 3)]
)
def test_priority_becomes_urgency_and_impact(desk: Desk, priority: str | None, level: int) -> None:
    _, number = begin(desk)
    desk.chatwoot.set_priority(number, "low" if priority != "low" else "high")
    desk.sync()
    desk.chatwoot.set_priority(number, priority)
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["urgency"], ticket["impact"], ticket["priority"]) == (level, level, level)


def test_a_solved_ticket_is_reopened_when_the_customer_writes_again(desk: Desk) -> None:
    _, number = begin(desk)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["status"], ticket["solvedate"]) == (PROCESSING, None)
    assert desk.texts(ticket["id"]) == ["It does not print", "Still broken"]


@pytest.mark.parametrize("state", ["resolved", "pending"])
def test_a_late_note_leaves_the_state_alone(desk: Desk, state: str) -> None:
    _, number = begin(desk)
    desk.chatwoot.set_status(number, state)
    desk.chatwoot.add_message(number, "We called her", direction="outgoing", private=True, sender_id=31)
    desk.sync()

    assert desk.row("Ticket")["status"] == STATES[state]


def test_a_state_that_is_told_late_does_not_undo_a_newer_one(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.chatwoot.set_status(number, "pending")
    late = [item for item in desk.deliveries() if item["event"] == "conversation_status_changed"]
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.take(late)
    desk.drain()

    ticket = desk.row("Ticket")
    assert ticket["status"] == SOLVED
    assert desk.outcome() == f"Ticket {ticket['id']} shows a newer state already."


def test_a_new_entity_is_of_use_to_a_session_that_is_older(desk: Desk) -> None:
    begin(desk)
    desk.sync()
    with desk.glpi.state.lock:
        entity = desk.glpi.state["Entity"].insert(
            {"name": "New", "completename": "Root > New", "entities_id": 0}
        )
    desk.write("Ticket", desk.row("Ticket")["id"], entities_id=entity["id"])
    desk.calls()
    desk.chatwoot.set_status(812, "resolved")
    desk.sync()

    assert desk.row("Ticket")["status"] == SOLVED
    again = ["GET /initSession", "PUT /Ticket"] if desk.glpi.state.flavour.is_11 else []
    assert desk.calls() == ["PUT /Ticket", *again]


# -- what goes missing ---------------------------------------------------------------------------------------------


def test_a_purged_ticket_is_opened_anew_with_the_next_change(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    old = desk.row("Ticket")["id"]
    desk.purge("Ticket", old)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["status"], desk.texts(ticket["id"])) == (SOLVED, ["It does not print"])
    assert f"The ticket was gone; ticket {ticket['id']} takes its place." in desk.outcomes()
    assert desk.chatwoot.state.conversations[number].custom_attributes["glpi_ticket_id"] == ticket["id"]


def test_a_ticket_in_the_bin_is_not_opened_anew(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.write("Ticket", desk.row("Ticket")["id"], is_deleted=1)
    desk.chatwoot.add_message(number, "Hello?")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.row("Ticket")["status"] == SOLVED


def test_a_user_who_was_purged_is_made_anew_for_the_ticket_that_needs_a_requester(desk: Desk) -> None:
    contact, number = begin(desk)
    desk.sync()
    desk.purge("User", desk.users()[0]["id"])
    desk.clock.forward(timedelta(days=2).total_seconds())
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    ticket = desk.row("Ticket", name=f"Conversation #{number + 1}")
    assert desk.requesters(ticket["id"]) == [desk.users()[0]["id"]]


def test_a_requester_whom_glpi_drops_is_added(desk: Desk) -> None:
    """GLPI 11 takes no requester without a profile in the ticket's entity, and does not say so."""
    there = desk.add_user("someone-else", "ana@example.com")
    begin(desk)
    desk.sync()

    assert desk.requesters(desk.row("Ticket")["id"]) == [there]


def test_a_requester_whom_glpi_drops_is_added_to_every_ticket_once(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com")
    contact, number = begin(desk)
    desk.sync()
    desk.chatwoot.set_status(number, "resolved")
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    assert [desk.requesters(ticket["id"]) for ticket in desk.rows("Ticket")] == [[there], [there]]


# -- mail, calls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mails", ["false", "true"])
def test_glpi_mails_nobody_unless_that_is_wanted(desk: Desk, mails: str) -> None:
    desk.set(glpi_notifications=mails)
    heard = desk.listen()
    _, number = begin(desk)
    desk.chatwoot.add_message(number, "Hello?")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    about = [fields for path, fields in heard if "Ticket" in path or "ITILFollowup" in path]
    assert len(about) == 3
    assert all(("_disablenotif" in fields) == (mails == "false") for fields in about)


def test_what_decides_is_never_left_to_glpi(desk: Desk) -> None:
    heard = desk.listen()
    _, number = begin(desk)
    desk.chatwoot.add_message(number, "Hello?")
    desk.sync()

    [ticket] = [fields for path, fields in heard if path.endswith("/Ticket")]
    [followup] = [fields for path, fields in heard if path.endswith("/ITILFollowup")]
    assert {"status", "urgency", "impact", "entities_id"} <= ticket.keys()
    assert "priority" not in ticket
    assert (followup["is_private"], followup["_no_reopen"]) == (0, 1)
    [user] = [fields for path, fields in heard if path.endswith("/User")]
    assert user["_useremails"] == {"-1": "ana@example.com"}


def test_an_event_costs_as_few_calls_as_it_can(desk: Desk) -> None:
    contact, number = begin(desk)
    desk.sync()
    assert desk.calls() == [
        "GET /initSession",
        "GET /search/User",
        "POST /User",
        "GET /getFullSession",
        "POST /Ticket",
    ]

    second = desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing").id
    desk.sync()
    assert desk.calls() == ["POST /Ticket"]

    desk.chatwoot.add_message(second, "More of it")
    desk.sync()
    assert desk.calls() == ["POST /ITILFollowup"]

    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.calls() == ["PUT /Ticket"]

    desk.chatwoot.set_labels(number, ["vip"])
    desk.sync()
    assert desk.calls() == []


def test_an_existing_user_costs_one_look_whether_glpi_11_took_him_as_requester(desk: Desk) -> None:
    with desk.glpi.state.lock:
        state = desk.glpi.state
        user = state["User"].rows[desk.add_user("someone-else", "ana@example.com")]
        state["Profile_User"].insert(
            {"users_id": user["id"], "profiles_id": 1, "entities_id": 0, "is_recursive": 1}
        )
    contact, _ = begin(desk)
    desk.sync()
    # GLPI 10 takes everybody who exists, and that the user does was just seen.
    looks = ["GET /Ticket/Ticket_User"] if desk.glpi.state.flavour.is_11 else []
    assert [call for call in desk.calls() if "/Ticket" in call] == ["POST /Ticket", *looks]

    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")
    desk.sync()
    assert desk.calls() == ["POST /Ticket"]


def test_every_outcome_says_what_was_done(desk: Desk) -> None:
    _, number = begin(desk)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert all(event.state != EventState.FAILED for event in desk.events())
    assert f"Ticket {ticket} created." in desk.outcomes()
    assert f"Ticket {ticket} updated: status." in desk.outcomes()
