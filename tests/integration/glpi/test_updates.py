"""A technician works in GLPI, an agent in Chatwoot, and neither has to look at the other's screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from crm_sync.crms.glpi import pull as feed
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.engine.pull import Pulled, pull
from crm_sync.sandbox.glpi import render as render_of_glpi, state as state_of_glpi
from crm_sync.sandbox.server import html_page, lose
from crm_sync.store.models import EventState, Link, LinkState
from tests.integration.glpi.desk import EMAIL, Desk, once

BOTH_WAYS = {"enable_bidirectional_sync": "true"}
WITH_TEXTS = BOTH_WAYS | {"enable_followup_pull": "true"}


@dataclass
class Technician:
    """Somebody who works in GLPI, by GLPI's own clock."""

    desk: Desk
    client: GlpiClient

    def ticket(self) -> dict[str, Any]:
        """The one ticket."""
        return self.desk.row("Ticket")

    def set(self, **columns: Any) -> None:
        """Change the ticket."""
        self.client.update("Ticket", self.ticket()["id"], columns)

    def write(self, text: str, **columns: Any) -> int:
        """Write a followup."""
        fields = {"itemtype": "Ticket", "items_id": self.ticket()["id"], "content": text, "is_private": 0}
        return self.client.create("ITILFollowup", fields | columns)

    def solve(self, text: str) -> int:
        """Solve the ticket, in words."""
        fields = {"itemtype": "Ticket", "items_id": self.ticket()["id"], "content": text}
        return self.client.create("ITILSolution", fields)


@pytest.fixture
def settings() -> dict[str, str]:
    """Changes come back."""
    return BOTH_WAYS


@pytest.fixture
def conversation(desk: Desk) -> int:
    """A conversation of Ana's with its ticket. All clocks are one, and near the real one: GLPI's zone is measured."""
    desk.clock.moment = datetime.now(UTC)
    desk.chatwoot.state._now = desk.clock
    desk.glpi.state.clock = desk.clock
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, EMAIL, "The printer is on fire.").id
    desk.sync()
    back(desk)
    desk.glpi.reset_requests()
    return number


@pytest.fixture
def technician(desk: Desk, conversation: int) -> Technician:  # noqa: ARG001 - there has to be one
    """Tim, a technician."""
    return Technician(desk, GlpiClient(desk.api_url, desk.glpi.app_token, desk.glpi.user_tokens["tech"]))


def back(desk: Desk) -> Pulled:
    """What changed in GLPI comes back, and is applied; what that makes Chatwoot send arrives as well."""
    desk.clock.forward(3)
    pulled = pull(desk.runtime, desk.hook_id)
    desk.drain()
    desk.sync()
    return pulled


def status(desk: Desk, number: int) -> str:
    """The conversation's status."""
    return str(desk.chatwoot.state.conversations[number].status)


def texts(desk: Desk, number: int) -> list[tuple[str, bool]]:
    """What was written in the conversation after its first message, and whether only agents see it."""
    messages = desk.chatwoot.state.conversations[number].messages
    return [(message.content, message.private) for message in messages[1:] if message.message_type != 2]


def pulled_outcomes(desk: Desk) -> list[str]:
    """What became of what came back."""
    return [event.outcome or "" for event in desk.events() if event.name == "ticket.updated"]


@contextmanager
def counted(desk: Desk) -> Iterator[Callable[[], tuple[int, int]]]:
    """How many writes there were to GLPI and to Chatwoot since then."""
    desk.glpi.reset_requests()
    desk.chatwoot.calls.clear()

    def writes() -> tuple[int, int]:
        there = [path for method, path, _ in desk.glpi.requests if method != "GET"]
        # Attributes are shown, which nobody takes for a change.
        here = [
            path
            for method, path, _ in desk.chatwoot.requests
            if method != "GET" and "/contacts/" not in path and "custom_attributes" not in path
        ]
        return len(there), len(here)

    yield writes


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "open"), (2, "open"), (3, "open"), (4, "pending"), (5, "resolved"), (6, "resolved")],
)
def test_every_state_of_a_ticket_becomes_the_conversations(
    desk: Desk, technician: Technician, conversation: int, number: int, expected: str
) -> None:
    technician.set(status=4 if expected == "open" else 2)
    back(desk)
    technician.set(status=number)
    back(desk)
    assert status(desk, conversation) == expected
    assert technician.ticket()["status"] == number


