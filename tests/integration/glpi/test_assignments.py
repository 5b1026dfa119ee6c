"""A conversation's agent and team work on its ticket; whom people assign in GLPI stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from tests.integration.glpi.desk import WEBSITE, Desk, once
from tests.integration.glpi.test_conversations import NEW, PENDING, PROCESSING, SOLVED, begin
from tests.integration.glpi.test_openings import insert

ASSIGNED = 2
JOAN, RUI = 31, 32


def technicians(desk: Desk) -> list[int]:
    """Who works on the ticket."""
    ticket = desk.row("Ticket")["id"]
    return sorted(
        row["users_id"] for row in desk.rows("Ticket_User", tickets_id=ticket) if row["type"] == ASSIGNED
    )


def groups(desk: Desk) -> list[int]:
    """The groups that work on the ticket."""
    ticket = desk.row("Ticket")["id"]
    rows = desk.rows("Group_Ticket", tickets_id=ticket)
    assert all(row["type"] == ASSIGNED for row in rows)
    return sorted(row["groups_id"] for row in rows)


@pytest.fixture
def joan(desk: Desk) -> int:
    """Joan is a user of GLPI."""
    return desk.add_user("joan", "Joan.Example@example.com")


@pytest.fixture
def rui(desk: Desk) -> int:
    """Rui is a user of GLPI."""
    return desk.add_user("rui", "other@example.com", "rui.sample@example.com")


def test_the_agent_becomes_the_technician_and_is_replaced_by_the_next(
    desk: Desk, joan: int, rui: int
) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.calls()
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()
    assert technicians(desk) == [joan]
    assert desk.calls() == ["GET /search/User", "POST /Ticket_User"]
    assert desk.outcome() == f"Ticket {desk.row('Ticket')['id']} updated: assignee."

    desk.chatwoot.assign(number, assignee_id=RUI)
    desk.sync()
    assert technicians(desk) == [rui]
    assert desk.calls() == ["GET /search/User", "POST /Ticket_User", "DELETE /Ticket_User"]

    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()
    assert technicians(desk) == [joan]
    assert desk.calls() == ["POST /Ticket_User", "DELETE /Ticket_User"]


def test_a_conversation_that_begins_with_an_agent_has_a_technician_at_once(desk: Desk, joan: int) -> None:
    contact, number = begin(desk, status="pending")
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()
    assert technicians(desk) == [joan]
    assert desk.row("Ticket")["status"] == PENDING
    assert contact


def test_a_ticket_nobody_works_on_any_more_keeps_its_state(desk: Desk, joan: int) -> None:
    """GLPI itself would make it new again."""
    _, number = begin(desk)
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()
    desk.chatwoot.assign(number)
    desk.sync()

    assert technicians(desk) == []
    assert desk.row("Ticket")["status"] == PROCESSING
    assert joan


def test_a_solved_ticket_stays_solved_when_its_agent_leaves(desk: Desk, joan: int) -> None:
    _, number = begin(desk)
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.chatwoot.assign(number)
    desk.sync()

    assert (technicians(desk), desk.row("Ticket")["status"]) == ([], SOLVED)
    assert joan


def test_whom_people_assign_in_glpi_stays(desk: Desk, joan: int, rui: int) -> None:
    _, number = begin(desk)
    desk.sync()
    ticket = desk.row("Ticket")["id"]
    for user in (joan, desk.add_user("third")):
        insert(desk, "Ticket_User", tickets_id=ticket, users_id=user, type=ASSIGNED)
    third = technicians(desk)[-1]
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()
    desk.chatwoot.assign(number, assignee_id=RUI)
    desk.sync()
    assert technicians(desk) == sorted([joan, third, rui])

    desk.chatwoot.assign(number)
    desk.sync()
    assert technicians(desk) == sorted([joan, third])


def test_a_technician_whom_glpi_11_would_drop_is_assigned(desk: Desk) -> None:
    """A user without a profile in the ticket's entity."""
    user = desk.add_user("joan", "joan.example@example.com")
    _, number = begin(desk)
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()

    assert technicians(desk) == [user]


