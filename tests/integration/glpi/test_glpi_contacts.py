"""With ``use_contact`` contacts become GLPI's Contacts: found, made, changed, never twice, and never a requester."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_sync.sandbox.server import lose, refuse
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk, Row, once

PHONE = "+5511912345678"


@pytest.fixture
def settings() -> dict[str, str]:
    """GLPI's Contacts instead of users."""
    return {"use_contact": "true"}


def begin(desk: Desk, text: str = "It does not print", **more: Any) -> tuple[int, int]:
    """Ana writes; returns her contact's id and the conversation's."""
    contact = desk.chatwoot.create_contact(**{"name": "Ana Souza", "email": "ana@example.com", **more})
    return contact.id, desk.chatwoot.create_conversation(contact.id, WEBSITE, text).id


def add_contact(desk: Desk, **columns: Any) -> int:
    """A contact of a supplier that was in GLPI before us."""
    with desk.glpi.state.lock:
        stored = desk.glpi.state.flavour.stored
        values = {key: stored(value) if isinstance(value, str) else value for key, value in columns.items()}
        return int(desk.glpi.state["Contact"].insert(values)["id"])


def asking(desk: Desk, ticket_id: int) -> list[tuple[int, str, int]]:
    """Who asks for a ticket: user, address, whether GLPI writes to it."""
    return [
        (row["users_id"], row["alternative_email"], row["use_notification"])
        for row in desk.rows("Ticket_User", tickets_id=ticket_id)
    ]


def items(desk: Desk, ticket_id: int) -> list[tuple[str, int]]:
    """What a ticket is linked to."""
    return [(row["itemtype"], row["items_id"]) for row in desk.rows("Item_Ticket", tickets_id=ticket_id)]


def shown(desk: Desk, contact_id: int) -> Row:
    """A contact's custom attributes."""
    return dict(desk.chatwoot.state.contacts[contact_id].custom_attributes)


# -- made ----------------------------------------------------------------------------------------------------------


def test_a_new_contact_becomes_a_glpi_contact_and_no_user(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana Souza Lima",
        email="ana@example.com",
        phone_number=PHONE,
        additional_attributes={"city": "Recife", "company_name": ""},
    )
    desk.sync()

    row = desk.row("Contact")
    assert (row["name"], row["firstname"]) == ("Ana Souza Lima", "Ana")
    assert row["phone"] == row["mobile"] == "+55 11 91234-5678"
    assert (row["email"], row["entities_id"], row["is_deleted"]) == ("ana@example.com", 0, 0)
    says, mark = row["comment"].split("\n")
    assert json.loads(says) == {"city": "Recife"}
    assert mark.startswith("crm-sync/")
    assert mark.endswith(f"/3/contact/{contact.id}/")
    assert desk.users() == []
    assert desk.outcome() == f"GLPI contact {row['id']} created."


def test_a_contact_is_made_in_the_entity_of_tickets(desk: Desk) -> None:
    with desk.glpi.state.lock:
        desk.glpi.state["Entity"].insert({"id": 7, "name": "Shop", "completename": "Shop", "entities_id": 0})
    desk.set(entity_id="7")
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert desk.row("Contact")["entities_id"] == 7


def test_a_contact_shows_its_glpi_contact(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"vip": True}
    )
    desk.sync()

    assert shown(desk, contact.id) == {
        "vip": True,
        "glpi_contact_id": desk.row("Contact")["id"],
        "glpi_entity_id": 0,
        "glpi_sync_enabled": True,
        "glpi_last_sync_at": "2026-11-02T09:00:00Z",
    }


def test_a_contact_nobody_can_be_known_by_is_skipped(desk: Desk) -> None:
    desk.chatwoot.create_contact(name="Visitor")
    desk.sync()

    assert desk.rows("Contact") == []
    assert [(event.state, event.reason) for event in desk.events()] == [
        (EventState.SKIPPED, "not_identifiable")
    ]


def test_an_answer_that_is_lost_makes_no_second_contact(desk: Desk) -> None:
    fault, hit = once(lose, "POST", "/Contact")
    desk.strike(fault)
    contact = desk.chatwoot.create_contact(
        name="Ana", phone_number=PHONE, additional_attributes={"city": "São Paulo & <Recife>"}
    )
    desk.settle()

    assert hit.is_set()
    assert shown(desk, contact.id)["glpi_contact_id"] == desk.row("Contact")["id"]


def test_a_contact_whose_creation_was_lost_is_known_by_its_marker_whatever_became_of_it(desk: Desk) -> None:
    """Its address was changed and it was put into the bin before anybody looked for it again."""
    hits = []

    def loses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "POST" or not environ["PATH_INFO"].endswith("/Contact"):
            return app(environ, start_response)
        try:
            return lose(app, environ, start_response)
        finally:
            desk.write("Contact", desk.row("Contact")["id"], email="other@example.com", is_deleted=1)
            hits.append(1)

    desk.strike(loses)
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.settle()

    assert hits == [1]
    assert shown(desk, contact.id)["glpi_contact_id"] == desk.row("Contact")["id"]


