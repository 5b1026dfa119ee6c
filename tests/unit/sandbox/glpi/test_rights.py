"""Who may do what: the four stock profiles."""

from __future__ import annotations

from typing import Any

import pytest

DENIED = "You don't have permission to perform this action."


def test_self_service_sees_and_answers_its_own_tickets_only(either: Any) -> None:
    other = either.add("Ticket", name="not mine", content="x", _users_id_assign=4)
    own = either.add("Ticket", "self", name="mine", content="x", priority=6)

    assert either.get(f"/Ticket/{other}", "self").status_code == 403
    assert either.get(f"/Ticket/{other}/ITILFollowup", "self").status_code == 403
    assert (
        either.post("/ITILFollowup", "self", itemtype="Ticket", items_id=other, content="x").status_code
        == 400
    )
    assert either.item("Ticket", own, "self")["priority"] == 3
    assert (
        either.post("/ITILFollowup", "self", itemtype="Ticket", items_id=own, content="x").status_code == 201
    )
    assert [row["id"] for row in either.get("/Ticket", "self").get_json()] == [own]
    assert either.get("/search/Ticket", "self").get_json()["totalcount"] == 1


def test_self_service_sees_no_private_notes(either: Any) -> None:
    own = either.add("Ticket", "self", name="mine", content="x")
    either.add("ITILFollowup", itemtype="Ticket", items_id=own, content="public")
    hidden = either.add("ITILFollowup", itemtype="Ticket", items_id=own, content="private", is_private=1)

    assert [row["content"] for row in either.get(f"/Ticket/{own}/ITILFollowup", "self").get_json()] == [
        "public"
    ]
    assert either.get(f"/ITILFollowup/{hidden}", "self").status_code == 403


def test_self_service_changes_little_and_only_while_new(either: Any) -> None:
    own = either.add("Ticket", "self", name="mine", content="x")
    assert either.put(f"/Ticket/{own}", "self", content="y", status=5).status_code == 200
    assert (either.item("Ticket", own)["content"], either.item("Ticket", own)["status"]) == ("y", 1)

    either.put(f"/Ticket/{own}", status=2)
    answer = either.put(f"/Ticket/{own}", "self", content="z")
    assert answer.get_json() == ["ERROR_GLPI_UPDATE", DENIED]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/User/2", 403), ("/User", 403), ("/search/User", 403), ("/ITILCategory", 403), ("/Contact", 403)],
)
def test_self_service_may_not_read_what_is_not_its_business(either: Any, path: str, status: int) -> None:
    assert either.get(path, "self").status_code == status


@pytest.mark.parametrize(
    ("as_", "itemtype", "status"),
    [
        ("self", "User", 400),
        ("self", "Contact", 400),
        ("obs", "User", 400),
        ("obs", "Ticket", 201),
        ("tech", "User", 201),
        ("tech", "Contact", 400),
        ("tech", "ITILCategory", 400),
        ("tech", "FieldUnicity", 400),
        ("super", "FieldUnicity", 201),
    ],
)
def test_creation_depends_on_the_profile(either: Any, as_: str, itemtype: str, status: int) -> None:
    answer = either.post(f"/{itemtype}", as_, name="new", content="x")
    assert answer.status_code == status
    if status == 400:
        assert answer.get_json() == ["ERROR_GLPI_ADD", DENIED]


def test_an_observer_searches_users_but_changes_none(either: Any) -> None:
    assert either.get("/search/User", "obs").get_json()["totalcount"] == 5
    assert either.put("/User/4", "obs", realname="x").get_json() == ["ERROR_GLPI_UPDATE", DENIED]
    ticket = either.add("Ticket", name="x", content="x")
    assert either.get(f"/Ticket/{ticket}", "obs").status_code == 200
    assert either.put(f"/Ticket/{ticket}", "obs", name="y").status_code == 400


def test_a_technician_works_on_tickets_but_deletes_none(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="x", _users_id_requester=3)

    assert either.put(f"/Ticket/{ticket}", "tech", status=5).status_code == 200
    assert either.delete(f"/Ticket/{ticket}", "tech").get_json() == ["ERROR_GLPI_DELETE", DENIED]
    note = either.add("ITILFollowup", "tech", itemtype="Ticket", items_id=ticket, content="x", users_id=3)
    assert either.item("ITILFollowup", note)["users_id"] == 3
    row = either.add("Ticket_User", "tech", tickets_id=ticket, users_id=4, type=3)
    assert either.delete(f"/Ticket_User/{row}", "tech").status_code == 200
    assert either.post("/Ticket_User", "self", tickets_id=ticket, users_id=4, type=3).status_code == 400
    assert either.delete("/FieldUnicity/1", "tech").status_code == 400


def test_a_technician_does_not_touch_a_super_admin_but_may_change_itself(either: Any) -> None:
    assert either.put("/User/2", "tech", realname="x").status_code == 400
    assert either.put("/User/4", "tech", realname="x").status_code == 200
    assert either.put("/User/3", "self", realname="x").status_code == 200
    assert either.put("/User/3", "tech", realname="y").status_code == 200


def test_assigned_technicians_without_the_view_of_all_see_their_own(glpi: Any) -> None:
    ticket = glpi.add("Ticket", name="x", content="x", _users_id_assign=4)
    other = glpi.add("Ticket", name="y", content="x")
    glpi.headers("tech")
    tech = list(glpi.sandbox.sessions._open.values())[-1]
    tech.rights = {**tech.rights, "ticket": 4096}
    assert glpi.get(f"/Ticket/{ticket}", "tech").status_code == 200
    assert glpi.get(f"/Ticket/{other}", "tech").status_code == 403


def test_rows_passed_down_are_seen_below(glpi: Any) -> None:
    below = glpi.add("Entity", name="Customer", entities_id=0)
    shared = glpi.add("ITILCategory", name="shared", entities_id=0, is_recursive=1)
    private = glpi.add("ITILCategory", name="private", entities_id=0)
    user = glpi.add("User", name="below", _profiles_id=1, _entities_id=below)
    glpi.call("POST", "/changeActiveEntities", json={"entities_id": below, "is_recursive": True})

    assert glpi.get(f"/ITILCategory/{shared}").status_code == 200
    assert glpi.get(f"/ITILCategory/{private}").status_code == 403
    assert glpi.get("/Entity/0").status_code == 403
    seen = {row["id"] for row in glpi.get("/User").get_json()}
    assert user in seen
    assert 6 not in seen
    assert glpi.post("/Contact", name="x", entities_id=0).status_code == 400
