"""The replayer notices what a client would notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crm_sync.sandbox.krayin import replay
from tests.unit.sandbox.krayin.conftest import OLD

HEADERS = {
    "Accept": "application/json",
    "Authorization": "Bearer {{TOKEN}}",
    "Content-Type": "application/json",
}


def _entry(case: str | None, method: str, path: str, resp: Any, **kw: Any) -> dict[str, Any]:
    plain = {"query": None, "headers": HEADERS, "body": None, "multipart": None, "status": 200}
    return {"case": case, "method": method, "path": f"/api/v1/{path}", "resp": resp, **plain, **kw}


STAMPS = {"created_at": "2026-11-22T01:45:34.000000Z", "updated_at": "2026-11-22T01:45:34.000000Z"}
#: The recorded server called it 41; the sandbox calls it 6.
SOURCE = {"id": 41, "name": "Chatwoot", **STAMPS}
CREATE = _entry(
    "create",
    "POST",
    "settings/sources",
    {"data": SOURCE, "message": "Source created successfully."},
    body={"name": "Chatwoot"},
)


def _run(tmp_path: Path, *entries: dict[str, Any]) -> dict[str | None, str]:
    tape = tmp_path / "tape.jsonl"
    tape.write_text("\n".join(json.dumps(entry) for entry in entries) + "\n", encoding="utf-8")
    return {outcome.case: outcome.difference for outcome in replay.replay_against_sandbox(tape, OLD)}


def test_recorded_ids_are_translated(tmp_path: Path) -> None:
    show = _entry("show", "GET", "settings/sources/41", {"data": SOURCE})

    assert _run(tmp_path, CREATE, show) == {"create": "", "show": ""}


@pytest.mark.parametrize(
    ("recorded", "noticed"),
    [
        ({**SOURCE, "name": "Chat"}, ".data.name: 'Chatwoot', recorded 'Chat'"),
        ({**SOURCE, "name": None}, ".data.name: 'Chatwoot', recorded None"),
        ({**SOURCE, "color": "red"}, ".data: keys ['color'] on one side only"),
        ({**SOURCE, "created_at": "yesterday"}, ".data.created_at: "),
        ({**SOURCE, "id": 42}, ""),
    ],
)
def test_a_difference_is_named(tmp_path: Path, recorded: dict[str, Any], noticed: str) -> None:
    show = _entry("show", "GET", "settings/sources/41", {"data": recorded})

    found = _run(tmp_path, CREATE, show)["show"]

    assert found.startswith(noticed) if noticed else found == ""


def test_another_status_and_another_number_of_rows_are_named(tmp_path: Path) -> None:
    status = _entry("status", "GET", "settings/sources/41", {"message": "no"}, status=404)
    rows = _entry(
        "rows", "GET", "settings/sources", {"data": []}, query={"name": "Chatwoot", "pagination": 0}
    )

    found = _run(tmp_path, CREATE, status, rows)

    assert found["status"].startswith("status 200, recorded 404")
    assert found["rows"] == ".data: 1 entries, recorded 0"


def test_a_case_that_was_recorded_twice_counts_twice(tmp_path: Path) -> None:
    taken = {"name": ["The name has already been taken."]}
    again = {**CREATE, "status": 422, "resp": {"message": taken["name"][0], "errors": taken}}

    assert _run(tmp_path, CREATE, again) == {"create": "", "create#2": ""}


def test_the_command_reports_and_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape, learned = tmp_path / "tape.jsonl", tmp_path / "agreed.json"
    wrong = _entry("wrong", "GET", "get", {}, status=401)
    tape.write_text("\n".join(json.dumps(entry) for entry in (CREATE, wrong)), encoding="utf-8")

    status = replay.main([str(tape), "--flavour", OLD, "--learn", str(learned)])

    assert status == 1
    assert json.loads(learned.read_text(encoding="utf-8")) == ["create"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("wrong: GET /api/v1/get: status 200, recorded 401")
    assert printed[1] == "1/2 agree"
