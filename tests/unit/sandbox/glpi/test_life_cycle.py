"""A ticket from its first word to its last: status, dates, actors, followups and solutions."""

from __future__ import annotations

from typing import Any

import pytest

NOW = "2026-11-22 09:00:00"


def _ticket(glpi: Any, **fields: Any) -> int:
    number: int = glpi.add("Ticket", **{"name": "x", "content": "x", **fields})
    return number


def _status(glpi: Any, ticket: int) -> int:
    status: int = glpi.item("Ticket", ticket)["status"]
    return status


def _note(glpi: Any, ticket: int, as_: str = "super", **fields: Any) -> int:
    number: int = glpi.add(
        "ITILFollowup", as_, itemtype="Ticket", items_id=ticket, **{"content": "note", **fields}
    )
    return number


def test_the_writer_is_the_sessions_user_and_nobody_requests(either: Any) -> None:
    ticket = either.item("Ticket", _ticket(either, users_id_recipient=4))

    assert (ticket["users_id_recipient"], ticket["users_id_lastupdater"], ticket["status"]) == (2, 2, 1)
    assert either.get(f"/Ticket/{ticket['id']}/Ticket_User").get_json() == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({}, 3),
        ({"urgency": 4, "impact": 4}, 4),
        ({"urgency": 1, "impact": 1}, 1),
        ({"priority": 6}, 6),
        ({"urgency": 9}, 3),
    ],
)
def test_priority_follows_the_matrix_unless_given_by_a_super_admin(
    glpi: Any, given: Any, stored: int
) -> None:
    assert glpi.item("Ticket", _ticket(glpi, **given))["priority"] == stored


def test_a_technicians_priority_counts_on_change_only(glpi: Any) -> None:
    ticket = glpi.add("Ticket", "tech", name="x", content="x", priority=6)
    assert glpi.item("Ticket", ticket)["priority"] == 3

    glpi.put(f"/Ticket/{ticket}", "tech", priority=6)
    assert glpi.item("Ticket", ticket)["priority"] == 6
    glpi.put(f"/Ticket/{ticket}", "tech", priority=6, urgency=5)
    assert glpi.item("Ticket", ticket)["priority"] == 4
    glpi.put(f"/Ticket/{ticket}", "tech", priority=2, urgency=5, impact=3)
    assert glpi.item("Ticket", ticket)["priority"] == 2


def test_solving_closing_and_reopening_move_the_dates(either: Any) -> None:
    ticket = _ticket(either, _users_id_assign=4)
    either.clock.advance(60)
    either.put(f"/Ticket/{ticket}", status=5)
    solved = either.item("Ticket", ticket)
    assert (solved["solvedate"], solved["closedate"], solved["solve_delay_stat"]) == (
        "2026-11-22 09:01:00",
        None,
        60,
    )
    assert solved["begin_waiting_date"] == "2026-11-22 09:01:00"

    either.clock.advance(60)
    either.put(f"/Ticket/{ticket}", status=6)
    closed = either.item("Ticket", ticket)
    assert (closed["solvedate"], closed["closedate"]) == ("2026-11-22 09:01:00", "2026-11-22 09:02:00")
    either.put(f"/Ticket/{ticket}", status=5)
    assert either.item("Ticket", ticket)["closedate"] is None

    either.clock.advance(60)
    either.put(f"/Ticket/{ticket}", status=2)
    opened = either.item("Ticket", ticket)
    assert (opened["solvedate"], opened["closedate"], opened["begin_waiting_date"]) == (None, None, None)
    assert opened["waiting_duration"] == 120


def test_closing_an_open_ticket_solves_it_too(glpi: Any) -> None:
    ticket = _ticket(glpi)
    glpi.put(f"/Ticket/{ticket}", status=6)

    closed = glpi.item("Ticket", ticket)
    assert closed["solvedate"] == closed["closedate"] == NOW


def test_history_can_be_imported_with_its_dates(glpi: Any) -> None:
    dates = {
        "date": "2026-01-01 10:00:00",
        "solvedate": "2026-01-02 10:00:00",
        "closedate": "2026-01-03 10:00:00",
    }
    ticket = glpi.item("Ticket", _ticket(glpi, status=6, date_mod="2026-01-04 10:00:00", **dates))

    assert {name: ticket[name] for name in dates} == dates
    assert ticket["date_mod"] == "2026-01-04 10:00:00"
    born = glpi.item("Ticket", _ticket(glpi, status=6))
    assert born["solvedate"] == born["closedate"] == NOW


