"""A resolved conversation can solve its ticket with its last answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from tests.integration.glpi.desk import Desk, Row, once, shown
from tests.integration.glpi.test_conversations import CLOSED, PROCESSING, SOLVED, begin

WAITING, REFUSED = 2, 4


@pytest.fixture
def settings() -> dict[str, str]:
    """Tickets are solved by solutions."""
    return {"resolve_with": "solution"}


def solutions(desk: Desk) -> list[Row]:
    """The solutions of the ticket."""
    return desk.rows("ITILSolution", items_id=desk.row("Ticket")["id"])


def words(desk: Desk) -> list[str]:
    """What the solutions say."""
    return [shown(desk.content(row)) for row in solutions(desk)]


def answer(desk: Desk, number: int, text: str, **more: Any) -> None:
    """Joan answers."""
    desk.chatwoot.add_message(number, text, direction="outgoing", sender_id=31, **more)


def test_a_resolved_conversation_solves_its_ticket_with_the_last_answer(desk: Desk) -> None:
    _, number = begin(desk)
    answer(desk, number, "Is it on?")
    answer(desk, number, "It was <off>")
    answer(desk, number, "What a day", private=True)
    desk.chatwoot.add_message(number, "Thanks")
    desk.sync()
    desk.calls()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.row("Ticket")["status"] == SOLVED
    assert words(desk) == ["It was &lt;off&gt;"]
    assert desk.calls() == ["GET /Ticket", "POST /ITILSolution"]
    assert f"Ticket {desk.row('Ticket')['id']} updated: status." in desk.outcomes()


def test_a_conversation_without_an_answer_is_solved_in_neutral_words(desk: Desk) -> None:
    desk.set(language="pt_BR")
    _, number = begin(desk)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert words(desk) == ["A conversa foi resolvida no Chatwoot."]


def test_a_conversation_that_begins_resolved_has_a_solution(desk: Desk) -> None:
    begin(desk, None, status="resolved")
    desk.sync()

    assert desk.row("Ticket")["status"] == SOLVED
    assert len(solutions(desk)) == 1


def test_what_else_changed_is_written_too(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    payloads = []
    desk.chatwoot.set_priority(number, "urgent")
    desk.chatwoot.set_status(number, "resolved")
    payloads = [item for item in desk.deliveries() if item["event"] == "conversation_status_changed"]
    desk.take(payloads)
    desk.drain()

    ticket = desk.row("Ticket")
    assert (ticket["status"], ticket["urgency"], len(solutions(desk))) == (SOLVED, 5, 1)


def test_every_time_it_is_resolved_has_a_solution_of_its_own(desk: Desk) -> None:
    _, number = begin(desk)
    answer(desk, number, "First")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()
    assert (desk.row("Ticket")["status"], solutions(desk)[0]["status"]) == (PROCESSING, REFUSED)

    answer(desk, number, "Second")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert words(desk) == ["First", "Second"]
    assert [row["status"] for row in solutions(desk)] == [REFUSED, WAITING]


@pytest.mark.parametrize("status", [SOLVED, CLOSED])
def test_a_ticket_that_glpi_has_solved_already_gets_no_solution_of_ours(desk: Desk, status: int) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.write("Ticket", desk.row("Ticket")["id"], status=status)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert (desk.row("Ticket")["status"], solutions(desk)) == (status, [])
    assert any("GLPI has it solved already, so no solution was added." in said for said in desk.outcomes())

    desk.chatwoot.set_priority(number, "high")
    desk.sync()
    assert (desk.row("Ticket")["status"], desk.row("Ticket")["urgency"]) == (status, 4)


def test_a_purged_ticket_leaves_no_solution_behind(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.row("Ticket")["status"] == SOLVED
    assert [row["items_id"] for row in desk.rows("ITILSolution")] == [desk.row("Ticket")["id"]]


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize(("method", "path"), [("POST", "/ITILSolution"), ("GET", r"/Ticket/\d+")])
def test_an_answer_that_is_lost_leaves_one_solution_for_each_time(
    desk: Desk, kind: Callable[..., Any], method: str, path: str
) -> None:
    _, number = begin(desk)
    desk.settle()
    for text in ("First", "Second"):
        fault, hit = once(kind, method, path)
        desk.strike(fault)
        answer(desk, number, text)
        desk.chatwoot.set_status(number, "resolved")
        desk.settle()
        assert hit.is_set()
        desk.chatwoot.add_message(number, "Still broken")
        desk.settle()

    assert words(desk) == ["First", "Second"]
