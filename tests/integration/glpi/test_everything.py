"""With everything switched on, whatever breaks on the way, GLPI ends up as if nothing had."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, cycle
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk, Row, shown
from tests.integration.glpi.test_openings import category, insert

Step = Callable[[Desk], Any]

ANA, NUMBER, JOAN, RUI, SALES, LOGISTICS = 2101, 812, 31, 32, 2, 3


def furnish(desk: Desk) -> None:
    """People, groups and things in GLPI, and every setting that makes something of them."""
    ana = desk.add_user("ana", "ana@example.com")
    watcher = desk.add_user("watcher")
    desk.add_user("joan", "joan.example@example.com")
    desk.add_user("rui", "rui.sample@example.com")
    sales, logistics = (insert(desk, "Group", name=name, completename=name) for name in ("Sales", "Log"))
    category(desk, "Website")
    insert(desk, "Computer", name="PC-1", users_id=ana)
    desk.set(
        category_named_like_inbox="true",
        group_by_team=f'{{"sales":{sales},"logistics":{logistics}}}',
        observer_ids=f"[{watcher}]",
        ticket_fields='{"how":"urgency"}',
        title_template="{inbox}: {message}",
        content_template="{contact} in {inbox}\n\n{message}",
        resolve_with="solution",
        on_reopen="new_ticket",
        link_computers="true",
        sla_id=str(insert(desk, "SLA", name="4 h", number_time=4, definition_time="hour")),
    )


def _ana_writes(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print", custom_attributes={"how": 5})


def _it_goes_round(desk: Desk) -> None:
    desk.chatwoot.assign(NUMBER, assignee_id=JOAN)
    desk.chatwoot.assign(NUMBER, team_id=SALES)


def _and_round(desk: Desk) -> None:
    desk.chatwoot.assign(NUMBER, assignee_id=RUI)
    desk.chatwoot.assign(NUMBER, team_id=LOGISTICS)
    desk.chatwoot.add_message(NUMBER, "It was off", direction="outgoing", sender_id=RUI)


def _it_is_solved(desk: Desk) -> None:
    desk.chatwoot.set_status(NUMBER, "resolved")


def _ana_writes_again(desk: Desk) -> None:
    desk.chatwoot.add_message(NUMBER, "Still broken")


def _it_is_nobodys(desk: Desk) -> None:
    desk.chatwoot.assign(NUMBER)


STORY: tuple[Step, ...] = (
    _ana_writes,
    _it_goes_round,
    _and_round,
    _it_is_solved,
    _ana_writes_again,
    _it_is_nobodys,
    _it_is_solved,
)


def play(desk: Desk) -> list[Row]:
    """The story; returns what GLPI shows in the end."""
    for step in STORY:
        step(desk)
        desk.settle()
    assert desk.events(EventState.FAILED) == []
    names = {row["id"]: row["name"] for row in desk.rows("User")}
    return [
        {
            **{key: row[key] for key in ("id", "name", "status", "urgency", "impact", "time_to_resolve")},
            "category": row["itilcategories_id"],
            "texts": desk.texts(row["id"]),
            "people": sorted(
                (names[actor["users_id"]], actor["type"])
                for actor in desk.rows("Ticket_User", tickets_id=row["id"])
            ),
            "groups": [actor["groups_id"] for actor in desk.rows("Group_Ticket", tickets_id=row["id"])],
            "assets": [item["items_id"] for item in desk.rows("Item_Ticket", tickets_id=row["id"])],
            "solutions": [
                shown(desk.content(item)) for item in desk.rows("ITILSolution", items_id=row["id"])
            ],
            "links": [link["tickets_id_2"] for link in desk.rows("Ticket_Ticket", tickets_id_1=row["id"])],
            "shown": desk.chatwoot.state.conversations[NUMBER].custom_attributes,
        }
        for row in sorted(desk.rows("Ticket"), key=lambda row: row["id"])
    ]


@pytest.fixture
def quiet(another_desk: Callable[[], Desk]) -> list[Row]:
    """What GLPI shows when nothing goes wrong."""
    desk = another_desk()
    furnish(desk)
    found = play(desk)
    assert [row["status"] for row in found] == [5, 5]
    assert [row["urgency"] for row in found] == [5, 5]
    assert [row["solutions"] for row in found] == [["It was off"], ["It was off"]]
    assert [("rui", 2) in row["people"] for row in found] == [True, False]
    return _without_addresses(found)


def every(nth: int) -> tuple[Callable[..., Any], list[str]]:
    """A fault that breaks each nth call, in one way after another, and a list of the calls it broke."""
    calls, kinds, broken = count(1), cycle((lose, html_page, refuse)), []

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        if next(calls) % nth:
            return app(environ, start_response)
        broken.append(environ["PATH_INFO"])
        return next(kinds)(app, environ, start_response)

    return fault, broken


@pytest.mark.parametrize("nth", [7, 8, 9, 10, 11, 13])
def test_faults_in_between_change_nothing_in_the_end(desk: Desk, quiet: list[Row], nth: int) -> None:
    furnish(desk)
    fault, broken = every(nth)
    desk.strike(fault)

    assert _without_addresses(play(desk)) == quiet
    assert len(broken) > 1


def _without_addresses(found: list[Row]) -> list[Row]:
    """Two servers have two addresses."""
    for row in found:
        row["shown"] = {key: value for key, value in row["shown"].items() if key != "glpi_ticket_url"}
    return found
