"""Lists filter by columns, searches by a language that forgets what it does not understand."""

from __future__ import annotations

import pytest

from crm_sync.sandbox.krayin.errors import Crashed
from crm_sync.sandbox.krayin.search import conditions
from tests.unit.sandbox.krayin.conftest import Krayin


@pytest.mark.parametrize(
    ("search", "fields", "found"),
    [
        ("ana@b.c", "emails:like", [("emails", "like", "ana@b.c")]),
        ("ana@b.c", "emails", [("emails", "=", "ana@b.c")]),
        ("a:b", "name:like", []),
        ("", "name:like", []),
        (
            "emails:a@b.c;contact_numbers:+55",
            "emails:like;contact_numbers:like",
            [("emails", "like", "a@b.c"), ("contact_numbers", "like", "+55")],
        ),
        ("x", "attribute_values.text_value:=", [("attribute_values.text_value", "=", "x")]),
        ("name:Ana", None, [("name", "=", "Ana")]),
    ],
)
def test_a_search_comes_to_these_conditions(
    search: str, fields: str | None, found: list[tuple[str, str, str]]
) -> None:
    assert conditions("persons", {"search": search, "searchFields": fields}) == found


def test_a_field_outside_the_list_needs_a_condition() -> None:
    with pytest.raises(Crashed):
        conditions("persons", {"search": "x", "searchFields": "unique_id"})


@pytest.fixture
def people(either: Krayin) -> Krayin:
    either.person("bob@example.co", "+5511", name="Ana")
    either.person("bob@example.com", "(11) 98888-7777", name="José")
    return either


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": '"bob@example.co"', "searchFields": "emails:like"}, [1]),
        ({"search": "bob@example.co", "searchFields": "emails:like"}, [1, 2]),
        ({"search": "BOB@example.co", "searchFields": "emails:like"}, []),
        ({"search": "b_b@", "searchFields": "emails:like"}, [1, 2]),
        ({"search": "11988887777", "searchFields": "contact_numbers:like"}, []),
        ({"search": "jose", "searchFields": "name:="}, [2]),
        ({"search": "a:b", "searchFields": "name:like"}, [1, 2]),
        ({"query": "nobody"}, [1, 2]),
        ({"search": "nobody", "searchFields": "name:like"}, []),
        ({"search": "example", "searchFields": "emails:like", "orderBy": "id", "sortedBy": "desc"}, [2, 1]),
        ({"search": "example", "searchFields": "emails:like", "limit": 1, "page": 2}, [1]),
        ({"search": "1,2", "searchFields": "id:in"}, [1, 2]),
    ],
)
def test_a_search_finds_these_people(people: Krayin, query: dict[str, object], found: list[int]) -> None:
    rows = people.data(people.get("contacts/persons/search", **query))

    assert [row["id"] for row in rows] == found


def test_a_column_that_does_not_exist_crashes_a_search(people: Krayin) -> None:
    assert people.get("contacts/persons/search", search="x", searchFields="nope:like").status_code == 500
    assert people.get("contacts/persons/search", search="x", searchFields="no.name:like").status_code == 500


def test_a_list_filters_by_columns_in_any_case_and_splits_at_commas(people: Krayin) -> None:
    def ids(**query: object) -> list[int]:
        return [row["id"] for row in people.data(people.get("contacts/persons", **query))]

    assert ids(name="JOSE") == [2]
    assert ids(id="1,2") == [2, 1]
    assert ids(id=99) == []
    assert ids(name="") == []
    assert ids(name="Jos%") == []
    assert ids(emails="bob@example.co") == []
    assert ids(id="1,2", sort="id", order="asc", limit=1, page=2) == [2]
    assert ids(pagination=0) == [2, 1]
    assert ids(order="asc") == [2, 1]


def test_an_unknown_filter_crashes_the_older_generation_and_is_ignored_by_the_newer(
    old: Krayin, new: Krayin
) -> None:
    for krayin in (old, new):
        krayin.person()

    assert old.get("contacts/persons", email="nobody@example.com").status_code == 500
    assert old.get("contacts/persons", sort="nope").status_code == 500
    assert len(new.data(new.get("contacts/persons", email="nobody@example.com"))) == 1
    assert old.get("contacts/persons", sort="id", order="up").status_code == 500
    assert new.get("contacts/persons", sort="id", order="up").status_code == 200
    assert new.get("contacts/persons", sort="nope").get_json()["errors"] == {
        "sort": ["The selected sort is invalid."]
    }


def test_pages_say_where_they_stand(either: Krayin) -> None:
    for number in range(23):
        either.post("settings/sources", name=f"S{number}")

    second = either.get("settings/sources", limit=2, page=8).get_json()
    beyond = either.get("settings/sources", page=99).get_json()
    default = either.get("settings/sources", limit=0).get_json()

    assert [row["id"] for row in second["data"]] == [14, 13]
    assert {name: second["meta"][name] for name in ("from", "to", "total", "last_page")} == {
        "from": 15,
        "to": 16,
        "total": 28,
        "last_page": 14,
    }
    assert second["links"]["next"] == "http://localhost/api/v1/settings/sources?page=9"
    labels = [link["label"] for link in second["meta"]["links"]]
    assert labels[1:-1] == ["1", "2", "...", *map(str, range(5, 15))]
    assert (beyond["data"], beyond["meta"]["from"]) == ([], None)
    assert default["meta"]["per_page"] == 15
