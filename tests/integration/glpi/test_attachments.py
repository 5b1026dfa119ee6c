"""Files come to GLPI as documents where that is wanted and GLPI takes them; else as links, and it is said why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk, once

AGENT = 31
PICTURE = {"file_type": "image", "name": "a label.jpg", "content": b"a picture"}
REPORT = {"file_type": "file", "name": "report.pdf", "content": b"a report"}
PROGRAM = {"file_type": "file", "name": "evil.exe", "content": b"MZ"}


@pytest.fixture
def settings() -> dict[str, str]:
    """Documents are wanted."""
    return {"attachments": "document"}


@pytest.fixture
def conversation(desk: Desk) -> int:
    """Ana's conversation, with its ticket."""
    return opened_conversation(desk)


def opened_conversation(desk: Desk, **first: Any) -> int:
    """Ana's conversation; its files are where Chatwoot is."""
    desk.chatwoot.state.public_url = desk.account.chatwoot_url
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print", **first).id
    desk.settle()
    desk.calls()
    return number


def documents(desk: Desk) -> dict[str, list[str]]:
    """The names of the files attached to each record, by the record."""
    found: dict[str, list[str]] = {}
    for row in desk.rows("Document_Item"):
        name = desk.row("Document", id=row["documents_id"])["filename"]
        found.setdefault(f"{row['itemtype']} {row['items_id']}", []).append(desk.content({"content": name}))
    return {record: sorted(names) for record, names in found.items()}


def test_files_are_attached_to_the_followup_of_their_message(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[PICTURE, REPORT])
    desk.sync()

    row = desk.row("ITILFollowup")
    assert documents(desk) == {f"ITILFollowup {row['id']}": ["a label.jpg", "report.pdf"]}
    assert sorted(desk.glpi.state.files.values()) == [b"a picture", b"a report"]
    assert "a label.jpg" in desk.content(row)
    assert any("Attached: 2 documents." in outcome for outcome in desk.outcomes())
    assert desk.calls() == ["POST /ITILFollowup", "POST /Document", "POST /Document"]


def test_files_of_the_first_message_are_attached_to_the_ticket(desk: Desk) -> None:
    opened_conversation(desk, attachments=[PICTURE])

    assert documents(desk) == {f"Ticket {desk.row('Ticket')['id']}": ["a label.jpg"]}


def test_documents_are_made_in_the_entity_of_the_ticket(desk: Desk) -> None:
    with desk.glpi.state.lock:
        entity = desk.glpi.state["Entity"].insert(
            {"name": "Branch", "entities_id": 0, "completename": "x > Branch"}
        )
        desk.glpi.sessions.expire_all()
    desk.set(entity_id=str(entity["id"]))
    number = opened_conversation(desk)
    desk.chatwoot.add_message(number, "See", attachments=[REPORT])
    desk.sync()

    assert desk.row("Document")["entities_id"] == entity["id"]
    assert documents(desk) == {f"ITILFollowup {desk.row('ITILFollowup')['id']}": ["report.pdf"]}


def test_what_glpi_refuses_stays_a_link_and_leaves_nothing_behind(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[PROGRAM, REPORT])
    desk.sync()

    assert documents(desk) == {f"ITILFollowup {desk.row('ITILFollowup')['id']}": ["report.pdf"]}
    assert len(desk.rows("Document")) == 1
    assert 'evil.exe">evil.exe</a>' in desk.content(desk.row("ITILFollowup"))
    assert any(
        "evil.exe stays a link: GLPI refused the file: Filetype not allowed" in outcome
        for outcome in desk.outcomes()
    )


def test_a_file_that_chatwoot_has_no_longer_does_not_keep_the_message_away(
    desk: Desk, conversation: int
) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[REPORT])
    desk.chatwoot.state.files.clear()
    desk.sync()

    assert desk.rows("Document") == []
    assert any(
        "report.pdf stays a link: Chatwoot does not give the file any more (status 404)." in outcome
        for outcome in desk.outcomes()
    )


