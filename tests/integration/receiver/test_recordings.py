"""What becomes of everything Chatwoot was heard saying, in its own bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crm_sync.store.models import Hook, HookState, SignatureMode
from tests.servers import on_every_database

DATA = Path(__file__).parents[2] / "contract/chatwoot/data"
NAMES = sorted(path.stem for path in (DATA / "webhooks").glob("*.json"))

#: What becomes of a recorded delivery at an account whose only hook is a GLPI: the number of its events, or why it
#: is ignored (202) or refused (4xx).
OUTCOMES: dict[str, int | str] = {
    # Automation rules are not signed, and double what the webhook says.
    "automation.conversation_created_unsigned": "signature_missing",
    "contact_created.api_full": 1,
    "contact_created.email": 1,
    "contact_created.instagram_social_only": 1,
    "contact_created.webwidget_anonymous": 1,
    "contact_created.whatsapp_phone_only": 1,
    "contact_updated.after_merge": 1,
    "contact_updated.blocked": 1,
    "contact_updated.echo_additional_attributes_external": "own_echo",
    "contact_updated.echo_custom_attributes": 1,  # what Krayin's hook writes is no echo of GLPI's
    "contact_updated.email_removed": 1,
    "contact_updated.name_and_email": 1,
    "contact_updated.noise_last_activity": "contact_activity",
    "conversation_created.api_very_long_first_message": 1,
    "conversation_created.pending_with_agent_bot": 1,
    "conversation_created.webwidget_no_messages": 1,
    "conversation_created.whatsapp": 1,
    "conversation_status_changed.pending": 1,
    "conversation_status_changed.reopened_by_customer": 1,
    "conversation_status_changed.resolved": 1,
    "conversation_status_changed.resolved_echo_of_own_toggle": 1,  # nothing tells it from an agent's
    "conversation_status_changed.snoozed": 1,
    "conversation_status_changed.snoozed_until_next_reply": 1,
    "conversation_typing_off.agent": "not_for_crms",
    "conversation_typing_on.agent": "not_for_crms",
    "conversation_typing_on.contact": "not_for_crms",
    "conversation_updated.assignee": 1,
    "conversation_updated.echo_custom_attributes": "own_echo",
    "conversation_updated.first_reply": "conversation_bookkeeping",
    "conversation_updated.labels": 1,
    "conversation_updated.labels_duplicate": "repeat",
    "conversation_updated.snoozed_until": 1,
    "conversation_updated.status_resolved": 1,
    "conversation_updated.team": 1,
    "conversation_updated.waiting_since": "conversation_bookkeeping",
    "inbox_created.api_channel": "not_for_crms",
    "inbox_updated.api_channel": "not_for_crms",
    # Before 4.12 nothing was signed.
    "legacy_4.10.conversation_created_unsigned_no_account": "signature_missing",
    "legacy_4.10.message_created_unsigned": "signature_missing",
    "message_created.incoming_contact_card": 1,
    "message_created.incoming_image_no_caption": 1,
    "message_created.incoming_pdf_and_audio": 1,
    "message_created.incoming_reply_to": 1,
    "message_created.incoming_whatsapp_text": 1,
    "message_created.outgoing_agent": 1,
    "message_created.outgoing_agent_bot": 1,
    "message_created.outgoing_whatsapp_native_echo": 1,
    "message_created.private_note_agent": 1,
    "message_created.private_note_own_echo": "own_echo",
    "message_created.template_csat": 1,
    "message_updated.deleted": 1,
    "message_updated.sender_rewritten_by_merge": 1,
    # A message_updated does not say what changed, so these are taken too.
    "message_updated.status_delivered": 1,
    "message_updated.status_failed": 1,
    "negative.foreign_account": "foreign_account",
    "webwidget_triggered.no_conversation": "not_for_crms",
    "webwidget_triggered.with_conversation": "not_for_crms",
}
STATUS = {"signature_missing": 401, "foreign_account": 400, "unknown_event": 400}


def recording(name: str) -> tuple[bytes, dict[str, str]]:
    """The bytes of a recorded delivery, and its headers."""
    headers: dict[str, str] = json.loads((DATA / "webhooks" / f"{name}.json").read_text())["headers"]
    kept = {key: value for key, value in headers.items() if key not in {"Host", "Content-Length"}}
    return (DATA / "raw" / f"{name}.body").read_bytes(), kept


def replay(office: Any, name: str) -> int | str:
    """A recorded delivery comes in at the moment it was signed; what becomes of it."""
    raw, headers = recording(name)
    moment = datetime.fromtimestamp(int(headers.get("X-Chatwoot-Timestamp", 1_789_392_000)), UTC)
    office.runtime.now = lambda: moment
    answer = office.post(raw, headers)
    body: dict[str, Any] = answer.json
    if answer.status_code == 202:
        found: int | str = body["accepted"] if body["ignored"] is None else body["ignored"]
        return found
    assert answer.status_code == STATUS[body["error"]]
    assert body["message"].endswith(".")
    return str(body["error"])


@pytest.fixture
def glpi(office: Any) -> Iterator[Any]:
    """The account has a GLPI, and nothing else."""
    with office.runtime.store.write() as session:
        session.delete(session.get_one(Hook, office.hooks.pop("notebook")))
    office.add_hook("glpi")
    return office


@on_every_database
def test_every_recorded_delivery_is_accepted_ignored_or_refused_for_its_reason(glpi: Any) -> None:
    assert {name: replay(glpi, name) for name in NAMES} == OUTCOMES
    accepted = sum(outcome for outcome in OUTCOMES.values() if isinstance(outcome, int))
    assert len(glpi.deliveries()) == len(glpi.events()) == accepted
    assert {event.state for event in glpi.events()} == {"pending"}


def test_nothing_is_stored_twice_when_everything_is_delivered_once_more(glpi: Any) -> None:
    for name in NAMES:
        replay(glpi, name)
    stored = glpi.stored()
    again = {name: replay(glpi, name) for name in NAMES}
    assert again == {
        name: "repeat" if isinstance(outcome, int) else outcome for name, outcome in OUTCOMES.items()
    }
    assert glpi.stored() == stored


@on_every_database
def test_the_stored_payload_is_what_came_without_the_secrets_of_chatwoot(glpi: Any) -> None:
    names = [name for name, outcome in OUTCOMES.items() if isinstance(outcome, int)]
    for name in names:
        replay(glpi, name)
    stored = {delivery.delivery_id: delivery for delivery in glpi.deliveries()}
    with_tokens = 0
    for name in names:
        raw, headers = recording(name)
        delivery = stored[headers["X-Chatwoot-Delivery"]]
        payload = json.loads(raw)
        with_tokens += b"pubsub_token" in raw
        assert "pubsub_token" not in json.dumps(delivery.payload)
        assert delivery.event_name == delivery.payload["event"] == payload["event"]
        assert (delivery.source, delivery.account_id) == ("webhook", 1)
        for key in ("id", "name", "content", "status"):
            assert delivery.payload.get(key) == payload.get(key)
    assert with_tokens > 10


@pytest.mark.parametrize(
    "name", ["legacy_4.10.conversation_created_unsigned_no_account", "legacy_4.10.message_created_unsigned"]
)
def test_deliveries_of_a_chatwoot_that_signs_nothing_are_accepted_when_signatures_are_optional(
    glpi: Any, name: str
) -> None:
    glpi.change_account(signature=SignatureMode.OPTIONAL, signing_secret=None)
    assert replay(glpi, name) == 1


def test_deliveries_of_automation_rules_are_refused_as_unknown_when_nothing_is_signed(glpi: Any) -> None:
    glpi.change_account(signature=SignatureMode.OFF)
    assert replay(glpi, "automation.conversation_created_unsigned") == "unknown_event"


@pytest.mark.parametrize("state", list(HookState))
def test_events_are_journaled_for_a_hook_in_every_state(office: Any, state: HookState) -> None:
    hook = office.add_hook("diary", state)
    assert replay(office, "contact_created.email") == 2
    assert [event.hook_id for event in office.events()] == [office.hooks["notebook"], hook]
    assert {event.state for event in office.events()} == {"pending"}
