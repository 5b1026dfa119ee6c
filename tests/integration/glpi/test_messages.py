"""Messages become followups: once, in order, in the right name, and private where they are."""

from __future__ import annotations

import re

import pytest

from crm_sync.store.models import EventState
from tests.integration.glpi.desk import MORNING, WEBSITE, Desk

AGENT = 31


@pytest.fixture
def conversation(desk: Desk) -> int:
    """Ana's conversation, with its ticket."""
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    desk.sync()
    return number


def test_messages_stand_in_the_ticket_in_order_and_the_first_only_once(desk: Desk, conversation: int) -> None:
    for text in ("Hello?", "Anybody?", "I am here"):
        desk.chatwoot.add_message(conversation, text)
    desk.chatwoot.add_message(conversation, "At your service", direction="outgoing", sender_id=AGENT)
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert desk.texts(ticket) == [
        "It does not print",
        "Hello?",
        "Anybody?",
        "I am here",
        "At your service",
    ]
    assert f"The message is the description of ticket {ticket}." in desk.outcomes()


@pytest.mark.parametrize("backwards", [False, True])
def test_messages_that_come_before_their_conversation_open_its_ticket(desk: Desk, *, backwards: bool) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "One").id
    for text in ("Two", "Three"):
        desk.chatwoot.add_message(number, text)
    payloads = desk.deliveries()
    for payload in reversed(payloads) if backwards else payloads:
        desk.take([payload])
        desk.drain()
    desk.settle()

    texts = desk.texts(desk.row("Ticket")["id"])
    assert texts[0] == "One"
    assert sorted(texts) == ["One", "Three", "Two"]


def test_a_delivery_that_shows_a_later_message_does_not_make_that_the_description(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "One").id
    created = next(item for item in desk.deliveries() if item["event"] == "conversation_created")
    desk.chatwoot.state._now = lambda: MORNING.replace(hour=10)
    desk.chatwoot.add_message(number, "Two")
    shown = next(item for item in desk.deliveries() if item["event"] == "message_created")
    desk.take([created | {"messages": shown["conversation"]["messages"]}, shown])
    desk.drain()

    assert desk.texts(desk.row("Ticket")["id"]) == ["One", "Two"]


def test_a_followup_says_who_wrote_it_and_when(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "At your service", direction="outgoing", sender_id=AGENT)
    desk.sync()

    row = desk.row("ITILFollowup")
    assert desk.content(row).startswith(
        "<p><strong>[2026-11-02 09:00:00 UTC] Joan (Support):</strong></p><p>At your service</p>"
    ) or desk.content(row).startswith("<p><strong>[2026-11-02 09:00:00 UTC] Joan Example:</strong></p>")
    assert row["date"] == "2026-11-02 06:00:00"


