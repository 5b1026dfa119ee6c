"""What becomes of a message after it was written is seen in GLPI, and what changes nothing there costs nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm_sync.engine import operate
from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, WHATSAPP, Desk, once

AGENT = 31
DELIVERIES = Path(__file__).parents[2] / "contract" / "chatwoot" / "data" / "webhooks"


@pytest.fixture
def conversation(desk: Desk) -> int:
    """Ana's conversation, with its ticket."""
    contact = desk.chatwoot.create_contact(
        name="Ana Souza", email="ana@example.com", phone_number="+5511912345678"
    )
    number = desk.chatwoot.create_conversation(contact.id, WHATSAPP, "It does not print").id
    desk.chatwoot.receipts = False
    desk.sync()
    return number


@pytest.fixture
def answered(desk: Desk, conversation: int) -> int:
    """An agent's answer."""
    number = desk.chatwoot.add_message(conversation, "Is it on?", direction="outgoing", sender_id=AGENT).id
    desk.sync()
    desk.calls()
    return number


def reasons(desk: Desk) -> list[str | None]:
    """Why updates of messages were skipped."""
    return [event.reason for event in desk.events(EventState.SKIPPED) if event.name == "message_updated"]


def followup(desk: Desk) -> str:
    """What the followup says."""
    return desk.content(desk.row("ITILFollowup"))


def delivery(name: str) -> Any:
    """A delivery as Chatwoot makes them (contracts: webhooks)."""
    return json.loads((DELIVERIES / f"{name}.json").read_text(encoding="utf-8"))["body"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "status_failed",
            "verificando 👍</p><p><em>Not delivered to the customer: 131047: Re-engagement message</em>",
        ),
        ("deleted", "<p><em>This message was deleted in Chatwoot (2026-09-14 13:32:00 UTC).</em></p>"),
        ("status_delivered", "verificando 👍</p><!--"),
    ],
)
def test_deliveries_as_chatwoot_makes_them_are_understood(
    desk: Desk, conversation: int, name: str, shown: str
) -> None:
    assert conversation == 812
    desk.take([delivery("message_created.outgoing_agent"), delivery(f"message_updated.{name}")])
    desk.settle()

    assert shown in followup(desk)


def test_a_mail_as_chatwoot_makes_it_is_understood(desk: Desk, conversation: int) -> None:
    mail = delivery("message_created.incoming_pdf_and_audio")
    mail["conversation"]["id"] = conversation
    desk.take([mail])
    desk.settle()

    assert mail["content_type"] == "incoming_email"
    assert '<div dir="' not in followup(desk)
    assert all(html.escape(item["data_url"]) in followup(desk) for item in mail["attachments"])


def test_an_edit_is_shown_and_said_to_be_one(desk: Desk, answered: int) -> None:
    desk.chatwoot.edit_message(answered, "Is it **plugged in**?")
    desk.sync()

    assert "</p><p>Is it <strong>plugged in</strong>?</p><p><em>(edited)</em></p><!-- crm-sync/" in followup(
        desk
    )
    assert desk.calls() == ["PUT /ITILFollowup"]
    assert desk.outcome() == f"Followup {desk.row('ITILFollowup')['id']} updated."


@pytest.mark.parametrize("settings", [{"language": "fr"}])
def test_an_edit_is_said_in_the_hooks_language(desk: Desk, answered: int) -> None:
    desk.chatwoot.edit_message(answered, "Est-ce branché ?")
    desk.sync()

    assert "(modifié)" in followup(desk)


def test_a_deleted_message_is_no_longer_to_be_read(desk: Desk, answered: int) -> None:
    desk.chatwoot.delete_message(answered)
    desk.sync()

    assert "Is it on?" not in followup(desk)
    assert "<p><em>This message was deleted in Chatwoot (2026-11-02 09:00:00 UTC).</em></p>" in followup(desk)
    assert "Joan" in followup(desk)


def test_an_answer_that_never_reached_the_customer_says_so(desk: Desk, answered: int) -> None:
    desk.chatwoot.fail_message(answered, "131047: Re-engagement message")
    desk.sync()

    assert (
        "<p>Is it on?</p><p><em>Not delivered to the customer: 131047: Re-engagement message</em></p>"
        in followup(desk)
    )
    assert "(edited)" not in followup(desk)


