"""Who somebody is in GLPI: a table each."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms.glpi.matching import Found, choose_contact, choose_user, contact_criteria, user_criteria
from crm_sync.events import Contact

PHONE = "+5511912345678"
LOGIN = "cw-3-1@chat.example.com"
MARK = "crm-sync/chat.example.com/3/contact/1/"


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
        ([row(7, login=LOGIN)], Found(7, own=True)),
        ([row(7, login=LOGIN.upper())], Found(7, own=True)),
        ([row(7, email="ana@example.com")], Found(7, own=False)),
        ([row(7, email="ANA@Example.com")], Found(7, own=False)),
        ([row(7, email=["x@example.com", None, "ana@example.com"])], Found(7, own=False)),
        ([row(7, email=[None])], None),
        ([row(7, email="ana@example.com.br")], None),
        ([row(7, email="añ@example.com")], None),
        ([row(9, email="ana@example.com"), row(8, email="ana@example.com")], Found(8, own=False)),
        ([row(3, email="ana@example.com"), row(8, login=LOGIN)], Found(8, own=True)),
        ([row(3, phone=PHONE), row(8, email="ana@example.com")], Found(8, own=False)),
        ([row(7, email="ana@example.com", active=0)], None),
        ([row(7, email="ana@example.com", active="0")], None),
        ([row(7, login=LOGIN, active=0)], None),
        ([row(2, email="ana@example.com")], None),
        ([row(7, phone="+55 11 91234-5678")], Found(7, own=False)),
        ([row(7, phone2="(11) 91234-5678")], Found(7, own=False)),
        ([row(7, mobile=PHONE, email="wife@example.com")], None),
        ([row(7, mobile="+55 11 91234-56789")], None),
        ([row(7, mobile="1 19123 45678 00")], None),
        ([row(7)], None),
    ],
)
def test_of_the_users_found_the_one_is_chosen_who_is_the_contact(
    rows: list[dict[str, Any]], chosen: Found | None
) -> None:
    assert choose_user(rows, contact(phone_number=PHONE), LOGIN, never=2) == chosen


def test_a_contact_without_an_address_is_known_by_telephone_alone() -> None:
    rows = [row(7, mobile="11 91234 5678", email="ana@example.com")]
    assert choose_user(rows, contact(email=None, phone_number=PHONE), LOGIN) == Found(7, own=False)


def test_a_number_without_a_country_code_is_of_the_country_the_settings_say() -> None:
    rows = [row(7, mobile="+55 11 91234-5678")]
    asked = contact(email=None, phone_number="11912345678")
    assert choose_user(rows, asked, LOGIN) is None
    assert choose_user(rows, asked, LOGIN, region="BR") == Found(7, own=False)


def test_an_encoded_address_is_the_address() -> None:
    assert choose_user([row(7, email="r&#38;d@x.example")], contact(email="r&d@x.example"), LOGIN) == Found(
        7, own=False
    )


# -- GLPI's contacts -----------------------------------------------------------------------------------------------


def contact_row(number: int, **columns: Any) -> dict[str, Any]:
    """A row as /search/Contact gives it."""
    known = {"email": "6", "phone": "3", "phone2": "4", "mobile": "10", "comment": "16"}
    found: dict[str, Any] = {"2": number, "3": None, "4": None, "6": None, "10": None, "16": None}
    return found | {known[name]: value for name, value in columns.items()}


def test_one_search_asks_for_marker_address_and_every_telephone_of_a_contact() -> None:
    found = contact_criteria(contact(phone_number=PHONE), MARK)

    digits = "%".join("11912345678")
    assert [(item.get("link"), item["field"], item["value"]) for item in found] == [
        (None, 16, MARK),
        ("OR", 6, "^ana@example.com$"),
        ("OR", 3, digits),
        ("OR", 4, digits),
        ("OR", 10, digits),
    ]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([], None),
        ([contact_row(7, comment=MARK)], Found(7, own=True)),
        ([contact_row(7, comment=f"by hand\n{MARK}")], Found(7, own=True)),
        ([contact_row(7, comment=f'{{"x": "{MARK}"}}')], None),
        ([contact_row(7, email="ANA@example.com")], Found(7, own=False)),
        ([contact_row(3, email="ana@example.com"), contact_row(8, comment=MARK)], Found(8, own=True)),
        (
            [contact_row(9, email="ana@example.com"), contact_row(8, email="ana@example.com")],
            Found(8, own=False),
        ),
        ([contact_row(3, phone=PHONE), contact_row(8, email="ana@example.com")], Found(8, own=False)),
        ([contact_row(7, phone="+55 11 91234-5678")], Found(7, own=False)),
        ([contact_row(7, phone2="(11) 91234-5678")], Found(7, own=False)),
        ([contact_row(7, mobile=PHONE, email="wife@example.com")], None),
        ([contact_row(7, email="xana@example.com")], None),
    ],
)
def test_of_the_contacts_found_the_one_is_chosen_that_is_the_contact(
    rows: list[dict[str, Any]], chosen: Found | None
) -> None:
    assert choose_contact(rows, contact(phone_number=PHONE), MARK) == chosen
