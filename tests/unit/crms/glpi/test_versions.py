"""An edit is told from a receipt by what was said and what came of it, whoever is said to have written it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync.crms.glpi import versions
from crm_sync.crms.glpi.versions import Version
from crm_sync.errors import Skip
from crm_sync.events import Attachment, Contact, Direction, Event, EventName, Message, Sender, SenderKind

WRITTEN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LATER = WRITTEN + timedelta(hours=1)
NOW = WRITTEN + timedelta(hours=5)
SOUND = Attachment(1, "audio", url="https://x.example/a")
MESSAGE = Message(81, 10, Direction.INCOMING, "Hello", False, WRITTEN, attachments=(SOUND,))


def due(agreed: dict[str, Any], message: Message, at: datetime = LATER) -> tuple[Version, dict[str, Any]]:
    """What an update of this time asks for."""
    event = Event(EventName.MESSAGE_UPDATED, Contact(1), message=message, occurred_at=at)
    return versions.due(agreed, event, message, NOW)


@pytest.mark.parametrize(
    "same",
    [
        MESSAGE,
        replace(MESSAGE, sender=Sender(SenderKind.CONTACT, 5, "Somebody else")),
        replace(MESSAGE, status="read"),
        replace(MESSAGE, source_id="wamid.1"),
        replace(MESSAGE, content_attributes={"in_reply_to": 4}),
        replace(MESSAGE, attachments=(replace(SOUND, url="https://elsewhere.example/a"),)),
    ],
)
def test_what_glpi_does_not_show_is_nothing_new(same: Message) -> None:
    with pytest.raises(Skip) as skipped:
        due(Version.of(MESSAGE).agreed(), same)
    assert skipped.value.reason == "nothing_new"


@pytest.mark.parametrize(
    ("changed", "edited"),
    [
        (replace(MESSAGE, content="Hi"), True),
        (replace(MESSAGE, content_attributes={"items": [{"title": "x"}]}), True),
        (replace(MESSAGE, status="failed"), False),
        (replace(MESSAGE, content_attributes={"external_error": "x"}), False),
        (replace(MESSAGE, content_attributes={"submitted_values": [{"value": "x"}]}), False),
        (replace(MESSAGE, attachments=(replace(SOUND, transcript="Oi"),)), False),
    ],
)
def test_what_glpi_shows_is_written_once_and_only_new_words_are_an_edit(
    changed: Message, *, edited: bool
) -> None:
    version, remembered = due(Version.of(MESSAGE).agreed(), changed)
    assert version.edited is edited
    with pytest.raises(Skip):
        due(remembered, changed)


def test_what_was_edited_stays_edited_and_a_failure_can_be_over() -> None:
    _, remembered = due(Version.of(MESSAGE).agreed(), replace(MESSAGE, content="Hi", status="failed"))
    version, _ = due(remembered, replace(MESSAGE, content="Hi", status="delivered"))
    assert (version.edited, version.came) == (True, "")


@pytest.mark.parametrize(
    ("at", "told"), [(LATER, "2026-11-02 10:00:00 UTC"), (WRITTEN, "2026-11-02 14:00:00 UTC")]
)
def test_a_deletion_is_dated_as_well_as_it_can_be(at: datetime, told: str) -> None:
    gone = replace(MESSAGE, content="gone", content_attributes={"deleted": True})
    version, remembered = due(Version.of(MESSAGE).agreed(), gone, at)
    assert version.deleted_at == told
    with pytest.raises(Skip):
        due(remembered, gone, NOW)


def test_a_state_that_is_older_is_left_alone() -> None:
    _, remembered = due(
        Version.of(MESSAGE).agreed(), replace(MESSAGE, content="Newer"), LATER + timedelta(minutes=1)
    )
    with pytest.raises(Skip) as skipped:
        due(remembered, replace(MESSAGE, content="Older"), LATER)
    assert skipped.value.reason == "outdated"


def test_a_record_that_does_not_tell_what_it_shows_is_written_anew_and_not_called_edited() -> None:
    version, _ = due({"ticket": "7"}, MESSAGE)
    assert version == Version.of(MESSAGE)