def test_an_edited_message_that_fails_is_still_said_to_be_edited(desk: Desk, answered: int) -> None:
    desk.chatwoot.edit_message(answered, "Is it plugged in?")
    desk.chatwoot.fail_message(answered, "gone")
    desk.sync()

    assert "plugged in?</p><p><em>(edited)</em></p><p><em>Not delivered to the customer: gone" in followup(
        desk
    )


def test_a_receipt_costs_no_call(desk: Desk, conversation: int) -> None:
    desk.chatwoot.receipts = True
    desk.chatwoot.add_message(conversation, "Is it on?", direction="outgoing", sender_id=AGENT)
    desk.calls()
    desk.sync()

    assert desk.calls() == ["POST /ITILFollowup"]
    assert reasons(desk) == ["nothing_new"]


def test_a_merge_of_contacts_rewrites_no_followup(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "Hello?")
    other = desk.chatwoot.create_contact(name="Ana", email="lima@example.com")
    desk.sync()
    before = desk.content(desk.row("ITILFollowup"))
    desk.chatwoot.merge_contacts(other.id, 2101)
    desk.settle()

    assert reasons(desk) == ["nothing_new", "nothing_new"]
    assert desk.content(desk.row("ITILFollowup")) == before


@pytest.mark.parametrize("change", ["edit", "delete"])
def test_what_becomes_of_the_first_message_is_seen_in_the_description(
    desk: Desk, conversation: int, change: str
) -> None:
    first = desk.chatwoot.state.conversations[conversation].messages[0].id
    desk.calls()
    if change == "edit":
        desk.chatwoot.edit_message(first, "It does not scan")
    else:
        desk.chatwoot.delete_message(first)
    desk.sync()

    content = desk.content(desk.row("Ticket"))
    assert "It does not print" not in content
    assert ("<p>It does not scan</p><p><em>(edited)</em></p>" in content) is (change == "edit")
    assert ("was deleted in Chatwoot" in content) is (change == "delete")
    assert f"/conversation/{conversation}/first/{first}/" in content
    assert desk.calls() == ["PUT /Ticket"]


def test_the_description_follows_its_message_while_followups_are_switched_off(
    desk: Desk, conversation: int
) -> None:
    desk.set(enable_followup_sync="false")
    desk.chatwoot.edit_message(
        desk.chatwoot.state.conversations[conversation].messages[0].id, "It does not scan"
    )
    desk.sync()

    assert "It does not scan" in desk.content(desk.row("Ticket"))


def test_an_edit_is_skipped_while_followups_are_switched_off(desk: Desk, answered: int) -> None:
    desk.set(enable_followup_sync="false")
    desk.chatwoot.edit_message(answered, "Is it plugged in?")
    desk.sync()

    assert reasons(desk) == ["switched_off"]


def test_an_edit_that_comes_before_its_message_is_done_once_the_message_is_there(
    desk: Desk, conversation: int
) -> None:
    number = desk.chatwoot.add_message(conversation, "Is it on?", direction="outgoing", sender_id=AGENT).id
    desk.chatwoot.edit_message(number, "Is it plugged in?")
    created = desk.deliveries()
    desk.take(item for item in created if item["event"] == "message_updated")
    desk.drain()
    assert reasons(desk) == ["not_mirrored"]

    desk.take(item for item in created if item["event"] != "message_updated")
    desk.settle()
    assert reasons(desk) == []
    assert "Is it plugged in?" in followup(desk)
    outcomes = {event.name: event.outcome for event in desk.events()}
    assert outcomes["message_updated"] == f"Followup {desk.row('ITILFollowup')['id']} updated."


def test_an_edit_of_a_message_that_could_not_be_written_is_done_once_it_can(
    desk: Desk, conversation: int
) -> None:
    def refused(_app: Any, _environ: Any, start_response: Any) -> list[bytes]:
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'["ERROR_GLPI_ADD", "Not today."]']

    number = desk.chatwoot.add_message(conversation, "Is it on?", direction="outgoing", sender_id=AGENT).id
    fault, hit = once(refused, "POST", "/ITILFollowup", times=9)
    desk.strike(fault)
    desk.sync()
    assert hit.is_set()
    desk.strike()
    desk.chatwoot.edit_message(number, "Is it plugged in?")
    desk.sync()
    assert reasons(desk) == ["not_mirrored"]

    [failed] = desk.events(EventState.FAILED)
    operate.retry(desk.runtime, [failed.id])
    desk.settle()
    assert desk.events(EventState.SKIPPED) == desk.events(EventState.FAILED) == []
    assert "Is it plugged in?" in followup(desk)


