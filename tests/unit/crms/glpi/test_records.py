"""Records of any type: long lists are read whole, and what is no record is not taken for one."""

from __future__ import annotations

import pytest
import requests_mock as mocking

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.records import TOGETHER
from crm_sync.errors import NotFound, Rejected
from tests.unit.crms.glpi.world import Glpi, answering

JSON = {"Content-Type": "application/json; charset=UTF-8"}
BEYOND = ["ERROR_RANGE_EXCEED_TOTAL", "Provided range exceed total count of data: 2"]


def categories(glpi: Glpi, count: int) -> list[int]:
    """So many categories."""
    return [
        glpi.insert("ITILCategory", name=f"C{number}", completename=f"C{number}") for number in range(count)
    ]


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (1, 1), (3, 1), (4, 2), (6, 2), (7, 3)])
def test_a_list_is_read_to_its_end_with_no_call_too_many(glpi: Glpi, count: int, calls: int) -> None:
    made = categories(glpi, count)
    glpi.client.init_session()
    glpi.calls()

    assert [row["id"] for row in glpi.client.all_items("ITILCategory", page=3)] == made
    assert glpi.calls() == ["GET /ITILCategory"] * calls


def test_a_list_longer_than_glpi_gives_unasked_is_read_whole(glpi: Glpi) -> None:
    made = categories(glpi, 25)
    assert [row["id"] for row in glpi.client.categories()] == made


def test_a_list_that_became_shorter_while_it_was_read_ends() -> None:
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": "t"}, headers=JSON)
        mock.get(
            "http://glpi/apirest.php/Entity",
            [
                {
                    "json": [{"id": 0}, {"id": 1}],
                    "status_code": 206,
                    "headers": JSON | {"Content-Range": "0-1/4"},
                },
                {"json": BEYOND, "status_code": 400, "headers": JSON},
            ],
        )
        client = GlpiClient("http://glpi/apirest.php", "a", "u")
        assert [row["id"] for row in client.all_items("Entity", page=2)] == [0, 1]


def test_a_range_beyond_the_end_from_the_beginning_is_refused(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.strike(answering(400, BEYOND))
    with pytest.raises(Rejected) as caught:
        list(glpi.client.all_items("Entity"))
    assert caught.value.code == "ERROR_RANGE_EXCEED_TOTAL"


def test_records_are_counted_by_one_call_without_reading_them(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.calls()
    assert glpi.client.count("ITILCategory") == 0
    categories(glpi, 1)
    assert glpi.client.count("ITILCategory") == 1
    categories(glpi, 24)
    assert glpi.client.count("ITILCategory") == 25
    assert glpi.calls() == ["GET /ITILCategory"] * 3


def test_several_records_come_together(glpi: Glpi) -> None:
    made = categories(glpi, TOGETHER + 1)
    glpi.client.init_session()
    glpi.calls()

    rows = glpi.client.several("ITILCategory", [*made, made[0]])
    assert [row["id"] for row in rows] == made
    assert glpi.calls() == ["GET /getMultipleItems"] * 2
    assert glpi.client.several("ITILCategory", []) == []


def test_several_records_of_which_one_is_missing_are_not_found(glpi: Glpi) -> None:
    with pytest.raises(NotFound):
        glpi.client.several("ITILCategory", [*categories(glpi, 2), 4711])


def test_an_id_that_glpi_takes_for_none_is_not_found(glpi: Glpi) -> None:
    """GLPI answers a list: to /Ticket/abc always, and to id 0 before 10.0.19."""
    with pytest.raises(NotFound):
        glpi.client.item("Ticket", "abc")
    glpi.strike(answering(200, [{"id": 1}]))
    with pytest.raises(NotFound):
        glpi.client.item("User", 0)


def test_a_record_tells_the_names_of_what_it_refers_to_on_demand(glpi: Glpi) -> None:
    [category] = categories(glpi, 1)
    number = glpi.client.create("Ticket", {"name": "x", "content": "<p>x</p>", "itilcategories_id": category})

    assert glpi.client.item("Ticket", number)["itilcategories_id"] == category
    assert glpi.client.item("Ticket", number, names=True)["itilcategories_id"] == "C0"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("A rule says no", "GLPI refused: A rule says no"),
        ("", "GLPI refused: no reason given"),
        (
            "MySQL query error: Duplicate entry 'ana@example.com' for key 'unicity' (1062) in SQL query \"UPDATE x\"",
            "GLPI refused: MySQL query error: Duplicate entry … for key 'unicity' (1062)",
        ),
    ],
)
def test_an_update_that_is_refused_in_its_row_says_why_without_peoples_data(
    glpi: Glpi, told: str, words: str
) -> None:
    glpi.client.init_session()
    glpi.strike(answering(200, [{"7": False, "message": told}]))
    with pytest.raises(Rejected) as caught:
        glpi.client.update("User", 7, {"phone": "1"})
    assert str(caught.value) == words
