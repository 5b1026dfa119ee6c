"""An activity that is made later than its conversation began has what was said before as notes, in order, once."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from crm_sync.crms.krayin import notes
from crm_sync.sandbox.server import lose, refuse
from crm_sync.store.models import Attempt
from tests.integration.krayin.desk import WEBSITE, Desk, once

AGENT = 31


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Activities and notes are wanted here."""
    return {
        "enable_activity_sync": "true",
        "enable_message_sync": "true",
        **getattr(request, "param", {}),
    }


@pytest.fixture
def conversation(desk: Desk) -> int:
    """A conversation that crm_sync was told nothing of."""
    _, number = desk.begin("One")
    desk.chatwoot.add_message(number, "Two", direction="outgoing", sender_id=AGENT)
    desk.chatwoot.add_message(number, "Three", direction="outgoing", private=True, sender_id=AGENT)
    desk.chatwoot.add_message(number, "Four")
    desk.deliveries()
    return number


def texts(desk: Desk) -> list[str]:
    """What the activities say, in the order in which they were made, headings left out."""
    rows = sorted(desk.activities(), key=lambda row: row["id"])
    return [re.sub(r"<p><strong>.*?</strong></p>|</?p>", "", row["comment"]) for row in rows]


def test_the_message_that_makes_an_activity_brings_those_before_it(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    desk.sync()
    assert texts(desk) == ["One", "Two", "Three", "Four", "Five"]
    assert "Earlier messages added: 3." in desk.outcome()
    lead = desk.row("leads")["id"]
    assert {row["lead_id"] for row in desk.rows("lead_activities")} == {lead}


def test_a_change_of_status_that_makes_an_activity_brings_all_messages(desk: Desk, conversation: int) -> None:
    desk.chatwoot.set_status(conversation, "resolved")
    desk.sync()
    assert texts(desk) == ["One", "Two", "Three", "Four"]


def test_somebody_who_becomes_known_later_has_all_he_said_as_notes(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Visitor")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "One").id
    desk.chatwoot.add_message(number, "Two")
    desk.sync()
    assert desk.activities() == []
    desk.chatwoot.update_contact(contact.id, email="ana@example.com")
    desk.chatwoot.add_message(number, "Three")
    desk.sync()
    assert texts(desk) == ["One", "Two", "Three"]


def test_what_we_told_a_conversation_ourselves_is_neither_its_beginning_nor_a_note(desk: Desk) -> None:
    _, number = desk.begin(None)
    ours = {"crm_sync": {"key": "glpi:1:ITILFollowup:7"}}
    desk.chatwoot.add_message(
        number, "Solved", direction="outgoing", sender_id=AGENT, content_attributes=ours
    )
    desk.deliveries()
    for text in ("One", "Two"):
        desk.chatwoot.add_message(number, text)
    desk.take(desk.deliveries()[-1:])
    desk.drain()
    desk.chatwoot.add_message(number, "Three")
    desk.sync()
    assert texts(desk) == ["One", "Two", "Three"]


def test_messages_whose_own_deliveries_come_later_are_not_written_twice(desk: Desk) -> None:
    _, number = desk.begin("One")
    for text in ("Two", "Three", "Four"):
        desk.chatwoot.add_message(number, text)
    told = [item for item in desk.deliveries() if item["event"] == "message_created"]
    desk.take([told[3]])
    desk.drain()
    desk.take(told[:3])
    desk.drain()
    assert desk.waiting() == desk.failed() == []
    assert texts(desk) == ["One", "Two", "Three", "Four"]


@pytest.mark.parametrize("settings", [{"enable_message_sync": ""}], indirect=True)
def test_nothing_is_brought_where_messages_are_off(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    desk.sync()
    assert texts(desk) == ["One"]


@pytest.mark.parametrize("kind", [refuse, lose])
def test_a_break_on_the_way_leaves_no_message_out_and_writes_none_twice(
    desk: Desk, conversation: int, kind: object
) -> None:
    fault, hit = once(kind, "POST", "/activities", times=3)  # type: ignore[arg-type]
    desk.strike(fault)
    desk.chatwoot.add_message(conversation, "Five")
    desk.settle()
    assert hit.is_set()
    assert texts(desk) == ["One", "Two", "Three", "Four", "Five"]


def test_a_long_history_lets_others_have_their_turn(
    desk: Desk, conversation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "HISTORY_TURN", 2)
    desk.chatwoot.add_message(conversation, "Five")
    desk.settle()
    with desk.runtime.store.read() as session:
        outcomes = list(session.scalars(select(Attempt.outcome).order_by(Attempt.id)))
    assert outcomes == ["deferred", "done"]
    assert texts(desk) == ["One", "Two", "Three", "Four", "Five"]


def test_a_conversation_that_was_deleted_in_chatwoot_has_what_its_deliveries_tell(
    desk: Desk, conversation: int
) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    told = desk.deliveries()
    del desk.chatwoot.state.conversations[conversation]
    desk.take(told)
    desk.drain()
    assert desk.waiting() == desk.failed() == []
    assert texts(desk) == ["Five"]
    assert len(desk.rows("leads")) == 1


def test_a_history_is_read_once(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Five")
    desk.sync()
    desk.chatwoot.calls.clear()
    desk.chatwoot.add_message(conversation, "Six")
    desk.sync()
    assert [call for call in desk.chatwoot.requests if call[1].endswith("/messages")] == []