def test_an_account_that_may_not_make_contacts_fails_the_event_in_the_words_of_glpi(desk: Desk) -> None:
    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "POST" or not environ["PATH_INFO"].endswith("/Contact"):
            return app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'["ERROR_GLPI_ADD", "You don\'t have permission to perform this action."]']

    desk.strike(refuses)
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert desk.events()[-1].state == EventState.FAILED
    assert desk.outcome() == "GLPI refused: You don't have permission to perform this action."


# -- found ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "columns",
    [
        {"email": "ANA@example.com"},
        {"phone": "+55 11 91234-5678"},
        {"phone2": PHONE},
        {"mobile": "(11) 91234-5678"},
    ],
)
def test_an_existing_contact_is_linked_and_left_as_it_is(desk: Desk, columns: dict[str, str]) -> None:
    there = add_contact(desk, name="Souza", firstname="A.", comment="A good customer", **columns)
    desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com", phone_number=PHONE)
    desk.sync()

    row = desk.row("Contact", id=there)
    assert len(desk.rows("Contact")) == 1
    assert (row["name"], row["firstname"], row["comment"]) == ("Souza", "A.", "A good customer")
    assert desk.outcome() == f"GLPI contact {there} found and linked."


@pytest.mark.parametrize("email", ["r&d@example.com", "o'hara@example.com", "a%b@example.com"])
def test_an_existing_contact_is_linked_by_an_odd_address(desk: Desk, email: str) -> None:
    there = add_contact(desk, email=email)
    desk.chatwoot.create_contact(name="R", email=email)
    desk.sync()

    assert desk.outcome() == f"GLPI contact {there} found and linked."


@pytest.mark.parametrize(
    "columns",
    [
        {"email": "anab@example.com"},
        {"email": "wife@example.com", "phone": PHONE},
        {"email": "ana@example.com", "is_deleted": 1},
    ],
)
def test_who_is_somebody_else_or_in_the_bin_is_not_linked(desk: Desk, columns: dict[str, Any]) -> None:
    there = add_contact(desk, **columns)
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com", phone_number=PHONE)
    desk.sync()

    assert [row["id"] for row in desk.rows("Contact")] == [there, there + 1]


def test_of_several_contacts_with_one_address_the_oldest_is_linked(desk: Desk) -> None:
    first = add_contact(desk, email="ana@example.com")
    add_contact(desk, email="ana@example.com")
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert desk.outcome() == f"GLPI contact {first} found and linked."


def test_nobody_becomes_somebody_else_by_writing_his_marker(desk: Desk) -> None:
    first = desk.chatwoot.create_contact(name="Ana", phone_number=PHONE)
    desk.sync()
    mark = desk.row("Contact")["comment"]
    with desk.runtime.store.write() as session:
        for link in desk.links():
            session.delete(link)
    desk.purge("Contact", desk.row("Contact")["id"])
    sly = add_contact(desk, name="Sly", comment=json.dumps({"city": f"\n{mark}\n"}))
    desk.chatwoot.update_contact(first.id, name="Ana Souza")
    desk.sync()

    assert shown(desk, first.id)["glpi_contact_id"] != sly


# -- changed -------------------------------------------------------------------------------------------------------


def test_what_changed_is_written_and_what_is_gone_is_emptied(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana Souza",
        email="ana@example.com",
        phone_number=PHONE,
        additional_attributes={"city": "Recife"},
    )
    desk.sync()
    mark = desk.row("Contact")["comment"].split("\n")[1]
    heard = desk.listen()
    desk.chatwoot.update_contact(contact.id, name="Ana", email=None, additional_attributes={"city": ""})
    desk.sync()

    row = desk.row("Contact")
    assert [fields for _, fields in heard] == [{"name": "Ana", "email": "", "comment": mark}]
    assert (row["name"], row["email"] or "", row["comment"]) == ("Ana", "", mark)
    assert row["phone"] == "+55 11 91234-5678"
    assert desk.outcome() == f"GLPI contact {row['id']} updated: comment, email, name."


def test_address_and_comment_of_a_contact_that_was_there_before_us_stay_as_they_are(desk: Desk) -> None:
    there = add_contact(desk, name="Boss", email="boss@example.com", comment="Call before you visit.")
    contact = desk.chatwoot.create_contact(name="Bo Ss", email="boss@example.com")
    desk.sync()
    desk.chatwoot.update_contact(
        contact.id, email="thief@evil.example", name="Bo Smith", additional_attributes={"city": "Recife"}
    )
    desk.sync()

    row = desk.row("Contact", id=there)
    assert (row["name"], row["email"], row["comment"]) == (
        "Bo Smith",
        "boss@example.com",
        "Call before you visit.",
    )


