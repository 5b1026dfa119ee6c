"""What 11.0.6 does otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.sandbox.glpi import FLAVOURS, create_app
from crm_sync.sandbox.glpi.flavour import flavour_named


def test_there_are_two_flavours_and_no_other() -> None:
    assert FLAVOURS == ("10.0.19", "11.0.6")
    with pytest.raises(ValueError, match=r"'9\.5'"):
        flavour_named("9.5")


def test_11_answers_under_both_roots_and_10_under_one() -> None:
    assert create_app(flavour="11.0.6").test_client().get("/api.php/v1/getMyEntities").status_code == 400
    assert create_app(flavour="10.0.19").test_client().get("/api.php/v1/getMyEntities").status_code == 404


def test_actors_without_a_profile_in_the_entity_are_dropped(glpi11: Any) -> None:
    below = glpi11.add("Entity", name="Customer", entities_id=0)
    glpi11.call("POST", "/changeActiveEntities", json={"entities_id": 0, "is_recursive": True})
    local = glpi11.add("User", name="local")
    everywhere = glpi11.add("User", name="everywhere", _profiles_id=1, _entities_id=0, _is_recursive=1)
    asleep = glpi11.add("User", name="asleep", is_active=0, _profiles_id=1, _entities_id=0, _is_recursive=1)
    gone = glpi11.add("User", name="gone", end_date="2026-01-01 00:00:00", _profiles_id=1, _is_recursive=1)
    people = [local, everywhere, asleep, gone]

    ticket = glpi11.add("Ticket", name="x", content="x", entities_id=below, _users_id_requester=people)

    def requesters() -> list[int]:
        return [row["users_id"] for row in glpi11.get(f"/Ticket/{ticket}/Ticket_User").get_json()]

    assert requesters() == [everywhere]
    assert glpi11.put(f"/Ticket/{ticket}", _users_id_requester=local).status_code == 200
    assert requesters() == [everywhere]
    glpi11.add("Ticket_User", tickets_id=ticket, users_id=local, type=1)
    assert requesters() == [everywhere, local]


def test_a_new_entity_needs_a_refreshed_session(glpi: Any, glpi11: Any) -> None:
    assert glpi.get(f"/Entity/{glpi.add('Entity', name='Customer', entities_id=0)}").status_code == 200

    below = glpi11.add("Entity", name="Customer", entities_id=0)
    assert glpi11.get(f"/Entity/{below}").status_code == 403
    assert glpi11.post("/Ticket", name="x", content="x", entities_id=below).status_code == 400
    glpi11.call("POST", "/changeActiveEntities", json={"entities_id": 0, "is_recursive": True})
    assert glpi11.get(f"/Entity/{below}").status_code == 200
    glpi11.add("Entity", name="Third", entities_id=0)
    glpi11.call("POST", "/changeActiveEntities", json={"entities_id": 0, "is_recursive": True})
    glpi11.delete("/Entity/1?force_purge=true")
    glpi11.forget_sessions()
    assert glpi11.get("/getFullSession").get_json()["session"]["glpiactiveentities"] == {"0": 0, "2": 2}


def test_anchors_find_no_numbers_on_11(glpi11: Any) -> None:
    assert glpi11.found("User", (2, "contains", "^4$")) == []
    assert glpi11.found("User", (2, "contains", "4")) == [4]
    assert glpi11.found("User", (2, "equals", "4")) == [4]
    assert glpi11.found("User", (2, "contains", ">4")) == [5, 6]


def test_external_ids_are_kept_searched_and_not_unique(glpi: Any, glpi11: Any) -> None:
    ids = [
        glpi11.add("Ticket", name="x", content="x", externalid=value)
        for value in ("cw:1:100", "CW:1:100", "cw:1:1001")
    ]
    empty = glpi11.add("Ticket", name="x", content="x")

    assert glpi11.found("Ticket", (87, "equals", "cw:1:100")) == ids[:2]
    assert glpi11.found("Ticket", (87, "contains", "^cw:1:100$")) == ids[:2]
    assert glpi11.found("Ticket", (87, "contains", "cw:1:100")) == ids
    assert glpi11.found("Ticket", (87, "empty", "null")) == [empty]
    assert len(glpi11.get("/Ticket", **{"searchText[externalid]": "^cw:1:100$"}).get_json()) == 2
    assert "externalid" not in glpi.item("Ticket", glpi.add("Ticket", name="x", externalid="ignored"))


def test_search_text_is_raw_on_11(glpi11: Any) -> None:
    ticket = glpi11.add("Ticket", name="AT&T <b>", content="x")

    assert glpi11.found("Ticket", (1, "contains", "AT&T <b>")) == [ticket]
    assert glpi11.found("Ticket", (1, "contains", "AT&#38;T")) == []


@pytest.mark.parametrize(
    ("token", "status"), [("a+b/c==", 500), ("x" * 256, 500), ("abc", 401), ("this is !! none", 401)]
)
def test_tokens_of_other_servers_break_11(glpi11: Any, token: str, status: int) -> None:
    headers = {"App-Token": glpi11.sandbox.app_token, "Session-Token": token}
    assert glpi11.raw("GET", "/getMyEntities", headers=headers).status_code == status


def test_the_accounts_zone_is_shown_but_not_followed(glpi11: Any) -> None:
    ticket = glpi11.add("Ticket", name="x", content="x")
    glpi11.put("/User/2", timezone="UTC")
    glpi11.forget_sessions()

    assert glpi11.item("Ticket", ticket)["date"] == "2026-11-22 09:00:00"
    session = glpi11.get("/getFullSession").get_json()["session"]
    assert (session["glpitimezone"], session["glpi_currenttime"]) == ("UTC", "2026-11-22 09:00:00")
    headers = {
        "App-Token": glpi11.sandbox.app_token,
        "Authorization": f"user_token {glpi11.sandbox.user_tokens['super']}",
    }
    full = glpi11.raw("GET", "/initSession?get_full_session=true", headers=headers).get_json()["session"]
    assert full["glpi_currenttime"] == "2026-11-22 12:00:00"


def test_webhooks_queue_what_they_are_told_to(glpi: Any, glpi11: Any) -> None:
    assert glpi.get("/Webhook").status_code == 400
    assert glpi11.post("/Webhook", itemtype="", name="x").get_json() == [
        "ERROR_GLPI_ADD",
        "An item type is required",
    ]
    hook = {"url": "https://sync.example.com/x", "is_active": 1, "secret": "s", "custom_headers": {"X": "y"}}
    for itemtype, event in (
        ("Ticket", "update"),
        ("Ticket", "delete"),
        ("ITILFollowup", "new"),
        ("ITILSolution", "new"),
    ):
        glpi11.add("Webhook", name=f"{itemtype} {event}", itemtype=itemtype, event=event, **hook)
    assert "secret" not in glpi11.item("Webhook", 1)
    assert glpi11.get("/QueuedWebhook").get_json() == []

    ticket = glpi11.add("Ticket", name="x", content="x", _users_id_requester=2)
    glpi11.put(f"/Ticket/{ticket}", name="y")
    glpi11.add("ITILSolution", itemtype="Ticket", items_id=ticket, content="done")
    note = glpi11.add("ITILFollowup", itemtype="Ticket", items_id=ticket, content="again")
    glpi11.put(f"/ITILFollowup/{note}", content="once more")
    glpi11.delete(f"/Ticket/{ticket}")

    queued = glpi11.get("/QueuedWebhook").get_json()
    events = [(row["itemtype"], row["event"]) for row in queued]
    assert events == [
        ("Ticket", "update"),
        ("ITILSolution", "new"),
        ("Ticket", "update"),
        ("ITILFollowup", "new"),
        ("Ticket", "update"),
        ("Ticket", "delete"),
    ]
    shown = glpi11.get("/search/QueuedWebhook", range="0-0").get_json()["data"][0]
    assert (shown["22"], shown["20"], shown["21"]) == ("Ticket update", "Ticket", ticket)
