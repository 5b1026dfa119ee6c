"""Chatwoot's records as GLPI's fields: a table each."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from crm_sync.crms.glpi import mapping
from crm_sync.crms.glpi.mapping import FoundUser, choose_user, user_criteria
from crm_sync.events import Agent, Contact, Conversation, SenderKind, Status

PHONE = "+5511912345678"
LOGIN = "cw-3-1@chat.example.com"


def contact(**more: Any) -> Contact:
    """Ana, by her address."""
    return Contact(**{"id": 1, "name": "Ana Souza", "email": "ana@example.com", **more})


def row(number: int, **columns: Any) -> dict[str, Any]:
    """A row as /search/User gives it."""
    known = {"login": "1", "email": "5", "phone": "6", "active": "8", "phone2": "10", "mobile": "11"}
    found: dict[str, Any] = {
        "1": "someone",
        "2": number,
        "5": None,
        "6": None,
        "8": 1,
        "10": None,
        "11": None,
    }
    return found | {known[name]: value for name, value in columns.items()}


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


@pytest.mark.parametrize(
    ("email", "phone", "known"), [("a@x", None, True), (None, PHONE, True), (None, None, False)]
)
def test_a_contact_is_known_by_address_or_telephone(
    email: str | None, phone: str | None, *, known: bool
) -> None:
    assert mapping.is_identifiable(Contact(1, email=email, phone_number=phone)) is known


# -- finding people ------------------------------------------------------------------------------------------------


def test_one_search_asks_for_login_address_and_every_telephone() -> None:
    found = user_criteria(contact(phone_number=PHONE), LOGIN)

    digits = "%".join("11912345678")
    assert [(item.get("link"), item["field"], item["value"]) for item in found] == [
        (None, 1, f"^{LOGIN}$"),
        ("OR", 5, "^ana@example.com$"),
        ("OR", 6, digits),
        ("OR", 10, digits),
        ("OR", 11, digits),
    ]
    assert {item["searchtype"] for item in found} == {"contains"}


def test_a_short_number_is_searched_as_it_is() -> None:
    values = [item["value"] for item in user_criteria(contact(email=None, phone_number="112"), LOGIN)]
    assert values[1:] == ["^112$"] * 3


def test_an_address_is_also_searched_as_an_older_glpi_kept_it() -> None:
    values = [item["value"] for item in user_criteria(contact(email="r&d@x.example"), LOGIN)]
    assert values[1:] == ["^r&d@x.example$", "^r&#38;d@x.example$"]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([], None),
        ([row(7, login=LOGIN)], FoundUser(7, own=True)),
        ([row(7, login=LOGIN.upper())], FoundUser(7, own=True)),
        ([row(7, email="ana@example.com")], FoundUser(7, own=False)),
        ([row(7, email="ANA@Example.com")], FoundUser(7, own=False)),
        ([row(7, email=["x@example.com", None, "ana@example.com"])], FoundUser(7, own=False)),
        ([row(7, email=[None])], None),
        ([row(7, email="ana@example.com.br")], None),
        ([row(7, email="añ@example.com")], None),
        ([row(9, email="ana@example.com"), row(8, email="ana@example.com")], FoundUser(8, own=False)),
        ([row(3, email="ana@example.com"), row(8, login=LOGIN)], FoundUser(8, own=True)),
        ([row(3, phone=PHONE), row(8, email="ana@example.com")], FoundUser(8, own=False)),
        ([row(7, email="ana@example.com", active=0)], None),
        ([row(7, email="ana@example.com", active="0")], None),
        ([row(7, login=LOGIN, active=0)], None),
        ([row(2, email="ana@example.com")], None),
        ([row(7, phone="+55 11 91234-5678")], FoundUser(7, own=False)),
        ([row(7, phone2="(11) 91234-5678")], FoundUser(7, own=False)),
        ([row(7, mobile=PHONE, email="wife@example.com")], None),
        ([row(7, mobile="+55 11 91234-56789")], None),
        ([row(7, mobile="1 19123 45678 00")], None),
        ([row(7)], None),
    ],
)
def test_of_the_users_found_the_one_is_chosen_who_is_the_contact(
    rows: list[dict[str, Any]], chosen: FoundUser | None
) -> None:
    assert choose_user(rows, contact(phone_number=PHONE), LOGIN, never=2) == chosen


def test_a_contact_without_an_address_is_known_by_telephone_alone() -> None:
    rows = [row(7, mobile="11 91234 5678", email="ana@example.com")]
    assert choose_user(rows, contact(email=None, phone_number=PHONE), LOGIN) == FoundUser(7, own=False)


def test_a_number_without_a_country_code_is_of_the_country_the_settings_say() -> None:
    rows = [row(7, mobile="+55 11 91234-5678")]
    asked = contact(email=None, phone_number="11912345678")
    assert choose_user(rows, asked, LOGIN) is None
    assert choose_user(rows, asked, LOGIN, region="BR") == FoundUser(7, own=False)


def test_an_encoded_address_is_the_address() -> None:
    assert choose_user(
        [row(7, email="r&#38;d@x.example")], contact(email="r&d@x.example"), LOGIN
    ) == FoundUser(7, own=False)


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
    assert mapping.user_url(api, "7") == "https://g.example/glpi/front/user.form.php?id=7"