def test_a_purged_contact_is_made_anew_when_its_contact_changes(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.purge("Contact", desk.row("Contact")["id"])
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()

    new = desk.row("Contact")
    assert new["name"] == "Ana Lima"
    assert desk.outcome() == f"The GLPI contact was gone; GLPI contact {new['id']} takes its place."
    assert shown(desk, contact.id)["glpi_contact_id"] == new["id"]


# -- tickets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mails", "use"), [("false", 0), ("true", 1)])
def test_a_ticket_names_the_address_and_is_linked_to_the_contact(desk: Desk, mails: str, use: int) -> None:
    desk.set(glpi_notifications=mails)
    begin(desk)
    desk.sync()

    ticket, contact = desk.row("Ticket"), desk.row("Contact")
    assert asking(desk, ticket["id"]) == [(0, "ana@example.com", use)]
    assert items(desk, ticket["id"]) == [("Contact", contact["id"])]
    assert f"Ticket {ticket['id']} created." in desk.outcomes()


def test_the_id_of_a_contact_is_never_taken_for_that_of_a_user(desk: Desk) -> None:
    heard = desk.listen()
    begin(desk)
    desk.sync()

    [ticket] = [fields for path, fields in heard if path.endswith("/Ticket")]
    assert ticket["_users_id_requester"] == 0


def test_a_ticket_of_somebody_without_an_address_has_only_the_contact(desk: Desk) -> None:
    begin(desk, email=None, phone_number=PHONE)
    desk.sync()

    ticket, contact = desk.row("Ticket"), desk.row("Contact")
    assert asking(desk, ticket["id"]) == []
    assert items(desk, ticket["id"]) == [("Contact", contact["id"])]
    assert (
        f"Ticket {ticket['id']} created. GLPI contact {contact['id']} has no e-mail address, "
        "so the ticket has no requester."
    ) in desk.outcomes()


def test_a_link_that_glpi_refuses_is_told_and_harms_nothing(desk: Desk) -> None:
    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if not environ["PATH_INFO"].endswith("/Item_Ticket"):
            return app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'["ERROR_GLPI_ADD", "Not today."]']

    desk.strike(refuses)
    _, number = begin(desk)
    desk.sync()
    told = [outcome for outcome in desk.outcomes() if "is not linked" in outcome]
    desk.calls()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    contact = desk.row("Contact")["id"]
    assert [outcome.partition(". ")[2] for outcome in told] == [
        f"The ticket is not linked to GLPI contact {contact}: GLPI refused: Not today."
    ]
    assert asking(desk, desk.row("Ticket")["id"]) == [(0, "ana@example.com", 0)]
    assert desk.calls() == ["PUT /Ticket"]
    assert all(event.state != EventState.FAILED for event in desk.events())


@pytest.mark.parametrize("path", ["/Ticket", "/Item_Ticket"])
@pytest.mark.parametrize("kind", [lose, refuse])
def test_a_fault_makes_no_second_ticket_link_or_requester(desk: Desk, path: str, kind: Any) -> None:
    fault, hit = once(kind, "POST", path)
    desk.strike(fault)
    begin(desk)
    desk.settle()

    assert hit.is_set()
    ticket = desk.row("Ticket")["id"]
    assert asking(desk, ticket) == [(0, "ana@example.com", 0)]
    assert items(desk, ticket) == [("Contact", desk.row("Contact")["id"])]


def test_an_address_that_glpi_drops_is_added(desk: Desk) -> None:
    def drops(app: Any, environ: Any, start_response: Any) -> Any:
        answer = app(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/Ticket"):
            for row in desk.rows("Ticket_User"):
                desk.purge("Ticket_User", row["id"])
        return answer

    desk.strike(drops)
    begin(desk)
    desk.sync()

    assert asking(desk, desk.row("Ticket")["id"]) == [(0, "ana@example.com", 0)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'["ERROR_GLPI_ADD", "Invalid email address"]', "GLPI refused: Invalid email address"),
        (b'["ERROR_GLPI_ADD", ""]', "GLPI gives no reason."),
    ],
)
def test_an_address_that_glpi_does_not_take_is_told(desk: Desk, answer: bytes, why: str) -> None:
    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].endswith("/Ticket_User") and environ["REQUEST_METHOD"] == "POST":
            start_response("400 Bad Request", [("Content-Type", "application/json")])
            return [answer]
        given = app(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/Ticket"):
            for row in desk.rows("Ticket_User"):
                desk.purge("Ticket_User", row["id"])
        return given

    desk.strike(refuses)
    begin(desk)
    desk.sync()

    words = f"The ticket has no requester, since ana@example.com cannot be one: {why}"
    assert any(words in outcome for outcome in desk.outcomes())


def test_a_purged_contact_is_made_anew_for_the_ticket_that_is_linked_to_it(desk: Desk) -> None:
    contact, _ = begin(desk)
    desk.sync()
    desk.purge("Contact", desk.row("Contact")["id"])
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "Again").id
    desk.sync()

    ticket = desk.row("Ticket", name=f"Conversation #{second}")
    new = desk.row("Contact")
    assert items(desk, ticket["id"]) == [("Contact", new["id"])]
    assert shown(desk, contact)["glpi_contact_id"] == new["id"]


