"""The judge of the demo and of the fault run finds what is lost, doubled, misordered or wrong, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from crm_sync.demo.comparison import visible
from crm_sync.demo.reconcile import Report, reconcile

Dump = dict[str, Any]
MARK = "crm-sync/chat.example.com/3"
#: The first message, as HTML.
DESCRIPTION = "Hello,<br>&lt;b&gt;it&lt;/b&gt; is &amp; was late"


def message(number: int, text: str | None, *, private: bool = False, **more: Any) -> Dump:
    return {
        "id": number,
        "content": text,
        "message_type": 0,
        "private": private,
        "content_attributes": {},
        **more,
    }


def followup(number: int, message_id: int, text: str, second: int, ticket: int = 9) -> Dump:
    return {
        "id": number,
        "itemtype": "Ticket",
        "items_id": ticket,
        "date": f"2026-11-22 08:00:{second:02}",
        "content": f"<p><strong>Ana:</strong></p><p>{text}</p><!-- {MARK}/message/{message_id}/ -->",
    }


def world() -> tuple[Dump, Dump]:
    """A Chatwoot and a GLPI in which everything is right."""
    ana = {
        "id": 1,
        "email": "ana@example.com",
        "phone_number": None,
        "custom_attributes": {"glpi_user_id": 7},
    }
    visitor = {"id": 2, "email": None, "phone_number": None, "custom_attributes": {}}
    chatwoot = {
        "account_id": 3,
        "contacts": [ana, visitor],
        "conversations": [
            {
                "id": 81,
                "status": "resolved",
                "meta": {"sender": ana},
                "custom_attributes": {"glpi_ticket_id": 9},
                "messages": [
                    message(101, "Hello,\n<b>it</b> is & was late"),
                    message(102, "Which order?", message_type=1),
                    message(103, "A VIP", message_type=1, private=True),
                    message(104, None, attachments=[{"id": 1}]),
                    message(105, "Conversation was resolved", message_type=2),
                    message(106, "Please rate", message_type=3),
                    message(107, "gone", content_attributes={"deleted": True}),
                    message(
                        108, "Ticket solved", message_type=1, content_attributes={"crm_sync": {"key": "x"}}
                    ),
                ],
            },
            {
                "id": 82,
                "status": "open",
                "meta": {"sender": visitor},
                "custom_attributes": {},
                "messages": [message(109, "Anybody there?")],
            },
        ],
    }
    glpi = {
        "User": [
            {"id": 2, "name": "glpi", "is_deleted": 0},
            {"id": 7, "name": "cw-3-1@chat.example.com", "is_deleted": 0},
        ],
        "UserEmail": [{"id": 1, "users_id": 7, "email": "ana@example.com"}],
        "Ticket_User": [{"id": 1, "tickets_id": 9, "users_id": 7, "type": 1}],
        "Ticket": [
            {
                "id": 9,
                "status": 5,
                "is_deleted": 0,
                # As GLPI 10 keeps it.
                "content": "&#60;p&#62;Hello,&#60;br&#62;&#38;lt;b&#38;gt;it&#38;lt;/b&#38;gt; is &#38;amp; was late"
                f"&#60;/p&#62;&#60;!-- {MARK}/conversation/81/first/101/ --&#62;",
            }
        ],
        "ITILFollowup": [
            followup(1, 102, "Which order?", 2),
            followup(2, 103, "A VIP", 3),
            followup(3, 104, "<ul><li>torn label.jpg</li></ul>", 4),
        ],
    }
    return chatwoot, glpi


PLANNED = {
    81: SimpleNamespace(
        identifiable=True,
        status="resolved",
        lines=[
            SimpleNamespace(text=text)
            for text in ("Hello,\n<b>it</b> is & was late", "Which order?", "A VIP", None)
        ],
    ),
    82: SimpleNamespace(identifiable=False, status="open", lines=[SimpleNamespace(text="Anybody there?")]),
}
JOURNAL = {"deliveries": 20, "pending": 0, "done": 8, "skipped": 2, "failed": 0}


def judged(change: Callable[[Dump, Dump], None] = lambda _chatwoot, _glpi: None, **journal: int) -> Report:
    chatwoot, glpi = world()
    change(chatwoot, glpi)
    return reconcile(chatwoot, {"glpi": glpi}, JOURNAL | journal, PLANNED, faults=4)


def found(report: Report) -> tuple[int, int, int]:
    return report.lost, report.duplicates, report.out_of_order


def test_everything_adds_up_when_each_record_is_there_once() -> None:
    report = judged()
    assert report.problems == ()
    assert report.adds_up
    assert report.as_json() == {
        "deliveries": 20,
        "events": 10,
        "done": 8,
        "skipped": 2,
        "failed": 0,
        "lost": 0,
        "duplicates": 0,
        "out_of_order": 0,
        "faults": 4,
    }
    assert report.matched == {"users": 1, "tickets": 1, "places": 4}


def remove(table: str, number: int) -> Callable[[Dump, Dump], None]:
    def change(_chatwoot: Dump, glpi: Dump) -> None:
        glpi[table] = [row for row in glpi[table] if row["id"] != number]

    return change


def double(table: str, number: int, **more: Any) -> Callable[[Dump, Dump], None]:
    def change(_chatwoot: Dump, glpi: Dump) -> None:
        row = next(row for row in glpi[table] if row["id"] == number)
        glpi[table].append({**copy.deepcopy(row), "id": 99, **more})

    return change


def alter(table: str, number: int, **columns: Any) -> Callable[[Dump, Dump], None]:
    def change(_chatwoot: Dump, glpi: Dump) -> None:
        next(row for row in glpi[table] if row["id"] == number).update(columns)

    return change


def say(act: Callable[[Dump], None]) -> Callable[[Dump, Dump], None]:
    return lambda chatwoot, _glpi: act(chatwoot)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(remove("ITILFollowup", 2), id="a message"),
        pytest.param(
            alter("ITILFollowup", 2, content=followup(2, 103, "Another", 3)["content"]), id="its text"
        ),
        pytest.param(alter("Ticket", 9, status=2), id="the last change of a state"),
        pytest.param(remove("Ticket_User", 1), id="who asks"),
        pytest.param(say(lambda cw: cw["contacts"][0].update(custom_attributes={})), id="a write-back"),
        pytest.param(
            say(lambda cw: cw["conversations"][0].update(custom_attributes={})), id="another write-back"
        ),
        pytest.param(say(lambda cw: cw["conversations"].pop(1)), id="a conversation in Chatwoot itself"),
        pytest.param(
            say(lambda cw: cw["conversations"][1]["messages"].clear()), id="a message in Chatwoot itself"
        ),
        pytest.param(
            say(lambda cw: cw["conversations"][1].update(status="snoozed")), id="a state in Chatwoot itself"
        ),
    ],
)
def test_what_is_lost_is_found(change: Callable[[Dump, Dump], None]) -> None:
    report = judged(change)
    assert found(report) == (1, 0, 0)
    assert not report.adds_up


def test_a_ticket_that_is_lost_is_lost_with_its_messages() -> None:
    report = judged(remove("Ticket", 9))
    assert any("conversation 81 has no counterpart" in problem.words for problem in report.problems)
    assert any("message 101" in problem.words for problem in report.problems)


def test_a_user_that_is_lost_is_found() -> None:
    def change(_chatwoot: Dump, glpi: Dump) -> None:
        glpi["User"].pop()
        glpi["UserEmail"].clear()

    assert any("contact 1 has no counterpart" in problem.words for problem in judged(change).problems)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(double("ITILFollowup", 3), id="a message"),
        pytest.param(
            lambda _chatwoot, glpi: glpi["ITILFollowup"].append(followup(99, 101, DESCRIPTION, 1)),
            id="a message that is the description already",
        ),
        pytest.param(double("User", 7), id="a user"),
        pytest.param(double("UserEmail", 1, users_id=2), id="a user by address"),
        pytest.param(
            lambda _chatwoot, glpi: glpi["User"].append({"id": 99, "name": "cw-3-2@chat.example.com"}),
            id="a user for a visitor",
        ),
        pytest.param(double("Ticket", 9, content=f"<p>x</p><!-- {MARK}/conversation/81/ -->"), id="a ticket"),
        pytest.param(
            double("Ticket", 9, content=f"<p>x</p><!-- {MARK}/conversation/90/ -->"), id="a ticket of nobody"
        ),
        pytest.param(double("ITILFollowup", 3, content="<p>Who wrote this?</p>"), id="a followup of nobody"),
        pytest.param(
            lambda _chatwoot, glpi: glpi["ITILFollowup"].append(followup(99, 105, "Resolved", 5)),
            id="a message that is not to be there",
        ),
    ],
)
def test_what_is_doubled_is_found(change: Callable[[Dump, Dump], None]) -> None:
    report = judged(change)
    assert found(report) == (0, 1, 0)
    assert not report.adds_up


def test_a_message_in_the_ticket_of_another_conversation_is_found() -> None:
    report = judged(alter("ITILFollowup", 3, items_id=10))
    assert any("not its own" in problem.words for problem in report.problems)


def test_a_message_shown_before_an_earlier_one_is_found() -> None:
    report = judged(alter("ITILFollowup", 1, date="2026-11-22 08:00:30"))
    assert found(report) == (0, 0, 1)
    assert not report.adds_up


def test_messages_of_one_second_are_judged_by_the_order_they_were_written_in() -> None:
    def change(_chatwoot: Dump, glpi: Dump) -> None:
        for number, row in enumerate(reversed(glpi["ITILFollowup"]), start=11):
            row.update(id=number, date="2026-11-22 08:00:30")

    assert judged(change).out_of_order == 2


def test_a_later_message_is_no_fault_when_it_was_written_late_with_its_own_date() -> None:
    report = judged(alter("ITILFollowup", 1, id=50))
    assert report.problems == ()


def test_a_ticket_that_begins_with_the_wrong_message_is_found() -> None:
    def change(_chatwoot: Dump, glpi: Dump) -> None:
        glpi["Ticket"][0]["content"] = f"<p>Which order?</p><!-- {MARK}/conversation/81/first/102/ -->"
        glpi["ITILFollowup"][0] = followup(1, 101, DESCRIPTION, 1)

    assert found(judged(change)) == (0, 0, 1)


def test_a_pending_event_counts_as_lost_and_the_figures_still_add_up() -> None:
    report = judged(pending=3)
    figures = report.as_json()
    assert (figures["lost"], figures["events"]) == (3, 13)
    assert figures["events"] == figures["done"] + figures["skipped"] + figures["failed"] + figures["lost"]
    assert not report.adds_up


def test_a_delivery_that_left_no_trace_counts_as_lost() -> None:
    assert found(judged(unaccounted=2)) == (2, 0, 0)


def test_what_is_in_the_bin_does_not_count() -> None:
    assert judged(double("Ticket", 9, is_deleted=1)).problems == ()


def test_a_pending_conversation_is_a_new_ticket_while_a_bot_handles_it() -> None:
    def change(chatwoot: Dump, glpi: Dump) -> None:
        chatwoot["conversations"][0]["status"] = "pending"
        chatwoot["conversations"][0]["meta"]["assignee_type"] = "AgentBot"
        glpi["Ticket"][0]["status"] = 1

    assert {problem.words for problem in judged(change).problems} == {
        "conversation 81 is pending in Chatwoot, and was to be resolved"
    }


def test_a_reader_sees_text_without_tags_and_with_its_special_characters() -> None:
    assert visible("<p>a<br>b &lt;c&gt; &amp;</p><!-- mark/ --><ul><li>d</li></ul>") == "a b <c> & d"


def with_documents(change: Callable[[Dump], object] = lambda _glpi: None) -> Report:
    """The first message has a file, and another one two; all are documents."""
    chatwoot, glpi = world()
    messages = chatwoot["conversations"][0]["messages"]
    for index, numbers in ((0, [1]), (3, [2, 3])):
        messages[index]["attachments"] = [
            {"id": number, "file_type": "file", "data_url": "https://chat.example.com/x"}
            for number in numbers
        ]
    glpi["Document"] = [{"id": number} for number in (1, 2, 3)]
    glpi["Document_Item"] = [
        {"documents_id": number, "itemtype": itemtype, "items_id": item}
        for number, itemtype, item in ((1, "Ticket", 9), (2, "ITILFollowup", 3), (3, "ITILFollowup", 3))
    ]
    change(glpi)
    return reconcile(chatwoot, {"glpi": glpi}, JOURNAL, PLANNED, files=True)


def test_documents_are_there_once_where_they_are_wanted() -> None:
    report = with_documents()
    assert (report.problems, report.matched["documents"]) == ((), 3)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        pytest.param(lambda glpi: glpi["Document_Item"].pop(0), (1, 1), id="attached to nothing"),
        pytest.param(lambda glpi: glpi["Document"].append({"id": 4}), (0, 1), id="left behind"),
        pytest.param(
            lambda glpi: glpi["Document_Item"].append(
                {"documents_id": 3, "itemtype": "ITILFollowup", "items_id": 1}
            ),
            (0, 1),
            id="where it does not belong",
        ),
    ],
)
def test_a_document_that_is_lost_or_doubled_is_found(
    change: Callable[[Dump], object], wanted: tuple[int, int]
) -> None:
    report = with_documents(change)
    assert (report.lost, report.duplicates) == wanted
