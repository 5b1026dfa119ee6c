"""Attributes of contacts as fields of users and contacts: a table."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms.glpi.person_fields import PersonFields, person_fields


@pytest.mark.parametrize(
    ("field", "said", "value"),
    [
        ("phone2", "+55 11", "+55 11"),
        ("phone2", "  x ", "x"),
        ("registration_number", 17, "17"),
        ("registration_number", 1.5, "1.5"),
        ("nickname", True, "true"),
        ("nickname", "x" * 300, "x" * 255),
        ("nickname", None, ""),
        ("nickname", "", ""),
        ("locations_id", 4, 4),
        ("locations_id", "4", 4),
        ("locations_id", " 4 ", 4),
        ("locations_id", 4.0, 4),
        ("locations_id", None, 0),
        ("locations_id", "", 0),
        ("locations_id", 0, 0),
    ],
)
def test_an_attribute_fills_its_field(field: str, said: Any, value: Any) -> None:
    assert person_fields({"a": said}, {"a": field}) == PersonFields({field: value}, ())


@pytest.mark.parametrize(
    ("field", "said", "why"),
    [
        ("locations_id", "Recife", "locations_id takes a whole number."),
        ("locations_id", "4.0", "locations_id takes a whole number."),
        ("locations_id", -4, "locations_id takes a whole number."),
        ("locations_id", 4.5, "locations_id takes a whole number."),
        ("locations_id", True, "locations_id takes a whole number."),
        ("locations_id", "٤", "locations_id takes a whole number."),
        ("nickname", ["a"], "nickname takes a single value."),
    ],
)
def test_a_wrong_attribute_is_left_out_and_named(field: str, said: Any, why: str) -> None:
    found = person_fields({"a": said}, {"a": field})
    assert found == PersonFields({}, (f"The attribute a was left out: {why}",))


@pytest.mark.parametrize("attributes", [{"a": "1"}, {"b": "1"}, {"a": "2", "b": "1"}])
def test_of_several_attributes_for_a_field_the_last_that_says_something_counts(
    attributes: dict[str, str],
) -> None:
    wanted = {"a": "phone2", "b": "phone2"}
    assert person_fields(attributes, wanted).values == {"phone2": "1"}
