"""The endpoints: each with what is particular to it, against a GLPI of each version."""

from __future__ import annotations

import pytest

from crm_sync.crms.glpi.client import ASSIGNED, OBSERVER, REQUESTER
from crm_sync.errors import Duplicate, NotFound, Rejected
from tests.unit.crms.glpi.world import Glpi, answering

CONTENT = "<p>x</p>"


def ticket(glpi: Glpi, entity_id: int = 0) -> int:
    """A ticket."""
    return glpi.client.create_ticket({"name": "x", "content": CONTENT}, entity_id=entity_id)


# -- the account and the server ------------------------------------------------------------------------------------


def test_the_account_is_told_with_its_profiles_and_entities(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    client = glpi.client

    assert client.active_profile()["name"] == "Super-Admin"
    assert [profile["name"] for profile in client.my_profiles()] == ["Super-Admin"]
    assert {entity["id"] for entity in client.my_entities()} == {0, shop}
    assert [entity["id"] for entity in client.my_entities(recursive=False)] == [0]
    assert client.active_entities()["id"] == 0
    assert client.full_session()["glpiID"] == 2
    assert client.config()["version"] == glpi.sandbox.state.flavour.version


def test_a_session_sees_an_entity_made_later_once_it_stands_in_its_entity_anew(glpi: Glpi) -> None:
    glpi.client.init_session()
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    glpi.client.change_active_entities(0)
    glpi.calls()

    assert glpi.client.item("Entity", shop)["name"] == "Shop"
    assert glpi.calls() == ["GET /Entity"]


def test_a_session_does_not_stand_in_an_entity_out_of_reach(glpi: Glpi) -> None:
    with pytest.raises((Rejected, NotFound)):
        glpi.client.change_active_entities(4711)


# -- people --------------------------------------------------------------------------------------------------------


def test_a_user_is_found_by_any_of_his_addresses_and_no_other(glpi: Glpi) -> None:
    ana = glpi.client.create_user("ana", {"realname": "Lima"}, ["ana@example.com", "lima@example.com"])
    glpi.client.create_user("anna", {"realname": "Lima"}, ["xana@example.com"])

    assert glpi.client.users_by_email("LIMA@example.com") == [ana]
    assert glpi.client.users_by_email("ana@example.com") == [ana]
    assert glpi.client.users_by_email("nobody@example.com") == []
    assert [row["name"] for row in glpi.client.users(realname="lima")] == ["ana", "anna"]
    found = glpi.client.search_users([{"field": 1, "searchtype": "contains", "value": "^ana$"}], (1, 2))
    assert [row["2"] for row in found] == [ana]


def test_a_users_first_address_is_the_default_one_and_nobody_elses_is_touched(glpi: Glpi) -> None:
    glpi.client.create_user("old", {}, ["old@example.com"])
    ana = glpi.client.create_user("ana", {}, ["ana@example.com", "lima@example.com"])
    glpi.client.update_user(ana, {"phone": "1"}, ["new@example.com"])

    rows = glpi.sandbox.state.dump()["UserEmail"]
    assert {row["email"] for row in rows if row["users_id"] == ana} == {
        "ana@example.com",
        "lima@example.com",
        "new@example.com",
    }
    assert [row["email"] for row in rows if row["users_id"] != ana] == ["old@example.com"]
    assert glpi.client.user(ana)["phone"] == "1"


def test_a_login_that_is_taken_is_refused(glpi: Glpi) -> None:
    glpi.client.create_user("ana", {})
    with pytest.raises(Rejected) as caught:
        glpi.client.create_user("ana", {})
    assert caught.value.code == "ERROR_GLPI_ADD"


def test_a_user_or_a_contact_that_is_gone_is_not_found(glpi: Glpi) -> None:
    for call in (
        lambda: glpi.client.user(4711),
        lambda: glpi.client.update_user(4711, {"phone": "1"}),
        lambda: glpi.client.contact(4711),
        lambda: glpi.client.update_contact(4711, {"phone": "1"}),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_contact_is_made_in_its_entity_found_by_address_and_changed(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    fields = {"name": "Lima", "firstname": "Ana", "email": "ana@example.com"}
    ana = glpi.client.create_contact(fields, entity_id=shop)
    glpi.client.create_contact({"name": "Lima", "email": "xana@example.com"}, entity_id=shop)
    glpi.client.update_contact(ana, {"phone": "1"})

    assert [row["2"] for row in glpi.client.search_contacts("ana@example.com")] == [ana]
    assert glpi.client.search_contacts("nobody@example.com") == []
    assert len(glpi.client.contacts(name="Lima")) == 2
    row = glpi.client.contact(ana)
    assert (row["entities_id"], row["phone"]) == (shop, "1")


# -- tickets -------------------------------------------------------------------------------------------------------


def test_a_ticket_is_opened_in_the_entity_that_is_named_wherever_the_session_stands(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    number = glpi.client.create_ticket({"name": "x", "content": CONTENT}, entity_id=shop)
    glpi.client.update_ticket(number, {"status": 5})

    row = glpi.client.ticket(number)
    assert (row["entities_id"], row["status"]) == (shop, 5)
    assert [row["id"] for row in glpi.client.tickets()] == [number]


def test_a_ticket_that_is_gone_is_not_found(glpi: Glpi) -> None:
    for call in (lambda: glpi.client.ticket(4711), lambda: glpi.client.update_ticket(4711, {"status": 5})):
        with pytest.raises(NotFound):
            call()


def test_users_and_items_of_a_ticket_are_there_once_however_often_they_are_added(glpi: Glpi) -> None:
    number, computer = ticket(glpi), glpi.insert("Computer", name="PC", entities_id=0)
    for _ in range(2):
        for role in (REQUESTER, ASSIGNED, OBSERVER):
            glpi.client.add_ticket_user(number, 3, role, use_notification=0)
        glpi.client.add_ticket_item(number, "Computer", computer)

    assert [(row["users_id"], row["type"]) for row in glpi.client.ticket_users(number)] == [
        (3, 1),
        (3, 2),
        (3, 3),
    ]
    linked = glpi.client.ticket_items(number)
    assert [(row["itemtype"], row["items_id"]) for row in linked] == [("Computer", computer)]


def test_a_followup_is_private_or_public_as_said_and_the_newest_comes_first(glpi: Glpi) -> None:
    number, other = ticket(glpi), ticket(glpi)
    first = glpi.client.create_followup(number, "<p>1</p>", is_private=False, users_id=3)
    second = glpi.client.create_followup(number, "<p>2</p>", is_private=True)
    third = glpi.client.create_followup(other, "<p>3</p>", is_private=False)
    glpi.client.update_followup(first, "<p>one</p>")

    rows = glpi.client.followups(number)
    assert [(row["id"], row["content"], row["is_private"]) for row in rows] == [
        (second, "<p>2</p>", 1),
        (first, "<p>one</p>", 0),
    ]
    assert rows[1]["users_id"] == 3
    assert [row["id"] for row in glpi.client.newest_followups()] == [third, second, first]


def test_more_followups_than_glpi_gives_unasked_are_read(glpi: Glpi) -> None:
    number = ticket(glpi)
    for index in range(30):
        glpi.insert("ITILFollowup", itemtype="Ticket", items_id=number, content=f"<p>{index}</p>")
    assert len(glpi.client.followups(number)) == 30


def test_a_followup_that_is_gone_is_not_found(glpi: Glpi) -> None:
    with pytest.raises(NotFound):
        glpi.client.update_followup(4711, CONTENT)
    with pytest.raises(NotFound):
        glpi.client.followups(4711)


def test_a_task_is_written_to_its_ticket(glpi: Glpi) -> None:
    number = ticket(glpi)
    task = glpi.client.create_task(number, CONTENT, is_private=True, state=1)
    [row] = glpi.client.tasks(number)
    assert (row["id"], row["content"], row["is_private"], row["state"]) == (task, CONTENT, 1, 1)


def test_a_solution_solves_its_ticket_once(glpi: Glpi) -> None:
    number = ticket(glpi)
    solution = glpi.client.create_solution(number, "<p>Done</p>")
    assert glpi.client.ticket(number)["status"] == 5
    with pytest.raises(Rejected):
        glpi.client.create_solution(number, "<p>Again</p>")

    [row] = glpi.client.solutions(number)
    assert (row["id"], row["content"]) == (solution, "<p>Done</p>")


def test_a_solution_that_glpi_11_refuses_without_a_reason_has_no_ticket(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.strike(answering(400, ["ERROR_GLPI_ADD", ""]))
    with pytest.raises(NotFound):
        glpi.client.create_solution(4711, CONTENT)


# -- documents -----------------------------------------------------------------------------------------------------


def test_a_file_is_added_to_a_ticket_and_attached_once_to_another_record(glpi: Glpi) -> None:
    number = ticket(glpi)
    followup = glpi.client.create_followup(number, CONTENT, is_private=False)
    uploaded = glpi.client.add_document(number, "a.txt", b"x", "text/plain", entity_id=0)
    for _ in range(2):
        glpi.client.attach_document(uploaded.id, "ITILFollowup", followup)

    links = glpi.sandbox.state.dump()["Document_Item"]
    assert [(link["itemtype"], link["items_id"]) for link in links] == [
        ("Ticket", number),
        ("ITILFollowup", followup),
    ]


def test_a_document_of_another_entity_is_not_attached(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    number = ticket(glpi, shop)
    uploaded = glpi.client.upload_document("a.txt", b"x", "text/plain", entity_id=0)
    with pytest.raises(Rejected):
        glpi.client.attach_document(uploaded.id, "Ticket", number)


# -- lists of choices ----------------------------------------------------------------------------------------------


def test_the_lists_that_settings_choose_from_are_read(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    category = glpi.insert("ITILCategory", name="Printer", completename="Hardware > Printer")
    group = glpi.insert("Group", name="Desk", is_assign=1)
    glpi.insert("Group", name="Readers", is_assign=0)
    client = glpi.client

    assert [row["id"] for row in client.entities()] == [0, shop]
    assert [(row["id"], row["completename"]) for row in client.categories()] == [
        (category, "Hardware > Printer")
    ]
    assert [row["id"] for row in client.groups()] == [group]
    assert "Helpdesk" in {row["name"] for row in client.request_types()}
    assert {"png", "pdf"} <= {row["ext"] for row in client.document_types()}


def test_what_is_there_already_is_a_duplicate_where_it_matters(glpi: Glpi) -> None:
    number = ticket(glpi)
    glpi.client.create("Ticket_User", {"tickets_id": number, "users_id": 3, "type": REQUESTER})
    with pytest.raises(Duplicate):
        glpi.client.create("Ticket_User", {"tickets_id": number, "users_id": 3, "type": REQUESTER})
