"""Contacts become persons and leads: found or made once, changed as far as the contact changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import lose, refuse
from crm_sync.store.models import EventState
from tests.integration.krayin.desk import Desk, once

ANA = {"name": "Ana Souza", "email": "ana@example.com", "phone_number": "+5511988887777"}


def test_a_contact_becomes_a_person(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA, additional_attributes={"job_title": "Buyer"})
    desk.sync()

    person = desk.row("persons")
    assert (person["name"], person["job_title"]) == ("Ana Souza", "Buyer")
    assert desk.emails(person["id"]) == ["ana@example.com"]
    assert desk.phones(person["id"]) == ["+5511988887777"]
    shown = desk.contact_shows(contact.id)
    assert (shown["krayin_person_id"], shown["krayin_person_type"]) == (person["id"], "Prospect")
    assert shown["krayin_job_title"] == "Buyer"


def test_a_contact_becomes_a_lead_of_its_person(desk: Desk) -> None:
    desk.set(default_lead_value="250.5")
    contact = desk.chatwoot.create_contact(**ANA, additional_attributes={"city": "Recife"})
    desk.sync()

    lead, person = desk.row("leads"), desk.row("persons")
    assert (lead["title"], lead["person_id"], float(lead["lead_value"])) == ("Ana Souza", person["id"], 250.5)
    assert "city: Recife" in lead["description"]
    assert lead["lead_source_id"] == desk.row("lead_sources", name="Chatwoot")["id"]
    assert desk.stage(lead["id"]) == "new"
    shown = desk.contact_shows(contact.id)
    assert {key: shown[key] for key in shown if "lead" in key} == {
        "krayin_lead_id": lead["id"],
        "krayin_lead_value": 250.5,
        "krayin_lead_stage": "New",
        "krayin_lead_source": "Chatwoot",
        "krayin_lead_status": "Open",
    }


def test_a_new_contact_costs_a_search_and_two_creations(desk: Desk) -> None:
    desk.chatwoot.create_contact(**ANA)
    desk.sync()
    assert desk.calls() == ["GET /contacts/persons/search", "POST /contacts/persons", "POST /leads"]


def test_a_known_contact_that_says_nothing_new_costs_no_call(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    desk.calls()
    desk.take([desk.told_again(contact.id)])
    desk.drain()
    assert desk.calls() == []
    assert "up to date" in desk.outcome()


def test_a_change_of_a_contact_reaches_its_person_and_its_lead(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    desk.chatwoot.update_contact(
        contact.id, name="Ana Lima", email="ana.lima@example.com", phone_number="+5511977776666"
    )
    desk.sync()

    person = desk.row("persons")
    assert person["name"] == "Ana Lima"
    assert desk.emails(person["id"]) == ["ana.lima@example.com"]
    assert desk.phones(person["id"]) == ["+5511977776666"]
    assert desk.row("leads")["title"] == "Ana Lima"


def test_what_else_is_known_of_a_contact_follows_in_the_description_of_its_lead(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA, additional_attributes={"city": "Recife"})
    desk.sync()
    desk.calls()
    desk.chatwoot.update_contact(contact.id, additional_attributes={"city": "Olinda"})
    desk.sync()
    assert desk.row("leads")["description"] == "city: Olinda"
    assert desk.calls() == ["GET /leads", "PUT /leads/attributes/edit"]
    assert desk.outcome().endswith("updated: description.")


def test_what_people_wrote_into_a_lead_stays(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA, additional_attributes={"city": "Recife"})
    desk.sync()
    desk.write("leads", desk.row("leads")["id"], description="Wants two", title="Two for Ana")
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", additional_attributes={"city": "Olinda"})
    desk.sync()
    lead = desk.row("leads")
    assert (lead["title"], lead["description"]) == ("Two for Ana", "Wants two")
    assert desk.row("persons")["name"] == "Ana Lima"


@pytest.mark.parametrize("kind", [lose, refuse])
def test_the_description_of_a_lead_whose_answer_was_lost_follows_too(
    desk: Desk, kind: Callable[..., Any]
) -> None:
    fault, hit = once(kind, "POST", "/leads")
    desk.strike(fault)
    contact = desk.chatwoot.create_contact(**ANA, additional_attributes={"city": "Recife"})
    desk.settle()
    assert hit.is_set()
    desk.chatwoot.update_contact(contact.id, additional_attributes={"city": "Olinda"})
    desk.settle()
    assert desk.row("leads")["description"] == "city: Olinda"


@pytest.mark.parametrize("settings", [{}, {"create_person": "false"}, {"create_lead": "false"}])
def test_a_change_that_is_told_late_does_not_undo_a_newer_one(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.chatwoot.update_contact(contact.id, name="Ana Souza")
    older, newer = desk.deliveries()[-2:]
    desk.take([newer])
    desk.drain()
    desk.calls()
    desk.take([older])
    desk.drain()
    names = [row["name"] for row in desk.rows("persons")] + [row["title"] for row in desk.rows("leads")]
    assert set(names) == {"Ana Souza"}
    assert desk.calls() == [], "Chatwoot is asked how the contact is now, not Krayin"


def test_a_creation_that_is_told_after_a_change_does_not_undo_it(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    created, changed = desk.deliveries()
    for delivery in (changed, created):
        desk.take([delivery])
        desk.drain()
    assert [row["name"] for row in desk.rows("persons")] == ["Ana Lima"]
    assert [row["title"] for row in desk.rows("leads")] == ["Ana Lima"]


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
    assert [row["name"] for row in desk.rows("persons")] == ["Ana Lima"]


def test_an_update_keeps_owner_organization_job_and_what_others_added(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    person = desk.row("persons")
    owner = desk.add_user("Owner", "owner@example.com")
    organization = desk.insert("organizations", name="Globex")
    emails = [
        {"value": "ana@example.com", "label": "work"},
        {"value": "private@example.com", "label": "home"},
    ]
    desk.write(
        "persons", person["id"], user_id=owner, organization_id=organization, job_title="Boss", emails=emails
    )
    desk.chatwoot.update_contact(contact.id, email="ana2@example.com")
    desk.sync()

    person = desk.row("persons")
    assert (person["user_id"], person["organization_id"], person["job_title"]) == (
        owner,
        organization,
        "Boss",
    )
    assert desk.emails(person["id"]) == ["ana2@example.com", "private@example.com"]


@pytest.mark.parametrize("also", [{}, {"name": "Ana Lima"}])
def test_an_address_that_somebody_else_has_does_not_hold_up_the_rest_of_a_change(
    desk: Desk, also: dict[str, str]
) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.sync()
    emails = [{"value": "ana.lima@example.com", "label": "work"}]
    other = desk.client().create_person(
        {"name": "Bia", "emails": emails, "contact_numbers": [{"value": "", "label": "work"}]}
    )
    desk.chatwoot.update_contact(contact.id, email="ana.lima@example.com", **also)
    desk.sync()
    assert desk.failed() == []
    person = desk.row("persons", id=desk.contact_shows(contact.id)["krayin_person_id"])
    assert (person["name"], desk.emails(person["id"])) == (also.get("name", "Ana"), ["ana@example.com"])
    assert "Address and number stay as they were: Krayin refused emails.0.value" in desk.outcome()
    desk.client().call("DELETE", f"/contacts/persons/{other['id']}")
    desk.take([desk.told_again(contact.id)])
    desk.drain()
    assert desk.emails(person["id"]) == ["ana.lima@example.com"]


def test_a_name_with_a_blank_where_it_is_cut_is_followed_all_the_same(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="A" * 254 + " B", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(
        contact.id, name="Ana Souza", additional_attributes={"description": "Two words "}
    )
    desk.sync()
    desk.chatwoot.update_contact(contact.id, additional_attributes={"description": "Others"})
    desk.sync()
    lead = desk.row("leads")
    assert (lead["title"], lead["description"]) == ("Ana Souza", "description: Others")


def test_a_contact_without_a_number_is_updated_as_well(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    other = desk.chatwoot.create_contact(name="Bob", email="bob@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.chatwoot.update_contact(other.id, name="Bob Lima")
    desk.sync()
    assert sorted(row["name"] for row in desk.rows("persons")) == ["Ana Lima", "Bob Lima"]


def test_somebody_who_was_there_is_linked_by_address_and_keeps_it(desk: Desk) -> None:
    known = desk.add_person("Ana S.", "other@example.com", "ANA@example.com".lower(), job_title="Boss")
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()

    assert desk.row("persons")["id"] == known
    assert desk.contact_shows(contact.id)["krayin_person_id"] == known
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", email="evil@example.com")
    desk.sync()
    assert desk.emails(known) == ["other@example.com", "ana@example.com"]
    assert (desk.row("persons")["name"], desk.row("persons")["job_title"]) == ("Ana Lima", "Boss")


def test_somebody_who_was_there_is_linked_by_number_however_it_was_typed(desk: Desk) -> None:
    known = desk.add_person("Ana S.", "other@example.com", phones=("(11) 98888-7777",))
    desk.chatwoot.create_contact(name="Ana", phone_number="+5511988887777")
    desk.sync()
    assert desk.row("persons")["id"] == known


@pytest.mark.parametrize("email", ["ana+news@example.com", "o'hara@example.com", "a_a@example.com"])
def test_signs_in_an_address_find_the_one_person(desk: Desk, email: str) -> None:
    for number in range(12):
        desk.add_person(f"P{number}", f"axa{number}@example.com", re.sub("[_+']", "x", email))
    known = desk.add_person("Right", email)
    contact = desk.chatwoot.create_contact(name="X", email=email)
    desk.sync()
    assert desk.contact_shows(contact.id)["krayin_person_id"] == known
    assert desk.failed() == []


def test_unfiltered_results_are_never_taken_for_a_match(desk: Desk) -> None:
    for number in range(20):
        desk.add_person(f"P{number}", f"p{number}@example.com")
    contact = desk.chatwoot.create_contact(name="Odd", email='"a:b"@example.com')
    desk.sync()
    person = desk.row("persons", name="Odd")
    assert desk.contact_shows(contact.id)["krayin_person_id"] == person["id"]


def test_an_open_lead_of_somebody_who_was_there_is_taken_over(desk: Desk) -> None:
    known = desk.add_person("Ana S.", "ana@example.com")
    common = {"person_id": known, "lead_pipeline_id": 1, "status": 1}
    open_one = desk.insert("leads", title="Big deal", lead_pipeline_stage_id=4, **common)
    desk.insert("leads", title="Old deal", lead_pipeline_stage_id=5, **common)
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    assert len(desk.rows("leads")) == 2
    assert desk.contact_shows(contact.id)["krayin_lead_id"] == open_one


def test_a_contact_with_a_number_only_gets_a_placeholder(desk: Desk) -> None:
    desk.chatwoot.create_contact(name="Bob", phone_number="+5511988887777")
    desk.sync()
    person = desk.row("persons")
    assert desk.emails(person["id"]) == ["5511988887777@no-email.invalid"]
    assert desk.phones(person["id"]) == ["+5511988887777"]


def test_a_placeholder_makes_way_for_an_address(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Bob", phone_number="+5511988887777")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email="bob@example.com")
    desk.sync()
    assert desk.emails(desk.row("persons")["id"]) == ["bob@example.com"]


def test_a_contact_with_a_number_only_needs_no_address_where_krayin_was_told(desk: Desk) -> None:
    desk.set(phone_only="optional")
    desk.chatwoot.create_contact(name="Bob", phone_number="+5511988887777")
    desk.sync()
    assert desk.emails(desk.row("persons")["id"]) == []


def test_a_contact_with_a_number_only_is_left_out_where_that_is_wanted(desk: Desk) -> None:
    desk.set(phone_only="skip")
    desk.chatwoot.create_contact(name="Bob", phone_number="+5511988887777")
    desk.sync()
    assert desk.rows("persons") == []
    assert "phone_only" in desk.outcome()


def test_a_contact_that_nothing_identifies_is_skipped(desk: Desk) -> None:
    desk.chatwoot.create_contact(name="Somebody")
    desk.sync()
    assert desk.rows("persons") == []
    assert "neither" in desk.outcome()


def test_an_invalid_address_is_told_in_krayins_words_and_holds_nothing_up(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Odd", email="no address")
    desk.sync()
    assert "The person has no address: Krayin refused emails.0.value" in desk.outcome()
    (address,) = desk.emails(desk.row("persons")["id"])
    assert re.fullmatch(rf"cw-.*-contact-{contact.id}@no-email\.invalid", address)
    desk.chatwoot.update_contact(contact.id, email="odd@example.com")
    desk.sync()
    assert desk.emails(desk.row("persons")["id"]) == ["odd@example.com"]


def test_an_address_that_is_part_of_somebodys_makes_a_person_without_it(desk: Desk) -> None:
    address = {"value": "mariana@example.com", "label": "work"}
    number = {"value": "", "label": "work"}
    desk.client().create_person({"name": "Mariana", "emails": [address], "contact_numbers": [number]})
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    person = desk.row("persons", name="Ana Souza")
    assert desk.emails(person["id"]) == ["5511988887777@no-email.invalid"]
    assert "The person has no address" in desk.outcome()
    assert desk.contact_shows(contact.id)["krayin_lead_id"] == desk.row("leads")["id"]


def test_somebody_whose_address_is_written_with_capitals_is_found(desk: Desk) -> None:
    there = desk.add_person("Ana S.", "Ana@Example.com", unique_id="||Ana@Example.com|")
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    assert desk.contact_shows(contact.id)["krayin_person_id"] == there
    assert len(desk.rows("persons")) == 1


def test_the_only_address_of_a_person_stays_when_its_contact_has_none_any_more(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.sync()
    desk.chatwoot.update_contact(contact.id, email="", name="Ana Lima")
    desk.sync()
    person = desk.row("persons")
    assert (person["name"], desk.emails(person["id"])) == ("Ana Lima", ["ana@example.com"])


def test_a_list_fills_an_attribute_with_its_items(desk: Desk) -> None:
    desk.insert("attributes", code="hobbies", name="Hobbies", type="text", entity_type="persons")
    desk.set(person_fields='{"hobbies":"hobbies"}')
    desk.chatwoot.create_contact(**ANA, custom_attributes={"hobbies": ["Chess", "Judo"]})
    desk.sync()
    assert len(desk.rows("attribute_values", text_value="Chess, Judo")) == 1


def test_a_person_that_was_deleted_is_made_anew(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    with desk.krayin.state.lock:
        state = desk.krayin.state
        for table in ("leads", "persons"):
            for row in list(state[table].rows.values()):
                state.delete(table, row)
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()
    assert desk.row("persons")["name"] == "Ana Lima"
    assert desk.row("leads")["person_id"] == desk.row("persons")["id"]


def test_attributes_of_contacts_fill_attributes_of_persons(desk: Desk) -> None:
    desk.insert("attributes", code="birth_place", name="Birth place", type="text", entity_type="persons")
    desk.set(person_fields='{"place":"birth_place"}')
    contact = desk.chatwoot.create_contact(**ANA, custom_attributes={"place": "Recife"})
    desk.sync()
    assert [row["entity_id"] for row in desk.rows("attribute_values", text_value="Recife")] == [
        desk.row("persons")["id"]
    ]
    desk.chatwoot.update_contact(contact.id, custom_attributes={"place": "Olinda"})
    desk.sync()
    assert len(desk.rows("attribute_values", text_value="Olinda")) == 1


def test_an_update_keeps_boolean_attributes_where_krayin_shows_them(desk: Desk, flavour: str) -> None:
    vip = desk.insert("attributes", code="vip", name="VIP", type="boolean", entity_type="persons")
    desk.set(default_lead_value="1")
    contact = desk.chatwoot.create_contact(**ANA)
    desk.sync()
    person = str(desk.row("persons")["id"])
    view = desk.runtime.view(desk.hook(), desk.account)
    client = desk.runtime.client(view, desk.hook().version)
    row = client.person(person)
    kept = {key: row[key] for key in ("name", "emails", "contact_numbers")}
    client.update_person(person, {**kept, "vip": True})
    desk.chatwoot.update_contact(contact.id, name="Ana Lima")
    desk.sync()
    (value,) = desk.rows("attribute_values", attribute_id=vip)
    assert bool(value["boolean_value"]) is (flavour != "2.1.0")
    assert desk.row("persons")["name"] == "Ana Lima"


def test_persons_switched_off_leave_leads_of_nobody(desk: Desk) -> None:
    desk.set(create_person="false")
    desk.chatwoot.create_contact(**ANA)
    desk.sync()
    assert desk.rows("persons") == []
    assert desk.row("leads")["person_id"] is None


def test_leads_switched_off_leave_persons(desk: Desk) -> None:
    desk.set(create_lead="false")
    desk.chatwoot.create_contact(**ANA)
    desk.sync()
    assert len(desk.rows("persons")) == 1
    assert desk.rows("leads") == []


# -- organizations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Globex SA", "Foo, Inc"])
def test_a_company_becomes_an_organization_with_its_address_once(desk: Desk, name: str) -> None:
    desk.set(sync_to_organization="true")
    company = {"company_name": name, "city": "Recife", "postal_code": "50000"}
    first = desk.chatwoot.create_contact(**ANA, additional_attributes=company)
    desk.chatwoot.create_contact(name="Bob", email="bob@example.com", additional_attributes=company)
    desk.sync()

    organization = desk.row("organizations")
    assert organization["name"] == name
    assert "Recife" in str(organization["address"])
    assert {row["organization_id"] for row in desk.rows("persons")} == {organization["id"]}
    assert desk.contact_shows(first.id)["krayin_organization_id"] == organization["id"]


def test_another_company_is_another_organization(desk: Desk) -> None:
    desk.set(sync_to_organization="true")
    contact = desk.chatwoot.create_contact(**ANA, additional_attributes={"company_name": "Globex"})
    desk.sync()
    desk.chatwoot.update_contact(contact.id, additional_attributes={"company_name": "Initech"})
    desk.sync()
    initech = desk.row("organizations", name="Initech")
    assert desk.row("persons")["organization_id"] == initech["id"]
    assert desk.contact_shows(contact.id)["krayin_organization_id"] == initech["id"]


def test_organizations_are_off_unless_wanted(desk: Desk) -> None:
    desk.chatwoot.create_contact(**ANA, additional_attributes={"company_name": "Globex"})
    desk.sync()
    assert desk.rows("organizations") == []
