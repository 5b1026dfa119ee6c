"""Every answer a real GLPI gave becomes data or the right word of the error tree, never anything else."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

from crm_sync.crms.glpi.answers import DatabaseRefusal, SessionOver, read_answer
from crm_sync.errors import (
    ApiError,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    Rejected,
    ServerFault,
    Unauthorized,
)
from crm_sync.sandbox.glpi import FLAVOURS
from crm_sync.sandbox.replay import read_tape

DATA = Path(__file__).parent / "data"

#: The code of an error array and how its text came, with the word it stands for.
WORDS: dict[tuple[str, str], type[ApiError]] = {
    # Of a wrong parameter, and of an API that is switched off: the client asks which (test_client.py).
    ("ERROR", "text"): Rejected,
    ("ERROR_APP_TOKEN_PARAMETERS_MISSING", "text"): Unauthorized,
    ("ERROR_BAD_ARRAY", "text"): Rejected,
    ("ERROR_GLPI_ADD", "empty"): Duplicate,
    ("ERROR_GLPI_ADD", "list"): Rejected,
    ("ERROR_GLPI_ADD", "text"): Rejected,
    ("ERROR_GLPI_DELETE", "text"): Rejected,
    ("ERROR_GLPI_LOGIN", "text"): Unauthorized,
    ("ERROR_GLPI_LOGIN_USER_TOKEN", "text"): Unauthorized,
    ("ERROR_GLPI_PARTIAL_ADD", "list"): Rejected,
    ("ERROR_GLPI_PARTIAL_UPDATE", "list"): Rejected,
    ("ERROR_GLPI_UPDATE", "null"): NotFound,
    ("ERROR_GLPI_UPDATE", "text"): Rejected,
    ("ERROR_ITEM_NOT_FOUND", "text"): NotFound,
    ("ERROR_JSON_PAYLOAD_FORBIDDEN", "text"): Rejected,
    ("ERROR_JSON_PAYLOAD_INVALID", "text"): Rejected,
    ("ERROR_LOGIN_PARAMETERS_MISSING", "text"): Unauthorized,
    ("ERROR_LOGIN_WITH_CREDENTIALS_DISABLED", "text"): Unauthorized,
    ("ERROR_NOT_ALLOWED_IP", "text"): Unauthorized,
    ("ERROR_RANGE_EXCEED_TOTAL", "text"): Rejected,
    ("ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM", "text"): Rejected,
    ("ERROR_RIGHT_MISSING", "text"): Rejected,
    ("ERROR_SESSION_TOKEN_INVALID", "text"): SessionOver,
    ("ERROR_WRONG_APP_TOKEN_PARAMETER", "text"): Unauthorized,
}


@cache
def _entries(flavour: str) -> list[dict[str, Any]]:
    return list(read_tape(DATA / flavour / "tape.jsonl.gz"))


def _response(entry: Mapping[str, Any]) -> requests.Response:
    """The answer of a recorded exchange."""
    body = entry["resp"]
    response = requests.Response()
    response.status_code = entry["status"]
    response.headers.update({key: value for key, value in entry["resp_headers"].items() if value})
    is_json = "json" in response.headers.get("Content-Type", "")
    response._content = (json.dumps(body) if is_json and body != "" else str(body)).encode()
    return response


def _path(entry: Mapping[str, Any]) -> str:
    return str(entry["path"]).removeprefix("/apirest.php")


def _expected(entry: Mapping[str, Any]) -> type[ApiError] | None:
    """The word of an exchange, by the table and by what is no JSON; None for success."""
    body, status = entry["resp"], entry["status"]
    if isinstance(body, list) and body and isinstance(body[0], str) and body[0].startswith("ERROR"):
        text = body[1] if len(body) > 1 else None
        kind = "null" if text is None else type(text).__name__ if not isinstance(text, str) else "text"
        return WORDS[body[0], "empty" if text == "" else kind]
    if "json" not in entry["resp_headers"].get("Content-Type", "") or body in ("", None):
        return ServerFault if entry["method"] in {"GET", "HEAD", "OPTIONS"} else OutcomeUnknown
    return None if status < 300 else Rejected


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_recorded_answer_becomes_data_or_the_right_word(flavour: str) -> None:
    wrong = []
    for entry in _entries(flavour):
        try:
            found: type[ApiError] | None = None
            data = read_answer(_response(entry), entry["method"], _path(entry))
            assert data == entry["resp"], entry["case"]
        except ApiError as error:
            # That it was the database is for the session to know.
            found = Rejected if isinstance(error, DatabaseRefusal) else type(error)
        if found is not _expected(entry):
            wrong.append(f"{entry['case']} {entry['method']} {_path(entry)} {entry['status']}: {found}")
    assert wrong == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_recordings_hold_every_code_of_the_table(flavour: str) -> None:
    seen = defaultdict(int)
    for entry in _entries(flavour):
        body = entry["resp"]
        if isinstance(body, list) and body and isinstance(body[0], str):
            seen[body[0]] += 1
    assert {code for code, _ in WORDS} <= seen.keys()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_error_shows_sql_a_link_a_token_or_a_persons_data(flavour: str) -> None:
    told = []
    for entry in _entries(flavour):
        try:
            read_answer(_response(entry), entry["method"], _path(entry))
        except ApiError as error:
            told.append(str(error))
    assert told
    for words in told:
        assert "INSERT INTO" not in words
        assert "in SQL query" not in words
        assert "http://" not in words
        assert "&#0" not in words
        assert "@" not in words
        assert "Silva" not in words
        assert len(words) < 300, words


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_page_instead_of_data_is_never_success_nor_final(flavour: str) -> None:
    pages = [
        entry
        for entry in _entries(flavour)
        if "text/html" in entry["resp_headers"].get("Content-Type", "") and entry["method"] in {"GET", "POST"}
    ]
    assert {"maintenance-mode", "ticket-create-actors-contact"} <= {entry["case"] for entry in pages}
    for entry in pages:
        kind = ServerFault if entry["method"] == "GET" else OutcomeUnknown
        with pytest.raises(kind):
            read_answer(_response(entry), entry["method"], _path(entry))
