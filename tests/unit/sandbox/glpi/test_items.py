"""Lists, single items and bulk writes."""

from __future__ import annotations

from typing import Any


def test_lists_page_by_range_and_by_twenty(either: Any) -> None:
    for number in range(25):
        either.add("Ticket", name=f"t{number}", content="x")

    default = either.get("/Ticket")
    assert (default.status_code, default.headers["Content-Range"], len(default.get_json())) == (
        206,
        "0-20/25",
        20,
    )
    newest = either.get("/Ticket", range="0-1", sort="id", order="DESC", get_hateoas="false").get_json()
    assert [row["id"] for row in newest] == [25, 24]
    assert "links" not in newest[0]
    assert either.get("/Ticket", range="0-1", sort="name", order="DESC").get_json()[0]["name"] == "t9"
    assert either.get("/Ticket", range="0-1", sort="solvedate").get_json()[0]["id"] == 1
    whole = either.get("/Ticket", range="0-99")
    assert (whole.status_code, whole.headers["Content-Range"]) == (200, "0-24/25")
    assert either.get("/Ticket", range="26-27").get_json()[0] == "ERROR_RANGE_EXCEED_TOTAL"
    assert either.get("/Ticket", range="5-3").get_json()[0] == "ERROR"
    assert either.get("/Ticket", sort="19").get_json()[0] == "ERROR"
    assert either.get("/Ticket", only_id="true", range="0-0").get_json() == [{"id": 1}]


def test_filters_of_a_list_combine(either: Any) -> None:
    first = either.add("Ticket", name="[cw#1] printer", content="x", urgency=5)
    either.add("Ticket", name="[cw#2] printer", content="x")

    def found(**filters: str) -> list[int]:
        query = {f"searchText[{column}]": value for column, value in filters.items()}
        return [row["id"] for row in either.get("/Ticket", **query).get_json()]

    assert found(name="[cw#1]") == [first]
    assert found(name="printer", urgency="^5$") == [first]
    assert found(urgency="^5$", name="printer") == [first]
    assert found(name="nosuch") == []
    assert either.get("/Ticket", **{"searchText[nosuch]": "x"}).get_json()[0] == "ERROR_FIELD_NOT_FOUND"
    note = either.add("ITILFollowup", itemtype="Ticket", items_id=first, content="note")
    sub = either.get(f"/Ticket/{first}/ITILFollowup", **{"searchText[content]": "note"}).get_json()
    assert [row["id"] for row in sub] == [note]


def test_paths_are_read_as_the_server_reads_them(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="x")

    assert either.get(f"/Ticket/{ticket}/").status_code == 200
    assert either.get("/Ticket/abc").get_json()[0]["id"] == ticket
    for missing in ("0", "-1", "999"):
        assert either.get(f"/Ticket/{missing}").get_json() == ["ERROR_ITEM_NOT_FOUND", "Item not found"]
    assert either.get("/ticket/1").get_json()[0] == "ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM"
    assert either.get("/search").get_json()[0] == "ERROR_RESOURCE_MISSING"
    assert either.get("/Ticket/999/ITILFollowup").status_code == 404
    assert either.get("/Ticket/abc/ITILFollowup").status_code == 404
    assert either.get(f"/Ticket/{ticket}/nosuch").status_code == 400
    head = either.call("HEAD", f"/Ticket/{ticket}")
    assert (head.status_code, head.data) == (200, b"")
    assert either.call("PATCH", f"/Ticket/{ticket}", json={"input": {"name": "y"}}).status_code == 200


def test_bodies_are_read_as_the_server_reads_them(either: Any) -> None:
    def code(**kw: Any) -> str:
        answer: list[str] = either.call(kw.pop("method", "POST"), "/Contact", **kw).get_json()
        return answer[0]

    assert code(data='{"input": {', content_type="application/json") == "ERROR_JSON_PAYLOAD_INVALID"
    assert code(json={"name": "x"}) == "ERROR_BAD_ARRAY"
    assert code(json={"input": "x"}) == "ERROR_BAD_ARRAY"
    assert code(json=[1]) == "ERROR_BAD_ARRAY"
    assert code() == "ERROR_BAD_ARRAY"
    assert code(data='{"input":{"name":"x"}}', content_type="text/plain") == "ERROR_BAD_ARRAY"
    assert code(method="GET", json={"x": 1}) == "ERROR_JSON_PAYLOAD_FORBIDDEN"
    assert code(data={"input": "x"}) == "ERROR_BAD_ARRAY"
    assert either.call("POST", "/Contact", data=b'{"input":{"name":"x"}}').status_code == 201


