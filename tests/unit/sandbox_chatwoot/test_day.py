"""The day of support traffic: always the same, as large as asked for, and foretold by its own expectation."""

from __future__ import annotations

import dataclasses

import phonenumbers
import pytest

from crm_sync.sandbox.chatwoot import ChatwootSandbox
from crm_sync.sandbox.chatwoot.records import ACTIVITY, OUTGOING
from crm_sync.sandbox.day import (
    EMAIL,
    WHATSAPP,
    WIDGET,
    EditContact,
    Expected,
    NewContact,
    Open,
    Say,
    SetStatus,
    Step,
    Weather,
    expected,
    plan,
    play,
)


def test_the_same_seed_is_the_same_day() -> None:
    assert plan(seed=7) == plan(seed=7)
    assert plan(seed=7) != plan(seed=8)


def test_a_day_has_what_a_support_team_sees() -> None:
    steps = plan()
    new = [step for step in steps if isinstance(step, NewContact)]
    opened = [step for step in steps if isinstance(step, Open)]
    said = [step for step in steps if isinstance(step, Say)]
    assert (len(new), len(opened), len(opened) + len(said)) == (44, 64, 320)
    assert {step.inbox_id for step in opened} == {WIDGET, EMAIL, WHATSAPP}
    assert any(step.private for step in said)
    assert {file["file_type"] for step in said for file in step.attachments} >= {"image", "file", "location"}
    assert {step.status for step in steps if isinstance(step, SetStatus)} >= {
        "resolved",
        "pending",
        "snoozed",
        "open",
    }
    assert any(isinstance(step, EditContact) for step in steps)
    weather = [step for step in steps if isinstance(step, Weather)]
    assert any(step.shuffle and step.double for step in weather)
    assert weather[-1] == Weather()
    texts = " ".join(step.text or "" for step in said) + " ".join(step.text for step in opened)
    assert all(piece in texts for piece in ("👍", "<", "&", "هل"))
    assert any("المثال" in step.name for step in new)
    assert any(step.email is None and step.phone_number is None for step in new)


@pytest.mark.parametrize(("contacts", "conversations", "messages"), [(1, 1, 1), (3, 5, 9), (150, 20, 40)])
def test_a_day_is_as_large_as_asked_for(contacts: int, conversations: int, messages: int) -> None:
    steps = plan(seed=2, contacts=contacts, conversations=conversations, messages=messages)
    assert sum(isinstance(step, NewContact) for step in steps) == contacts
    assert sum(isinstance(step, Open) for step in steps) == conversations
    assert sum(isinstance(step, Open | Say) for step in steps) == messages


@pytest.mark.parametrize(("contacts", "conversations", "messages"), [(0, 1, 1), (1, 0, 1), (1, 2, 1)])
def test_a_day_that_cannot_be_is_refused(contacts: int, conversations: int, messages: int) -> None:
    with pytest.raises(ValueError, match="A day needs"):
        plan(contacts=contacts, conversations=conversations, messages=messages)


def test_everybody_is_invented_and_unmistakable() -> None:
    new = [step for step in plan(contacts=400) if isinstance(step, NewContact)]
    emails = [step.email for step in new if step.email]
    phones = [step.phone_number for step in new if step.phone_number]
    assert len(set(emails)) == len(emails)
    assert len(set(phones)) == len(phones)
    assert all(email.endswith(("@example.com", "@example.org", "@example.net")) for email in emails)
    assert all(phone[5:10] == "55501" for phone in phones)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(phone)) for phone in phones)


def test_no_sentence_occurs_twice() -> None:
    texts = [line.text for one in expected(plan()).values() for line in one.lines if line.text]
    assert len(set(texts)) == len(texts)


def test_steps_are_plain_data() -> None:
    step = plan()[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.contact = 9  # type: ignore[union-attr,misc]


def test_people_appear_before_they_write() -> None:
    met: set[int] = set()
    for step in plan(seed=4):
        if isinstance(step, NewContact):
            met.add(step.contact)
        elif isinstance(step, Open | EditContact):
            assert step.contact in met


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_expected_is_what_happens(silent: ChatwootSandbox, seed: int) -> None:
    steps = plan(seed=seed)
    seen: list[Step] = []
    played = play(silent, steps, on_step=seen.append)
    assert tuple(seen) == steps
    wanted = expected(steps)
    assert len(wanted) == len(silent.state.conversations)
    for number, one in wanted.items():
        row = silent.state.conversations[played.conversations[number]]
        contact = silent.state.contacts[played.contacts[one.contact]]
        messages = [message for message in row.messages if message.message_type != ACTIVITY]
        assert row.contact_id == contact.id
        assert row.status == one.status
        assert one.identifiable == bool(contact.email or contact.phone_number)
        assert one.public == tuple(m.content for m in messages if not m.private)
        assert one.notes == tuple(m.content for m in messages if m.private)
        assert [line.attachments for line in one.lines] == [len(m.attachments) for m in messages]
        assert all(
            (line.direction == "outgoing") == (m.message_type == OUTGOING)
            for line, m in zip(one.lines, messages, strict=True)
        )


def test_an_edit_can_make_somebody_identifiable() -> None:
    steps: list[Step] = [
        NewContact(1, "Visitor"),
        Open(1, 1, WIDGET, "Hi"),
        EditContact(1, {"email": "v@example.com"}),
        SetStatus(1, "pending"),
        Say(1, "again"),
    ]
    assert expected(steps)[1] == Expected(1, 1, True, "pending", expected(steps)[1].lines)


def test_the_weather_changes_how_deliveries_travel(silent: ChatwootSandbox) -> None:
    play(silent, [Weather(shuffle=True, double=0.5)])
    assert (silent.shuffle, silent.double) == (True, 0.5)
