"""Users, their addresses, entities and other rows with rules of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


def _emails(glpi: Any, user: int) -> list[tuple[str, int]]:
    rows = glpi.get(f"/User/{user}/UserEmail").get_json()
    return [(row["email"], row["is_default"]) for row in rows]


def test_a_login_is_taken_once_even_by_eight_at_a_time(either: Any) -> None:
    either.headers()

    def create(_: int) -> int:
        status: int = either.post("/User", name="same@example.com").status_code
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, range(8)))

    assert statuses == [201] + [400] * 7
    assert (
        either.post("/User", name="SAME@example.com").get_json()[1]
        == "Unable to add. The user already exists."
    )


def test_a_binned_users_login_stays_taken(either: Any) -> None:
    user = either.add("User", name="maria")
    either.delete(f"/User/{user}")
    assert either.post("/User", name="maria").status_code == 400

    either.delete(f"/User/{user}?force_purge=true")
    assert either.post("/User", name="maria").status_code == 201


@pytest.mark.parametrize("login", ["", "+5511912345678", "a <x> & b", "tab\there"])
def test_impossible_logins_are_refused(either: Any, login: str) -> None:
    assert either.post("/User", name=login).get_json()[1] == "The login is not valid. Unable to add the user."


@pytest.mark.parametrize("login", ["cw-1-42", "joão silva", "o'hara", "a+b@example.com"])
def test_possible_logins_are_taken(either: Any, login: str) -> None:
    assert either.post("/User", name=login).status_code == 201


def test_negative_keys_add_addresses(either: Any) -> None:
    user = either.add(
        "User", name="bia", _useremails={"-1": "a@x.example", "-2": "b@x.example"}, _default_email=-2
    )
    assert _emails(either, user) == [("a@x.example", 0), ("b@x.example", 1)]

    either.put(f"/User/{user}", _useremails={"-1": "c@x.example", "-2": "a@x.example", "-3": "no address"})
    assert [address for address, _ in _emails(either, user)] == ["a@x.example", "b@x.example", "c@x.example"]


def test_a_positive_key_overwrites_ones_own_address_only(either: Any) -> None:
    first = either.add("User", name="first", _useremails=["a@x.example", "b@x.example"])
    assert _emails(either, first) == [("b@x.example", 0)]

    second = either.add("User", name="second", _useremails=["c@x.example", "d@x.example"])
    assert _emails(either, second) == [("c@x.example", 1), ("d@x.example", 0)]
    assert _emails(either, first) == [("b@x.example", 0)]

    either.put(f"/User/{first}", _useremails={"1": "rubbish"})
    assert _emails(either, first) == [("b@x.example", 0)]
    either.put(f"/User/{first}", _useremails={"1": ""})
    assert _emails(either, first) == []
    assert either.put(f"/User/{first}", _useremails="text").status_code == 200


def test_an_address_is_stored_once_a_user(glpi: Any, glpi11: Any) -> None:
    for server, text in (
        (glpi, "Duplicate entry '2-a@x.example'"),
        (glpi11, "MySQL query error: Duplicate entry"),
    ):
        server.add("UserEmail", users_id=2, email="a@x.example")
        server.add("UserEmail", users_id=3, email="a@x.example")
        answer = server.post("/UserEmail", users_id=2, email="A@x.example")
        assert answer.status_code == 400
        assert answer.get_json()[1].lower().startswith(text.lower())
        assert server.post("/UserEmail", users_id=2, email="none").status_code == 400
        assert server.add("UserEmail", users_id=2, email="b@x.example", is_default=1) == 4
        assert _emails(server, 2) == [("a@x.example", 0), ("b@x.example", 1)]
        found = server.get("/UserEmail", **{"searchText[email]": "^a@x.example$"}).get_json()
        assert [row["users_id"] for row in found] == [2, 3]


def test_new_users_get_the_default_profile_unless_one_is_named(either: Any) -> None:
    plain, chosen = (
        either.add("User", name="plain"),
        either.add("User", name="chosen", _profiles_id=6, _entities_id=0, _is_recursive=1),
    )

    def profile(user: int) -> tuple[int, int, int]:
        row = either.get(f"/User/{user}/Profile_User").get_json()[0]
        return row["profiles_id"], row["is_recursive"], row["is_default_profile"]

    assert (profile(plain), profile(chosen)) == ((1, 0, 1), (6, 1, 0))


def test_a_login_can_change_but_not_to_a_taken_one(either: Any) -> None:
    user = either.add("User", name="old")

    assert either.put(f"/User/{user}", name="new").status_code == 200
    assert either.put(f"/User/{user}", name="NEW").status_code == 200
    assert either.put(f"/User/{user}", name="glpi").status_code == 400


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"realname": "Silva", "firstname": "Maria"}, "Silva Maria"),
        ({"realname": "Silva"}, "Silva"),
        ({"firstname": "M"}, "u"),
    ],
)
def test_messages_name_people(either: Any, fields: Any, name: str) -> None:
    assert (
        either.post("/User", name="u", **fields).get_json()["message"] == f"Item successfully added: {name}"
    )


def test_an_entity_name_is_unique_below_its_parent(glpi: Any) -> None:
    first = glpi.add("Entity", name="Customers", entities_id=0)
    below = glpi.add("Entity", name="Customers", entities_id=first)
    answer = glpi.post("/Entity", name="customers", entities_id=0)

    assert answer.get_json() == ["ERROR_GLPI_ADD", "Duplicate entry '0-customers' for key 'unicity'"]
    row = glpi.item("Entity", below)
    assert (row["completename"], row["level"], row["ancestors_cache"]) == (
        "Root entity > Customers > Customers",
        3,
        "[0,1]",
    )
    names = glpi.get("/getMyEntities", is_recursive="true").get_json()["myentities"]
    assert [entity["id"] for entity in names] == [first, below, 0]
    assert names[0]["name"] == "Root entity &#62; Customers"


def test_categories_carry_their_full_name(either: Any) -> None:
    top = either.add("ITILCategory", name="Network")
    below = either.add("ITILCategory", name="Wifi", itilcategories_id=top)

    assert either.item("ITILCategory", below)["completename"] == "Network > Wifi"
    ticket = either.add("Ticket", name="x", content="x", itilcategories_id=below)
    shown = either.get(f"/Ticket/{ticket}", expand_dropdowns="true").get_json()
    assert shown["itilcategories_id"] in ("Network > Wifi", "Network &#62; Wifi")
    assert shown["users_id_recipient"] == "glpi"
    assert shown["slas_id_ttr"] == 0


def test_uniqueness_rules_act_on_contacts_and_not_on_tickets(either: Any) -> None:
    for itemtype, column in (("Contact", "email"), ("Ticket", "name")):
        rule = {"itemtype": itemtype, "_fields": [column], "is_active": 1, "action_refuse": 1}
        either.add("FieldUnicity", name="unique", **rule)
    either.add("FieldUnicity", name="asleep", itemtype="Contact", _fields="no list", is_active=0)
    either.add("Contact", name="Silva", email="a@x.example")

    answer = either.post("/Contact", name="Other", email="a@x.example")
    assert answer.get_json()[1].startswith("Impossible record for Email = a@x.example")
    assert either.post("/Contact", name="No address").status_code == 201
    assert [either.post("/Ticket", name="same", content="x").status_code for _ in range(2)] == [201, 201]
