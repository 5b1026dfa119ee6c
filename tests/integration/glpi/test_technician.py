"""A service account with GLPI's own profile Technician can do all the work."""

from __future__ import annotations

import pytest

from crm_sync.sandbox.glpi import GlpiSandbox, create_app
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk
from tests.integration.glpi.test_openings import category, insert


@pytest.fixture
def settings() -> dict[str, str]:
    """The account of a technician, whose token is the same in every sandbox of a seed."""
    sandbox: GlpiSandbox = create_app().extensions["sandbox"]
    return {"user_token": sandbox.user_tokens["tech"]}


def test_a_technician_mirrors_everything(desk: Desk) -> None:
    with desk.glpi.state.lock:
        entity = desk.glpi.state["Entity"].insert(
            {"name": "Shop", "completename": "Root > Shop", "entities_id": 0}
        )["id"]
    desk.set(entity_id=str(entity))
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    desk.chatwoot.add_message(number, "Rude", direction="outgoing", private=True)
    desk.chatwoot.set_priority(number, "high")
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", email="lima@example.com")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.events(EventState.FAILED) == []
    [user] = desk.users()
    ticket = desk.row("Ticket")
    assert (user["realname"], desk.emails(user["id"])) == ("Lima", ["lima@example.com"])
    assert (ticket["status"], ticket["urgency"], ticket["entities_id"]) == (5, 4, entity)
    assert desk.requesters(ticket["id"]) == [user["id"]]
    assert desk.texts(ticket["id"]) == ["It does not print", "Rude"]


def test_a_technician_may_do_whatever_is_switched_on(desk: Desk) -> None:
    watcher, joan = desk.add_user("watcher"), desk.add_user("joan", "joan.example@example.com")
    group = insert(desk, "Group", name="Sales", completename="Sales")
    desk.set(
        group_by_team=f'{{"sales":{group}}}',
        observer_ids=f"[{watcher}]",
        resolve_with="solution",
        on_reopen="new_ticket",
        link_computers="true",
        sla_id=str(insert(desk, "SLA", name="4 h", number_time=4, definition_time="hour")),
    )
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    desk.chatwoot.assign(number, assignee_id=31)
    desk.chatwoot.assign(number, team_id=2)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    desk.chatwoot.add_message(number, "Still broken")
    desk.sync()

    assert desk.events(EventState.FAILED) == []
    assert not any("refused" in said or "could not" in said for said in desk.outcomes())
    old, new = sorted(desk.rows("Ticket"), key=lambda row: row["id"])
    for row in (old, new):
        people = {
            (actor["users_id"], actor["type"]) for actor in desk.rows("Ticket_User", tickets_id=row["id"])
        }
        assert {(joan, 2), (watcher, 3)} <= people
        assert [actor["groups_id"] for actor in desk.rows("Group_Ticket", tickets_id=row["id"])] == [group]
    assert len(desk.rows("ITILSolution", items_id=old["id"])) == 1
    assert len(desk.rows("Ticket_Ticket")) == 1


def test_a_category_that_a_technician_may_not_look_for_is_told_and_keeps_nothing_back(desk: Desk) -> None:
    category(desk, "Website")
    desk.set(category_named_like_inbox="true")
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    desk.sync()

    assert desk.row("Ticket")["itilcategories_id"] == 0
    assert any(
        "The category called Website could not be looked for: GLPI refused" in said
        for said in desk.outcomes()
    )
