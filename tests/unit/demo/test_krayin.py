"""The judge of demo and fault run finds what is lost, doubled, misordered or wrong in Krayin, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from crm_sync.demo.reconcile import Report, reconcile

Dump = dict[str, Any]
Change = Callable[[Dump, Dump], None]
MARK = "cw-chat.example.com-3"


def message(number: int, text: str, **more: Any) -> Dump:
    return {"id": number, "content": text, "message_type": 0, "private": False, **more}


def activity(number: int, mark: str, comment: str, *, kind: str = "note", **told: Any) -> Dump:
    return {
        "id": number,
        "type": kind,
        "is_done": 1,
        "comment": f"<p>{comment}</p>",
        "additional": {"crm_sync": f"{MARK}-{mark}", **told},
    }


def world() -> tuple[Dump, Dump]:
    """A Chatwoot and a Krayin in which everything is right."""
    ana = {
        "id": 1,
        "name": "Ana",
        "email": "Ana@example.com",
        "phone_number": "+5511999",
        "additional_attributes": {"company_name": "Globex"},
        "custom_attributes": {"krayin_person_id": 7, "krayin_lead_id": 8},
    }
    visitor = {"id": 2, "name": "Visitor", "email": None, "phone_number": None, "custom_attributes": {}}
    talk = {
        "id": 81,
        "status": "resolved",
        "meta": {"sender": ana},
        "custom_attributes": {"krayin_activity_id": 20},
        "messages": [
            message(101, "Hello & welcome"),
            message(102, "**Which** order?", message_type=1),
            message(103, "A VIP", message_type=1, private=True),
            message(104, "Conversation was resolved", message_type=2),
        ],
    }
    visit = {**talk, "id": 82, "meta": {"sender": visitor}, "custom_attributes": {}, "messages": []}
    krayin = {
        "organizations": [{"id": 5, "name": "globex"}, {"id": 6, "name": "A former company"}],
        "persons": [
            {
                "id": 7,
                "name": "Ana",
                "organization_id": 5,
                "emails": [{"value": "ana@example.com", "label": "work"}],
                "contact_numbers": [{"value": "+5511999", "label": "work"}],
            }
        ],
        "leads": [{"id": 8, "person_id": 7}],
        "activities": [
            {"id": 19, "type": "system", "is_done": 1, "comment": None, "additional": {"attribute": "Stage"}},
            activity(20, "conversation-81", "Hello &amp; welcome", kind="email", first_message=101),
            activity(21, "message-102", "<strong>Which</strong> order?"),
            activity(22, "message-103", "A VIP"),
        ],
        "lead_activities": [{"activity_id": number, "lead_id": 8} for number in (20, 21, 22)],
    }
    return {"account_id": 3, "contacts": [ana, visitor], "conversations": [talk, visit]}, krayin


def judged(change: Change = lambda _chatwoot, _krayin: None) -> Report:
    chatwoot, krayin = world()
    change(chatwoot, krayin)
    return reconcile(chatwoot, {"krayin": krayin}, {"done": 8}, {})


def found(report: Report) -> tuple[int, int, int]:
    return report.lost, report.duplicates, report.out_of_order


def row(dump: Dump, table: str, number: int) -> Dump:
    return next(row for row in dump[table] if row["id"] == number)


def remove(table: str, number: int) -> Change:
    return lambda _chatwoot, krayin: krayin[table].remove(row(krayin, table, number))


def alter(table: str, number: int, **columns: Any) -> Change:
    return lambda _chatwoot, krayin: row(krayin, table, number).update(columns)


def double(table: str, number: int, **columns: Any) -> Change:
    def change(_chatwoot: Dump, krayin: Dump) -> None:
        krayin[table].append({**copy.deepcopy(row(krayin, table, number)), "id": 99, **columns})
        if table == "activities":
            krayin["lead_activities"].append({"activity_id": 99, "lead_id": 8})

    return change


def say(act: Callable[[Dump], Any]) -> Change:
    return lambda chatwoot, _krayin: act(chatwoot)


def test_everything_adds_up_when_each_record_is_there_once() -> None:
    report = judged()
    assert report.problems == ()
    assert report.matched == {
        "persons": 1,
        "leads": 1,
        "organizations": 1,
        "activities": 1,
        "messages": 3,
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(remove("activities", 21), id="a message"),
        pytest.param(alter("activities", 21, comment="<p>Another</p>"), id="its text"),
        pytest.param(alter("activities", 20, is_done=0), id="the last change of a state"),
        pytest.param(alter("persons", 7, name="Bia"), id="a new name"),
        pytest.param(alter("persons", 7, organization_id=6), id="a new company"),
        pytest.param(
            lambda _chatwoot, krayin: krayin["lead_activities"].pop(), id="the lead a message belongs to"
        ),
        pytest.param(
            say(lambda cw: cw["contacts"][0]["custom_attributes"].pop("krayin_person_id")),
            id="a write-back of a person",
        ),
        pytest.param(
            say(lambda cw: cw["contacts"][0]["custom_attributes"].pop("krayin_lead_id")),
            id="a write-back of a lead",
        ),
        pytest.param(
            say(lambda cw: cw["conversations"][0]["custom_attributes"].clear()),
            id="a write-back of an activity",
        ),
    ],
)
def test_what_is_lost_is_found(change: Change) -> None:
    assert found(judged(change)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("table", "number"), [("persons", 7), ("leads", 8), ("organizations", 5), ("activities", 20)]
)
def test_a_record_that_was_never_made_is_lost(table: str, number: int) -> None:
    report = judged(remove(table, number))
    assert any("has no counterpart in Krayin" in problem.words for problem in report.problems)
    assert not report.adds_up


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(double("activities", 22), id="a message"),
        pytest.param(double("activities", 22, additional=None), id="an activity without a marker"),
        pytest.param(double("leads", 8), id="a lead"),
        pytest.param(double("leads", 8, person_id=None), id="a lead without its person"),
        pytest.param(double("persons", 7, emails=[], contact_numbers=[]), id="a person of nobody"),
        pytest.param(double("organizations", 5, name="GLOBEX"), id="an organization"),
        pytest.param(double("persons", 7, emails=[]), id="a person with the same number"),
        pytest.param(
            double("activities", 20, additional={"crm_sync": f"{MARK}-conversation-81"}), id="an activity"
        ),
        pytest.param(
            double("activities", 20, additional={"crm_sync": f"{MARK}-conversation-90"}),
            id="an activity of nobody",
        ),
        pytest.param(
            double("activities", 22, additional={"crm_sync": f"{MARK}-message-104"}),
            id="a message that is not to be there",
        ),
    ],
)
def test_what_is_doubled_is_found(change: Change) -> None:
    assert found(judged(change)) == (0, 1, 0)


def test_a_message_shown_before_an_earlier_one_is_found() -> None:
    assert found(judged(double("activities", 21))) == (0, 1, 1)


def test_an_activity_that_begins_with_the_wrong_message_is_found() -> None:
    def change(_chatwoot: Dump, krayin: Dump) -> None:
        begins, note = row(krayin, "activities", 20), row(krayin, "activities", 21)
        begins["additional"]["first_message"] = 102
        note["additional"]["crm_sync"] = f"{MARK}-message-101"
        begins["comment"], note["comment"] = note["comment"], begins["comment"]

    assert found(judged(change)) == (0, 0, 1)


def test_what_bears_the_marker_of_another_account_is_none_of_ours() -> None:
    other = {"crm_sync": "cw-chat.example.com-4-message-102"}
    report = judged(double("activities", 21, additional=other))
    assert [problem.words for problem in report.problems] == [
        "activity 99 belongs to no conversation and no message"
    ]


def test_a_contact_who_is_nobody_makes_no_company() -> None:
    def change(chatwoot: Dump, _krayin: Dump) -> None:
        chatwoot["contacts"][1]["additional_attributes"] = {"company_name": "Initech"}

    assert judged(change).problems == ()


def test_a_company_that_several_share_is_counted_once() -> None:
    def change(chatwoot: Dump, krayin: Dump) -> None:
        other = {**chatwoot["contacts"][0], "id": 3, "email": "bia@example.com", "phone_number": None}
        chatwoot["contacts"].append(
            {**other, "custom_attributes": {"krayin_person_id": 9, "krayin_lead_id": 10}}
        )
        emails = [{"value": "bia@example.com", "label": "work"}]
        krayin["persons"].append({**krayin["persons"][0], "id": 9, "emails": emails, "contact_numbers": []})
        krayin["leads"].append({"id": 10, "person_id": 9})

    report = judged(change)
    assert (report.problems, report.matched["persons"], report.matched["organizations"]) == ((), 2, 1)


def with_files(change: Change = lambda _chatwoot, _krayin: None) -> Report:
    """A message has a file and a place; the file is there."""
    chatwoot, krayin = world()
    kinds = (("image", "https://chat.example.com/x"), ("location", "https://maps.example.com/x"))
    chatwoot["conversations"][0]["messages"][1]["attachments"] = [
        {"id": number, "file_type": kind, "data_url": url} for number, (kind, url) in enumerate(kinds, 601)
    ]
    krayin["activities"].append(activity(30, "attachment-601", "Ana:", kind="file"))
    krayin["lead_activities"].append({"activity_id": 30, "lead_id": 8})
    change(chatwoot, krayin)
    return reconcile(chatwoot, {"krayin": krayin}, {"done": 8}, {}, files=True)


def test_files_are_there_once_where_they_are_wanted() -> None:
    report = with_files()
    assert (report.problems, report.matched["files"]) == ((), 1)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        pytest.param(remove("activities", 30), (1, 0, 0), id="lost"),
        pytest.param(double("activities", 30), (0, 1, 0), id="doubled"),
        pytest.param(
            double("activities", 30, additional={"crm_sync": f"{MARK}-attachment-7"}),
            (0, 1, 0),
            id="a stranger",
        ),
        pytest.param(lambda _chatwoot, krayin: krayin["lead_activities"].pop(), (1, 0, 0), id="of nobody"),
    ],
)
def test_a_file_that_is_lost_doubled_or_of_nobody_is_found(
    change: Change, wanted: tuple[int, int, int]
) -> None:
    assert found(with_files(change)) == wanted
