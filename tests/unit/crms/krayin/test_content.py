"""What people wrote, as Krayin shows it."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crm_sync.crms import texts
from crm_sync.crms.krayin import content
from crm_sync.events import Attachment, Direction, Message, Sender, SenderKind

WORDS = texts.load("crm_sync.crms.krayin")
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def message(text: str | None, **more: Any) -> Message:
    given = {"sender": Sender(SenderKind.CONTACT, 5, "Ana"), **more}
    return Message(7, 12, Direction.INCOMING, text, private=False, created_at=NOON, **given)


def test_a_note_tells_who_wrote_when_and_what() -> None:
    assert content.comment(message("Hello\nyou"), WORDS) == (
        "<p><strong>[2026-11-02 12:00:00 UTC] Ana:</strong></p><p>Hello<br>you</p>"
    )


def test_what_people_wrote_cannot_become_markup() -> None:
    made = content.comment(
        message('<script>x</script> & "q"', sender=Sender(SenderKind.CONTACT, 5, "<b>")), WORDS
    )
    assert "<script" not in made
    assert "<b>" not in made
    assert '&lt;script&gt;x&lt;/script&gt; &amp; "q"' in made


@pytest.mark.parametrize("text", ["é" * 70_000, "<" * 70_000, "🙂" * 40_000])
def test_a_comment_is_never_longer_than_krayin_keeps(text: str) -> None:
    assert len(content.comment(message(text), WORDS).encode()) < 65_535


def test_an_agents_markdown_is_shown_as_chatwoot_shows_it_and_a_customers_stars_are_stars() -> None:
    text = "**Good news**\n1. open [it](https://shop/1)"
    assert content.body(message(text), WORDS) == f"<p>{text.replace(chr(10), '<br>')}</p>"
    agents = replace(message(text), direction=Direction.OUTGOING)
    made = content.body(agents, WORDS)
    assert "<strong>Good news</strong>" in made
    assert '<a href="https://shop/1">it</a>' in made
    assert "*" not in made


def test_markdown_that_becomes_too_long_is_cut_as_plain_text() -> None:
    made = content.body(replace(message("- <\n" * 4_900), direction=Direction.OUTGOING), WORDS)
    text, told = made.removesuffix("</em></p>").split("<p><em>")
    assert len(text.encode()) <= content.COMMENT_BYTES
    assert told == WORDS("words.cut", count=len(html.unescape(text[3:-4].replace("<br>", "\n"))))


def test_a_message_that_fits_says_nothing_of_being_cut() -> None:
    assert "<em>" not in content.body(message("x" * 1_000), WORDS)


def test_attachments_are_links_to_the_web_or_names() -> None:
    files = (
        Attachment(1, "image", "https://chat/x.png", "x.png"),
        Attachment(2, "file", "javascript:alert(1)", "y"),
    )
    made = content.body(message(None, attachments=files), WORDS)
    assert '<a href="https://chat/x.png">x.png</a>' in made
    assert "javascript" not in made


def test_edited_and_deleted_messages_say_so() -> None:
    assert "(edited)" in content.body(message("x", content_attributes={"edited": True}), WORDS)
    deleted = content.comment(
        message("This message was deleted", content_attributes={"deleted": True}), WORDS
    )
    assert WORDS("words.deleted") in deleted


@pytest.mark.parametrize(
    ("text", "more", "readable"),
    [
        ("x", {}, True),
        (" ", {}, False),
        (None, {"attachments": (Attachment(1, "image"),)}, True),
        ("x", {"content_attributes": {"deleted": True}}, False),
    ],
)
def test_only_what_can_be_read_has_content(text: str | None, more: dict[str, Any], *, readable: bool) -> None:
    assert content.has_content(message(text, **more)) is readable


def test_an_activity_is_known_by_its_tag_alone() -> None:
    assert content.is_tagged({"additional": {"crm_sync": "cw-1"}}, "cw-1")
    for additional in (None, "cw-1", {"crm_sync": "cw-11"}, {}):
        assert not content.is_tagged({"additional": additional}, "cw-1")