@pytest.mark.parametrize(
    ("users", "how_many"),
    [
        ([], "no active user"),
        ([1, 1], "several active users"),
        ([0], "no active user"),
    ],
)
def test_nobody_is_assigned_who_is_not_certain_and_that_is_said(
    desk: Desk, users: list[int], how_many: str
) -> None:
    for position, active in enumerate(users):
        desk.add_user(f"joan{position}", "joan.example@example.com", is_active=active)
    _, number = begin(desk)
    desk.sync()
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()

    assert technicians(desk) == []
    assert f"Nobody was assigned: GLPI has {how_many} with the e-mail address of Joan" in desk.outcome()


def test_a_bot_is_nobody(desk: Desk, joan: int) -> None:
    begin(desk, status="pending")
    payloads = [item for item in desk.deliveries() if item["event"] == "conversation_created"]
    for payload in payloads:
        payload["meta"] |= {"assignee": {"id": JOAN, "name": "Bot"}, "assignee_type": "AgentBot"}
    desk.take(payloads)
    desk.drain()

    assert (technicians(desk), desk.row("Ticket")["status"]) == ([], NEW)
    assert joan


def test_agents_are_not_mirrored_unless_that_is_wanted(desk: Desk, joan: int) -> None:
    desk.set(sync_assignee="false")
    _, number = begin(desk)
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()

    assert technicians(desk) == []
    assert not any("Ticket_User" in call for call in desk.calls())
    assert joan


def test_a_team_becomes_a_group_and_is_replaced_by_the_next(desk: Desk) -> None:
    sales, other = (insert(desk, "Group", name=name, completename=name) for name in ("Sales", "Other"))
    by_hand = insert(desk, "Group", name="Third", completename="Third")
    desk.set(group_by_team=json.dumps({"Sales": sales, "3": other}))
    _, number = begin(desk)
    desk.chatwoot.assign(number, team_id=2)
    desk.sync()
    assert groups(desk) == [sales]
    insert(desk, "Group_Ticket", tickets_id=desk.row("Ticket")["id"], groups_id=by_hand, type=ASSIGNED)

    desk.calls()
    desk.chatwoot.assign(number, team_id=3)
    desk.sync()
    assert groups(desk) == sorted([other, by_hand])
    assert desk.calls() == ["POST /Group_Ticket", "DELETE /Group_Ticket"]


def test_nothing_is_asked_for_a_conversation_without_agent_and_team(desk: Desk) -> None:
    sales = insert(desk, "Group", name="Sales", completename="Sales")
    desk.set(group_by_team=json.dumps({"sales": sales}))
    contact, _ = begin(desk)
    desk.sync()
    desk.calls()
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    assert desk.calls() == ["POST /Ticket"]


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/Ticket_User"), ("DELETE", r"/Ticket_User/\d+"), ("POST", "/Group_Ticket"), ("GET", "/User")],
)
def test_an_answer_that_is_lost_leaves_one_technician_and_one_group(
    desk: Desk, joan: int, rui: int, kind: Callable[..., Any], method: str, path: str
) -> None:
    sales, other = (insert(desk, "Group", name=name, completename=name) for name in ("Sales", "Other"))
    desk.set(group_by_team=json.dumps({"sales": sales, "logistics": other}))
    _, number = begin(desk)
    desk.settle()
    fault, hit = once(kind, method, path, times=2)
    desk.strike(fault)
    for agent, team in ((JOAN, 2), (RUI, 3), (JOAN, 2)):
        desk.chatwoot.assign(number, assignee_id=agent)
        desk.chatwoot.assign(number, team_id=team)
        desk.settle()

    assert hit.is_set()
    assert (technicians(desk), groups(desk)) == ([joan], [sales])
    assert desk.row("Ticket")["status"] == PROCESSING
    assert rui


def test_a_purged_ticket_is_opened_anew_with_its_technician(desk: Desk, joan: int) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.chatwoot.assign(number, assignee_id=JOAN)
    desk.sync()

    assert technicians(desk) == [joan]
