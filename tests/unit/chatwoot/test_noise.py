"""What is noise, and above all what is not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from crm_sync.chatwoot.noise import MARKER, noise
from crm_sync.events import (
    Change,
    Contact,
    Conversation,
    Direction,
    Event,
    EventName,
    Message,
    Sender,
    SenderKind,
    Status,
)

CONTACT = Contact(7)
CONVERSATION = Conversation(12, Status.OPEN, CONTACT)
OWN = {"glpi_ticket_id", "krayin_lead_id"}
US = 90
CLOCK = {"updated_at": ("a", "b")}


def contact_updated(**changes: tuple[Any, Any]) -> Event:
    return Event(EventName.CONTACT_UPDATED, CONTACT, changed=_changes(changes))


def conversation_updated(**changes: tuple[Any, Any]) -> Event:
    return Event(EventName.CONVERSATION_UPDATED, CONTACT, CONVERSATION, changed=_changes(changes))


def message(
    *,
    direction: Direction = Direction.OUTGOING,
    private: bool = False,
    sender: Sender | None = None,
    marker: Any = None,
    source_id: str | None = None,
) -> Event:
    found = Message(
        1,
        12,
        direction,
        "x",
        private,
        datetime(2026, 1, 1, tzinfo=UTC),
        sender=sender or Sender(SenderKind.AGENT, US),
        content_attributes={MARKER: marker} if marker else {},
        source_id=source_id,
    )
    return Event(EventName.MESSAGE_CREATED, CONTACT, CONVERSATION, found)


def _changes(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Change]:
    return {key: Change(*pair) for key, pair in changes.items()}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (contact_updated(**CLOCK), "contact_activity"),
        (contact_updated(**CLOCK, last_activity_at=(None, "x")), "contact_activity"),
        (contact_updated(), None),
        (contact_updated(**CLOCK, name=("A", "B")), None),
        (contact_updated(**CLOCK, blocked=(False, True)), None),
        (contact_updated(custom_attributes=({}, {"krayin_lead_id": 1})), "own_echo"),
        (contact_updated(custom_attributes=({"krayin_lead_id": 1, "p": 2}, {"p": 2})), "own_echo"),
        (contact_updated(custom_attributes=({}, {"krayin_lead_id": 1, "plan": "x"})), None),
        (contact_updated(custom_attributes=({"plan": "x"}, {"krayin_lead_id": 1})), None),
        (contact_updated(custom_attributes=({"a": 1}, {"a": 1})), None),
        (contact_updated(custom_attributes=(None, {"krayin_lead_id": 1})), "own_echo"),
        (contact_updated(custom_attributes=({}, {"krayin_lead_id": 1}), email=(None, "e")), None),
        (
            contact_updated(additional_attributes=({}, {"external": {"krayin_lead_id": 1}})),
            "own_echo",
        ),
        (contact_updated(additional_attributes=({}, {"external": {"leadsquared_id": "1"}})), None),
        (contact_updated(additional_attributes=({"city": "A"}, {"city": "B"})), None),
        (
            contact_updated(
                additional_attributes=({"city": "A"}, {"city": "B", "external": {"krayin_lead_id": 1}})
            ),
            None,
        ),
        (conversation_updated(), None),
        (conversation_updated(**CLOCK, waiting_since=("a", None)), "conversation_bookkeeping"),
        (
            conversation_updated(first_reply_created_at=(None, "x"), cached_label_list=(None, "")),
            "conversation_bookkeeping",
        ),
        (conversation_updated(cached_label_list=("vip", "vip, bug")), None),
        (conversation_updated(label_list=(["a"], ["b"])), None),
        (conversation_updated(**CLOCK, status=("open", "resolved")), None),
        (conversation_updated(assignee_id=(None, 31)), None),
        (conversation_updated(priority=(None, "high")), None),
        (conversation_updated(custom_attributes=({}, {"glpi_ticket_id": "9"})), "own_echo"),
        (conversation_updated(custom_attributes=({}, {"order": "9"})), None),
        (
            conversation_updated(
                custom_attributes=({}, {"glpi_ticket_id": "9"}), status=("open", "resolved")
            ),
            None,
        ),
        (Event(EventName.CONVERSATION_STATUS_CHANGED, CONTACT, CONVERSATION), None),
        (Event(EventName.CONTACT_CREATED, CONTACT), None),
        (message(marker={"key": "k"}), "own_echo"),
        (message(marker={"key": "k"}, private=True), "own_echo"),
        (message(marker={"key": "k"}, direction=Direction.INCOMING), None),
        (message(private=True, source_id="crm-sync:k"), "own_echo"),
        (message(private=True), None),
        (message(), None),
        (message(private=True, source_id="crm-sync:k", sender=Sender(SenderKind.AGENT, 31)), None),
        (message(private=True, source_id="crm-sync:k", sender=Sender(SenderKind.BOT, US)), None),
    ],
)
def test_noise(event: Event, reason: str | None) -> None:
    found = noise(event, own_keys=OWN, profile_id=US)
    assert (found[0] if found else None) == reason
    assert found is None or found[1].endswith(".")


def test_nobody_is_taken_for_us_while_we_do_not_know_who_we_are() -> None:
    nobody = message(private=True, source_id="crm-sync:k", sender=Sender(SenderKind.AGENT, None))
    assert noise(nobody, own_keys=OWN, profile_id=None) is None