def test_what_came_back_is_not_written_to_glpi_again(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    with counted(desk) as writes:
        technician.set(status=6)
        back(desk)
        assert writes() == (1, 1)
    assert status(desk, conversation) == "resolved"
    with counted(desk) as writes:
        for _ in range(3):
            back(desk)
        desk.chatwoot.set_priority(conversation, None)
        back(desk)
        assert writes() == (0, 0)
    assert technician.ticket()["status"] == 6


def test_what_we_write_does_not_come_back(desk: Desk, technician: Technician, conversation: int) -> None:
    desk.chatwoot.set_status(conversation, "resolved")
    desk.sync()
    with counted(desk) as writes:
        assert back(desk).events == 0
        assert writes() == (0, 0)
    assert technician.ticket()["status"] == 5


def test_a_ticket_that_goes_on_after_a_solution_opens_its_conversation(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    desk.chatwoot.set_status(conversation, "resolved")
    desk.sync()
    technician.set(status=2)
    back(desk)
    assert status(desk, conversation) == "open"


def test_a_snoozed_conversation_stays_so_while_its_ticket_is_pending(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    desk.chatwoot.set_status(conversation, "snoozed")
    desk.sync()
    assert technician.ticket()["status"] == 4
    technician.set(name="Another title")
    back(desk)
    assert status(desk, conversation) == "snoozed"


def test_a_change_costs_glpi_one_request_and_nothing_changed_none_besides_the_look(
    desk: Desk, technician: Technician
) -> None:
    technician.set(status=5)
    desk.calls()
    back(desk)
    assert desk.calls() == ["GET /search/Ticket", "GET /Ticket"]
    back(desk)
    assert desk.calls() == ["GET /search/Ticket"]


def test_the_conversation_shows_what_the_ticket_became(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.set(urgency=5, impact=1, type=2)
    back(desk)
    shown = desk.chatwoot.state.conversations[conversation].custom_attributes
    assert (shown["glpi_urgency"], shown["glpi_impact"], shown["glpi_ticket_type"]) == (
        "Very High",
        "Very Low",
        "Request",
    )
    # Nobody asked for priorities to come back, and what Chatwoot says of them is not said again.
    assert desk.chatwoot.state.conversations[conversation].priority is None
    desk.chatwoot.set_status(conversation, "pending")
    desk.sync()
    assert (technician.ticket()["urgency"], technician.ticket()["impact"]) == (5, 1)


# -- priority and technician ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_priority": "true"}])
def test_a_priority_comes_back_and_stays_as_the_technician_chose_it(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.set(urgency=5, impact=4)
    with counted(desk) as writes:
        back(desk)
        back(desk)
        assert writes() == (0, 1)
    assert desk.chatwoot.state.conversations[conversation].priority in {"high", "urgent"}
    assert (technician.ticket()["urgency"], technician.ticket()["impact"]) == (5, 4)
    desk.chatwoot.set_priority(conversation, "low")
    desk.sync()
    assert (technician.ticket()["urgency"], technician.ticket()["impact"]) == (2, 2)


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_assignee": "true"}])
def test_a_technician_who_takes_the_ticket_gets_the_conversation(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    agent = next(user for user in desk.chatwoot.state.users.values() if user.email and user.id != 90)
    user = desk.add_user("tim", agent.email)
    number = technician.ticket()["id"]
    technician.client.create("Ticket_User", {"tickets_id": number, "users_id": user, "type": 2})
    with counted(desk) as writes:
        back(desk)
        back(desk)
        assert writes() == (0, 1)
    assert desk.chatwoot.state.conversations[conversation].assignee_id == agent.id
    row = next(row for row in desk.rows("Ticket_User", tickets_id=number) if row["type"] == 2)
    technician.client.delete("Ticket_User", row["id"])
    back(desk)
    assert desk.chatwoot.state.conversations[conversation].assignee_id is None


@pytest.fixture
def joan(desk: Desk) -> int:
    """Joan's user in GLPI; in Chatwoot she is agent 31."""
    return desk.add_user("joan", "joan.example@example.com")


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_assignee": "true"}])
def test_a_technician_is_seen_although_we_changed_the_ticket_last(
    desk: Desk, technician: Technician, conversation: int, joan: int
) -> None:
    number = technician.ticket()["id"]
    technician.client.create("Ticket_User", {"tickets_id": number, "users_id": joan, "type": 2})
    desk.clock.forward(1)
    desk.chatwoot.add_message(conversation, "Still burning.")
    desk.sync()
    back(desk)
    assert desk.chatwoot.state.conversations[conversation].assignee_id == 31


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_assignee": "true"}])
def test_an_agent_whose_technician_was_taken_away_in_glpi_can_be_assigned_again(
    desk: Desk, technician: Technician, conversation: int, joan: int
) -> None:
    desk.chatwoot.assign(conversation, assignee_id=31)
    desk.sync()
    row = next(row for row in desk.rows("Ticket_User", users_id=joan) if row["type"] == 2)
    technician.client.delete("Ticket_User", row["id"])
    back(desk)
    assert desk.chatwoot.state.conversations[conversation].assignee_id is None
    desk.chatwoot.assign(conversation, assignee_id=31)
    desk.sync()
    assert [row["type"] for row in desk.rows("Ticket_User", users_id=joan)] == [2]


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_assignee": "true"}])
def test_an_agent_who_was_assigned_meanwhile_stays_beside_the_technician(
    desk: Desk, technician: Technician, conversation: int, joan: int
) -> None:
    rui = desk.add_user("rui", "rui.sample@example.com")
    number = technician.ticket()["id"]
    technician.client.create("Ticket_User", {"tickets_id": number, "users_id": rui, "type": 2})
    desk.chatwoot.assign(conversation, assignee_id=31)
    late = desk.deliveries()
    desk.clock.forward(3)
    pull(desk.runtime, desk.hook_id)
    desk.drain()
    assert "so did the agent" in pulled_outcomes(desk)[-1]
    desk.take(late)
    desk.drain()
    back(desk)
    assert desk.chatwoot.state.conversations[conversation].assignee_id == 31
    users = {row["users_id"] for row in desk.rows("Ticket_User", tickets_id=number) if row["type"] == 2}
    assert users == {joan, rui}


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_assignee": "true"}])
def test_a_technician_who_is_no_agent_changes_nothing_and_is_told(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    user = desk.add_user("otto", "otto@example.org")
    number = technician.ticket()["id"]
    technician.client.create("Ticket_User", {"tickets_id": number, "users_id": user, "type": 2})
    back(desk)
    assert "No agent has the e-mail address" in pulled_outcomes(desk)[-1]
    assert desk.chatwoot.state.conversations[conversation].assignee_id is None


@pytest.mark.parametrize("pulled_first", [True, False])
@pytest.mark.parametrize(
    ("settings", "agent_later", "expected"),
    [
        (BOTH_WAYS | {"pull_priority": "true"}, True, ("high", 4)),
        (BOTH_WAYS | {"pull_priority": "true"}, False, ("low", 1)),
        (BOTH_WAYS | {"pull_priority": "true", "conflict_policy": "glpi"}, True, ("low", 1)),
        (BOTH_WAYS | {"pull_priority": "true", "conflict_policy": "chatwoot"}, False, ("high", 4)),
        # It does not come back, so that there is no conflict: the conversation's counts.
        (BOTH_WAYS | {"conflict_policy": "glpi"}, False, ("high", 4)),
    ],
)
def test_where_both_sides_changed_the_priority_the_policy_decides(
    desk: Desk,
    technician: Technician,
    conversation: int,
    *,
    pulled_first: bool,
    agent_later: bool,
    expected: tuple[str, int],
) -> None:
    for agent in (not agent_later, agent_later):
        if agent:
            desk.chatwoot.set_priority(conversation, "high")
        else:
            technician.set(urgency=1, impact=1)
        desk.clock.forward(60)
    if pulled_first:
        pull(desk.runtime, desk.hook_id)
        desk.drain()
    desk.sync()
    for _ in range(2):
        back(desk)
    found = desk.chatwoot.state.conversations[conversation].priority
    assert (found, technician.ticket()["urgency"]) == expected
    with counted(desk) as writes:
        back(desk)
        assert writes() == (0, 0)


@pytest.mark.parametrize("settings", [BOTH_WAYS | {"pull_assignee": "true"}])
def test_an_agent_who_leaves_does_not_come_back_by_what_we_write(
    desk: Desk, technician: Technician, conversation: int, joan: int
) -> None:
    rui = desk.add_user("rui", "rui.sample@example.com")
    number = technician.ticket()["id"]
    technician.client.create("Ticket_User", {"tickets_id": number, "users_id": rui, "type": 2})
    back(desk)
    for agent in (31, None):
        desk.chatwoot.assign(conversation, assignee_id=agent)
        desk.sync()
        back(desk)
        assert desk.chatwoot.state.conversations[conversation].assignee_id == agent
    assert desk.rows("Ticket_User", users_id=joan) == []


def test_an_agent_who_leaves_does_not_open_a_ticket_that_was_solved_meanwhile(
    desk: Desk, technician: Technician, conversation: int, joan: int
) -> None:
    desk.chatwoot.assign(conversation, assignee_id=31)
    desk.sync()
    technician.set(status=5)
    desk.chatwoot.assign(conversation)
    desk.sync()
    back(desk)
    assert desk.rows("Ticket_User", users_id=joan) == []
    assert (technician.ticket()["status"], status(desk, conversation)) == (5, "resolved")


@pytest.mark.parametrize(
    "settings", [BOTH_WAYS, BOTH_WAYS | {"pull_priority": "true", "pull_assignee": "true"}]
)
def test_what_agents_did_meanwhile_counts_although_a_pull_reads_it_before_its_delivery_comes(
    desk: Desk, technician: Technician, conversation: int, joan: int
) -> None:
    desk.chatwoot.set_priority(conversation, "high")
    desk.chatwoot.assign(conversation, assignee_id=31)
    late = desk.deliveries()
    desk.clock.forward(5)
    technician.set(status=5)
    back(desk)
    desk.take(late)
    desk.drain()
    back(desk)
    assert status(desk, conversation) == "resolved"
    assert (technician.ticket()["urgency"], technician.ticket()["impact"]) == (4, 4)
    assert [row["type"] for row in desk.rows("Ticket_User", users_id=joan)] == [2]


def test_a_conversation_that_is_gone_ends_the_update_with_a_reason(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.set(status=5)
    desk.clock.forward(3)
    pull(desk.runtime, desk.hook_id)
    del desk.chatwoot.state.conversations[conversation]
    desk.drain()
    event = desk.events()[-1]
    assert (event.state, event.reason) == (EventState.SKIPPED, "gone")


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [WITH_TEXTS])
def test_what_technicians_write_is_told_to_agents_once_and_in_order(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.write("<p>Have you tried <b>turning it off</b>?</p><script>x</script>")
    technician.write("Between us: a hopeless case.", is_private=1)
    for _ in range(3):
        back(desk)
    technician.write("And on again?")
    back(desk)
    told = texts(desk, conversation)
    assert [private for _, private in told] == [True, True, True]
    assert [text.partition("\n\n")[2] for text, _ in told] == [
        "Have you tried **turning it off**?",
        "Between us: a hopeless case.",
        "And on again?",
    ]
    assert all("(GLPI)" in text for text, _ in told)
    assert len(desk.rows("ITILFollowup")) == 3


@pytest.mark.parametrize("settings", [WITH_TEXTS])
def test_what_a_technician_wrote_is_told_although_we_changed_the_ticket_last(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.write("Try again.")
    desk.clock.forward(1)
    desk.chatwoot.add_message(conversation, "Still burning.")
    desk.sync()
    back(desk)
    assert [text.partition("\n\n")[2] for text, private in texts(desk, conversation) if private] == [
        "Try again."
    ]


@pytest.mark.parametrize("settings", [WITH_TEXTS | {"pulled_followups": "message"}])
def test_only_public_words_reach_the_customer(desk: Desk, technician: Technician, conversation: int) -> None:
    technician.write("Try again, please.")
    technician.write("He never will.", is_private=1)
    back(desk)
    assert texts(desk, conversation)[0] == ("Try again, please.", False)
    assert texts(desk, conversation)[1][1] is True


@pytest.mark.parametrize("settings", [WITH_TEXTS | {"pulled_followups": "message"}])
def test_a_solution_is_told_before_its_conversation_is_resolved(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.solve("<p>It was the fuse.</p>")
    back(desk)
    assert texts(desk, conversation) == [("It was the fuse.", False)]
    assert status(desk, conversation) == "resolved"
    back(desk)
    assert len(texts(desk, conversation)) == 1


@pytest.mark.parametrize("settings", [WITH_TEXTS | {"pulled_followups": "message"}])
def test_what_stood_in_a_ticket_that_was_merged_into_ours_is_told_to_nobody(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    fields = {"itemtype": "Ticket", "items_id": technician.ticket()["id"], "is_private": 0}
    other = technician.client.create("Ticket", {"name": "Bob's salary", "content": "It is 5000."})
    copied = {"content": "Bob's salary: it is 5000.", "sourceitems_id": other}
    technician.client.create("ITILFollowup", fields | copied)
    technician.client.create("ITILFollowup", fields | {"content": "For you."})
    back(desk)
    assert texts(desk, conversation) == [("For you.", False)]


@pytest.mark.parametrize("settings", [WITH_TEXTS | {"pulled_followups": "message"}])
def test_what_the_customer_writes_in_glpi_is_told_to_agents_only(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    [customer] = desk.users()
    technician.write("I found this portal.", users_id=customer["id"])
    back(desk)
    [(told, private)] = texts(desk, conversation)
    assert private
    assert told.startswith("**Souza Ana** (GLPI):")
    assert "I found this portal." in told


@pytest.mark.parametrize(
    "settings", [WITH_TEXTS | {"pulled_followups": "message", "resolve_with": "solution"}]
)
def test_our_own_solution_is_not_told_though_somebody_rewrote_it(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    desk.chatwoot.add_message(conversation, "Please restart it.", direction="outgoing", sender_id=31)
    desk.chatwoot.set_status(conversation, "resolved")
    desk.sync()
    solution = desk.row("ITILSolution")
    technician.client.update("ITILSolution", solution["id"], {"content": "<p>Please restart it twice.</p>"})
    desk.write("Ticket", technician.ticket()["id"], date_mod=desk.glpi.state.now())
    back(desk)
    assert [text for text, _ in texts(desk, conversation)] == ["Please restart it."]


def test_what_was_written_before_somebody_wanted_it_is_not_told(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.write("Old.")
    desk.clock.forward(5)
    desk.set(enable_followup_pull="true")
    technician.write("New.")
    back(desk)
    assert [text.partition("\n\n")[2] for text, _ in texts(desk, conversation)] == ["New."]


@pytest.mark.parametrize("settings", [WITH_TEXTS])
def test_what_came_from_chatwoot_is_not_told_there(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    desk.chatwoot.add_message(conversation, "Still burning.")
    desk.sync()
    technician.set(status=4)
    back(desk)
    assert [text for text, _ in texts(desk, conversation)] == ["Still burning."]


@pytest.mark.parametrize("settings", [WITH_TEXTS])
def test_documents_of_a_technician_are_linked(desk: Desk, technician: Technician, conversation: int) -> None:
    number = technician.write("See the picture.")
    technician.client.upload_document(
        "fuse.png", b"\x89PNG", "image/png", entity_id=0, itemtype="ITILFollowup", item_id=number
    )
    back(desk)
    assert "/front/document.send.php?docid=" in texts(desk, conversation)[0][0]


@pytest.mark.parametrize("settings", [WITH_TEXTS])
@pytest.mark.parametrize("times", [1, 3])
def test_an_answer_of_chatwoot_that_is_lost_makes_no_second_message(
    desk: Desk, technician: Technician, conversation: int, times: int
) -> None:
    fault, hit = once(lose, "POST", "/messages", times=times)
    desk.chatwoot.faults.kinds, desk.chatwoot.faults.fail_rate = (fault,), 1.0
    technician.write("Once.")
    pull(desk.runtime, desk.hook_id)
    desk.settle()
    assert hit.is_set()
    assert len(texts(desk, conversation)) == 1


def test_what_comes_back_waits_where_the_conversation_is_after_a_merge_of_contacts(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    ana = desk.chatwoot.state.conversations[conversation].contact_id
    survivor = desk.chatwoot.create_contact(name="Ana S.", email="ana.s@example.com")
    desk.chatwoot.merge_contacts(survivor.id, ana)
    desk.chatwoot.set_priority(conversation, "high")
    desk.settle()
    technician.set(status=5)
    desk.clock.forward(3)
    pull(desk.runtime, desk.hook_id)
    assert [event.mailbox for event in desk.events(EventState.PENDING)] == [f"{desk.hook_id}:{survivor.id}"]
    desk.drain()
    assert status(desk, conversation) == "resolved"


@pytest.mark.parametrize("settings", [WITH_TEXTS])
def test_a_followup_that_holds_nothing_is_not_told(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.write("<p> </p>")
    technician.write("<p>Something.</p>")
    back(desk)
    assert [text.partition("\n\n")[2] for text, _ in texts(desk, conversation)] == ["Something."]


# -- what is gone --------------------------------------------------------------------------------------------------


def test_a_ticket_in_the_bin_leaves_its_conversation_and_says_so(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    with desk.glpi.state.lock:
        table = desk.glpi.state["Ticket"]
        table.update(table.rows[technician.ticket()["id"]], {"is_deleted": 1})
    desk.clock.forward(3700)
    back(desk)
    assert "bin" in pulled_outcomes(desk)[-1]
    assert status(desk, conversation) == "open"


@pytest.mark.parametrize("settings", [WITH_TEXTS | {"pulled_followups": "message"}])
def test_a_ticket_that_was_merged_is_followed_and_nobody_is_told_what_was_written_there_before(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    number = technician.ticket()["id"]
    other = technician.client.create("Ticket", {"name": "The other", "content": "x"})
    source = {"sourceitems_id": number, "content": "merged"}
    technician.client.create("ITILFollowup", {"itemtype": "Ticket", "items_id": other, **source})
    fields = {"itemtype": "Ticket", "items_id": other, "is_private": 0}
    technician.client.create("ITILFollowup", fields | {"content": "For somebody else."})
    desk.write("Ticket", number, is_deleted=1, date_mod=desk.glpi.state.now())
    desk.clock.forward(3700)
    pull(desk.runtime, desk.hook_id)
    desk.drain()
    assert f"merged into ticket {other}" in pulled_outcomes(desk)[-1]
    technician.client.update("Ticket", other, {"status": 5})
    technician.client.create("ITILFollowup", fields | {"content": "For everybody."})
    back(desk)
    assert status(desk, conversation) == "resolved"
    assert [text for text, _ in texts(desk, conversation)] == ["For everybody."]


def test_an_update_of_a_ticket_that_is_nobodys_any_more_is_skipped(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.set(status=5)
    pull(desk.runtime, desk.hook_id)
    with desk.runtime.store.write() as session:
        session.execute(update(Link).where(Link.remote_type == "Ticket").values(remote_id="999"))
    desk.drain()
    event = desk.events()[-1]
    assert (event.state, event.reason) == (EventState.SKIPPED, "not_linked")
    assert status(desk, conversation) == "open"


def test_a_purged_ticket_is_no_news(desk: Desk, technician: Technician, conversation: int) -> None:
    technician.set(status=5)
    pull(desk.runtime, desk.hook_id)
    desk.purge("Ticket", technician.ticket()["id"])
    desk.drain()
    event = desk.events()[-1]
    assert (event.state, event.reason) == (EventState.SKIPPED, "purged")
    assert status(desk, conversation) == "open"


def test_a_status_of_nobodys_is_left_alone(desk: Desk, technician: Technician, conversation: int) -> None:
    technician.set(status=42)
    back(desk)
    assert "42" in pulled_outcomes(desk)[-1]
    assert status(desk, conversation) == "open"


def test_a_glpi_that_breaks_while_it_is_read_delays_the_change(
    desk: Desk, technician: Technician, conversation: int
) -> None:
    technician.set(status=5)
    pull(desk.runtime, desk.hook_id)
    fault, hit = once(html_page, "GET", "/Ticket/[0-9]+", times=2)
    desk.strike(fault)
    desk.settle()
    assert hit.is_set()
    assert status(desk, conversation) == "resolved"


# -- conflicts -----------------------------------------------------------------------------------------------------


def disagree(
    desk: Desk,
    technician: Technician,
    conversation: int,
    *,
    agent_later: bool,
    states: tuple[int, str] = (5, "pending"),
) -> None:
    """The technician gives the ticket a status while the agent gives the conversation another one."""
    there, here = states
    if agent_later:
        technician.set(status=there)
        desk.clock.forward(60)
        desk.chatwoot.set_status(conversation, here)
    else:
        desk.chatwoot.set_status(conversation, here)
        desk.clock.forward(60)
        technician.set(status=there)


@pytest.mark.parametrize("pulled_first", [True, False])
@pytest.mark.parametrize(
    ("settings", "agent_later", "expected"),
    [
        (BOTH_WAYS, True, ("pending", 4)),
        (BOTH_WAYS, False, ("resolved", 5)),
        (BOTH_WAYS | {"conflict_policy": "glpi"}, True, ("resolved", 5)),
        (BOTH_WAYS | {"conflict_policy": "chatwoot"}, False, ("pending", 4)),
    ],
)
def test_where_both_sides_changed_the_policy_decides_and_the_outcome_says_so(
    desk: Desk,
    technician: Technician,
    conversation: int,
    *,
    pulled_first: bool,
    agent_later: bool,
    expected: tuple[str, int],
) -> None:
    disagree(desk, technician, conversation, agent_later=agent_later)
    if pulled_first:
        pull(desk.runtime, desk.hook_id)
        desk.drain()
    desk.sync()
    for _ in range(2):
        back(desk)
    assert (status(desk, conversation), technician.ticket()["status"]) == expected
    words = " ".join(desk.outcomes())
    assert "Both sides changed" in words or "as well" in words or "does not count" in words


# -- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-10, 10])
@pytest.mark.parametrize("agent_later", [True, False])
def test_a_clock_of_glpi_that_is_wrong_hides_nothing_and_leaves_both_sides_agreeing(
    desk: Desk, technician: Technician, conversation: int, *, minutes: int, agent_later: bool
) -> None:
    desk.glpi.state.clock = lambda: desk.clock() + timedelta(minutes=minutes)
    technician.set(status=4)
    back(desk)
    assert status(desk, conversation) == "pending"
    disagree(desk, technician, conversation, agent_later=agent_later, states=(5, "open"))
    for _ in range(3):
        back(desk)
        desk.clock.forward(300)
    assert (status(desk, conversation), technician.ticket()["status"]) in {("resolved", 5), ("open", 2)}
    desk.clock.forward(900)
    back(desk)
    with counted(desk) as writes:
        assert back(desk).events == 0
        assert writes() == (0, 0)


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("settings", [WITH_TEXTS])
def test_summer_time_that_begins_or_ends_between_two_pulls_hides_nothing(
    desk: Desk, technician: Technician, conversation: int, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Texts of before the setup are never told; that is longer ago than an hour.
    desk.clock.forward(7200)
    technician.write("Before.")
    back(desk)
    for module in (state_of_glpi, render_of_glpi):
        monkeypatch.setattr(
            module, "SERVER_UTC_OFFSET", state_of_glpi.SERVER_UTC_OFFSET + timedelta(hours=hours)
        )
    desk.clock.forward(600)
    technician.write("After.")
    technician.set(status=5)
    back(desk)
    assert [text.partition("\n\n")[2] for text, _ in texts(desk, conversation)] == ["Before.", "After."]
    assert status(desk, conversation) == "resolved"


# -- many ----------------------------------------------------------------------------------------------------------


def test_ten_thousand_tickets_of_which_a_hundred_changed_cost_a_request_for_each_and_three_more(
    desk: Desk, technician: Technician, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 60)
    numbers = []
    for person in range(100):
        contact = desk.chatwoot.create_contact(name=f"Person {person}", email=f"person{person}@example.com")
        numbers.append((contact.id, desk.chatwoot.create_conversation(contact.id, EMAIL).id))
    desk.deliveries()
    agreed = {"status": 2, "urgency": 3, "impact": 3, "binned": False}
    now, rows = desk.clock(), []
    with desk.glpi.state.lock:
        for index in range(10_000):
            person, number = numbers[index] if index < 100 else (90_000 + index, 90_000 + index)
            long_ago = dict.fromkeys(("date", "date_creation", "date_mod"), "2026-10-01 00:00:00")
            ticket = desk.glpi.state["Ticket"].insert({"name": "x", "content": "x", "status": 2, **long_ago})
            rows.append(
                {
                    "hook_id": desk.hook_id,
                    "mailbox": f"{desk.hook_id}:{person}",
                    "local_type": "conversation",
                    "local_id": number,
                    "remote_type": "Ticket",
                    "remote_id": str(ticket["id"]),
                    "state": LinkState.LINKED,
                    "agreed": agreed,
                    "claimed_at": now,
                    "created_at": now,
                    "updated_at": now,
                }
            )
    with desk.runtime.store.write() as session:
        session.execute(insert(Link), rows)
    for row in rows[:100]:
        technician.client.update("Ticket", row["remote_id"], {"status": 5})
    desk.clock.forward(3)
    desk.glpi.reset_requests()
    pulled = pull(desk.runtime, desk.hook_id)
    desk.drain()
    assert pulled.events == 100
    calls = desk.calls()
    assert len(calls) <= 2 + 2 + 100
    assert calls.count("GET /Ticket") == 100
    assert {desk.chatwoot.state.conversations[number].status for _, number in numbers} == {"resolved"}
