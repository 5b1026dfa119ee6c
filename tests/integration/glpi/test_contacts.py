"""Contacts become users of GLPI: found, made, changed, and never twice."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms.glpi.matching import MANY
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import Desk

PHONE = "+5511912345678"


def test_a_new_contact_becomes_a_user_when_nobody_like_him_is_there(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana Souza Lima",
        email="ana@example.com",
        phone_number=PHONE,
        additional_attributes={"city": "Recife", "company_name": "", "social_profiles": {"github": ""}},
    )
    desk.sync()

    [user] = desk.users()
    assert user["name"].startswith(f"cw-3-{contact.id}@127.0.0.1-")
    assert (user["firstname"], user["realname"]) == ("Ana", "Souza Lima")
    assert user["phone"] == user["mobile"] == "+55 11 91234-5678"
    assert user["comment"] == '{"city": "Recife"}'
    assert desk.emails(user["id"]) == ["ana@example.com"]
    assert desk.outcome() == f"User {user['id']} created."


def test_a_new_user_may_be_requester_in_the_entity_of_tickets_and_below(desk: Desk) -> None:
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    profile = desk.row("Profile", is_default=1)
    row = desk.row("Profile_User", users_id=desk.users()[0]["id"])
    assert (row["profiles_id"], row["entities_id"], row["is_recursive"]) == (profile["id"], 0, 1)


def test_a_contact_shows_its_user_and_keeps_its_other_attributes(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(
        name="Ana", email="ana@example.com", custom_attributes={"vip": True}
    )
    desk.sync()

    row = desk.chatwoot.state.contacts[contact.id]
    assert row.custom_attributes == {
        "vip": True,
        "glpi_user_id": desk.users()[0]["id"],
        "glpi_entity_id": 0,
        "glpi_sync_enabled": True,
        "glpi_last_sync_at": "2026-11-02T09:00:00Z",
    }


def test_a_contact_nobody_can_be_known_by_is_skipped(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Visitor")
    desk.sync()

    assert desk.users() == []
    [event] = desk.events()
    assert (event.state, event.reason) == (EventState.SKIPPED, "not_identifiable")
    assert event.outcome == (
        f"Contact {contact.id} has neither an e-mail address nor a telephone number to know it by."
    )


def test_a_visitor_becomes_a_user_once_he_leaves_his_address(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Visitor")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email="ana@example.com")
    desk.sync()

    assert desk.emails(desk.users()[0]["id"]) == ["ana@example.com"]


# -- who is there already ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "typed"),
    [
        ("ana@example.com", "ana@example.com"),
        ("Ana.Souza@Example.com", "ana.souza@example.com"),
        ("ana+shop@example.com", "ana+shop@example.com"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("a_b@example.com", "a_b@example.com"),
        ("a%b@example.com", "a%b@example.com"),
        ("r&d@example.com", "r&d@example.com"),
    ],
)
def test_an_existing_user_is_linked_by_e_mail(desk: Desk, address: str, typed: str) -> None:
    there = desk.add_user("someone-else", "old@example.com", address, firstname="A.", realname="Souza")
    desk.chatwoot.create_contact(name="Ana Souza", email=typed)
    desk.sync()

    assert desk.users() == []
    assert desk.outcome() == f"User {there} found and linked."
    assert desk.row("User", id=there)["firstname"] == "A."


@pytest.mark.parametrize(
    "alike", ["anab@example.com", "xana@example.com", "aña@example.com", "a%@example.com"]
)
def test_a_user_with_only_a_similar_address_is_somebody_else(desk: Desk, alike: str) -> None:
    desk.add_user("someone-else", alike)
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert len(desk.users()) == 1


def test_an_address_with_a_wildcard_finds_no_other_people(desk: Desk) -> None:
    desk.add_user("someone-else", "boss@example.com")
    desk.chatwoot.create_contact(name="Sly", email="%@example.com")
    desk.sync()

    assert len(desk.users()) == 1


def test_an_address_encoded_by_an_older_glpi_is_found(desk: Desk) -> None:
    there = desk.add_user("someone-else")
    with desk.glpi.state.lock:
        desk.glpi.state["UserEmail"].insert({"users_id": there, "email": "r&#38;d@example.com"})
    desk.chatwoot.create_contact(name="R", email="r&d@example.com")
    desk.sync()

    assert desk.users() == []


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("phone", PHONE),
        ("phone2", "+55 11 91234-5678"),
        ("mobile", "(11) 91234-5678"),
        ("phone", "0055 11 912345678"),
        ("phone2", "11 9 1234 5678"),
    ],
)
def test_an_existing_user_is_linked_by_telephone_however_it_is_written(
    desk: Desk, column: str, written: str
) -> None:
    there = desk.add_user("someone-else", **{column: written})
    desk.chatwoot.create_contact(name="Ana", phone_number=PHONE)
    desk.sync()

    assert desk.users() == []
    assert desk.outcome() == f"User {there} found and linked."


def test_a_telephone_that_contains_the_digits_is_somebody_else(desk: Desk) -> None:
    desk.add_user("someone-else", phone="+55 11 91234-5678 9")
    desk.chatwoot.create_contact(name="Ana", phone_number=PHONE)
    desk.sync()

    assert len(desk.users()) == 1


def test_a_shared_telephone_does_not_make_two_people_one(desk: Desk) -> None:
    desk.add_user("someone-else", "wife@example.com", phone=PHONE)
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com", phone_number=PHONE)
    desk.sync()

    assert len(desk.users()) == 1


def test_a_number_that_several_users_share_is_none_of_theirs_alone(desk: Desk) -> None:
    for _ in range(2):
        desk.add_user("someone-else", phone=PHONE)
    desk.chatwoot.create_contact(name="Ana", phone_number=PHONE)
    desk.sync()

    assert len(desk.users()) == 1


def test_an_address_is_found_though_more_people_than_a_search_brings_share_the_number(desk: Desk) -> None:
    for number in range(MANY + 5):
        desk.add_user(f"colleague-{number}", f"colleague-{number}@example.com", phone=PHONE)
    there = desk.add_user("the-boss", "boss@example.com", phone=PHONE)
    desk.chatwoot.create_contact(name="Boss", email="boss@example.com", phone_number=PHONE)
    desk.sync()

    assert desk.outcome() == f"User {there} found and linked."


def test_what_people_wrote_of_a_user_who_was_there_before_us_stays(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com", comment="Call before you visit.")
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", additional_attributes={"city": "Recife"})
    desk.sync()

    row = desk.row("User", id=there)
    assert (row["realname"], row["comment"]) == ("Lima", "Call before you visit.")


def test_of_several_users_with_one_address_the_oldest_active_one_is_linked(desk: Desk) -> None:
    desk.add_user("someone-else", "ana@example.com", is_active=0)
    second = desk.add_user("someone-else", "ana@example.com")
    desk.add_user("someone-else", "ana@example.com")
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert desk.outcome() == f"User {second} found and linked."


def test_a_user_who_is_switched_off_is_never_linked(desk: Desk) -> None:
    gone = desk.add_user("someone-else", "ana@example.com", is_active=0)
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert [user["id"] for user in desk.users()] != [gone]
    assert len(desk.users()) == 1


def test_the_account_crm_sync_works_as_is_never_a_contact(desk: Desk) -> None:
    with desk.glpi.state.lock:
        desk.glpi.state["UserEmail"].insert({"users_id": 2, "email": "glpi@example.com"})
    desk.chatwoot.create_contact(name="Ana", email="glpi@example.com")
    desk.sync()

    assert len(desk.users()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_active": 0}, "is switched off. Switch the user on again."),
        ({"is_deleted": 1}, "is in the bin. Restore or purge the user."),
    ],
)
def test_a_user_of_ours_who_was_put_away_is_not_made_twice(
    desk: Desk, change: dict[str, int], words: str
) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    [user] = desk.users()
    desk.write("User", user["id"], **change)
    with desk.runtime.store.write() as session:
        for link in desk.links():
            session.delete(link)
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()

    assert len(desk.users()) == 1
    assert desk.events()[-1].state == EventState.FAILED
    assert desk.outcome() == f"GLPI refused: its user {user['name']}, made for this contact, {words}"


def test_a_user_who_appears_between_the_look_and_the_creation_is_taken(desk: Desk) -> None:
    """Another process of ours made him: GLPI refuses the second one, in words of its own language."""
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    login = f"cw-3-{contact.id}@" + desk.account.chatwoot_url.removeprefix("http://").replace(":", "-")
    made: list[int] = []

    def appears(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/User") and not made:
            made.append(desk.add_user(login, "ana@example.com"))
        return app(environ, start_response)

    desk.strike(appears)
    desk.sync()

    assert [user["id"] for user in desk.users()] == made
    assert desk.chatwoot.state.contacts[contact.id].custom_attributes["glpi_user_id"] == made[0]


def test_a_user_whom_glpi_refuses_fails_the_event_in_the_words_of_glpi(desk: Desk) -> None:
    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "POST" or not environ["PATH_INFO"].endswith("/User"):
            return app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'["ERROR_GLPI_ADD", "Un filtre ne le permet pas."]']

    desk.strike(refuses)
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()

    assert desk.events()[-1].state == EventState.FAILED
    assert desk.outcome() == "GLPI refused: Un filtre ne le permet pas."


# -- changes -------------------------------------------------------------------------------------------------------


def test_a_changed_name_and_telephone_are_written(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com", phone_number=PHONE)
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="Ana", phone_number="+351912345678")
    desk.sync()

    [user] = desk.users()
    assert (user["firstname"], user["realname"], user["phone"]) == ("Ana", "", "+351 912 345 678")
    assert desk.outcome() == f"User {user['id']} updated: mobile, phone, realname."


def test_a_changed_address_replaces_the_former_one(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    [user] = desk.users()
    with desk.glpi.state.lock:
        desk.glpi.state["UserEmail"].insert({"users_id": user["id"], "email": "by.hand@example.com"})
    desk.chatwoot.update_contact(contact.id, email="ana.lima@example.com")
    desk.sync()

    assert sorted(desk.emails(user["id"])) == ["ana.lima@example.com", "by.hand@example.com"]
    default = [row["email"] for row in desk.rows("UserEmail", users_id=user["id"]) if row["is_default"]]
    assert default == ["ana.lima@example.com"]


def test_an_address_that_is_taken_away_is_taken_away(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com", phone_number=PHONE)
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email=None)
    desk.sync()

    assert desk.emails(desk.users()[0]["id"]) == []


def test_an_address_glpi_does_not_take_leaves_the_former_one(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email="ana..lima@example.com")
    desk.sync()

    assert desk.emails(desk.users()[0]["id"]) == ["ana@example.com"]


def test_no_address_of_anybody_else_is_touched(desk: Desk) -> None:
    other = desk.add_user("someone-else", "first@example.com", "second@example.com")
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email="lima@example.com")
    desk.sync()

    assert desk.emails(other) == ["first@example.com", "second@example.com"]


def test_an_address_that_the_user_has_already_becomes_his_default_one(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    [user] = desk.users()
    with desk.glpi.state.lock:
        email = desk.glpi.state.flavour.stored("lima@example.com")
        desk.glpi.state["UserEmail"].insert({"users_id": user["id"], "email": email, "is_default": 0})
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", email="lima@example.com")
    desk.sync()

    assert desk.failed() == []
    assert desk.emails(user["id"]) == ["lima@example.com"]
    assert desk.row("User", id=user["id"])["realname"] == "Lima"


def test_what_glpi_refuses_besides_an_address_that_is_there_fails_the_event(desk: Desk) -> None:
    def refuses(app: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "PUT" or "/User/" not in environ["PATH_INFO"]:
            return app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'["ERROR_GLPI_UPDATE", "Not today."]']

    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    with desk.glpi.state.lock:
        email = desk.glpi.state.flavour.stored("lima@example.com")
        row = {"users_id": desk.users()[0]["id"], "email": email, "is_default": 1}
        desk.glpi.state["UserEmail"].insert(row)
    desk.strike(refuses)
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", email="lima@example.com")
    desk.sync()
    assert desk.failed() == ["GLPI refused: Not today."]


def test_the_addresses_of_a_user_who_was_there_before_us_stay_as_they_are(desk: Desk) -> None:
    boss = desk.add_user("someone-else", "boss@example.com", firstname="Bo", realname="Ss")
    contact = desk.chatwoot.create_contact(name="Bo Ss", email="boss@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email="thief@evil.example", name="Bo Smith")
    desk.sync()

    assert desk.emails(boss) == ["boss@example.com"]
    assert desk.row("User", id=boss)["realname"] == "Smith"
    assert desk.outcome() == f"User {boss} updated: realname."


def test_a_user_found_is_left_as_he_is_until_his_contact_changes(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com", firstname="Ana", realname="Souza", phone="123")
    contact = desk.chatwoot.create_contact(name="A. S.", email="ana@example.com", phone_number=PHONE)
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="A. Souza")
    desk.sync()

    user = desk.row("User", id=there)
    assert (user["firstname"], user["realname"], user["phone"]) == ("Ana", "Souza", "123")


def test_a_merge_changes_the_user_of_the_contact_that_stays(desk: Desk) -> None:
    base = desk.chatwoot.create_contact(name="Ana Souza", phone_number=PHONE)
    other = desk.chatwoot.create_contact(name="A.", email="ana@example.com")
    desk.sync()
    desk.chatwoot.merge_contacts(base.id, other.id)
    desk.sync()

    user = next(user for user in desk.users() if user["firstname"] == "Ana")
    assert desk.emails(user["id"]) == ["ana@example.com"]
    assert len(desk.users()) == 2


def test_a_purged_user_is_made_anew_when_his_contact_changes(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    [user] = desk.users()
    desk.purge("User", user["id"])
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()

    [new] = desk.users()
    assert new["realname"] == "Lima"
    assert desk.outcome() == f"The user was gone; user {new['id']} takes its place."
    assert desk.chatwoot.state.contacts[contact.id].custom_attributes["glpi_user_id"] == new["id"]


def test_texts_that_are_too_long_are_cut(desk: Desk) -> None:
    desk.chatwoot.create_contact(
        name=f"{'é' * 300} {'x' * 300}", email="ana@example.com", phone_number="9" * 300
    )
    desk.sync()

    [user] = desk.users()
    assert (user["firstname"], user["realname"], user["phone"]) == ("é" * 255, "x" * 255, "9" * 255)


@pytest.mark.parametrize("name", ["<b>Ana</b> & Co", 'O\'Hara \\ "x"', "José 😀", "a < b"])
def test_a_name_arrives_as_it_is(desk: Desk, name: str) -> None:
    desk.chatwoot.create_contact(name=name, email="ana@example.com")
    desk.sync()

    [user] = desk.users()
    read = desk.glpi.state.flavour.read
    assert f"{read(user['firstname'])} {read(user['realname'] or '')}".strip() == name


def test_a_change_that_is_told_late_does_not_undo_a_newer_one(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.chatwoot.update_contact(contact.id, name="Ana Souza")
    desk.calls()
    older, newer = desk.deliveries()[-2:]
    desk.take([newer])
    desk.drain()
    desk.take([older])
    desk.drain()

    assert desk.users()[0]["realname"] == "Souza"
    assert desk.calls() == ["PUT /User"], "Chatwoot is asked how the contact is now, not GLPI"
    assert desk.outcome() == f"User {desk.users()[0]['id']} is up to date."


def test_a_creation_that_is_told_after_a_change_does_not_undo_it(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    created, changed = desk.deliveries()
    desk.take([changed])
    desk.drain()
    desk.take([created])
    desk.drain()

    assert desk.users()[0]["realname"] == "Lima"


def test_a_late_change_of_a_contact_that_is_gone_is_skipped(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    created, changed = desk.deliveries()
    desk.take([changed])
    desk.drain()
    desk.chatwoot.delete_contact(contact.id)
    desk.take([created])
    desk.drain()

    assert (desk.events()[-1].state, desk.events()[-1].reason) == (EventState.SKIPPED, "outdated")
    assert desk.users()[0]["realname"] == "Lima"


# -- calls ---------------------------------------------------------------------------------------------------------


def test_an_event_costs_as_few_calls_as_it_can(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    assert desk.calls() == ["GET /initSession", "GET /search/User", "POST /User"]

    desk.chatwoot.create_contact(name="Bia", email="bia@example.com")
    desk.sync()
    assert desk.calls() == ["GET /search/User", "POST /User"]

    desk.take([desk.told_again(contact.id)])
    desk.drain()
    assert desk.outcome() == f"User {desk.users()[0]['id']} is up to date."
    assert desk.calls() == []

    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()
    assert desk.calls() == ["PUT /User"]

    desk.chatwoot.update_contact(contact.id, email="lima@example.com")
    desk.sync()
    assert desk.calls() == ["PUT /User", "GET /User/UserEmail", "DELETE /UserEmail"]


def test_writing_back_makes_no_further_events(desk: Desk) -> None:
    desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    before = len(desk.events())
    desk.sync()

    assert len(desk.events()) == before
