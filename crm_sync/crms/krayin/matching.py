"""Which of Krayin's persons a contact is: what to search for, and whom to choose. Pure functions.

No answer is believed unseen: Krayin's search finds parts of words, and answers everybody where it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import phonenumbers

from crm_sync.crms.krayin.client import is_searchable
from crm_sync.crms.krayin.mapping import PERSON_MARKER, parsed_number

Row = Mapping[str, Any]

#: Fewer digits than this are in too many numbers to be looked for with anything between them.
SHORTEST_NUMBER = 6


def conditions(email: str, phone: str, region: str | None = None) -> dict[str, str]:
    """One search for all persons with this address or number.

    The quotation marks anchor an address within its column's JSON (contracts: 59r); a number is looked for by its
    digits with anything between them, since it is kept as it was typed.
    """
    found = {}
    if is_searchable(email):
        found["emails"] = f'"{email}"'
        # Holds the first address too, and is no JSON, so upper and lower case make no difference there (contracts: 54).
        found["unique_id"] = email
    digits = national_digits(phone, region)
    if len(digits) >= SHORTEST_NUMBER:
        found["contact_numbers"] = "%".join(digits)
    return found


def national_digits(phone: str | None, region: str | None) -> str:
    """The digits of a number without those of its country, if that can be told."""
    parsed = parsed_number(phone, region)
    if parsed is not None:
        return phonenumbers.national_significant_number(parsed)
    return re.sub(r"\D", "", phone or "")


def choose(rows: Sequence[Row], email: str, phone: str, mark: str, region: str | None = None) -> Row | None:
    """Which of the persons found it is: ours by marker, where Krayin shows it, then by address, then by number.

    Of several the oldest. Also one that was made for another contact: Krayin lets nobody else have its address.
    """
    usable = sorted(rows, key=lambda row: (row.get(PERSON_MARKER) != mark, int(row["id"])))
    by_email = [row for row in usable if email and email.lower() in values(row, "emails")]
    if by_email:
        return by_email[0]
    digits = national_digits(phone, region)
    if len(digits) < SHORTEST_NUMBER:
        return None
    by_phone = [
        row
        for row in usable
        if any(_same(digits, phone, number) for number in values(row, "contact_numbers"))
    ]
    return by_phone[0] if by_phone else None


def values(row: Row, column: str) -> set[str]:
    """A person's addresses or numbers, in lower case."""
    rows = row.get(column) or ()
    return {str(item.get("value") or "").lower() for item in rows if isinstance(item, Mapping)} - {""}


def _same(digits: str, phone: str, other: str) -> bool:
    """Whether two numbers are the same: with their country, or as far as both say one."""
    theirs = re.sub(r"\D", "", other)
    ours = re.sub(r"\D", "", phone)
    if theirs == ours:
        return True
    # One that says no country of its own, perhaps with the zero that is dialled before it.
    return not other.strip().startswith(("+", "00")) and theirs.lstrip("0") == digits.lstrip("0")
