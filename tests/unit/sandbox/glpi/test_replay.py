"""The replayer notices what a client would notice."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from crm_sync.sandbox.glpi import replay

SUPER = {"App-Token": "{{APP_TOKEN}}", "Authorization": "user_token {{USER_TOKEN_SUPER}}"}
SESSION = {"App-Token": "{{APP_TOKEN}}", "Session-Token": "{{S}}"}


def _entry(case: str | None, method: str, path: str, resp: Any, **kw: Any) -> dict[str, Any]:
    plain = {"query": None, "headers": SESSION, "body": None, "multipart": None, "status": 200}
    return {"case": case, "method": method, "path": f"/apirest.php{path}", "resp": resp, **plain, **kw}


LOGIN = _entry(None, "GET", "/initSession", {"session_token": "{{S}}"}, headers=SUPER)
CREATE = _entry(
    "create",
    "POST",
    "/Contact",
    {"id": 41, "message": "Item successfully added: A"},
    status=201,
    body={"input": {"name": "A"}},
)


def _run(tmp_path: Path, *entries: dict[str, Any]) -> dict[str | None, str]:
    tape = tmp_path / "tape.jsonl"
    tape.write_text("\n".join(json.dumps(entry) for entry in (LOGIN, *entries)) + "\n", encoding="utf-8")
    return {outcome.case: outcome.difference for outcome in replay.replay_against_sandbox(tape, "10.0.19")}


def test_recorded_ids_are_translated(tmp_path: Path) -> None:
    read = _entry("read", "GET", "/Contact/41", ["ERROR_ITEM_NOT_FOUND", "Item not found"], status=404)
    write = _entry(
        "write", "PUT", "/Contact/41", [{"41": True, "message": ""}], body={"input": {"name": "B"}}
    )
    query = {"criteria[0][field]": 2, "criteria[0][value]": "^41$", "forcedisplay[0]": 2}
    row = {"1": "B", "2": 41, "80": "Root entity"}
    want = {
        "totalcount": 1,
        "count": 1,
        "sort": [1],
        "order": ["ASC"],
        "data": [row],
        "content-range": "0-0/1",
    }
    found = _entry("found", "GET", "/search/Contact", want, query=query)

    outcome = _run(tmp_path, CREATE, write, found, read)

    assert (outcome["create"], outcome["write"]) == ("", "")
    assert outcome["read"].startswith("status 200, recorded 404")


@pytest.mark.parametrize(
    ("want", "difference"),
    [
        ({"myentities": [{"id": 0, "name": "Root entity"}]}, ""),
        ({"myentities": [{"id": 0, "name": "Other"}]}, ".myentities.0.name: 'Root entity', recorded 'Other'"),
        ({"myentities": [{"id": "0", "name": "Root entity"}]}, ".myentities.0.id: 0, recorded '0'"),
        ({"myentities": [{"id": 0}]}, ".myentities.0: keys ['name'] on one side only"),
        ({"myentities": []}, ".myentities: 1 entries, recorded 0"),
        (["x"], "body: {'myentities': [{'id': 0, 'name': 'Root entity'}]}, recorded ['x']"),
    ],
)
def test_differences_are_named(tmp_path: Path, want: Any, difference: str) -> None:
    assert _run(tmp_path, _entry("case", "GET", "/getMyEntities", want))["case"] == difference


def test_pages_are_compared_by_being_there(tmp_path: Path) -> None:
    outcome = _run(
        tmp_path,
        _entry("empty", "OPTIONS", "/Ticket", ""),
        _entry("page", "OPTIONS", "/Ticket", "<html>"),
        _entry(
            "posted",
            "POST",
            "/Contact",
            ["ERROR_JSON_PAYLOAD_INVALID", "JSON payload seems not valid"],
            status=400,
            body="{",
        ),
    )
    assert outcome == {"empty": "", "page": "empty or not differs", "posted": ""}


def test_the_list_of_agreed_cases_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape, agreed, only = tmp_path / "tape.jsonl.gz", tmp_path / "agreed.json", tmp_path / "only.json"
    skipped = {**CREATE, "case": "skipped", "debug": True}
    wrong = _entry("wrong", "GET", "/getMyEntities", True)
    tape.write_bytes(gzip.compress("\n".join(map(json.dumps, (LOGIN, CREATE, skipped, wrong))).encode()))
    agreed.write_text('["before"]', encoding="utf-8")
    only.write_text('["create"]', encoding="utf-8")

    assert replay.main([str(tape), "--learn", str(agreed)]) == 1
    assert replay.main([str(tape), "--only", str(only)]) == 0
    fresh = tmp_path / "fresh.json"
    assert replay.main([str(tape), "--only", str(only), "--learn", str(fresh)]) == 0

    assert json.loads(agreed.read_text(encoding="utf-8")) == ["before", "create"]
    assert json.loads(fresh.read_text(encoding="utf-8")) == ["create"]
    assert "wrong: GET /getMyEntities" in capsys.readouterr().out
