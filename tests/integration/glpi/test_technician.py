"""A service account with GLPI's own profile Technician can do all the work."""

from __future__ import annotations

import pytest

from crm_sync.engine import hooks
from crm_sync.errors import ConfigError
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


def test_a_technician_mirrors_all_that_becomes_of_people_and_messages(desk: Desk) -> None:
    desk.set(
        attachments="document",
        person_fields='{"badge":"registration_number"}',
        ticket_fields='{"how":"urgency"}',
        title_template="{inbox}: {message}",
        content_template="{contact} writes: {message}",
        urgency_by_priority='{"none":2}',
    )
    desk.chatwoot.state.public_url = desk.account.chatwoot_url
    ana = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"badge": "EMP-1"}
    )
    number = desk.chatwoot.create_conversation(
        ana.id, WEBSITE, "It does not print", custom_attributes={"how": 5}
    ).id
    picture = {"file_type": "image", "name": "label.jpg", "content": b"a picture"}
    shown = desk.chatwoot.add_message(number, "See", attachments=[picture]).id
    edited = desk.chatwoot.add_message(number, "Is it on?", direction="outgoing", sender_id=31).id
    desk.settle()
    desk.chatwoot.edit_message(edited, "Is it plugged in?")
    desk.chatwoot.delete_message(shown)
    desk.settle()

    [user], ticket = desk.users(), desk.row("Ticket")
    assert user["registration_number"] == "EMP-1"
    assert (ticket["name"], ticket["urgency"]) == ("Website: It does not print", 5)
    assert "Is it plugged in?" in desk.texts(ticket["id"])[2]
    assert "was deleted in Chatwoot" in desk.texts(ticket["id"])[1]
    assert desk.rows("Document") == [], "it went with its message"

    bia = desk.chatwoot.create_contact(name="Bia", email="bia@example.com")
    desk.settle()
    desk.chatwoot.merge_contacts(bia.id, ana.id)
    desk.chatwoot.set_status(number, "pending")
    desk.settle()

    assert desk.requesters(ticket["id"]) == [max(row["id"] for row in desk.users())]
    assert desk.events(EventState.FAILED) == []
    assert not any("refused" in said or "could not" in said for said in desk.outcomes())


def test_a_technicians_tickets_that_are_purged_are_opened_anew_with_all_that_was_written(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    desk.chatwoot.add_message(number, "Is it on?", direction="outgoing", sender_id=31)
    desk.settle()
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.chatwoot.add_message(number, "Yes")
    desk.settle()

    assert desk.texts(desk.row("Ticket")["id"]) == ["It does not print", "Is it on?", "Yes"]
    assert desk.events(EventState.FAILED) == []


def test_glpi_contacts_are_refused_to_a_technician_when_they_are_chosen(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="lacks rights: Contacts / Suppliers: Read"):
        hooks.change(desk.runtime, desk.hook_id, {"use_contact": "true"})