def test_any_number_is_a_status_but_no_word(either: Any) -> None:
    ticket = _ticket(either, status=99)
    assert _status(either, ticket) == 99

    answer = either.put(f"/Ticket/{ticket}", status="solved")
    assert answer.status_code == 400
    assert "Incorrect integer value: 'solved'" in answer.get_json()[1]


@pytest.mark.parametrize(
    "date",
    ["2026-11-01T08:30:00Z", "2026-11-01T08:30:00-03:00", "amanhã", "2026-13-01 00:00:00", "2026-02-30"],
)
def test_dates_of_other_forms_are_refused(either: Any, date: str) -> None:
    answer = either.post("/Ticket", name="x", content="x", date=date)
    assert (answer.status_code, answer.get_json()) == (
        400,
        ["ERROR_GLPI_ADD", "Incorrect value for date field."],
    )


def test_only_real_changes_move_date_mod(either: Any) -> None:
    ticket = _ticket(either)
    either.clock.advance(5)
    either.put(f"/Ticket/{ticket}", name="x", nosuchfield=1, date_mod="2020-01-01 00:00:00")
    assert either.item("Ticket", ticket)["date_mod"] == NOW

    either.put(f"/Ticket/{ticket}", "tech", name="y")
    changed = either.item("Ticket", ticket)
    assert (changed["date_mod"], changed["users_id_lastupdater"]) == ("2026-11-22 09:00:05", 4)


def test_assigning_starts_the_work_and_the_last_to_leave_ends_it(either: Any) -> None:
    ticket = _ticket(either)
    row = either.add("Ticket_User", tickets_id=ticket, users_id=4, type=2)
    taken = either.item("Ticket", ticket)
    assert (taken["status"], taken["takeintoaccountdate"]) == (2, NOW)
    again = either.post("/Ticket_User", tickets_id=ticket, users_id=4, type=2)
    assert (again.status_code, again.get_json()) == (400, ["ERROR_GLPI_ADD", ""])
    assert either.post("/Ticket_User", tickets_id=ticket, users_id=0, type=1).status_code == 400

    either.delete(f"/Ticket_User/{row}")
    assert _status(either, ticket) == 1
    either.put(f"/Ticket/{ticket}", _users_id_assign=4)
    assert _status(either, ticket) == 2
    either.put(f"/Ticket/{ticket}", status=5)
    rows = either.get(f"/Ticket/{ticket}/Ticket_User").get_json()
    either.delete(f"/Ticket_User/{rows[0]['id']}")
    assert _status(either, ticket) == 5


def test_a_put_adds_requesters_and_never_replaces(either: Any) -> None:
    ticket = _ticket(either, _users_id_requester=3)
    either.put(f"/Ticket/{ticket}", _users_id_requester=[3, 4, 999, "x"])

    actors = either.get(f"/Ticket/{ticket}/Ticket_User").get_json()
    assert [(a["users_id"], a["type"]) for a in actors] == [(3, 1), (4, 1)]


def test_the_actors_form_is_the_whole_list(either: Any) -> None:
    group = either.add("Group", name="Support", entities_id=0)
    requester = [{"itemtype": "User", "items_id": 3}, {"items_id": 0, "alternative_email": "a@b.example"}]
    assign = [{"itemtype": "Group", "items_id": group}]
    ticket = _ticket(either, _actors={"requester": requester, "assign": assign})
    assert _status(either, ticket) == 2
    actors = either.get(f"/Ticket/{ticket}/Ticket_User").get_json()
    assert [(a["users_id"], a["alternative_email"]) for a in actors] == [(3, ""), (0, "a@b.example")]

    either.put(f"/Ticket/{ticket}", _actors={"requester": requester[:1], "assign": []})

    assert [a["users_id"] for a in either.get(f"/Ticket/{ticket}/Ticket_User").get_json()] == [3]
    assert _status(either, ticket) == 1


def test_a_contact_as_actor_breaks_the_server(glpi: Any, glpi11: Any) -> None:
    for server, status in ((glpi, 200), (glpi11, 500)):
        actors = {"requester": [{"itemtype": "Contact", "items_id": 1}]}
        answer = server.post("/Ticket", name="x", content="x", _actors=actors)
        assert (answer.status_code, answer.mimetype) == (status, "text/html")
        assert server.found("Ticket") == []


def test_a_followup_leaves_an_open_or_solved_ticket_as_it_is(either: Any) -> None:
    ticket = _ticket(either, _users_id_requester=3)
    either.clock.advance(5)
    _note(either, ticket, users_id=3)
    noted = either.item("Ticket", ticket)
    assert (noted["status"], noted["date_mod"]) == (1, "2026-11-22 09:00:05")
    assert noted["takeintoaccountdate"] == "2026-11-22 09:00:05"

    either.put(f"/Ticket/{ticket}", status=5)
    _note(either, ticket, users_id=3)
    assert _status(either, ticket) == 5


