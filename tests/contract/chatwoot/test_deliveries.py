"""Every recorded delivery is read as what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crm_sync.chatwoot.noise import noise
from crm_sync.chatwoot.payloads import delivery_key, read, scrub
from crm_sync.errors import PayloadError, Skip
from crm_sync.events import Direction, EventName, SenderKind, Status

Load = Callable[[str], dict[str, Any]]

NAMES = sorted(path.stem for path in (Path(__file__).parent / "data" / "webhooks").glob("*.json"))
NOT_FOR_CRMS = [name for name in NAMES if name.startswith(("webwidget", "inbox", "conversation_typing"))]
FOREIGN = [name for name in NAMES if name.startswith("automation")]
EVENTS = [name for name in NAMES if name not in {*NOT_FOR_CRMS, *FOREIGN}]
OWN_KEYS = frozenset(
    {"glpi_ticket_id", "glpi_ticket_url", "glpi_user_id", "krayin_lead_id", "krayin_person_id"}
)


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", EVENTS)
def test_a_delivery_is_read_with_its_ids_and_account(delivery: Load, name: str) -> None:
    payload = delivery(name)
    event = read(payload)
    assert event.name == payload["event"]
    assert event.account_id == (99 if name == "negative.foreign_account" else 3)
    if event.message is not None:
        assert event.message.id == payload["id"]
        assert event.conversation is not None
        assert event.message.conversation_id == event.conversation.id == payload["conversation"]["id"]
        assert event.contact.id == payload["conversation"]["meta"]["sender"]["id"]
        assert event.conversation.inbox_name == payload["inbox"]["name"]
    elif event.conversation is not None:
        assert event.conversation.id == payload["id"]
        assert event.contact.id == payload["meta"]["sender"]["id"]
        assert event.conversation.status == payload["status"]
    else:
        assert event.contact.id == payload["id"]


@pytest.mark.parametrize("name", EVENTS)
def test_reading_the_scrubbed_copy_says_the_same(delivery: Load, name: str) -> None:
    payload = delivery(name)
    assert read(scrub(payload)) == read(payload)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_survives_scrubbing(delivery: Load, name: str) -> None:
    payload = delivery(name)
    before = json.dumps(payload)
    words = json.dumps(scrub(payload))
    assert not re.search("pubsub|REDACTED|hmac_token|apiInboxIdentifier", words)
    assert json.dumps(payload) == before


@pytest.mark.parametrize("name", NOT_FOR_CRMS)
def test_events_without_a_customer_are_skipped(delivery: Load, name: str) -> None:
    with pytest.raises(Skip) as caught:
        read(delivery(name))
    assert caught.value.reason == "not_for_crms"


@pytest.mark.parametrize("name", FOREIGN)
def test_deliveries_of_automation_rules_are_refused(delivery: Load, name: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read(delivery(name))
    assert caught.value.code == "unknown_event"


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("contact_created.email", None),
        ("contact_updated.name_and_email", "2026-09-14 13:29:00.041"),
        ("conversation_created.whatsapp", "2026-09-14 13:20:00"),
        ("conversation_updated.first_reply", "2026-09-14 13:24:00.058"),
        ("conversation_status_changed.reopened_by_customer", "2026-09-14 18:20:00.120"),
        ("message_created.incoming_whatsapp_text", "2026-09-14 13:20:01.204"),
        ("message_updated.deleted", "2026-09-14 13:32:00"),
        ("message_updated.status_delivered", "2026-09-14 13:24:03"),
        ("legacy_4.10.conversation_created_unsigned_no_account", "2026-09-14 13:20:00"),
    ],
)
def test_the_time_of_an_event_is_found(delivery: Load, name: str, moment: str | None) -> None:
    assert read(delivery(name)).occurred_at == (at(moment) if moment else None)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("conversation_status_changed.resolved", Status.RESOLVED),
        ("conversation_status_changed.pending", Status.PENDING),
        ("conversation_status_changed.snoozed", Status.SNOOZED),
        ("conversation_status_changed.reopened_by_customer", Status.OPEN),
    ],
)
def test_a_status_is_read(delivery: Load, name: str, status: Status) -> None:
    event = read(delivery(name))
    assert event.conversation is not None
    assert event.conversation.status is status
    assert event.changed == {}


@pytest.mark.parametrize(
    ("name", "direction", "kind", "private"),
    [
        ("message_created.incoming_whatsapp_text", Direction.INCOMING, SenderKind.CONTACT, False),
        ("message_created.outgoing_agent", Direction.OUTGOING, SenderKind.AGENT, False),
        ("message_created.outgoing_agent_bot", Direction.OUTGOING, SenderKind.BOT, False),
        ("message_created.outgoing_whatsapp_native_echo", Direction.OUTGOING, SenderKind.SYSTEM, False),
        ("message_created.private_note_agent", Direction.OUTGOING, SenderKind.AGENT, True),
        ("message_created.template_csat", Direction.TEMPLATE, SenderKind.SYSTEM, False),
    ],
)
def test_it_is_known_who_wrote_a_message(
    delivery: Load, name: str, direction: Direction, kind: SenderKind, *, private: bool
) -> None:
    message = read(delivery(name)).message
    assert message is not None
    assert (message.direction, message.sender.kind, message.private) == (direction, kind, private)


def test_files_are_read_with_name_size_and_transcript(delivery: Load) -> None:
    message = read(delivery("message_created.incoming_pdf_and_audio")).message
    assert message is not None
    pdf, audio = message.attachments
    assert (pdf.file_type, pdf.name, pdf.size_bytes, pdf.extension) == (
        "file",
        "nota_fiscal_ção.pdf",
        90211,
        "pdf",
    )
    assert (audio.file_type, audio.transcript) == ("audio", None)


def test_a_message_without_words_has_no_content(delivery: Load) -> None:
    message = read(delivery("message_created.incoming_image_no_caption")).message
    assert message is not None
    assert message.content is None
    assert message.attachments[0].url


def test_a_contact_card_is_named_after_its_person(delivery: Load) -> None:
    message = read(delivery("message_created.incoming_contact_card")).message
    assert message is not None
    assert message.attachments[0].name == "Davi Melo (+5581977776666)"


def test_a_deleted_message_says_so(delivery: Load) -> None:
    message = read(delivery("message_updated.deleted")).message
    assert message is not None
    assert message.deleted


def test_a_long_first_message_arrives_whole(delivery: Load) -> None:
    payload = delivery("conversation_created.api_very_long_first_message")
    event = read(payload)
    assert event.conversation is not None
    assert event.conversation.messages[0].content == payload["messages"][0]["content"]


def test_assignee_and_team_are_read(delivery: Load) -> None:
    event = read(delivery("conversation_updated.team"))
    assert event.conversation is not None
    assert event.conversation.team is not None
    assert (event.conversation.team.id, event.conversation.team.name) == (2, "vendas")
    assert event.conversation.assignee is not None
    assert event.conversation.assignee.kind is SenderKind.AGENT


def test_a_bot_is_an_assignee_of_its_own_kind(delivery: Load) -> None:
    event = read(delivery("conversation_created.pending_with_agent_bot"))
    assert event.conversation is not None
    assert event.conversation.assignee is not None
    assert event.conversation.assignee.kind is SenderKind.BOT


def test_changes_are_read_from_a_list_of_small_objects(delivery: Load) -> None:
    changed = read(delivery("contact_updated.name_and_email")).changed
    assert set(changed) == {"name", "email", "updated_at"}
    assert (changed["email"].previous, changed["email"].current) == (None, "bruno@example.com")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("contact_updated.noise_last_activity", "contact_activity"),
        ("contact_updated.echo_custom_attributes", "own_echo"),
        ("contact_updated.echo_additional_attributes_external", "own_echo"),
        ("conversation_updated.echo_custom_attributes", "own_echo"),
        ("message_created.private_note_own_echo", "own_echo"),
        ("conversation_updated.waiting_since", "conversation_bookkeeping"),
        ("conversation_updated.first_reply", "conversation_bookkeeping"),
    ],
)
def test_noise_is_recognised(delivery: Load, name: str, reason: str) -> None:
    found = noise(read(delivery(name)), own_keys=OWN_KEYS, profile_id=90)
    assert found is not None
    assert found[0] == reason


def test_nothing_else_is_noise(delivery: Load) -> None:
    kept = {name for name in EVENTS if noise(read(delivery(name)), own_keys=OWN_KEYS, profile_id=90) is None}
    assert len(kept) == len(EVENTS) - 7


def test_two_deliveries_of_one_change_have_one_key(delivery: Load, sequences: dict[str, list[str]]) -> None:
    first, second = (delivery(name) for name in sequences["label_change_double_delivery"])
    assert delivery_key(read(first), first) == delivery_key(read(second), second) is not None


def test_different_things_have_different_keys(delivery: Load) -> None:
    # These repeat a record of another file: in an older shape, or for another account.
    names = [name for name in EVENTS if not name.startswith(("legacy", "negative"))]
    names.remove("conversation_updated.labels_duplicate")
    keys = [key for name in names if (key := delivery_key(read(delivery(name)), delivery(name)))]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= 200 for key in keys)


def test_updates_of_a_message_are_never_taken_for_repeats(delivery: Load) -> None:
    for name in EVENTS:
        payload = delivery(name)
        event = read(payload)
        assert (delivery_key(event, payload) is None) == (event.name is EventName.MESSAGE_UPDATED)
