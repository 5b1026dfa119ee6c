"""Which of GLPI's users or contacts somebody is: what to search for, and whom to choose. Pure functions.

Who is there already is known by what crm_sync itself gave (a login, a marker), else by e-mail, else by telephone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import phonenumbers

from crm_sync.crms.glpi.mapping import is_marked, parsed_number
from crm_sync.events import Contact

Row = Mapping[str, Any]

#: The numbers of fields in /search that are the same for users and contacts.
_ID, _COMMENT = 2, 16

#: Fields of /search/User.
_LOGIN, _USER_EMAIL, _ACTIVE = 1, 5, 8
_USER_PHONES = (6, 10, 11)

#: The columns that ``choose_user`` reads.
USER_DISPLAY = (_LOGIN, _ID, _USER_EMAIL, _ACTIVE, *_USER_PHONES)

#: Fields of /search/Contact.
_CONTACT_EMAIL = 6
_CONTACT_PHONES = (3, 4, 10)

#: The columns that ``choose_contact`` reads.
CONTACT_DISPLAY = (_ID, _CONTACT_EMAIL, _COMMENT, *_CONTACT_PHONES)

#: Fewer digits than this are in too many numbers to be looked for with anything between them.
SHORTEST_NUMBER = 6

#: How little a telephone number says of who somebody is, compared with a login (0) and an address (1).
_BY_PHONE = 2

#: Rows that one search brings at most.
MANY = 50

_ENCODED = {"&#60;": "<", "&#62;": ">", "&#38;": "&"}


@dataclass(frozen=True, slots=True)
class Found:
    """A user or contact of GLPI that is the contact. ``own`` tells that it was made for it."""

    id: int
    own: bool


# -- what to search for --------------------------------------------------------------------------------------------


def user_criteria(contact: Contact, login_name: str, region: str | None = None) -> list[dict[str, Any]]:
    """One search for all users who may be this contact: by login, by e-mail, by telephone however it is written.

    Anchored ``contains``: ``equals`` never matches an address (contracts/glpi: search-user-email-equals). A number is
    looked for by its digits with anything between them. What is found too much, ``choose_user`` leaves out.
    """
    wanted = [(_LOGIN, f"^{login_name}$")]
    wanted += _person_criteria(contact, region, _USER_EMAIL, _USER_PHONES)
    return _any_of(wanted)


def contact_criteria(contact: Contact, mark: str, region: str | None = None) -> list[dict[str, Any]]:
    """One search for all GLPI Contacts that may be this contact: by marker, by e-mail, by telephone."""
    wanted = [(_COMMENT, mark)]
    wanted += _person_criteria(contact, region, _CONTACT_EMAIL, _CONTACT_PHONES)
    return _any_of(wanted)


def searched(
    search: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    criteria_of: Callable[[Contact], list[dict[str, Any]]],
    contact: Contact,
) -> list[dict[str, Any]]:
    """The rows of everybody who may be this contact: one search, unless more people than it brings share his number."""
    rows = search(criteria_of(contact))
    if len(rows) < MANY or not contact.phone_number:
        return rows
    return search(criteria_of(replace(contact, phone_number=None))) + rows


def mark_criteria(mark: str) -> list[dict[str, Any]]:
    """A search for the GLPI Contact of a marker."""
    return _any_of([(_COMMENT, mark)])


def _person_criteria(
    contact: Contact, region: str | None, email: int, phones: Iterable[int]
) -> Iterator[tuple[int, str]]:
    for form in _forms(contact.email or ""):
        yield email, f"^{form}$"
    digits = _national_digits(contact.phone_number, region)
    if digits:
        number = "%".join(digits) if len(digits) >= SHORTEST_NUMBER else f"^{digits}$"
        for phone in phones:
            yield phone, number


def _any_of(wanted: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    return [
        {**({"link": "OR"} if index else {}), "field": field, "searchtype": "contains", "value": value}
        for index, (field, value) in enumerate(wanted)
    ]


def _forms(text: str) -> Iterator[str]:
    """A text as GLPI may hold it: as it is, and as a GLPI 10 encoded it before it became an 11."""
    if text:
        yield text
    encoded = text.replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#62;")
    if encoded != text:
        yield encoded


def _national_digits(number: str | None, region: str | None) -> str:
    parsed = parsed_number(number, region)
    if parsed is not None:
        return phonenumbers.national_significant_number(parsed)
    return re.sub(r"\D", "", number or "")


# -- whom to choose ------------------------------------------------------------------------------------------------


def choose_user(
    rows: Sequence[Row],
    contact: Contact,
    login_name: str,
    *,
    region: str | None = None,
    never: int | None = None,
) -> Found | None:
    """Which of the users found is the contact: ours by login, else the oldest by e-mail, else the one by telephone.

    Never one that is switched off, nor ``never``: the account we work as, whose own tickets GLPI reopens.
    """
    usable = [row for row in rows if is_active(row) and int(row[str(_ID)]) != never]
    return _best(
        usable,
        lambda row: has_login(row, login_name),
        lambda row: _rank(row, contact, region, _USER_EMAIL, _USER_PHONES),
    )


def choose_contact(
    rows: Sequence[Row], contact: Contact, mark: str, *, region: str | None = None
) -> Found | None:
    """Which of the GLPI Contacts found it is: ours by marker, else the oldest by e-mail, else the one by telephone."""
    return _best(
        rows,
        lambda row: is_marked(str(row.get(str(_COMMENT)) or ""), mark),
        lambda row: _rank(row, contact, region, _CONTACT_EMAIL, _CONTACT_PHONES),
    )


def _best(
    rows: Iterable[Row], is_own: Callable[[Row], bool], rank_of: Callable[[Row], int | None]
) -> Found | None:
    ranked = {int(row[str(_ID)]): 0 if is_own(row) else rank_of(row) for row in rows}
    known = sorted((rank, number) for number, rank in ranked.items() if rank is not None)
    if not known:
        return None
    rank, number = known[0]
    if rank == _BY_PHONE and len(known) > 1:
        # A number that several share tells nobody from the others.
        return None
    return Found(number, own=rank == 0)


def is_active(row: Row) -> bool:
    """Whether the user in a row of a search is switched on."""
    return str(row.get(str(_ACTIVE), 1)) != "0"


def has_login(row: Row, login_name: str) -> bool:
    """Whether the user in a row of a search has this login."""
    return str(row.get(str(_LOGIN), "")).lower() == login_name.lower()


def _rank(row: Row, contact: Contact, region: str | None, email: int, phones: Iterable[int]) -> int | None:
    """1 for the same address, _BY_PHONE for the same telephone, None for somebody else.

    A telephone is proof only where addresses do not contradict: a number can be shared by people with addresses of
    their own.
    """
    addresses = {_decoded(address).lower() for address in _texts(row.get(str(email)))}
    if contact.email and contact.email.lower() in addresses:
        return 1
    wanted = _dialled(contact.phone_number, region)
    numbers = [text for field in phones for text in _texts(row.get(str(field)))]
    near = region or _region_of(contact.phone_number)
    same = wanted and any(_dialled(number, near) == wanted for number in numbers)
    return _BY_PHONE if same and not (contact.email and addresses) else None


def _dialled(number: str | None, region: str | None) -> str:
    """What is dialled: the number in E.164, or the digits of what is no number."""
    parsed = parsed_number(number, region)
    if parsed is not None:
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return re.sub(r"\D", "", number or "")


def _region_of(number: str | None) -> str | None:
    """The country of an international number: people there write theirs without its code."""
    parsed = parsed_number(number, None)
    return phonenumbers.region_code_for_number(parsed) if parsed is not None else None


def _texts(value: Any) -> list[str]:
    """A column of a search row as a list: GLPI gives one value bare, several as a list that may hold null."""
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if item]


def _decoded(text: str) -> str:
    """A text of a search as it was meant: GLPI 10 keeps the three special characters encoded."""
    for code, character in _ENCODED.items():
        text = text.replace(code, character)
    return text
