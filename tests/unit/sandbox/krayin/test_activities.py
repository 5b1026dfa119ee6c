"""Activities: what each type must have, times without zones, meetings, files."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.unit.sandbox.krayin.conftest import Krayin

TIMES = {"schedule_from": "2026-12-01 10:00:00", "schedule_to": "2026-12-01 10:30:00"}


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({"type": "note"}, ["comment"]),
        ({"type": "call"}, ["schedule_from", "schedule_to"]),
        ({"type": "file"}, ["file"]),
        ({}, ["type", "schedule_from", "schedule_to"]),
    ],
)
def test_a_type_must_have_its_fields(either: Krayin, sent: dict[str, Any], fields: list[str]) -> None:
    answer = either.post("activities", **sent)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == fields


def test_any_text_is_a_type_on_the_older_generation_only(old: Krayin, new: Krayin) -> None:
    assert old.post("activities", type="chat", **TIMES).status_code == 200
    assert new.post("activities", type="chat", **TIMES).status_code == 422


@pytest.mark.parametrize("zone", ["", "Z", "-03:00"])
def test_a_zone_in_a_time_is_dropped(either: Krayin, zone: str) -> None:
    sent = {"schedule_from": f"2026-12-01T10:00:00{zone}", "schedule_to": f"2026-12-01T10:30:00{zone}"}

    activity = either.data(either.post("activities", type="call", **sent))

    assert activity["schedule_from"] == "2026-12-01T04:30:00.000000Z"


def test_a_time_that_is_none_crashes(either: Krayin) -> None:
    assert either.post("activities", type="call", **{**TIMES, "schedule_from": "soon"}).status_code == 500


def test_a_note_is_done_and_nothing_else_is_when_created(either: Krayin) -> None:
    note = either.data(either.post("activities", type="note", comment="x", is_done=0))
    call = either.data(either.post("activities", type="call", is_done=1, **TIMES))

    assert (note["is_done"], call["is_done"]) == (1, 0)
    assert either.data(either.put(f"activities/{call['id']}", is_done=True))["is_done"] is True
    assert either.data(either.get(f"activities/{call['id']}"))["is_done"] == 1


def test_a_lead_wins_over_a_person_and_one_that_is_not_there_leaves_an_orphan(either: Krayin) -> None:
    lead, person = either.lead(), either.person()
    note = either.data(
        either.post("activities", type="note", title="t", comment="x", lead_id=lead, person_id=person)
    )["id"]

    def own(path: str) -> list[int]:
        rows = either.data(either.get(f"{path}/activities"))
        return [row["id"] for row in rows if row["type"] != "system"]

    assert (own(f"leads/{lead}"), own(f"contacts/persons/{person}")) == ([note], [])
    assert either.post("activities", type="note", title="o", comment="x", lead_id=99).status_code == 500
    assert len(either.data(either.get("activities", title="o", type="note"))) == 1


def test_a_record_tells_its_story_in_activities_of_the_system(either: Krayin) -> None:
    lead = either.lead()
    either.put(f"leads/stage/edit/{lead}", lead_pipeline_stage_id=5)

    rows = either.data(either.get(f"leads/{lead}/activities"))

    assert {row["type"] for row in rows} == {"system"}
    assert rows[-1]["title"] == "Created"
    assert {"Updated Stage", "Updated closed_at"} <= {row["title"] for row in rows}
    assert rows[0]["additional"]["new"] == {"value": 5, "label": "Won"}


def test_meetings_at_one_time_are_refused_and_on_the_newer_generation_any_second_one(
    old: Krayin, new: Krayin
) -> None:
    later = {"schedule_from": "2030-12-01 10:00:00", "schedule_to": "2030-12-01 10:30:00"}
    ajax = {"X-Requested-With": "XMLHttpRequest"}
    for krayin, status in ((old, 200), (new, 400)):

        def meet(times: dict[str, str], krayin: Krayin = krayin, **headers: str) -> int:
            sent = {"type": "meeting", "participants": {"users": [1]}, **times}
            return krayin.call("POST", "activities", json=sent, headers=headers).status_code

        assert meet(TIMES, **ajax) == 200
        assert meet(TIMES, **ajax) == 400
        assert meet(TIMES) == 302
        assert meet(later, **ajax) == status


def test_additional_data_is_json_in_a_text(either: Krayin) -> None:
    sent = {"type": "note", "title": "cw-1", "comment": "x"}

    assert either.post("activities", **sent, additional={"id": 1}).status_code == 500
    assert either.data(either.get("activities", title="cw-1")) == []
    activity = either.data(either.post("activities", **sent, additional='{"id": 1}'))
    assert activity["additional"] == {"id": 1}


def test_a_long_comment_is_cut_on_the_older_generation_only(old: Krayin, new: Krayin) -> None:
    for krayin, kept in ((old, 65535), (new, 70000)):
        note = krayin.data(krayin.post("activities", type="note", comment="x" * 70000))
        assert len(note["comment"]) == kept


def test_a_file_comes_back_as_it_was_sent(either: Krayin) -> None:
    form = {"type": "file", "name": "a.txt", "file": (io.BytesIO(b"hello"), "a.txt", "text/plain")}

    activity = either.data(either.call("POST", "activities", data=form))
    answer = either.get(f"activities/file-download/{activity['files'][0]['id']}")

    assert answer.data == b"hello"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert either.post("activities", type="file", file="no file").status_code == 500


def test_participants_get_mail_from_the_installations_own_workflows(either: Krayin) -> None:
    person = either.person("customer@example.com")
    either.post("activities", type="call", participants={"users": [1], "persons": [person]}, **TIMES)
    either.post("activities", type="note", comment="x", participants={"persons": [person]})

    mails = either.client.get("/_sandbox/deliveries").get_json()["mails"]

    assert [mail["to"] for mail in mails] == [["admin@example.com", "customer@example.com"]]
