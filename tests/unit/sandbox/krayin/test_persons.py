"""Persons: what a body must have, what an update wipes, and what a crash leaves behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crm_sync.sandbox.server import SandboxServer
from tests.unit.sandbox.krayin.conftest import NEW, OLD, Krayin, Make

MAIL = [{"value": "bob@example.com", "label": "work"}]
PHONE = [{"value": "+4912", "label": "work"}]


@pytest.mark.parametrize(
    ("sent", "older", "newer"),
    [
        ({}, 500, 200),
        ({"contact_numbers": None}, 500, 200),
        ({"contact_numbers": []}, 500, 200),
        ({"contact_numbers": [{"value": None, "label": "work"}]}, 500, 200),
        ({"contact_numbers": [{"value": "", "label": "work"}]}, 200, 200),
    ],
)
def test_a_person_without_a_phone_needs_an_empty_one_on_the_older_generation(
    old: Krayin, new: Krayin, sent: dict[str, Any], older: int, newer: int
) -> None:
    assert old.post("contacts/persons", name="Bob", emails=MAIL, **sent).status_code == older
    assert new.post("contacts/persons", name="Bob", emails=MAIL, **sent).status_code == newer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"contact_numbers": PHONE}, 500),
        ({"contact_numbers": PHONE, "emails": []}, 422),
        ({"contact_numbers": PHONE, "emails": None}, 422),
        ({"contact_numbers": PHONE, "emails": [{"value": "bob@example.com"}]}, 422),
        ({"contact_numbers": PHONE, "emails": [{"value": "bob", "label": "work"}]}, 422),
    ],
)
def test_a_person_without_a_usable_address_is_refused(
    either: Krayin, sent: dict[str, Any], status: int
) -> None:
    assert either.post("contacts/persons", name="Bob", **sent).status_code == status


def test_a_person_may_be_without_an_address_when_the_attribute_was_made_optional(either: Krayin) -> None:
    attribute = either.data(either.get("settings/attributes", code="emails"))[0]
    either.put(f"settings/attributes/{attribute['id']}", **{**attribute, "is_required": 0})

    answer = either.post("contacts/persons", name="Bob", emails=[], contact_numbers=PHONE)

    assert either.data(answer)["emails"] == []


def test_a_phone_without_a_label_crashes_and_the_person_is_there(either: Krayin) -> None:
    sent = {"name": "Bob", "emails": MAIL, "contact_numbers": [{"value": "+4912"}]}

    assert either.post("contacts/persons", **sent).status_code == 500
    again = either.post("contacts/persons", **sent)

    assert again.status_code == 422
    assert set(again.get_json()["errors"]) == {"emails.0.value", "contact_numbers.0.value"}
    assert either.data(either.get("contacts/persons", name="Bob"))[0]["emails"] == MAIL


def test_addresses_and_phones_are_nobody_elses_but_in_another_case_they_are(either: Krayin) -> None:
    either.person("bob@example.com", "+4912")

    taken = either.post("contacts/persons", name="B", emails=MAIL, contact_numbers=PHONE)

    assert taken.get_json() == {
        "message": "The value has already been taken. (and 1 more error)",
        "errors": {
            "contact_numbers.0.value": ["The value has already been taken."],
            "emails.0.value": ["The value has already been taken."],
        },
    }
    either.person("BOB@example.com", "+49999")


def test_an_address_that_is_part_of_another_is_taken_and_the_longer_one_is_not(either: Krayin) -> None:
    either.person("bob@example.co", "+4911")
    either.person("bob@example.com", "+4922")

    sent = {"name": "B", "contact_numbers": PHONE, "emails": [{"value": "ob@example.com", "label": "work"}]}

    assert either.post("contacts/persons", **sent).status_code == 422


def test_an_update_empties_the_owner_it_was_not_told_and_keeps_the_rest(either: Krayin) -> None:
    number = either.person(user_id=1, job_title="Boss", organization_name="Acme")

    either.put(f"contacts/persons/{number}", name="New", contact_numbers=PHONE)

    person = either.data(either.get(f"contacts/persons/{number}"))
    assert "sales_owner" not in person
    assert (person["name"], person["job_title"]) == ("New", "Boss")
    assert person["organization"]["name"] == "Acme"
    assert person["contact_numbers"] == PHONE


@pytest.mark.parametrize("phones", [[], None, [{"value": "", "label": "work"}]])
def test_an_update_without_a_number_keeps_the_phones_of_the_newer_generation(
    new: Krayin, phones: Any
) -> None:
    number = new.person(phone="+4912")

    new.put(f"contacts/persons/{number}", name="Ana", emails=MAIL, contact_numbers=phones)

    assert new.data(new.get(f"contacts/persons/{number}"))["contact_numbers"] == PHONE


def test_a_second_update_with_only_a_name_collides_on_the_newer_generation(new: Krayin) -> None:
    first, second = new.person("a@b.c", "+1"), new.person("d@e.f", "+2")

    assert new.put(f"contacts/persons/{first}", name="A").status_code == 200
    assert new.put(f"contacts/persons/{second}", name="B").status_code == 500


def test_an_update_answers_with_the_organisation_of_before(either: Krayin) -> None:
    number = either.person(organization_name="Acme")
    sent = {"name": "Ana", "contact_numbers": PHONE, "organization_name": "Globex"}

    answer = either.data(either.put(f"contacts/persons/{number}", **sent))

    assert answer["organization"]["name"] == "Acme"
    assert either.data(either.get(f"contacts/persons/{number}"))["organization"]["name"] == "Globex"


def test_a_person_with_leads_stays_and_the_older_generation_says_it_went(old: Krayin, new: Krayin) -> None:
    for krayin, message in ((old, "Person deleted successfully."), (new, "Person delete failed.")):
        number = krayin.person()
        krayin.lead(person={"id": number})

        answer = krayin.delete(f"contacts/persons/{number}")

        assert (answer.status_code, answer.get_json()["message"]) == (500, message)
        assert krayin.get(f"contacts/persons/{number}").status_code == 200


def test_a_person_who_is_not_there_crashes_the_older_generation(old: Krayin, new: Krayin) -> None:
    assert [old.get("contacts/persons/99").status_code, new.get("contacts/persons/99").status_code] == [
        500,
        404,
    ]
    assert [old.get("contacts/persons/x").status_code, new.get("contacts/persons/x").status_code] == [
        500,
        500,
    ]


@pytest.mark.parametrize("flavour", [OLD, NEW])
def test_parallel_creates_of_one_address_come_through_when_checks_and_inserts_are_apart(
    make: Make, flavour: str
) -> None:
    krayin = make(flavour)
    krayin.sandbox.state.settings["race_window_ms"] = 100

    def create(position: int) -> int:
        phone = [{"value": f"+4900{position}", "label": "work"}]
        sent = {"name": "Race", "emails": MAIL, "contact_numbers": phone}
        client = krayin.app.test_client()
        headers = {"Accept": "application/json", "Authorization": f"Bearer {krayin.token}"}
        return client.post("/api/v1/contacts/persons", json=sent, headers=headers).status_code

    with SandboxServer(krayin.app), ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(create, range(4)))

    assert statuses.count(200) > 1
    assert krayin.post("contacts/persons", name="R", emails=MAIL, contact_numbers=PHONE).status_code == 422