def test_receipts_that_come_before_their_message_end_once_it_is_there_and_cost_nothing(
    desk: Desk, conversation: int
) -> None:
    desk.chatwoot.receipts = True
    desk.chatwoot.add_message(conversation, "Is it on?", direction="outgoing", sender_id=AGENT)
    told = desk.deliveries()
    receipts = [item for item in told if item["event"] == "message_updated"]
    desk.take(receipts)
    desk.drain()
    desk.calls()
    desk.take(item for item in told if item["event"] == "message_created")
    desk.settle()

    assert receipts
    assert reasons(desk) == ["nothing_new"] * len(receipts)
    assert desk.calls() == ["POST /ITILFollowup"]


def test_an_edit_of_a_survey_is_skipped(desk: Desk, conversation: int) -> None:
    desk.chatwoot.state.inboxes[WHATSAPP].csat = True
    desk.chatwoot.set_status(conversation, "resolved")
    desk.sync()
    desk.chatwoot.edit_message(desk.chatwoot.state.conversations[conversation].messages[-1].id, "Thanks")
    desk.sync()

    assert reasons(desk) == ["template"]


def test_a_followup_that_was_purged_is_not_made_anew(desk: Desk, answered: int) -> None:
    desk.purge("ITILFollowup", desk.row("ITILFollowup")["id"])
    desk.chatwoot.edit_message(answered, "Is it plugged in?")
    desk.sync()

    assert desk.rows("ITILFollowup") == []
    assert reasons(desk) == ["followup_gone"]


def test_an_edit_told_before_a_newer_one_does_not_take_its_place(desk: Desk, answered: int) -> None:
    desk.chatwoot.edit_message(answered, "Older")
    desk.chatwoot.edit_message(answered, "Newer")
    older, newer = (item for item in desk.deliveries() if item["event"] == "message_updated")
    desk.take([newer])
    desk.drain()
    desk.take([older])
    desk.drain()

    assert "Newer" in followup(desk)
    assert reasons(desk) == ["outdated"]


def test_a_message_that_was_edited_and_deleted_while_glpi_was_down_is_not_to_be_read(
    desk: Desk, conversation: int, answered: int
) -> None:
    desk.glpi.faults.down = True
    desk.chatwoot.edit_message(answered, "Is it plugged in?")
    desk.chatwoot.add_message(conversation, "Yes")
    desk.chatwoot.delete_message(answered)
    desk.take(desk.deliveries())
    desk.drain()
    desk.glpi.faults.down = False
    desk.settle()

    assert "Is it" not in "".join(desk.content(row) for row in desk.rows("ITILFollowup"))


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize(
    "write", ["POST /ITILFollowup", r"PUT /ITILFollowup/\d+", "POST /Ticket", r"PUT /Ticket/\d+"]
)
def test_an_answer_that_is_lost_changes_nothing_in_the_end(
    another_desk: Callable[[], Desk], kind: Callable[..., Any], write: str
) -> None:
    quiet, struck = another_desk(), another_desk()
    method, path = write.split(" ")
    fault, hit = once(kind, method, path)
    struck.strike(fault)

    assert story(struck) == story(quiet)
    assert hit.is_set()


def story(desk: Desk) -> dict[str, Any]:
    """Two messages are edited and one is deleted; what GLPI shows in the end."""
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    conversation = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    desk.settle()
    answer = desk.chatwoot.add_message(conversation.id, "Is it on?", direction="outgoing", sender_id=AGENT).id
    desk.settle()
    desk.chatwoot.edit_message(answer, "Is it plugged in?")
    desk.settle()
    last = desk.chatwoot.add_message(conversation.id, "Rubbish").id
    desk.settle()
    desk.chatwoot.delete_message(last)
    desk.chatwoot.edit_message(conversation.messages[0].id, "It does not scan")
    desk.settle()
    assert desk.events(EventState.FAILED) == []
    return desk.picture()