@pytest.mark.parametrize("status", [4, 5, 6])
def test_the_requesters_own_session_reopens_unless_told_not_to(either: Any, status: int) -> None:
    ticket = _ticket(either, _users_id_requester=2)
    either.put(f"/Ticket/{ticket}", status=status)
    _note(either, ticket, _no_reopen=1)
    assert _status(either, ticket) == status

    _note(either, ticket)
    assert _status(either, ticket) == 1
    assert either.item("Ticket", ticket)["takeintoaccountdate"] is None


@pytest.mark.parametrize("status", [4, 5, 6])
def test_add_reopen_brings_a_ticket_back_to_work(either: Any, status: int) -> None:
    with_assignee, without = _ticket(either, _users_id_assign=4), _ticket(either)
    for ticket in (with_assignee, without):
        either.put(f"/Ticket/{ticket}", status=status)
        _note(either, ticket, add_reopen=1)

    assert (_status(either, with_assignee), _status(either, without)) == (2, 1)


def test_add_close_closes_only_a_solved_ticket(either: Any) -> None:
    ticket = _ticket(either)
    _note(either, ticket, add_close=1)
    assert _status(either, ticket) == 1
    either.put(f"/Ticket/{ticket}", status=5)
    _note(either, ticket, add_close=1)
    assert _status(either, ticket) == 6
    _note(either, ticket, _status=4)
    assert _status(either, ticket) == 4


def test_a_solution_waits_is_approved_or_refused(either: Any) -> None:
    ticket = _ticket(either)
    solution = either.add("ITILSolution", itemtype="Ticket", items_id=ticket, content="done")
    assert (_status(either, ticket), either.item("ITILSolution", solution)["status"]) == (5, 2)
    again = either.post("/ITILSolution", itemtype="Ticket", items_id=ticket, content="done")
    assert again.status_code == 400
    assert "already solved" in again.get_json()[1]

    _note(either, ticket, add_close=1)
    approved = either.item("ITILSolution", solution)
    assert (_status(either, ticket), approved["status"], approved["users_id_approval"]) == (6, 3, 2)
    assert either.post("/ITILSolution", itemtype="Ticket", items_id=ticket, content="x").status_code == 400

    either.put(f"/Ticket/{ticket}", status=2)
    assert either.item("ITILSolution", solution)["status"] == 4
    either.put(f"/ITILSolution/{solution}", status=2)
    assert (_status(either, ticket), either.item("ITILSolution", solution)["status"]) == (2, 2)


def test_a_solution_without_ticket_is_an_orphan_on_10_only(glpi: Any, glpi11: Any) -> None:
    assert glpi.post("/ITILSolution", itemtype="Ticket", items_id=999, content="x").status_code == 201
    assert glpi.get("/ITILSolution/1").status_code == 200
    answer = glpi11.post("/ITILSolution", itemtype="Ticket", items_id=999, content="x")
    assert answer.get_json() == ["ERROR_GLPI_ADD", ""]


def test_followups_need_a_ticket_and_a_text(either: Any) -> None:
    ticket = _ticket(either)

    assert either.post("/ITILFollowup", itemtype="Ticket", items_id=999, content="x").status_code == 400
    assert either.post("/ITILFollowup", tickets_id=ticket, content="x").status_code == 400
    assert either.post(f"/Ticket/{ticket}/ITILFollowup", content="x").status_code == 400
    assert either.post("/ITILFollowup", itemtype="Ticket", items_id=ticket, content="").status_code == 400
    assert (
        either.post(
            f"/Ticket/{ticket}/ITILFollowup", itemtype="Ticket", items_id=ticket, content="x"
        ).status_code
        == 201
    )


def test_followups_keep_their_author_and_remember_their_editor(either: Any) -> None:
    ticket = _ticket(either)
    number = _note(either, ticket, users_id=3, date="2026-01-01 10:00", is_private=True)
    row = either.item("ITILFollowup", number)
    assert (row["users_id"], row["date"], row["is_private"]) == (3, "2026-01-01 10:00:00", 1)

    either.clock.advance(5)
    either.put(f"/ITILFollowup/{number}", "tech", content="better")
    assert either.item("ITILFollowup", number)["users_id_editor"] == 4
    assert either.item("Ticket", ticket)["date_mod"] == "2026-11-22 09:00:05"
    assert either.delete(f"/ITILFollowup/{number}").status_code == 200
    assert either.get(f"/ITILFollowup/{number}").status_code == 404


