"""Chatwoot's records as GLPI's fields: a table each."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from crm_sync.crms.glpi import mapping
from crm_sync.events import Agent, Contact, Conversation, SenderKind, Status

PHONE = "+5511912345678"


def contact(**more: Any) -> Contact:
    """Ana, by her address."""
    return Contact(**{"id": 1, "name": "Ana Souza", "email": "ana@example.com", **more})


# -- people --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ana Souza", ("Ana", "Souza")),
        ("Ana Maria Souza Lima", ("Ana", "Maria Souza Lima")),
        ("Ana", ("Ana", "")),
        ("  Ana \t Souza  ", ("Ana", "Souza")),
        ("Ana\u00a0Souza", ("Ana", "Souza")),
        ("", ("", "")),
        ("   ", ("", "")),
        (None, ("", "")),
        ("x" * 300, ("x" * 255, "")),
        ("a " + "y" * 300, ("a", "y" * 255)),
    ],
)
def test_a_name_is_split_at_its_first_white_space(name: str | None, parts: tuple[str, str]) -> None:
    assert mapping.split_name(name) == parts


@pytest.mark.parametrize(
    ("number", "region", "shown"),
    [
        ("+5511912345678", None, "+55 11 91234-5678"),
        ("11912345678", "BR", "+55 11 91234-5678"),
        ("0055 11 91234-5678", None, "+55 11 91234-5678"),
        ("+351 912 345 678", "BR", "+351 912 345 678"),
        ("11912345678", None, "11912345678"),
        ("+99912", None, "+99912"),
        ("call me", None, "call me"),
        ("1" * 300, None, "1" * 255),
        ("", None, ""),
        (None, "BR", ""),
    ],
)
def test_a_telephone_number_is_international_where_it_is_one(
    number: str | None, region: str | None, shown: str
) -> None:
    assert mapping.international(number, region) == shown


@pytest.mark.parametrize(
    ("attributes", "comment"),
    [
        ({}, ""),
        ({"city": "", "country": None, "social": {"x": "", "y": {}}, "tags": ["", None]}, ""),
        (
            {"city": "Recife", "social": {"x": "", "github": "ana"}},
            '{"city": "Recife", "social": {"github": "ana"}}',
        ),
        ({"vip": False, "visits": 0, "tags": ["", "a"]}, '{"tags": ["a"], "vip": false, "visits": 0}'),
        ({"city": "São Paulo"}, '{"city": "São Paulo"}'),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
    ],
)
def test_a_comment_holds_what_is_filled_and_nothing_else(attributes: dict[str, Any], comment: str) -> None:
    assert mapping.comment(attributes) == comment


def test_a_comment_fits_into_its_column() -> None:
    assert len(mapping.comment({"x": "😀" * 70_000}).encode()) <= 65_535


@given(
    st.text(min_size=1).map(lambda text: f"http://{text}"),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
)
def test_a_login_is_one_glpi_takes_whatever_the_address(url: str, account: int, number: int) -> None:
    try:
        login = mapping.login(url, account, number)
    except ValueError:  # no address at all
        return
    assert re.fullmatch(r"[A-Za-z0-9'@.\- ]{1,255}", login)


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("https://chat.example.com", "cw-3-1@chat.example.com"),
        ("https://Chat.Example.com/", "cw-3-1@chat.example.com"),
        ("http://chat.example.com:3000", "cw-3-1@chat.example.com-3000"),
        ("http://[::1]:3000", "cw-3-1@--1-3000"),
        ("http://chat_1", "cw-3-1@chat-1"),
    ],
)
def test_a_login_tells_chatwoots_apart(url: str, login: str) -> None:
    assert mapping.login(url, 3, 1) == login


def test_an_address_is_added_and_names_no_row_of_anybody() -> None:
    assert mapping.user_input({"phone": "1", "email": "a@x.example"}) == {
        "phone": "1",
        "_useremails": {"-1": "a@x.example"},
        "_default_email": -1,
    }
    assert mapping.user_input({"email": ""}) == {}


# -- GLPI's contacts -----------------------------------------------------------------------------------------------

MARK = "crm-sync/chat.example.com/3/contact/1/"


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        (
            {"name": " Ana Maria Souza ", "phone_number": PHONE},
            {
                "name": "Ana Maria Souza",
                "firstname": "Ana",
                "phone": "+55 11 91234-5678",
                "mobile": "+55 11 91234-5678",
                "email": "ana@example.com",
                "comment": "",
            },
        ),
        (
            {"name": None, "email": None, "additional_attributes": {"city": "Recife", "x": ""}},
            {
                "name": "",
                "firstname": "",
                "phone": "",
                "mobile": "",
                "email": "",
                "comment": '{"city": "Recife"}',
            },
        ),
        ({"name": "x" * 300}, {"name": "x" * 255, "firstname": "x" * 255}),
    ],
)
def test_a_contact_fills_the_fields_of_a_glpi_contact(given: dict[str, Any], fields: dict[str, Any]) -> None:
    found = mapping.contact_fields(contact(**given))
    assert found | fields == found


@pytest.mark.parametrize(
    ("fields", "mark", "body"),
    [
        ({"name": "A", "comment": ""}, MARK, {"name": "A", "comment": MARK}),
        ({"comment": '{"a": 1}'}, MARK, {"comment": f'{{"a": 1}}\n{MARK}'}),
        ({"comment": '{"a": 1}'}, None, {"comment": '{"a": 1}'}),
        ({"name": "A"}, MARK, {"name": "A"}),
    ],
)
def test_the_comment_of_a_contact_of_ours_goes_on_telling_whose_it_is(
    fields: dict[str, Any], mark: str | None, body: dict[str, Any]
) -> None:
    assert mapping.contact_input(fields, mark) == body


@pytest.mark.parametrize(
    ("comment", "marked"),
    [
        (MARK, True),
        (f'{{"a": 1}}\n{MARK}', True),
        (f'{{"a": 1}}\r\n{MARK}\r\nby hand', True),
        (f'{{"a": "{MARK}"}}', False),
        (f"{MARK}2/", False),
        ("", False),
    ],
)
def test_only_a_line_of_its_own_is_a_marker(comment: str, *, marked: bool) -> None:
    assert mapping.is_marked(comment, MARK) is marked


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_no_attribute_can_pass_for_a_marker(attributes: dict[str, str]) -> None:
    said = mapping.comment({**attributes, "x": f"\n{MARK}\n", f"\n{MARK}\n": "y"})
    assert not mapping.is_marked(said, MARK)


@pytest.mark.parametrize(
    ("agreed", "fields", "written"),
    [
        ({"a": "1"}, {"a": "1"}, {}),
        ({"a": "1"}, {"a": "2"}, {"a": "2"}),
        ({"a": "1"}, {"a": ""}, {"a": ""}),
        ({"a": 4}, {"a": 0}, {"a": 0}),
        ({}, {"a": "", "b": 0}, {}),
        ({"a": ""}, {"a": "1"}, {"a": "1"}),
    ],
)
def test_only_what_changed_is_written(
    agreed: dict[str, Any], fields: dict[str, Any], written: dict[str, Any]
) -> None:
    assert mapping.changes(agreed, fields) == written


@pytest.mark.parametrize(
    ("email", "phone", "known"), [("a@x", None, True), (None, PHONE, True), (None, None, False)]
)
def test_a_contact_is_known_by_address_or_telephone(
    email: str | None, phone: str | None, *, known: bool
) -> None:
    assert mapping.is_identifiable(Contact(1, email=email, phone_number=phone)) is known


# -- tickets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "assignee", "expected"),
    [
        (Status.OPEN, None, 2),
        (Status.OPEN, SenderKind.AGENT, 2),
        (Status.OPEN, SenderKind.BOT, 2),
        (Status.PENDING, None, 4),
        (Status.PENDING, SenderKind.AGENT, 4),
        (Status.PENDING, SenderKind.BOT, 1),
        (Status.SNOOZED, None, 4),
        (Status.RESOLVED, None, 5),
        (Status.RESOLVED, SenderKind.BOT, 5),
    ],
)
def test_a_state_is_the_tickets(status: Status, assignee: SenderKind | None, expected: int) -> None:
    who = Agent(5, kind=assignee) if assignee else None
    assert mapping.status(Conversation(1, status, contact(), assignee=who)) == expected


@pytest.mark.parametrize(
    "api",
    [
        "https://g.example/glpi/apirest.php",
        "https://g.example/glpi/apirest.php/",
        "https://g.example/glpi/api.php/v1",
    ],
)
def test_addresses_for_people_are_beside_the_api(api: str) -> None:
    assert mapping.ticket_url(api, "7") == "https://g.example/glpi/front/ticket.form.php?id=7"
    assert mapping.person_url(api, "User", "7") == "https://g.example/glpi/front/user.form.php?id=7"
    assert mapping.person_url(api, "Contact", "7") == "https://g.example/glpi/front/contact.form.php?id=7"
