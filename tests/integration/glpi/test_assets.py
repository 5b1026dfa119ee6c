"""The requester's computers and the deadline of an SLA belong to a new ticket, and are shown in its conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import Hook
from tests.integration.glpi.desk import WEBSITE, Desk, once
from tests.integration.glpi.test_conversations import begin
from tests.integration.glpi.test_openings import insert


def assets(desk: Desk, ticket_id: int) -> list[tuple[str, int]]:
    """What is linked to a ticket."""
    return [(row["itemtype"], row["items_id"]) for row in desk.rows("Item_Ticket", tickets_id=ticket_id)]


def computers(desk: Desk) -> list[int]:
    """Ana has two computers, one in the bin, and one that only lends its settings; somebody else has one."""
    user = desk.add_user("ana", "ana@example.com")
    other = desk.add_user("other")
    return [
        insert(desk, "Computer", name="PC-1", users_id=user, entities_id=0),
        insert(desk, "Computer", name="PC-2", users_id=user, entities_id=0),
        insert(desk, "Computer", name="PC-3", users_id=user, is_deleted=1),
        insert(desk, "Computer", name="PC-4", users_id=user, is_template=1),
        insert(desk, "Computer", name="PC-5", users_id=other),
    ]


def forbidden(_app: Any, _environ: Any, start_response: Any) -> list[bytes]:
    """What GLPI answers when a right is missing (contracts/glpi: user-list-no-rights-selfservice)."""
    start_response("403 Forbidden", [("Content-Type", "application/json; charset=UTF-8")])
    return [b'["ERROR_RIGHT_MISSING","You don\'t have permission to perform this action."]']


def test_the_requesters_computers_are_linked_and_shown(desk: Desk) -> None:
    one, two, *_ = computers(desk)
    desk.set(link_computers="true")
    contact, number = begin(desk)
    desk.sync()

    assert assets(desk, desk.row("Ticket")["id"]) == [("Computer", one), ("Computer", two)]
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert shown["glpi_linked_assets"] == f"PC-1 ({one}), PC-2 ({two})"

    desk.calls()
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()
    assert [call for call in desk.calls() if "User" not in call] == ["GET /Computer", "POST /Ticket"]


def test_a_requester_without_a_computer_has_a_ticket_without_one(desk: Desk) -> None:
    desk.set(link_computers="true")
    _, number = begin(desk)
    desk.sync()

    assert desk.rows("Item_Ticket") == []
    assert "glpi_linked_assets" not in desk.chatwoot.state.conversations[number].custom_attributes


def test_computers_are_not_looked_for_unless_that_is_wanted(desk: Desk) -> None:
    computers(desk)
    begin(desk)
    desk.sync()

    assert desk.rows("Item_Ticket") == []
    assert "GET /Computer" not in desk.calls()


def test_computers_that_may_not_be_seen_are_told_and_keep_nothing_back(desk: Desk) -> None:
    desk.set(link_computers="true")
    fault, _ = once(forbidden, "GET", "/Computer", times=9)
    desk.strike(fault)
    begin(desk)
    desk.sync()

    assert len(desk.rows("Ticket")) == 1
    assert any(
        "The requester's computers could not be seen: GLPI refused" in said for said in desk.outcomes()
    )


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize(("method", "path"), [("POST", "/Ticket"), ("GET", "/Computer")])
def test_computers_are_linked_once_when_an_answer_is_lost(
    desk: Desk, kind: Callable[..., Any], method: str, path: str
) -> None:
    one, two, *_ = computers(desk)
    desk.set(link_computers="true")
    fault, hit = once(kind, method, path)
    desk.strike(fault)
    _, number = begin(desk)
    desk.settle()

    assert hit.is_set()
    assert assets(desk, desk.row("Ticket")["id"]) == [("Computer", one), ("Computer", two)]
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert shown["glpi_linked_assets"] == f"PC-1 ({one}), PC-2 ({two})"


# -- SLA -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sla(desk: Desk) -> int:
    """Four hours to resolve."""
    number = insert(desk, "SLA", name="4 h", type=0, number_time=4, definition_time="hour")
    desk.set(sla_id=str(number))
    return number


def test_a_ticket_with_an_sla_shows_its_deadline(desk: Desk, sla: int) -> None:
    contact, number = begin(desk)
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["slas_id_ttr"], ticket["time_to_resolve"]) == (sla, "2026-11-02 10:00:00")
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert shown["glpi_sla_ttr"] == "2026-11-02T13:00:00Z"

    desk.calls()
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()
    assert desk.calls() == ["POST /Ticket", "GET /Ticket"]


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize(("method", "path"), [("POST", "/Ticket"), ("GET", r"/Ticket/\d+")])
def test_a_deadline_is_shown_when_an_answer_is_lost(
    desk: Desk, sla: int, kind: Callable[..., Any], method: str, path: str
) -> None:
    fault, hit = once(kind, method, path)
    desk.strike(fault)
    _, number = begin(desk)
    desk.settle()

    assert hit.is_set()
    assert desk.row("Ticket")["slas_id_ttr"] == sla
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert shown["glpi_sla_ttr"] == "2026-11-02T13:00:00Z"


def test_a_ticket_that_is_purged_before_its_deadline_was_read_is_opened_anew(desk: Desk, sla: int) -> None:
    fault, hit = once(refuse, "GET", r"/Ticket/\d+")
    desk.strike(fault)
    _, number = begin(desk)
    desk.take(desk.deliveries())
    desk.drain()
    assert hit.is_set()
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.settle()

    assert desk.row("Ticket")["slas_id_ttr"] == sla
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert shown["glpi_sla_ttr"] == "2026-11-02T13:00:00Z"
    assert shown["glpi_ticket_id"] == desk.row("Ticket")["id"]


# -- what the setup found ------------------------------------------------------------------------------------------


def know(desk: Desk, **facts: Any) -> None:
    """The setup found this out about GLPI."""
    with desk.runtime.store.write() as session:
        hook = session.get_one(Hook, desk.hook_id)
        hook.facts = {**hook.facts, **facts}
        hook.version += 1


def test_a_deadline_of_glpis_own_rules_is_shown_where_there_are_slas(desk: Desk) -> None:
    know(desk, has_sla=True)
    contact, number = begin(desk)
    desk.sync()
    assert "glpi_sla_ttr" not in desk.chatwoot.state.conversations[number].custom_attributes

    desk.calls()
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()
    assert desk.calls() == ["POST /Ticket", "GET /Ticket"]
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.calls() == ["PUT /Ticket"]


def test_a_category_that_the_setup_knows_is_shown_without_asking(desk: Desk) -> None:
    printers = insert(desk, "ITILCategory", name="Printers", completename="Printers")
    desk.set(category_id=str(printers))
    know(desk, category_names={str(printers): "Things > Printers"})
    desk.calls()
    _, number = begin(desk)
    desk.sync()

    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert shown["glpi_category"] == "Things > Printers"
    assert "GET /ITILCategory" not in desk.calls()
