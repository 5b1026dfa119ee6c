"""Tickets that lie in GLPI's bin, and such as were merged into others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from tests.integration.glpi.desk import Desk, once
from tests.integration.glpi.test_conversations import SOLVED, begin
from tests.integration.glpi.test_openings import insert

DAY_S = 86_400
SON_OF = 3


def merge(desk: Desk, source: int, target: int) -> None:
    """What GLPI's Ticket::merge does: a followup that names its source, a link, and the bin."""
    row = desk.row("Ticket", id=source)
    insert(
        desk,
        "ITILFollowup",
        itemtype="Ticket",
        items_id=target,
        content=f"{row['name']}<br /><br />{row['content']}",
        date=row["date"],
        sourceitems_id=source,
    )
    insert(desk, "Ticket_Ticket", tickets_id_1=source, tickets_id_2=target, link=SON_OF)
    desk.write("Ticket", source, is_deleted=1)


def a_ticket(desk: Desk, **columns: Any) -> int:
    """A ticket of somebody's."""
    known = {"name": "All of them", "content": "<p>x</p>", "status": 2, "urgency": 3, "impact": 3, "type": 2}
    return insert(desk, "Ticket", **known | {"entities_id": 0, "date": "2026-11-02 06:00:00"} | columns)


def test_a_ticket_is_looked_at_once_a_day_before_something_is_written(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    desk.calls()
    for expected in (["GET /Ticket", "POST /ITILFollowup"], ["POST /ITILFollowup"]):
        desk.clock.forward(DAY_S if "GET /Ticket" in expected else 60)
        desk.chatwoot.add_message(number, "Hello?")
        desk.sync()
        assert [call for call in desk.calls() if "FullSession" not in call] == expected

    desk.clock.forward(DAY_S)
    desk.chatwoot.set_labels(number, ["vip"])
    desk.sync()
    assert desk.calls() == []
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.calls() == ["GET /Ticket", "PUT /Ticket"]


def test_a_ticket_in_the_bin_is_written_to_and_that_is_said(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    ticket = desk.row("Ticket")["id"]
    desk.write("Ticket", ticket, is_deleted=1)
    desk.clock.forward(DAY_S)
    desk.chatwoot.add_message(number, "Hello?")
    desk.sync()
    assert desk.outcome().endswith(f"Ticket {ticket} is in GLPI's bin.")

    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.row("Ticket")["status"] == SOLVED
    assert f"Ticket {ticket} updated: status. Ticket {ticket} is in GLPI's bin." in desk.outcomes()

    desk.write("Ticket", ticket, is_deleted=0)
    desk.clock.forward(DAY_S)
    desk.chatwoot.add_message(number, "Anybody?")
    desk.sync()
    assert "bin" not in desk.outcome()


def test_a_merged_ticket_is_followed(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    source, target = desk.row("Ticket")["id"], a_ticket(desk)
    merge(desk, source, target)
    desk.clock.forward(DAY_S)
    desk.calls()
    desk.chatwoot.add_message(number, "Hello?")
    desk.sync()

    assert [call for call in desk.calls() if "FullSession" not in call and "Ticket_User" not in call] == [
        "GET /Ticket",
        "GET /ITILFollowup",
        "GET /Ticket",
        "POST /ITILFollowup",
    ]
    assert desk.outcome() == (
        f"Followup {desk.rows('ITILFollowup')[-1]['id']} added to ticket {target}. "
        f"Ticket {source} was merged into ticket {target}."
    )
    known = desk.chatwoot.state.conversations[number].custom_attributes
    assert (known["glpi_ticket_id"], known["glpi_ticket_type"]) == (target, "Request")

    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert [desk.row("Ticket", id=each)["status"] for each in (source, target)] == [2, SOLVED]


def test_a_change_of_state_goes_to_the_ticket_that_stands_at_the_end_of_merges(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()
    source, between, target = desk.row("Ticket")["id"], a_ticket(desk), a_ticket(desk)
    merge(desk, source, between)
    merge(desk, between, target)
    desk.clock.forward(DAY_S)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert [desk.row("Ticket", id=each)["status"] for each in (source, between, target)] == [2, 2, SOLVED]
    assert f"Ticket {target} updated: status. Ticket {source} was merged into ticket {target}." in (
        desk.outcomes()
    )


@pytest.mark.parametrize("circle", [True, False])
def test_a_merge_that_leads_nowhere_leaves_the_ticket_in_the_bin(desk: Desk, *, circle: bool) -> None:
    _, number = begin(desk)
    desk.sync()
    source, target = desk.row("Ticket")["id"], a_ticket(desk)
    merge(desk, source, target)
    if circle:
        merge(desk, target, source)
    else:
        desk.write("Ticket", target, is_deleted=1)
    desk.clock.forward(DAY_S)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.row("Ticket", id=source)["status"] == SOLVED


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", r"/Ticket/\d+"), ("GET", "/ITILFollowup"), ("POST", "/ITILFollowup")]
)
def test_an_answer_that_is_lost_while_a_merge_is_followed_doubles_nothing(
    desk: Desk, kind: Callable[..., Any], method: str, path: str
) -> None:
    _, number = begin(desk)
    desk.sync()
    source, target = desk.row("Ticket")["id"], a_ticket(desk)
    merge(desk, source, target)
    desk.clock.forward(DAY_S)
    fault, hit = once(kind, method, path)
    desk.strike(fault)
    desk.chatwoot.add_message(number, "Hello?")
    desk.settle()

    assert hit.is_set()
    assert len(desk.rows("Ticket")) == 2
    written = [row["items_id"] for row in desk.rows("ITILFollowup") if not row["sourceitems_id"]]
    assert written == [target]
