"""A conversation that is opened again can have a new ticket, linked to the former."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from tests.integration.glpi.desk import Desk, Row, once
from tests.integration.glpi.test_conversations import CLOSED, PROCESSING, SOLVED, begin

LINK_TO = 1


@pytest.fixture
def settings() -> dict[str, str]:
    """A conversation that is opened again has a new ticket."""
    return {"on_reopen": "new_ticket"}


def resolved(desk: Desk) -> int:
    """Ana wrote, and was helped; returns the conversation."""
    _, number = begin(desk)
    desk.chatwoot.set_status(number, "resolved")
    desk.settle()
    return number


def links(desk: Desk) -> list[tuple[int, int, int]]:
    """How tickets are linked."""
    return [(row["tickets_id_1"], row["tickets_id_2"], row["link"]) for row in desk.rows("Ticket_Ticket")]


def tickets(desk: Desk) -> list[Row]:
    """The tickets, oldest first."""
    return sorted(desk.rows("Ticket"), key=lambda row: row["id"])


def test_a_customer_who_writes_again_has_a_new_ticket_linked_to_the_former(desk: Desk) -> None:
    number = resolved(desk)
    desk.calls()
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()
    assert desk.calls() == ["POST /Ticket", "POST /Ticket_Ticket"]
    desk.chatwoot.add_message(number, "Hello?")
    desk.chatwoot.set_priority(number, "high")
    desk.sync()

    old, new = tickets(desk)
    assert (old["status"], new["status"]) == (SOLVED, PROCESSING)
    assert (old["name"], new["name"]) == (f"Conversation #{number}", f"Conversation #{number} (2)")
    assert (desk.texts(old["id"]), desk.texts(new["id"])) == (
        ["It does not print"],
        ["Still broken", "Hello?"],
    )
    assert (old["urgency"], new["urgency"]) == (3, 4)
    assert desk.requesters(old["id"]) == desk.requesters(new["id"]) != []
    assert links(desk) == [(new["id"], old["id"], LINK_TO)]
    said = f"Ticket {new['id']} created. It continues ticket {old['id']}."
    assert any(said in outcome or "It continues" in outcome for outcome in desk.outcomes())
    known = desk.chatwoot.state.conversations[number].custom_attributes
    assert (known["glpi_ticket_id"], known["glpi_urgency"]) == (new["id"], "High")


def test_an_agent_who_opens_it_again_begins_a_new_ticket(desk: Desk) -> None:
    number = resolved(desk)
    desk.chatwoot.set_status(number, "open")
    desk.sync()

    old, new = tickets(desk)
    assert desk.texts(new["id"]) == ["New conversation from Ana Souza"]
    assert f"Ticket {new['id']} created. It continues ticket {old['id']}." in desk.outcomes()


def test_it_can_be_opened_again_many_times(desk: Desk) -> None:
    number = resolved(desk)
    for text in ("Second", "Third"):
        desk.chatwoot.add_message(number, text)
        desk.sync()
        desk.chatwoot.set_status(number, "resolved")
        desk.sync()

    first, second, third = tickets(desk)
    assert [row["status"] for row in (first, second, third)] == [SOLVED] * 3
    assert [desk.texts(row["id"]) for row in (second, third)] == [["Second"], ["Third"]]
    assert links(desk) == [
        (second["id"], first["id"], LINK_TO),
        (third["id"], second["id"], LINK_TO),
    ]


def test_a_state_that_is_told_late_begins_nothing(desk: Desk) -> None:
    _, number = begin(desk)
    desk.chatwoot.add_message(number, "More of it")
    late = desk.deliveries()
    desk.take(late[:1])
    desk.drain()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.take(late[1:])
    desk.drain()

    assert len(tickets(desk)) == 1
    assert desk.texts(desk.row("Ticket")["id"]) == ["It does not print", "More of it"]


def test_a_note_on_a_resolved_conversation_stays_with_its_ticket(desk: Desk) -> None:
    number = resolved(desk)
    desk.chatwoot.add_message(number, "We called her", direction="outgoing", private=True, sender_id=31)
    desk.sync()

    assert len(tickets(desk)) == 1


def test_a_ticket_that_was_closed_meanwhile_stays_closed(desk: Desk) -> None:
    number = resolved(desk)
    desk.write("Ticket", desk.row("Ticket")["id"], status=CLOSED)
    desk.chatwoot.set_labels(number, ["vip"])
    desk.sync()
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()

    assert [row["status"] for row in tickets(desk)] == [CLOSED, PROCESSING]


def test_a_further_ticket_that_was_purged_is_opened_anew_and_linked(desk: Desk) -> None:
    number = resolved(desk)
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()
    old, new = tickets(desk)
    desk.purge("Ticket", new["id"])
    for row in desk.rows("Ticket_Ticket"):
        desk.purge("Ticket_Ticket", row["id"])
    desk.chatwoot.add_message(number, "Hello?")
    desk.sync()

    old, new = tickets(desk)
    assert (new["name"], desk.texts(new["id"])) == (
        f"Conversation #{number} (2)",
        ["Still broken", "Hello?"],
    )
    assert links(desk) == [(new["id"], old["id"], LINK_TO)]


def test_a_former_ticket_that_is_gone_is_told(desk: Desk) -> None:
    number = resolved(desk)
    old = desk.row("Ticket")["id"]
    desk.purge("Ticket", old)
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["Still broken"]
    assert links(desk) == []
    assert any(f"It could not be linked to ticket {old}: GLPI refused" in said for said in desk.outcomes())


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize("path", ["/Ticket", "/Ticket_Ticket", "/ITILFollowup"])
def test_an_answer_that_is_lost_leaves_one_ticket_for_each_time(
    desk: Desk, kind: Callable[..., Any], path: str
) -> None:
    number = resolved(desk)
    for text in ("Second", "Third"):
        fault, hit = once(kind, "POST", path)
        desk.strike(fault)
        desk.chatwoot.add_message(number, text)
        desk.chatwoot.add_message(number, f"{text} again")
        desk.settle()
        assert hit.is_set()
        desk.chatwoot.set_status(number, "resolved")
        desk.settle()

    first, second, third = tickets(desk)
    assert [desk.texts(row["id"]) for row in (first, second, third)] == [
        ["It does not print"],
        ["Second", "Second again"],
        ["Third", "Third again"],
    ]
    assert links(desk) == [
        (second["id"], first["id"], LINK_TO),
        (third["id"], second["id"], LINK_TO),
    ]
    assert [row["status"] for row in (first, second, third)] == [SOLVED] * 3