def test_the_old_followup_type_is_translated(either: Any) -> None:
    ticket = _ticket(either)
    number = either.add("TicketFollowup", tickets_id=ticket, content="old way")

    row = either.get(f"/Ticket/{ticket}/TicketFollowup").get_json()[0]
    assert (row["id"], row["tickets_id"], row["content"]) == (number, ticket, "old way")
    assert "itemtype" not in row
    plain = either.get(f"/TicketFollowup/{number}", get_hateoas="false").get_json()
    assert "links" not in plain


def test_service_levels_set_the_deadline(either: Any) -> None:
    agreement = either.add("SLA", name="8h", type=0, number_time=8, definition_time="hour")
    ticket = _ticket(either, slas_id_ttr=agreement)
    assert either.item("Ticket", ticket)["time_to_resolve"] == "2026-11-22 17:00:00"

    other = _ticket(either)
    either.put(f"/Ticket/{other}", slas_id_ttr=agreement)
    assert either.item("Ticket", other)["time_to_resolve"] == "2026-11-22 17:00:00"
    either.put(f"/Ticket/{other}", slas_id_ttr=agreement, time_to_resolve="2026-12-24 18:00:00")
    assert either.item("Ticket", other)["time_to_resolve"] == "2026-12-24 18:00:00"


def test_things_linked_to_a_ticket(either: Any) -> None:
    computer = either.add("Computer", name="PC-001")
    ticket = _ticket(either, items_id={"Computer": [computer]})
    again = either.post("/Item_Ticket", tickets_id=ticket, itemtype="Computer", items_id=computer)
    assert again.get_json() == ["ERROR_GLPI_ADD", ""]
    assert either.post("/Item_Ticket", tickets_id=ticket, itemtype="Computer", items_id=99).status_code == 400
    contact = either.add("Contact", name="Silva", firstname="Maria")
    linked = either.post("/Item_Ticket", tickets_id=ticket, itemtype="Contact", items_id=contact)
    assert linked.get_json()["message"] == "Item successfully added: Silva Maria"
    assert len(either.get(f"/Ticket/{ticket}/Item_Ticket").get_json()) == 2
    either.add("TicketTask", tickets_id=ticket, content="call")
    assert either.get(f"/Ticket/{ticket}/TicketTask").get_json()[0]["users_id"] == 2
    assert either.get(f"/Ticket/{ticket}/Group_User").status_code == 400


def test_a_purge_takes_everything_along(either: Any) -> None:
    ticket = _ticket(either, _users_id_requester=3, _users_id_assign=4)
    _note(either, ticket)
    either.add("ITILSolution", itemtype="Ticket", items_id=ticket, content="x")
    assert either.delete(f"/Ticket/{ticket}").status_code == 200
    assert either.put(f"/Ticket/{ticket}", is_deleted=0).status_code == 200
    assert either.found("Ticket") == [ticket]

    assert either.delete(f"/Ticket/{ticket}?force_purge=true").status_code == 200

    dump = either.app.test_client().get("/_sandbox/dump").get_json()
    assert not {"Ticket", "Ticket_User", "ITILFollowup", "ITILSolution"} & set(dump)
    assert [user["id"] for user in dump["User"]] == [2, 3, 4, 5, 6]


def test_two_tickets_are_linked_once_whichever_comes_first(either: Any) -> None:
    one, two = (either.add("Ticket", name=name, content="x") for name in ("one", "two"))
    link = either.add("Ticket_Ticket", tickets_id_1=one, tickets_id_2=two, link=1)

    for pair in ((one, two), (two, one), (one, one)):
        again = either.post("/Ticket_Ticket", tickets_id_1=pair[0], tickets_id_2=pair[1], link=1)
        assert (again.status_code, again.get_json()) == (400, ["ERROR_GLPI_ADD", ""])
    missing = either.post("/Ticket_Ticket", tickets_id_1=one, tickets_id_2=99, link=1)
    assert missing.get_json()[1] != ""
    [row] = either.get("/Ticket_Ticket", **{"searchText[tickets_id_1]": f"^{one}$"}).get_json()
    assert (row["id"], row["tickets_id_2"], row["link"]) == (link, two, 1)

    either.call("DELETE", f"/Ticket/{two}?force_purge=true")
    assert either.get("/Ticket_Ticket").get_json() == []


def test_a_parent_is_kept_as_its_sons_parent(either: Any) -> None:
    parent, son = (either.add("Ticket", name=name, content="x") for name in ("parent", "son"))
    either.add("Ticket_Ticket", tickets_id_1=parent, tickets_id_2=son, link=4)

    [row] = either.get("/Ticket_Ticket").get_json()
    assert (row["tickets_id_1"], row["tickets_id_2"], row["link"]) == (son, parent, 3)