def test_bulk_writes_answer_row_by_row(either: Any) -> None:
    both = either.call("POST", "/Ticket", json={"input": [{"name": "a"}, {"name": "b"}]})
    assert (both.status_code, [row["id"] for row in both.get_json()]) == (201, [1, 2])
    one = either.call("POST", "/Ticket", json={"input": [{"name": "c"}]})
    assert one.get_json()[0]["id"] == 3
    some = either.call("POST", "/Ticket", json={"input": [{"name": "d"}, {"name": "e", "entities_id": 777}]})
    assert some.status_code == 207
    assert some.get_json()[0] == "ERROR_GLPI_PARTIAL_ADD"
    assert some.get_json()[1][1]["id"] is False
    none = either.call("POST", "/Ticket", json={"input": [{"name": "e", "entities_id": 777}]})
    assert (none.status_code, none.get_json()[0], none.get_json()[1][0]["id"]) == (
        400,
        "ERROR_GLPI_ADD",
        False,
    )

    changed = either.call("PUT", "/Ticket", json={"input": [{"id": 1, "name": "z"}, {"id": 2, "name": "z"}]})
    assert changed.get_json() == [{"1": True, "message": ""}, {"2": True, "message": ""}]
    partly = either.call("PUT", "/Ticket", json={"input": [{"id": 1, "name": "q"}, {"id": 999, "name": "q"}]})
    assert (partly.status_code, partly.get_json()[1]) == (207, [{"1": True, "message": ""}])
    refused = either.call("PUT", "/Ticket", json={"input": [{"id": 1, "date": "x"}, {"name": "no id"}]})
    assert refused.status_code == 207

    gone = either.call("DELETE", "/Ticket", json={"input": [{"id": 1}, {"id": 999}]})
    assert (gone.status_code, gone.get_json()[1][1]) == (207, {"999": False, "message": "Item not found"})
    assert either.call("DELETE", "/Ticket", json={"input": [{"id": 2}]}).get_json() == [
        {"2": True, "message": ""}
    ]


def test_writes_to_what_is_not_there(either: Any) -> None:
    assert either.put("/Ticket/999", name="x").get_json() == ["ERROR_GLPI_UPDATE", None]
    assert either.delete("/Ticket/999").get_json() == ["ERROR_GLPI_DELETE", "Item not found"]
    assert either.delete("/Ticket", "super").get_json()[0] == "ERROR_BAD_ARRAY"


def test_a_creation_tells_where_the_item_is(glpi: Any, glpi11: Any) -> None:
    for server, root in ((glpi, "/apirest.php"), (glpi11, "/api.php/v1")):
        answer = server.post("/Contact", firstname="Maria")
        assert answer.headers["location"] == f"http://localhost{root}/Contact/1"
        assert answer.get_json()["message"] == "Item successfully added: Maria"
        assert (
            server.post("/Contact", email="x").get_json()["message"]
            == "Item successfully added: Contact - ID 2"
        )


def test_a_wanted_id_is_honoured_while_it_is_free(either: Any) -> None:
    assert either.add("Ticket", id=5000, name="x") == 5000
    assert either.add("Ticket", id="5000", name="x") == 5001
    assert either.add("Ticket", id=10, name="x") == 10
    assert either.add("Ticket", name="x") == 5002
    assert either.found("Ticket") == [10, 5000, 5001, 5002]


def test_numbers_may_come_as_text_and_odd_values_are_dealt_with(either: Any) -> None:
    ticket = either.add(
        "Ticket", name="x", urgency="4", type="2", entities_id="0", impact=None, actiontime=1.9, content=True
    )
    row = either.item("Ticket", ticket)

    assert (row["urgency"], row["type"], row["impact"], row["actiontime"], row["content"]) == (
        4,
        2,
        0,
        1,
        "1",
    )
    assert either.post("/Ticket", name={"a": 1}).status_code == 400
    assert (
        either.item("Ticket", either.add("Ticket", name="x", solvedate="", closedate="NULL"))["solvedate"]
        is None
    )


def test_links_point_at_what_an_item_names(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="x")
    links = either.item("Ticket", ticket)["links"]

    assert [link["rel"] for link in links[:4]] == ["Entity", "User", "User", "RequestType"]
    assert links[-1]["rel"] == "Supplier_Ticket"
    assert "links" not in either.get("/RequestType").get_json()[0]


def test_extras_of_a_single_item(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="x")
    query = {
        "with_documents": "true",
        "with_logs": "true",
        "add_keys_names[0]": "id",
        "add_keys_names[1]": "users_id_recipient",
    }
    row = either.get(f"/Ticket/{ticket}", **query, **{"add_keys_names[2]": "slas_id_ttr"}).get_json()

    assert row["_documents"] == []
    assert next(iter(row["_logs"].values()))["user_name"] == "glpi (2)"
    assert row["_keys_names"] == {"id": "x", "users_id_recipient": "glpi", "slas_id_ttr": ""}


def test_several_items_come_in_one_call_or_not_at_all(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="x")
    query = {"items[0][itemtype]": "Ticket", "items[0][items_id]": ticket, "items[1][itemtype]": "User"}

    both = either.get("/getMultipleItems", **query, **{"items[1][items_id]": 2})
    assert [row["id"] for row in both.get_json()] == [ticket, 2]
    assert either.get("/getMultipleItems", **query, **{"items[1][items_id]": "x"}).status_code == 404
    assert either.get("/getMultipleItems").status_code == 400


def test_brackets_without_a_key_count_up(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="x")
    answer = either.call(
        "GET", f"/Ticket/{ticket}?add_keys_names[]=id&add_keys_names[]=entities_id&x=1&x[a]=2"
    )

    assert set(answer.get_json()["_keys_names"]) == {"id", "entities_id"}
