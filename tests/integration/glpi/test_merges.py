"""Contacts merged in Chatwoot: their conversations change hands without a word, and their tickets follow."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.sandbox.server import lose, refuse
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk, once

PHONE = "+5511912345678"


def merge(desk: Desk, base: int, mergee: int) -> None:
    """An agent merges two contacts, and what Chatwoot says of it arrives.

    The copies of the mergee's messages are left out: whether they are understood is no matter of the tickets'.
    """
    desk.chatwoot.merge_contacts(base, mergee)
    desk.take(payload for payload in desk.deliveries() if payload["event"] != "message_updated")
    desk.drain()
    assert desk.waiting() == []


def two(desk: Desk) -> tuple[int, int, int]:
    """Ana has called and has written; returns both of her contacts and the conversation of the second."""
    base = desk.chatwoot.create_contact(name="Ana Souza", phone_number=PHONE)
    other = desk.chatwoot.create_contact(name="A.", email="ana@example.com")
    number = desk.chatwoot.create_conversation(other.id, WEBSITE, "It does not print").id
    desk.sync()
    return base.id, other.id, number


def told(desk: Desk, words: str) -> bool:
    """Whether the outcome of an event says so."""
    return any(words in outcome for outcome in desk.outcomes())


def user_of(desk: Desk, contact_id: int) -> int:
    """The user made for a contact."""
    return int(next(row["id"] for row in desk.users() if f"-{contact_id}@" in row["name"]))


def test_a_ticket_asks_for_the_contact_that_stays_with_the_next_event(desk: Desk) -> None:
    base, other, number = two(desk)
    former, stays = user_of(desk, other), user_of(desk, base)
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert desk.requesters(ticket) == [stays]
    assert told(desk, f"User {stays} is its requester now, instead of user {former}.")
    assert {row["id"] for row in desk.users()} == {former, stays}


def test_a_ticket_changes_hands_once(desk: Desk) -> None:
    base, other, number = two(desk)
    merge(desk, base, other)
    desk.calls()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    first = desk.calls()
    desk.chatwoot.set_status(number, "open")
    desk.sync()

    assert [call for call in first if "Ticket_User" in call] == [
        "GET /Ticket/Ticket_User",
        "POST /Ticket_User",
        "DELETE /Ticket_User",
    ]
    assert desk.calls() == ["PUT /Ticket"]


def test_a_delivery_from_before_the_merge_gives_nothing_back(desk: Desk) -> None:
    base, other, number = two(desk)
    desk.chatwoot.set_status(number, "resolved")
    late = desk.deliveries()
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "open")
    desk.sync()
    desk.take(late)
    desk.drain()

    assert desk.waiting() == []
    assert desk.requesters(desk.row("Ticket")["id"]) == [user_of(desk, base)]


def test_other_people_of_the_ticket_stay(desk: Desk) -> None:
    base, other, number = two(desk)
    ticket, colleague = desk.row("Ticket")["id"], desk.add_user("colleague")
    with desk.glpi.state.lock:
        for role in (1, 2, 3):
            desk.glpi.state["Ticket_User"].insert(
                {"tickets_id": ticket, "users_id": colleague, "type": role, "use_notification": 1}
            )
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert sorted(
        (row["users_id"], row["type"]) for row in desk.rows("Ticket_User", tickets_id=ticket)
    ) == sorted([(colleague, 1), (colleague, 2), (colleague, 3), (user_of(desk, base), 1)])


def test_a_contact_that_nobody_knew_takes_the_user_of_the_one_it_swallows(desk: Desk) -> None:
    base = desk.chatwoot.create_contact(name="Visitor").id
    other = desk.chatwoot.create_contact(name="Ana", email="ana@example.com").id
    number = desk.chatwoot.create_conversation(other, WEBSITE, "It does not print").id
    desk.sync()
    user = user_of(desk, other)
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.requesters(desk.row("Ticket")["id"]) == [user]
    assert [row["id"] for row in desk.users()] == [user]


def test_what_was_written_keeps_its_author(desk: Desk) -> None:
    base, other, number = two(desk)
    desk.chatwoot.add_message(number, "Hello?")
    desk.sync()
    merge(desk, base, other)
    desk.chatwoot.add_message(number, "It is me")
    desk.sync()

    rows = sorted(desk.rows("ITILFollowup"), key=lambda row: row["id"])
    assert [row["users_id"] for row in rows] == [user_of(desk, other), user_of(desk, base)]


def test_a_former_requester_who_may_not_be_taken_off_is_told_and_harms_nothing(desk: Desk) -> None:
    base, other, number = two(desk)

    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "DELETE":
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [b'["ERROR_RIGHT_MISSING", "No."]']

    desk.strike(refuses)
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.events(EventState.FAILED) == []
    assert told(desk, "Who asked before could not be taken off it: GLPI refused: No.")
    assert set(desk.requesters(desk.row("Ticket")["id"])) == {user_of(desk, base), user_of(desk, other)}


@pytest.mark.parametrize("kind", [lose, refuse])
@pytest.mark.parametrize(("method", "path"), [("POST", "/Ticket_User"), ("DELETE", "/Ticket_User/[0-9]+")])
def test_a_fault_leaves_the_ticket_with_the_one_requester_who_asks_now(
    desk: Desk, kind: Any, method: str, path: str
) -> None:
    base, other, number = two(desk)
    merge(desk, base, other)
    fault, hit = once(kind, method, path)
    desk.strike(fault)
    desk.chatwoot.set_status(number, "resolved")
    desk.settle()

    assert hit.is_set()
    assert desk.requesters(desk.row("Ticket")["id"]) == [user_of(desk, base)]


def test_a_user_made_anew_takes_over_the_tickets_of_the_one_who_is_gone(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com").id
    number = desk.chatwoot.create_conversation(contact, WEBSITE, "It does not print").id
    desk.sync()
    former = user_of(desk, contact)
    desk.purge("User", former)
    desk.chatwoot.update_contact(contact, name="Ana Lima")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert user_of(desk, contact) != former
    assert desk.requesters(desk.row("Ticket")["id"]) == [user_of(desk, contact)]


@pytest.mark.parametrize("settings", [{"use_contact": "true"}])
def test_a_ticket_is_linked_to_the_glpi_contact_that_stays(desk: Desk) -> None:
    base = desk.chatwoot.create_contact(name="Ana", email="lima@example.com").id
    other = desk.chatwoot.create_contact(name="A.", email="ana@example.com").id
    number = desk.chatwoot.create_conversation(other, WEBSITE, "It does not print").id
    desk.sync()
    stays, former = (
        desk.row("Contact", email=email)["id"] for email in ("lima@example.com", "ana@example.com")
    )
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.calls()
    desk.chatwoot.set_status(number, "open")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert [row["items_id"] for row in desk.rows("Item_Ticket", tickets_id=ticket)] == [stays]
    assert [row["alternative_email"] for row in desk.rows("Ticket_User", tickets_id=ticket)] == [
        "lima@example.com"
    ]
    assert told(desk, f"It is linked to GLPI contact {stays} now, instead of contact {former}.")
    assert desk.calls() == ["PUT /Ticket"]


@pytest.mark.parametrize("settings", [{"use_contact": "true"}])
def test_a_glpi_contact_without_an_address_takes_over_that_of_the_other(desk: Desk) -> None:
    base, other, number = two(desk)
    [stays] = [row["id"] for row in desk.rows("Contact") if not row["email"]]
    merge(desk, base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert [row["items_id"] for row in desk.rows("Item_Ticket", tickets_id=ticket)] == [stays]
    assert [row["alternative_email"] for row in desk.rows("Ticket_User", tickets_id=ticket)] == [
        "ana@example.com"
    ]
    assert desk.row("Contact", id=stays)["email"] == "ana@example.com"