def test_a_file_that_is_said_to_be_huge_is_not_fetched(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[{**REPORT, "file_size": 10**9}])
    desk.chatwoot.calls.clear()
    desk.sync()

    assert desk.rows("Document") == []
    assert any("report.pdf stays a link: The file is larger than 20 MiB." in text for text in desk.outcomes())
    assert not any("/rails/" in path for _, path, _ in desk.chatwoot.requests)


def test_a_file_that_is_somewhere_else_is_not_fetched(desk: Desk, conversation: int) -> None:
    desk.chatwoot.state.public_url = "http://169.254.169.254"
    desk.chatwoot.add_message(conversation, "See", attachments=[REPORT])
    desk.sync()

    assert any(
        "report.pdf stays a link: The file is not at Chatwoot's address." in text for text in desk.outcomes()
    )


def test_the_documents_of_a_deleted_message_go_with_it(desk: Desk, conversation: int) -> None:
    number = desk.chatwoot.add_message(conversation, "See", attachments=[PICTURE, REPORT]).id
    desk.sync()
    assert len(desk.rows("Document")) == 2
    desk.chatwoot.delete_message(number)
    desk.sync()

    assert desk.rows("Document") == []
    assert "report.pdf" not in desk.content(desk.row("ITILFollowup"))


def test_an_edit_leaves_the_documents_alone(desk: Desk, conversation: int) -> None:
    number = desk.chatwoot.add_message(conversation, "See", attachments=[REPORT]).id
    desk.sync()
    desk.calls()
    desk.chatwoot.edit_message(number, "Look")
    desk.sync()

    assert desk.calls() == ["PUT /ITILFollowup"]
    assert len(desk.rows("Document")) == 1


@pytest.mark.parametrize("settings", [{"attachments": "link"}])
def test_links_cost_nothing(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[REPORT])
    desk.sync()

    assert desk.calls() == ["POST /ITILFollowup"]
    assert desk.rows("Document") == []


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize("write", ["POST /Document", "POST /ITILFollowup", r"DELETE /Document/\d+"])
def test_an_answer_that_is_lost_makes_no_second_document(
    desk: Desk, conversation: int, kind: Callable[..., Any], write: str
) -> None:
    method, path = write.split(" ")
    fault, hit = once(kind, method, path)
    desk.strike(fault)
    # Two files of the same bytes are two documents all the same.
    twice = {**REPORT, "name": "copy.pdf"}
    desk.chatwoot.add_message(conversation, "See", attachments=[REPORT, PROGRAM, twice])
    desk.settle()

    assert hit.is_set()
    assert documents(desk) == {f"ITILFollowup {desk.row('ITILFollowup')['id']}": ["copy.pdf", "report.pdf"]}
    assert len(desk.rows("Document")) == 2
    assert desk.events(EventState.FAILED) == []


def test_the_lost_answer_to_a_refused_file_leaves_nothing_behind(desk: Desk, conversation: int) -> None:
    fault, hit = once(lose, "POST", "/Document")
    desk.strike(fault)
    desk.chatwoot.add_message(conversation, "See", attachments=[PROGRAM])
    desk.settle()

    assert hit.is_set()
    assert (desk.rows("Document"), documents(desk)) == ([], {})
    assert desk.events(EventState.FAILED) == []


def test_a_chatwoot_that_is_down_delays_the_document(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[REPORT])
    desk.take(desk.deliveries())
    desk.chatwoot.faults.down = True
    desk.drain()
    assert desk.waiting()
    desk.chatwoot.faults.down = False
    desk.settle()

    assert documents(desk) == {f"ITILFollowup {desk.row('ITILFollowup')['id']}": ["report.pdf"]}
    assert len(desk.rows("ITILFollowup")) == 1


def test_a_ticket_opened_anew_after_a_purge_holds_the_files_again(desk: Desk, conversation: int) -> None:
    desk.chatwoot.add_message(conversation, "See", attachments=[REPORT])
    desk.sync()
    desk.purge("ITILFollowup", desk.row("ITILFollowup")["id"])
    desk.purge("Ticket", desk.row("Ticket")["id"])
    desk.chatwoot.add_message(conversation, "Hello?")
    desk.sync()

    first = desk.rows("ITILFollowup")[0]
    assert documents(desk)[f"ITILFollowup {first['id']}"] == ["report.pdf"]
