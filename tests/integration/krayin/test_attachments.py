"""Files come to Krayin as activities of type file where that is wanted and Krayin takes them; else as links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.crms.krayin import files
from crm_sync.sandbox.server import lose, refuse
from tests.integration.krayin.desk import WEBSITE, Desk, Row, once

PICTURE = {"file_type": "image", "name": "a label.jpg", "content": b"a picture"}
REPORT = {"file_type": "file", "name": "report, final.pdf", "content": b"a report"}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Files are wanted."""
    return {
        "attachments": "file",
        "enable_activity_sync": "true",
        "enable_message_sync": "true",
        **getattr(request, "param", {}),
    }


def begun(desk: Desk, **first: Any) -> int:
    """Ana's conversation; its files are where Chatwoot is."""
    desk.chatwoot.state.public_url = desk.account.chatwoot_url
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "How much is it?", **first).id
    desk.settle()
    desk.calls()
    return number


def kept(desk: Desk) -> list[bytes]:
    """The bytes of the files of the lead, in order."""
    lead = desk.row("leads")["id"]
    found: list[Row] = []
    for link in desk.rows("lead_activities", lead_id=lead):
        if desk.rows("activities", id=link["activity_id"], type="file"):
            found += desk.rows("activity_files", activity_id=link["activity_id"])
    return [desk.krayin.state.files[row["path"]][0] for row in found]


def test_files_of_a_message_are_files_of_its_lead(desk: Desk) -> None:
    number = begun(desk)
    message = desk.chatwoot.add_message(number, "See", attachments=[PICTURE, REPORT])
    desk.sync()
    assert kept(desk) == [b"a picture", b"a report"]
    assert [row["name"] for row in desk.rows("activity_files")] == ["a label.jpg", "report, final.pdf"]
    first, second = (row["title"] for row in desk.activities(type="file"))
    assert first.startswith("a label.jpg (#")
    assert second.startswith("report  final.pdf (#")
    assert "Ana Souza:" in desk.activities(type="file")[0]["comment"]
    assert (
        "a label.jpg"
        in desk.row("activities", title=f"Message {message.id} of conversation #{number}")["comment"]
    )
    assert desk.outcome().endswith("2 files added.")
    assert desk.calls() == ["POST /activities"] * 3


def test_files_of_the_first_message_are_there_too(desk: Desk) -> None:
    begun(desk, attachments=[PICTURE])
    assert kept(desk) == [b"a picture"]


@pytest.mark.parametrize("settings", [{"enable_message_sync": ""}], indirect=True)
def test_without_notes_the_files_of_what_an_activity_begins_with_are_kept(desk: Desk) -> None:
    number = begun(desk, attachments=[PICTURE])
    desk.chatwoot.add_message(number, "See", attachments=[REPORT])
    desk.settle()
    assert kept(desk) == [b"a picture"]


@pytest.mark.parametrize("settings", [{"create_lead": "false"}], indirect=True)
def test_without_leads_files_are_the_persons(desk: Desk) -> None:
    number = begun(desk)
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE])
    desk.sync()
    (upload,) = desk.activities(type="file")
    (link,) = desk.rows("person_activities", activity_id=upload["id"])
    assert link["person_id"] == desk.row("persons")["id"]


@pytest.mark.parametrize("kind", [refuse, lose])
def test_a_break_on_the_way_makes_no_second_file(desk: Desk, kind: Callable[..., Any]) -> None:
    number = begun(desk)
    note, _ = once(kind, "POST", "/activities", times=2)
    desk.strike(note)
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE, REPORT])
    desk.settle()
    assert kept(desk) == [b"a picture", b"a report"]
    assert len(desk.activities()) == 4


def test_a_file_that_broke_before_it_was_kept_is_made_anew(desk: Desk) -> None:
    number = begun(desk)
    broken: list[bool] = []

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        answer = app(environ, start_response)
        if environ.get("CONTENT_TYPE", "").startswith("multipart/") and not broken:
            broken.append(True)
            with desk.krayin.state.lock:
                state = desk.krayin.state
                state.delete("activity_files", next(iter(state["activity_files"].rows.values())))
            return refuse(app, environ, start_response)
        return answer

    desk.strike(fault)
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE])
    desk.settle()
    assert broken
    assert kept(desk) == [b"a picture"]
    assert len(desk.activities(type="file")) == 1


def test_what_is_too_large_stays_a_link(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = begun(desk)
    monkeypatch.setattr(files, "LARGEST", 8)
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE])
    desk.sync()
    assert kept(desk) == []
    assert "a label.jpg stays a link: " in desk.outcome()
    assert desk.failed() == []


def test_what_krayin_does_not_take_stays_a_link(desk: Desk) -> None:
    number = begun(desk)

    def too_large(app: Any, environ: Any, start_response: Any) -> Any:
        if not environ.get("CONTENT_TYPE", "").startswith("multipart/"):
            return app(environ, start_response)
        start_response("413 Request Entity Too Large", [("Content-Type", "text/html")])
        return [b"<html>nginx</html>"]

    desk.strike(too_large)
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE])
    desk.settle()
    assert desk.failed() == []
    assert "a label.jpg stays a link: Krayin refused: answer 413" in desk.outcome()


def test_what_chatwoot_has_no_longer_stays_a_link(desk: Desk) -> None:
    number = begun(desk)
    desk.chatwoot.add_message(number, "See", attachments=[PICTURE])
    told = desk.deliveries()
    desk.chatwoot.state.files.clear()
    desk.take(told)
    desk.drain()
    assert desk.failed() == desk.waiting() == []
    assert "a label.jpg stays a link: " in desk.outcome()


def test_files_of_earlier_messages_that_stay_links_are_told(desk: Desk) -> None:
    desk.chatwoot.state.public_url = desk.account.chatwoot_url
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "One", attachments=[PICTURE]).id
    desk.chatwoot.add_message(number, "Two", attachments=[REPORT])
    desk.deliveries()
    desk.chatwoot.state.files.clear()
    desk.chatwoot.add_message(number, "Three")
    desk.sync()
    assert "a label.jpg stays a link: " in desk.outcome()
    assert "report, final.pdf stays a link: " in desk.outcome()


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_message_that_is_deleted_takes_its_files_along(desk: Desk, which: str) -> None:
    number = begun(desk, **({"attachments": [PICTURE]} if which == "first" else {}))
    message = desk.chatwoot.state.conversations[number].messages[0]
    if which == "second":
        message = desk.chatwoot.add_message(number, "See", attachments=[PICTURE])
        desk.sync()
    assert len(desk.activities(type="file")) == 1
    desk.chatwoot.delete_message(message.id)
    desk.sync()
    assert desk.activities(type="file") == []
    assert desk.failed() == []
