"""A ticket is never silently without its requester: in a large GLPI 11, and for users who were put away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk

DAY = timedelta(days=1).total_seconds()


def make_large(desk: Desk, users: int = 20_000) -> None:
    """The setup counted this many users."""
    with desk.runtime.store.write() as session:
        hook = session.get_one(type(desk.hook()), desk.hook_id)
        hook.facts = {**hook.facts, "user_count": users}


def begin(desk: Desk) -> int:
    """Ana writes; returns her contact's id."""
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    return contact.id


def of_tickets(desk: Desk) -> list[str]:
    """The calls about tickets since the last time."""
    return [call for call in desk.calls() if "Ticket" in call]


# -- a large GLPI 11 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["11.0.6"])
def test_a_large_glpi_11_is_told_of_the_requester_after_the_ticket(desk: Desk) -> None:
    make_large(desk)
    heard = desk.listen()
    contact = begin(desk)
    desk.sync()
    assert of_tickets(desk) == ["POST /Ticket", "POST /Ticket_User"]
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")
    desk.sync()
    assert of_tickets(desk) == ["POST /Ticket", "POST /Ticket_User"]

    user = desk.users()[0]["id"]
    assert [desk.requesters(row["id"]) for row in desk.rows("Ticket")] == [[user], [user]]
    tickets = [fields for path, fields in heard if path.endswith("/Ticket")]
    assert not [key for fields in tickets for key in fields if key.startswith("_users_id")]


@pytest.mark.parametrize("flavour", ["11.0.6"])
def test_a_user_who_is_gone_from_a_large_glpi_is_made_anew_for_the_ticket(desk: Desk) -> None:
    make_large(desk)
    contact = begin(desk)
    desk.sync()
    desk.purge("User", desk.users()[0]["id"])
    desk.clock.forward(2 * DAY)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    assert desk.requesters(desk.rows("Ticket")[-1]["id"]) == [desk.users()[0]["id"]]


@pytest.mark.parametrize(("flavour", "users"), [("11.0.6", 2000), ("10.0.19", 20_000)])
def test_where_it_is_no_matter_the_ticket_names_its_requester_itself(desk: Desk, users: int) -> None:
    make_large(desk, users)
    begin(desk)
    desk.sync()

    assert of_tickets(desk) == ["POST /Ticket"]


# -- users who were put away ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [({"is_deleted": 1}, "is in GLPI's bin."), ({"is_active": 0}, "is switched off in GLPI.")],
)
def test_a_user_who_was_put_away_stays_the_requester_of_his_contacts_tickets(
    desk: Desk, change: dict[str, int], words: str
) -> None:
    contact = begin(desk)
    desk.sync()
    user = desk.users()[0]["id"]
    desk.write("User", user, **change)
    desk.clock.forward(2 * DAY)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    ticket = desk.rows("Ticket")[-1]["id"]
    assert desk.requesters(ticket) == [user]
    assert len(desk.users()) == 1
    # GLPI 10 stores whom it is given; 11 drops him, so that he is looked at and added.
    told = any(f"Its requester, user {user}, {words}" in outcome for outcome in desk.outcomes())
    assert told is desk.glpi.state.flavour.is_11


@pytest.mark.parametrize("change", [{"is_deleted": 1}, {"is_active": 0}, None])
def test_tickets_opened_on_trust_after_a_user_was_put_away_are_put_right_with_the_next_look(
    desk: Desk, change: dict[str, int] | None
) -> None:
    contact = begin(desk)
    desk.sync()
    user = desk.users()[0]["id"]
    if change is None:
        desk.purge("User", user)
    else:
        desk.write("User", user, **change)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")
    desk.sync()
    desk.clock.forward(2 * DAY)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    now = desk.users()[0]["id"]
    assert (now == user) is (change is not None)
    # Those that were opened before are his, or follow with their next event.
    assert [desk.requesters(row["id"]) for row in desk.rows("Ticket")[1:]] == [[now], [now]]


def test_a_ticket_that_is_gone_does_not_keep_others_from_being_put_right(desk: Desk) -> None:
    contact = begin(desk)
    desk.sync()
    desk.purge("User", desk.users()[0]["id"])
    desk.chatwoot.create_conversation(contact, WEBSITE, "Another thing")
    desk.sync()
    desk.purge("Ticket", desk.rows("Ticket")[0]["id"])
    desk.clock.forward(2 * DAY)
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()

    now = desk.users()[0]["id"]
    assert desk.events(EventState.FAILED) == []
    assert [desk.requesters(row["id"]) for row in desk.rows("Ticket")] == [[now], [now]]
    assert any("could not be made requester of ticket 1: GLPI" in outcome for outcome in desk.outcomes())


@pytest.mark.parametrize("change", [{"is_deleted": 1}, {"is_active": 0}])
def test_a_user_who_was_put_away_goes_on_following_his_contact(desk: Desk, change: dict[str, int]) -> None:
    contact = begin(desk)
    desk.sync()
    user = desk.users()[0]["id"]
    desk.write("User", user, **change)
    desk.chatwoot.update_contact(contact, name="Ana Lima")
    desk.sync()

    assert desk.row("User", id=user)["realname"] == "Lima"
    assert desk.outcome() == f"User {user} updated: realname."


def test_a_contact_that_has_nothing_left_to_be_known_by_keeps_its_user_and_tickets(desk: Desk) -> None:
    contact = begin(desk)
    desk.sync()
    desk.chatwoot.update_contact(contact, email=None)
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "Again").id
    desk.sync()

    ticket = desk.row("Ticket", name=f"Conversation #{second}")
    assert desk.requesters(ticket["id"]) == [desk.users()[0]["id"]]
    assert all(event.state == EventState.DONE for event in desk.events())


def test_deliveries_of_one_contact_that_come_at_once_make_one_user(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.chatwoot.update_contact(contact.id, name="Ana Souza")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    told: list[Any] = desk.deliveries()
    desk.take(reversed([*told, *told]))
    desk.drain()

    assert desk.waiting() == []
    assert len(desk.users()) == len(desk.rows("Ticket")) == 1