def test_a_ticket_keeps_the_address_it_was_opened_with(desk: Desk) -> None:
    contact, number = begin(desk)
    desk.sync()
    desk.chatwoot.update_contact(contact, email="lima@example.com")
    desk.chatwoot.set_status(number, "resolved")
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "Again").id
    desk.sync()

    tickets = {row["name"]: asking(desk, row["id"]) for row in desk.rows("Ticket")}
    assert tickets == {
        f"Conversation #{number}": [(0, "ana@example.com", 0)],
        f"Conversation #{second}": [(0, "lima@example.com", 0)],
    }


def test_what_a_customer_writes_is_written_in_the_name_of_the_account(desk: Desk) -> None:
    _, number = begin(desk)
    desk.chatwoot.add_message(number, "Hello?")
    desk.sync()

    assert desk.row("ITILFollowup")["users_id"] == 2


# -- from one kind to the other ------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}])
def test_tickets_of_users_keep_their_requester_once_contacts_are_wanted(desk: Desk) -> None:
    contact, number = begin(desk)
    desk.sync()
    user = desk.users()[0]["id"]
    desk.set(use_contact="true")
    desk.chatwoot.set_status(number, "resolved")
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "Again").id
    desk.sync()

    first, new = (desk.row("Ticket", name=f"Conversation #{n}")["id"] for n in (number, second))
    assert (asking(desk, first), items(desk, first)) == ([(user, "", 1)], [])
    assert asking(desk, new) == [(0, "ana@example.com", 0)]
    assert items(desk, new) == [("Contact", desk.row("Contact")["id"])]
    assert {"glpi_user_id", "glpi_contact_id"} <= shown(desk, contact).keys()


def test_tickets_of_contacts_keep_their_address_once_users_are_wanted(desk: Desk) -> None:
    contact, number = begin(desk)
    desk.sync()
    desk.set(use_contact="false")
    desk.chatwoot.set_status(number, "resolved")
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "Again").id
    desk.sync()

    first, new = (desk.row("Ticket", name=f"Conversation #{n}")["id"] for n in (number, second))
    assert asking(desk, first) == [(0, "ana@example.com", 0)]
    assert desk.requesters(new) == [desk.users()[0]["id"]]


# -- calls ---------------------------------------------------------------------------------------------------------


def test_an_event_costs_as_few_calls_as_it_can(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    assert desk.calls() == ["GET /initSession", "GET /search/Contact", "POST /Contact"]

    desk.take([desk.told_again(contact.id)])
    desk.drain()
    assert desk.calls() == []

    desk.chatwoot.update_contact(contact.id, name="Ana Lima", email="lima@example.com")
    desk.sync()
    assert desk.calls() == ["PUT /Contact"]

    first = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    desk.sync()
    assert [call for call in desk.calls() if call != "GET /getFullSession"] == [
        "POST /Ticket",
        "POST /Item_Ticket",
        # Once for each address.
        "GET /Ticket/Ticket_User",
    ]

    desk.chatwoot.create_conversation(contact.id, WEBSITE, "Another thing")
    desk.sync()
    assert desk.calls() == ["POST /Ticket", "POST /Item_Ticket"]

    desk.chatwoot.add_message(first, "More of it")
    desk.sync()
    assert desk.calls() == ["POST /ITILFollowup"]

    desk.chatwoot.set_status(first, "resolved")
    desk.sync()
    assert desk.calls() == ["PUT /Ticket"]


def test_an_existing_contact_costs_one_look_at_what_glpi_knows_of_it(desk: Desk) -> None:
    add_contact(desk, email="ana@example.com", phone2="+55 11 3333-4444", registration_number="E-17")
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert desk.calls() == ["GET /initSession", "GET /search/Contact", "GET /Contact"]
    found = shown(desk, contact.id)
    assert (found["glpi_phone2"], found["glpi_registration_number"]) == ("+55 11 3333-4444", "E-17")
    assert "glpi_last_sync_at" not in found
