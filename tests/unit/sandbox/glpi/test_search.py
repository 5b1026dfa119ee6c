"""Finding things: criteria, columns, order and pages."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def people(glpi: Any) -> dict[str, int]:
    return {
        "maria": glpi.add(
            "User",
            name="maria@example.com",
            realname="Silva",
            firstname="Maria",
            mobile="+5511987654321",
            comment="chatwoot:contact:42",
            _useremails={"-1": "maria@example.com", "-2": "maria@home.example"},
        ),
        "joao": glpi.add("User", name="joao", realname="Conceição", _useremails={"-1": "joao@example.com"}),
    }


def test_an_address_is_found_by_anchored_contains_but_never_by_equals(
    glpi: Any, people: dict[str, int]
) -> None:
    assert glpi.found("User", (5, "contains", "^MARIA@example.com$")) == [people["maria"]]
    assert glpi.found("User", (5, "contains", "example.com")) == [people["maria"], people["joao"]]
    assert glpi.found("User", (5, "contains", "^maria%example$")) == [people["maria"]]
    assert glpi.found("User", (5, "equals", "maria@example.com")) == []
    assert glpi.found("User", (5, "nosuchtype", "maria@home")) == [people["maria"]]


def test_a_text_criterion_narrows_the_joined_column(glpi: Any, people: dict[str, int]) -> None:
    criterion = {
        "criteria[0][field]": 5,
        "criteria[0][searchtype]": "contains",
        "criteria[0][value]": "^maria@h%",
    }
    row = glpi.get("/search/User", **criterion).get_json()["data"][0]
    assert row["5"] == "maria@home.example"

    row = glpi.get(
        "/search/User",
        **{"criteria[0][field]": 2, "criteria[0][value]": people["maria"], "forcedisplay[0]": 5},
    )
    assert row.get_json()["data"][0]["5"] == ["maria@example.com", "maria@home.example"]


def test_linked_name_fields_compare_the_id(glpi: Any, people: dict[str, int]) -> None:
    assert glpi.found("User", (1, "equals", people["maria"])) == [people["maria"]]
    assert glpi.found("User", (1, "equals", "maria@example.com")) == []
    assert glpi.found("User", (1, "contains", "^joao$")) == [people["joao"]]


def test_own_text_fields_compare_exactly(glpi: Any, people: dict[str, int]) -> None:
    assert glpi.found("User", (16, "contains", "^chatwoot:contact:42$")) == [people["maria"]]
    assert glpi.found("User", (16, "contains", "^chatwoot:contact:4$")) == []
    assert glpi.found("User", (11, "contains", "^+5511987654321$")) == [people["maria"]]
    assert glpi.found("User", (34, "equals", "conceicao")) == [people["joao"]]
    assert people["joao"] not in glpi.found("User", (34, "notequals", "conceicao"))
    assert glpi.found("User", (34, "notcontains", "sil"), (5, "contains", "@")) == [people["joao"]]


def test_numbers_compare_as_numbers(glpi: Any, people: dict[str, int]) -> None:
    joao = people["joao"]

    assert glpi.found("User", (2, "contains", joao)) == [joao]
    assert glpi.found("User", (2, "contains", f"^{joao}$")) == [joao]
    assert glpi.found("User", (2, "morethan", joao)) == [joao]
    assert glpi.found("User", (2, "contains", f">{joao - 1}")) == [joao]
    assert glpi.found("User", (2, "contains", f">={joao}")) == [joao]
    assert glpi.found("User", (2, "contains", "<3")) == [2]
    assert glpi.found("User", (2, "contains", "<=3")) == [2, 3]
    assert glpi.found("User", (2, "contains", "abc")) == []
    assert glpi.found("User", (2, "contains", "^2")) == [2]
    assert glpi.found("User", (8, "equals", 0)) == []


def test_criteria_combine_as_sql_does(glpi: Any, people: dict[str, int]) -> None:
    maria, joao = people["maria"], people["joao"]
    query = {"criteria[1][link]": "OR"}
    assert glpi.found("User", (2, "equals", maria), (2, "equals", joao), **query) == [maria, joao]
    query = {"criteria[1][link]": "AND NOT"}
    assert glpi.found("User", (5, "contains", "example"), (2, "equals", joao), **query) == [maria]
    nested = {
        "criteria[0][criteria][0][field]": 2,
        "criteria[0][criteria][0][searchtype]": "equals",
        "criteria[0][criteria][0][value]": maria,
    }
    assert glpi.found("User", **nested) == [maria]
    assert glpi.found("User", **{"criteria[0][criteria][0][field]": 2})[0] == 2
    anywhere = {"criteria[0][field]": "view", "criteria[0][value]": "conceicao"}
    assert glpi.found("User", **anywhere) == [joao]
    assert len(glpi.found("User", **{"criteria[0][field]": "view", "criteria[0][value]": ""})) == 7


def test_an_unknown_field_is_an_error(glpi: Any) -> None:
    answer = glpi.get("/search/User", **{"criteria[0][field]": 5555, "criteria[0][value]": "x"})
    assert (answer.status_code, answer.get_json()[0]) == (400, "ERROR")


def test_dates_compare_strictly_and_rubbish_matches_everything(glpi: Any) -> None:
    first = glpi.add("Ticket", name="a", content="x")
    glpi.clock.advance(10)
    second = glpi.add("Ticket", name="b", content="x")

    assert glpi.found("Ticket", (19, "morethan", "2026-11-22 09:00:00")) == [second]
    assert glpi.found("Ticket", (19, "morethan", "2026-11-22 08:59:59")) == [first, second]
    assert glpi.found("Ticket", (19, "lessthan", "2026-11-22 09:00:10")) == [first]
    assert glpi.found("Ticket", (19, "equals", "2026-11-22 09:00:10")) == [second]
    assert glpi.found("Ticket", (19, "equals", "2026-11-22")) == [first, second]
    assert glpi.found("Ticket", (19, "contains", "09:00:10")) == [second]
    assert glpi.found("Ticket", (19, "morethan", "2026-11-22T09:00:05Z")) == [second]
    for rubbish in ("rubbish", ""):
        assert glpi.found("Ticket", (19, "morethan", rubbish)) == [first, second]
    assert glpi.found("Ticket", (19, "lessthan", "rubbish")) == []
    assert glpi.found("Ticket", (19, "morethan", "-1HOUR")) == [first, second]
    assert glpi.found("Ticket", (19, "morethan", "1DAY")) == []
    assert glpi.found("Ticket", (19, "lessthan", "NOW")) == [first]
    assert glpi.found("Ticket", (19, "morethan", "TODAY")) == [first, second]
    assert glpi.found("Ticket", (16, "morethan", "2020-01-01 00:00:00")) == []


def test_status_words_and_levels(glpi: Any) -> None:
    ids = {status: glpi.add("Ticket", name="x", content="x", status=status) for status in (1, 2, 4, 5, 6)}

    assert glpi.found("Ticket", (12, "equals", 5)) == [ids[5]]
    assert glpi.found("Ticket", (12, "equals", "notold")) == [ids[1], ids[2], ids[4]]
    assert glpi.found("Ticket", (12, "equals", "old")) == [ids[5], ids[6]]
    assert glpi.found("Ticket", (12, "equals", "process")) == [ids[2]]
    assert glpi.found("Ticket", (12, "equals", "notclosed")) == [ids[1], ids[2], ids[4], ids[5]]
    assert glpi.found("Ticket", (12, "equals", "all")) == list(ids.values())
    assert glpi.found("Ticket", (12, "equals", "solved")) == []
    urgent = glpi.add("Ticket", name="x", content="x", urgency=5)
    assert glpi.found("Ticket", (10, "equals", 5)) == [urgent]
    assert glpi.found("Ticket", (10, "equals", -4)) == [urgent]
    assert len(glpi.found("Ticket", (10, "equals", 0))) == 6


def test_actors_are_searched_by_id_or_name_and_shown_as_id_text(glpi: Any, people: dict[str, int]) -> None:
    maria = people["maria"]
    ticket = glpi.add(
        "Ticket",
        name="x",
        content="x",
        _users_id_requester=[maria, 0],
        _users_id_requester_notif={"alternative_email": ["", "out@side.example"], "use_notification": [1, 0]},
        _users_id_assign=4,
    )
    other = glpi.add("Ticket", name="y", content="x")

    assert glpi.found("Ticket", (4, "equals", maria)) == [ticket]
    assert glpi.found("Ticket", (4, "contains", "silva maria")) == [ticket]
    assert glpi.found("Ticket", (4, "equals", 0)) == [other]
    assert glpi.found("Ticket", (5, "equals", "myself")) == []
    assert glpi.found("Ticket", (4, "equals", "nobody")) == []
    assert glpi.found("Ticket", (34, "contains", "^out@side.example$")) == [ticket]
    assert glpi.found("Ticket", (35, "equals", 1)) == [ticket]
    wanted = {f"forcedisplay[{n}]": field for n, field in enumerate((4, 5, 22, 34, 64, 66, 7, 71))}
    row = glpi.get("/search/Ticket", **wanted, sort=2).get_json()["data"][0]
    assert (row["4"], row["5"], row["66"]) == ([str(maria), None], "4", None)
    assert (row["22"], row["64"], row["34"], row["7"], row["71"]) == (
        "glpi",
        "glpi",
        "out@side.example",
        None,
        None,
    )


def test_linked_tables_are_searched_by_id_and_shown_by_name(glpi: Any) -> None:
    category = glpi.add("ITILCategory", name="WhatsApp", entities_id=0)
    customers = glpi.add("Entity", name="Customers", entities_id=0)
    group = glpi.add("Group", name="Support", entities_id=0)
    ticket = glpi.add(
        "Ticket",
        name="x",
        content="x",
        itilcategories_id=category,
        entities_id=customers,
        _groups_id_assign=group,
    )
    glpi.add("Ticket", name="y", content="x")

    assert glpi.found("Ticket", (7, "equals", category)) == [ticket]
    assert glpi.found("Ticket", (7, "contains", "whats")) == [ticket]
    assert glpi.found("Ticket", (80, "equals", customers)) == [ticket]
    assert len(glpi.found("Ticket", (80, "under", 0))) == 2
    assert glpi.found("Ticket", (80, "under", "x")) == []
    assert glpi.found("Ticket", (8, "contains", "support")) == [ticket]
    assert glpi.found("Ticket", (83, "contains", "x")) == []
    row = glpi.get("/search/Ticket", **{"forcedisplay[0]": 7, "sort": 80, "order": "DESC"}).get_json()[
        "data"
    ][0]
    assert (row["7"], row["80"]) == ("WhatsApp", "Root entity > Customers")


def test_followup_columns(glpi: Any) -> None:
    ticket = glpi.add("Ticket", name="x", content="x")
    for content in ("first", "second"):
        glpi.add("ITILFollowup", itemtype="Ticket", items_id=ticket, content=content, requesttypes_id=2)
        glpi.clock.advance(5)
    silent = glpi.add("Ticket", name="y", content="x")

    assert glpi.found("Ticket", (25, "contains", "second")) == [ticket]
    assert glpi.found("Ticket", (36, "morethan", "2026-11-22 09:00:00")) == [ticket]
    assert glpi.found("Ticket", (27, "contains", 2)) == [ticket]
    assert glpi.found("Ticket", (27, "contains", 0)) == [silent]
    assert glpi.found("Ticket", (29, "contains", "mail")) == [ticket]
    query = {"criteria[0][field]": 25, "criteria[0][searchtype]": "contains", "criteria[0][value]": "second"}
    row = glpi.get(
        "/search/Ticket", **query, **{"forcedisplay[0]": 27, "forcedisplay[1]": 36, "forcedisplay[2]": 72}
    )
    shown = row.get_json()["data"][0]
    assert (shown["25"], shown["27"]) == ("second", 1)
    assert shown["36"] == shown["72"] == "2026-11-22 09:00:05"
    found = glpi.get("/search/ITILFollowup", sort=3, order="DESC", **{"forcedisplay[0]": 5}).get_json()
    assert [(r["1"], r["5"]) for r in found["data"]] == [("second", "glpi"), ("first", "glpi")]


def test_pages_say_how_much_there_is(either: Any) -> None:
    part = either.get("/search/User", range="0-1", sort=2)
    assert (part.status_code, part.headers["Content-Range"]) == (206, "0-1/5")
    assert part.headers["Accept-Range"] == "User 1000"
    last = either.get("/search/User", range="4-20", sort=2)
    assert (last.status_code, last.get_json()["count"]) == (206, 1)
    beyond = either.get("/search/User", range="5-9")
    assert (beyond.status_code, beyond.get_json()["count"], "data" in beyond.get_json()) == (206, 0, False)
    assert either.get("/search/User", range="6-9").get_json()[0] == "ERROR_RANGE_EXCEED_TOTAL"
    assert either.get("/search/User", range="abc").get_json()[0] == "ERROR"
    nothing = either.get("/search/Ticket")
    assert (nothing.status_code, nothing.get_json()["content-range"]) == (200, "0--1/0")
    assert "Content-Range" not in nothing.headers


def test_order_names_and_shapes(glpi: Any, glpi11: Any) -> None:
    assert glpi.get("/search/User").get_json()["sort"] == [1]
    assert glpi11.get("/search/User").get_json()["sort"] == [0]
    for title in ("b", "a", "a"):
        glpi.add("Ticket", name=title, content="x")
    query = {"sort[0]": 1, "sort[1]": 2, "order[0]": "ASC", "order[1]": "DESC", "forcedisplay[0]": 2}
    answer = glpi.get("/search/Ticket", **query).get_json()
    assert [row["2"] for row in answer["data"]] == [3, 2, 1]
    assert (answer["sort"], answer["order"]) == ([1, 2], ["ASC", "DESC"])
    named = glpi.get("/search/Ticket", uid_cols="true", sort=5555).get_json()["data"][0]
    assert named["Ticket.name"] == "b"
    indexed = glpi.get("/search/Ticket", withindexes="true").get_json()["data"]
    assert set(indexed) == {"1", "2", "3"}


def test_binned_rows_are_found_only_in_the_bin(glpi: Any) -> None:
    ticket = glpi.add("Ticket", name="x", content="x")
    glpi.delete(f"/Ticket/{ticket}")

    assert glpi.found("Ticket") == []
    assert glpi.found("Ticket", is_deleted=1) == [ticket]
    assert glpi.found("RequestType", is_deleted=1) == []


def test_search_options_are_listed_for_every_type(glpi: Any) -> None:
    assert glpi.get("/listSearchOptions/Ticket").get_json()["19"]["field"] == "date_mod"
    options = glpi.get("/listSearchOptions/Computer").get_json()
    assert options["19"]["available_searchtypes"][0] == "equals"
    assert options["80"]["table"] == "glpi_entities"
    glpi.add("Computer", name="PC")
    assert glpi.get("/search/Computer", **{"forcedisplay[0]": 80}).get_json()["data"][0]["1"] == "PC"
    assert glpi.get("/listSearchOptions").status_code == 400