def test_the_customers_words_are_written_in_the_customers_name(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Hello?")
    desk.chatwoot.add_message(conversation, "Here", direction="outgoing", sender_id=AGENT)
    desk.sync()

    customer, agent = desk.rows("ITILFollowup")
    assert customer["users_id"] == desk.users()[0]["id"]
    assert agent["users_id"] == 2


def test_agents_words_are_written_in_the_name_the_settings_say(desk: Desk, conversation: int) -> None:
    desk.set(default_user_id="4")
    desk.chatwoot.add_message(conversation, "Here", direction="outgoing", sender_id=AGENT)
    desk.sync()

    assert desk.row("ITILFollowup")["users_id"] == 4


def test_a_private_note_is_private_and_an_answer_is_not(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Rude", direction="outgoing", private=True, sender_id=AGENT)
    desk.chatwoot.add_message(conversation, "Sure", direction="outgoing", sender_id=AGENT)
    desk.sync()

    assert [row["is_private"] for row in desk.rows("ITILFollowup")] == [1, 0]


def test_attachments_are_linked(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(
        conversation, "See", attachments=[{"file_type": "image"}, {"file_type": "file"}]
    )
    desk.chatwoot.add_message(conversation, None, attachments=[{"file_type": "audio"}])
    desk.sync()

    first, second = (desk.content(row) for row in desk.rows("ITILFollowup"))
    assert len(re.findall(r'<li><a href="https://chat\.example\.com/[^"]+">[^<]+</a></li>', first)) == 2
    assert "<p>See</p><p>Attachments:</p><ul>" in first
    assert "<p>Attachments:</p><ul><li><a " in second


def test_an_attachment_alone_can_be_the_description(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, None, attachments=[{"file_type": "image"}])
    desk.sync()

    assert "<ul><li><a " in desk.content(desk.row("Ticket"))


def test_a_survey_is_no_message(desk: Desk, conversation: int) -> None:
    desk.chatwoot.state.inboxes[WEBSITE].csat = True
    desk.chatwoot.set_status(conversation, "resolved")
    desk.sync()

    assert desk.rows("ITILFollowup") == []
    skipped = [event for event in desk.events(EventState.SKIPPED) if event.name == "message_created"]
    assert [event.reason for event in skipped] == ["template"]


@pytest.mark.parametrize("text", ["", "  \n "])
def test_a_message_without_content_is_skipped(desk: Desk, conversation: int, text: str) -> None:
    desk.chatwoot.add_message(conversation, text)
    desk.sync()

    assert desk.rows("ITILFollowup") == []
    assert "The message has no content." in desk.outcomes()


def test_no_followup_is_written_while_followups_are_switched_off(desk: Desk, conversation: int) -> None:
    desk.set(enable_followup_sync="false")
    desk.chatwoot.add_message(conversation, "Hello?")
    desk.sync()

    assert desk.rows("ITILFollowup") == []
    assert "Followups are switched off (enable_followup_sync)." in desk.outcomes()


def test_a_message_opens_the_ticket_even_while_followups_are_switched_off(desk: Desk) -> None:
    desk.set(enable_followup_sync="false")
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "One")
    desk.take(item for item in desk.deliveries() if item["event"] == "message_created")
    desk.drain()

    ticket = desk.row("Ticket")["id"]
    assert desk.texts(ticket) == ["One"]
    assert desk.outcome() == f"Ticket {ticket} created; followups are switched off."


def test_what_looks_like_markup_is_shown_and_not_obeyed(desk: Desk, conversation: int) -> None:
    nasty = '<script>alert(1)</script> a &lt; b & <img src=x onerror="x"> --> <!-- crm-sync/'
    desk.chatwoot.add_message(conversation, nasty)
    desk.sync()

    content = desk.content(desk.row("ITILFollowup"))
    assert set(re.findall(r"</?(\w+)", content)) == {"p", "strong"}
    assert desk.texts(desk.row("Ticket")["id"])[1] == (
        '&lt;script&gt;alert(1)&lt;/script&gt; a &amp;lt; b &amp; &lt;img src=x onerror="x"&gt; --&gt; '
        "&lt;!-- crm-sync/"
    )


def test_a_mention_and_the_ends_of_lines_read_as_in_chatwoot(desk: Desk, conversation: int) -> None:
    text = "[@Rui](mention://user/32/Rui) look\\\nhere\n\nplease"
    desk.chatwoot.add_message(conversation, text, direction="outgoing", private=True, sender_id=AGENT)
    desk.sync()

    assert "<p>@Rui look<br>here</p><p>please</p>" in desk.content(desk.row("ITILFollowup"))


def test_the_text_of_another_marker_does_not_make_a_message_take_its_place(
    desk: Desk, conversation: int
) -> None:
    """A customer who writes what our markers look like must not keep a message from being written."""
    host = desk.account.chatwoot_url.removeprefix("http://").replace(":", "-")
    forged = f"<!-- crm-sync/{host}/3/message/{{}}/ -->"
    coming = desk.chatwoot.state.conversations[conversation].messages[-1].id + 2
    desk.chatwoot.add_message(conversation, forged.format(coming))
    desk.sync()
    desk.chatwoot.add_message(conversation, "The real one")
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"])[-1] == "The real one"


def test_a_purged_ticket_is_opened_anew_with_the_next_message(desk: Desk, conversation: int) -> None:
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.chatwoot.add_message(conversation, "Hello?")
    desk.sync()

    ticket = desk.row("Ticket")["id"]
    assert desk.texts(ticket) == ["It does not print", "Hello?"]
    assert desk.chatwoot.state.conversations[conversation].custom_attributes["glpi_ticket_id"] == ticket


def test_the_first_message_told_late_is_not_doubled_in_a_ticket_opened_anew(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, None).id
    desk.sync()
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.chatwoot.add_message(number, "One")
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["One"]
