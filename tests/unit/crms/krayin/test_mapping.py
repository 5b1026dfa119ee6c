"""Chatwoot's records as Krayin's fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync.crms.krayin import mapping
from crm_sync.crms.krayin.client import close_date, quarter
from crm_sync.events import Contact, Conversation, Status

ANA = Contact(
    5,
    name="Ana Souza",
    email="Ana@Example.com",
    phone_number="+5511988887777",
    additional_attributes={
        "company_name": "Acme, Ltda",
        "city": "São Paulo",
        "country_code": "BR",
        "postal_code": "01000",
        "job_title": "Buyer",
        "empty": "",
        "tags": ["a"],
    },
)


def test_a_contact_fills_name_address_number_and_job_title_of_its_person() -> None:
    assert mapping.person_fields(ANA) == {
        "name": "Ana Souza",
        "email": "ana@example.com",
        "phone": "+5511988887777",
        "job_title": "Buyer",
    }


@pytest.mark.parametrize(
    ("contact", "name"),
    [
        (Contact(1, name="  "), "Contact 1"),
        (Contact(1, email="a@b.example"), "a@b.example"),
        (Contact(1, phone_number="+351"), "+351"),
        (Contact(1, name="x" * 300), "x" * 255),
    ],
)
def test_a_person_always_has_a_name_that_krayin_does_not_cut(contact: Contact, name: str) -> None:
    assert mapping.name_of(contact) == name


def test_what_a_new_person_is_sent_has_labels_and_one_number_be_it_empty() -> None:
    fields = mapping.person_fields(Contact(1, name="N", email="n@example.com"))
    assert mapping.emails(fields, "placeholder") == [{"value": "n@example.com", "label": "work"}]
    assert mapping.numbers(fields["phone"]) == [{"value": "", "label": "work"}]


@pytest.mark.parametrize(
    ("phone_only", "expected"),
    [("placeholder", ["5511988887777@no-email.invalid"]), ("optional", []), ("skip", [])],
)
def test_a_contact_with_a_number_only_has_the_address_the_setting_says(
    phone_only: str, expected: list[str]
) -> None:
    fields = mapping.person_fields(Contact(1, phone_number="+55 11 98888-7777"))
    assert [row["value"] for row in mapping.emails(fields, phone_only)] == expected


@pytest.mark.parametrize(
    ("rows", "before", "after", "expected"),
    [
        ([("a@x", "home"), ("b@x", "work")], "a@x", "c@x", [("c@x", "work"), ("b@x", "work")]),
        ([("a@x", "home"), ("b@x", "work")], "A@X", "", [("b@x", "work")]),
        ([("a@x", "home")], "a@x", "a@x", [("a@x", "home")]),
        ([("", "work")], "", "", []),
        (None, "", "c@x", [("c@x", "work")]),
        ([("a@x", "home"), ("c@x", "home")], "a@x", "c@x", [("c@x", "work")]),
    ],
)
def test_one_address_is_replaced_and_all_others_stay(
    rows: Any, before: str, after: str, expected: list[tuple[str, str]]
) -> None:
    given = None if rows is None else [{"value": value, "label": label} for value, label in rows]
    found = mapping.replaced(given, before, after)
    assert [(row["value"], row["label"]) for row in found] == expected


def test_company_and_address_come_from_chatwoots_field_or_the_apis() -> None:
    assert mapping.company(ANA) == "Acme, Ltda"
    assert mapping.company(Contact(1, additional_attributes={"company": " Globex "})) == "Globex"
    assert mapping.company(Contact(1, additional_attributes={"company": 7})) == ""
    assert mapping.address(ANA) == {"city": "São Paulo", "country": "BR", "postcode": "01000"}


def test_attributes_fill_fields_only_where_they_have_a_value() -> None:
    table = {"a": "x", "b": "y", "c": "z"}
    assert mapping.custom({"a": "1", "b": "", "d": "2"}, table) == {"x": "1"}
    assert mapping.custom({"a": "1"}, None) == {}


def test_a_lead_is_called_like_its_person_and_a_conversations_tells_which() -> None:
    conversation = Conversation(12, Status.OPEN, ANA)
    assert mapping.lead_title(ANA, None) == "Ana Souza"
    assert mapping.lead_title(ANA, conversation) == "Ana Souza (#12)"
    long = Contact(1, name="x" * 300)
    assert mapping.lead_title(long, conversation) == "x" * 249 + " (#12)"


def test_a_description_lists_what_is_known_and_nothing_empty() -> None:
    lines = mapping.description(ANA).splitlines()
    assert "company_name: Acme, Ltda" in lines
    assert 'tags: ["a"]' in lines
    assert not any(line.startswith("empty") for line in lines)


@pytest.mark.parametrize(
    ("row", "value", "owner"),
    [
        ({"lead_value": "12.5000", "user": {"id": 3}}, 12.5, 3),
        ({"lead_value": 0, "user": None}, 0.0, None),
        ({"lead_value": None, "sales_owner": {"id": 4}}, 0.0, 4),
    ],
)
def test_values_and_owners_are_read_in_either_shape(
    row: dict[str, Any], value: float, owner: int | None
) -> None:
    assert (mapping.value_of(row), mapping.owner_of(row)) == (value, owner)


@pytest.mark.parametrize(
    ("channel", "email_activities", "kind"),
    [
        ("Channel::Email", True, "email"),
        ("Channel::Email", False, "chat"),
        ("Channel::WebWidget", True, "chat"),
        (None, True, "chat"),
    ],
)
def test_conversations_of_e_mail_inboxes_are_e_mail_activities(
    channel: str | None, kind: str, *, email_activities: bool
) -> None:
    conversation = Conversation(12, Status.OPEN, ANA, channel=channel)
    settings = {"email_activities": email_activities, "activity_type": "chat"}
    assert mapping.activity_kind(conversation, settings) == kind


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://crm.example.com/api/v1", "https://crm.example.com/api/v1"),
        ("https://crm.example.com/api/v1/", "https://crm.example.com/api/v1"),
        (" https://crm.example.com/public ", "https://crm.example.com/public/api/v1"),
    ],
)
def test_the_address_of_krayin_is_made_that_of_its_api(given: str, expected: str) -> None:
    assert mapping.api_url(given) == expected


def test_markers_hold_nothing_that_a_search_would_read_as_syntax() -> None:
    mark = mapping.marker("https://Chat.example.com:3000/app", 1, "contact", 5)
    assert mark == "cw-chat.example.com-3000-1-contact-5"
    assert not set(":;,%_") & set(mark)


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2027-01-14T18:30:00.000000Z", "2027-01-15"),
        ("2027-01-15T03:00:00.000000Z", "2027-01-15"),
        ("2027-01-15T00:00:00.000000Z", "2027-01-15"),
        (None, None),
    ],
)
def test_a_close_date_is_the_day_that_was_meant_in_any_zone(told: str | None, day: str | None) -> None:
    assert close_date(told) == day


def test_a_close_date_beyond_the_date_line_is_the_day_that_was_meant_once_the_zone_is_known() -> None:
    assert close_date("2027-01-14T11:00:00.000000Z", timedelta(hours=13)) == "2027-01-15"
    assert close_date("2027-01-15T03:00:00.000000Z", timedelta(hours=-3)) == "2027-01-15"


def test_times_go_as_the_wall_time_of_the_server() -> None:
    moment = datetime(2026, 12, 1, 22, 0, 5, tzinfo=UTC)
    assert mapping.local_time(moment, timedelta(hours=5, minutes=30)) == "2026-12-02 03:30:05"
    assert quarter(timedelta(hours=5, minutes=29, seconds=58)) == timedelta(hours=5, minutes=30)


@pytest.mark.parametrize(
    ("agreed", "fields", "changed"),
    [
        ({}, {"a": ""}, {}),
        ({"a": "1"}, {"a": "1"}, {}),
        ({"a": "1"}, {"a": ""}, {"a": ""}),
        ({}, {"a": "1"}, {"a": "1"}),
    ],
)
def test_only_what_changed_is_written(agreed: Any, fields: Any, changed: Any) -> None:
    assert mapping.changes(agreed, fields) == changed
