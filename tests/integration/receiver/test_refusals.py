"""What is refused is refused in JSON, with its status and a sentence; it is counted, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from cryptography.fernet import Fernet
from sqlalchemy import text

from crm_sync.engine import ingest
from crm_sync.store.models import SignatureMode
from crm_sync.store.secrets import Keyring
from crm_sync.telemetry import metrics
from tests.deliveries import SECRET, refused, signed
from tests.payloads import contact_created, conversation_created, message_created
from tests.servers import on_every_database

GOOD = json.dumps(contact_created()).encode()
OTHER_TOKEN = "an-address-of-nobody-at-all"


def body(**changes: Any) -> bytes:
    """A delivery with something else in it."""
    return json.dumps({**contact_created(), **changes}).encode()


#: What is wrong with a delivery: its bytes, changed headers (``None`` takes one away), its status and code.
REFUSALS: dict[str, tuple[bytes, dict[str, str | None], int, str]] = {
    "not signed": (GOOD, {"X-Chatwoot-Signature": None}, 401, "signature_missing"),
    "no timestamp": (GOOD, {"X-Chatwoot-Timestamp": None}, 401, "signature_missing"),
    "stale": (GOOD, signed(GOOD, timestamp="1789391000"), 401, "signature_stale"),
    "from the future": (GOOD, signed(GOOD, timestamp="1789393000"), 401, "signature_stale"),
    "no time at all": (GOOD, signed(GOOD, timestamp="tomorrow"), 401, "signature_stale"),
    "endless time": (GOOD, signed(GOOD, timestamp="1" * 5000), 401, "signature_stale"),
    "another secret": (GOOD, signed(GOOD, secret="another"), 401, "signature_mismatch"),
    "another body": (GOOD, signed(GOOD + b" "), 401, "signature_mismatch"),
    "timestamp changed": (GOOD, {"X-Chatwoot-Timestamp": "1789392001"}, 401, "signature_mismatch"),
    "no scheme": (GOOD, {"X-Chatwoot-Signature": "0" * 64}, 401, "signature_mismatch"),
    "odd characters": (GOOD, {"X-Chatwoot-Signature": "sha256=ÿþé"}, 401, "signature_mismatch"),
    "odd time": (GOOD, {"X-Chatwoot-Timestamp": "²³"}, 401, "signature_mismatch"),
    "an array": (b"[" + GOOD + b"]", {}, 400, "invalid_payload"),
    "a text": (b'"contact_created"', {}, 400, "invalid_payload"),
    "empty": (b"", {}, 400, "invalid_json"),
    "cut off": (GOOD[:-1], {}, 400, "invalid_json"),
    "a form": (b"event=contact_created", {}, 400, "invalid_json"),
    "bytes that are no text": (b'{"event": "\xff"}', {}, 400, "invalid_json"),
    "NaN": (GOOD[:-1] + b', "x": NaN}', {}, 400, "invalid_json"),
    "raw NUL": (GOOD[:-1] + b', "x": "\x00"}', {}, 400, "invalid_json"),
    "escaped NUL": (GOOD[:-1] + b', "x": "\\u0000"}', {}, 400, "invalid_payload"),
    "NUL in a key": (GOOD[:-1] + b', "\\u0000": 1}', {}, 400, "invalid_payload"),
    "too deep": (GOOD[:-1] + b', "x": ' + b"[" * 60 + b"]" * 60 + b"}", {}, 400, "invalid_payload"),
    "far too deep": (GOOD[:-1] + b', "x": ' + b"[" * 400_000, {}, 400, "invalid_payload"),
    "endless number": (GOOD[:-1] + b', "x": ' + b"9" * 5000 + b"}", {}, 400, "invalid_json"),
    "no event": (b"{}", {}, 400, "invalid_payload"),
    "an event of no name": (body(event=None), {}, 400, "invalid_payload"),
    "an event of another kind": (body(event=["contact_created"]), {}, 400, "invalid_payload"),
    "unknown event": (body(event="contact_deleted"), {}, 400, "unknown_event"),
    "unknown event, endless": (body(event="x" * 10_000), {}, 400, "unknown_event"),
    "no contact": (b'{"event": "contact_created"}', {}, 400, "invalid_payload"),
    "an id of no record": (body(id="one"), {}, 400, "invalid_payload"),
    "an id too large": (body(id=2**63), {}, 400, "invalid_payload"),
    "an id far too large": (body(id=10**400), {}, 400, "invalid_payload"),
    "an infinite id": (GOOD.replace(b'"id": 1,', b'"id": 1e999,', 1), {}, 400, "invalid_payload"),
    "another account": (body(account={"id": 4}), {}, 400, "foreign_account"),
    "another account, at large": (body(account={"id": 10**30}), {}, 400, "foreign_account"),
    "too large": (b" " * (2 * 1024 * 1024), {}, 413, "too_large"),
    "one byte too large": (b" " * (1024 * 1024 + 1), {}, 413, "too_large"),
    "another type": (GOOD, {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    "a form's type": (
        GOOD,
        {"Content-Type": "application/x-www-form-urlencoded"},
        415,
        "unsupported_media_type",
    ),
    "no type": (GOOD, {"Content-Type": None}, 415, "unsupported_media_type"),
}


def headers_of(raw: bytes, changes: dict[str, str | None]) -> dict[str, str]:
    """The headers of a signed delivery, with these changes."""
    return {name: value for name, value in {**signed(raw), **changes}.items() if value is not None}


@on_every_database
def test_what_is_wrong_is_refused_with_its_status_and_a_sentence_and_leaves_nothing_behind(
    office: Any,
) -> None:
    answers, expected = {}, {}
    for name, (raw, changes, status, code) in REFUSALS.items():
        before = refused().get(code, 0)
        answer = office.post(raw, headers_of(raw, changes))
        counted = refused().get(code, 0) - before
        answers[name] = (answer.status_code, *_said(answer), counted)
        expected[name] = (status, code, True, 1)
    assert answers == expected
    assert office.stored() == office.woken() == 0
    assert office.deliver(contact_created())["accepted"] == 1
    lines = [json.loads(line) for line in office.log.getvalue().splitlines()]
    assert sum(line["event"] == "delivery_refused" for line in lines) == len(REFUSALS)
    _no_secret_and_no_stack_trace(office.log.getvalue())


def _said(answer: Any) -> tuple[str, bool]:
    """The code of an answer, and whether the rest of it is as promised: one sentence, in JSON."""
    found = answer.json
    sentence = found["message"]
    good = (
        answer.mimetype == "application/json"
        and set(found) == {"error", "message"}
        and sentence.endswith(".")
        and len(sentence) < 300
        and "Traceback" not in answer.text
        and SECRET not in answer.text
    )
    return found["error"], good


def _no_secret_and_no_stack_trace(log: str) -> None:
    for secret in (SECRET, "the-address-nobody-else-knows_42", OTHER_TOKEN, "an-api-token-0123456789"):
        assert secret not in log
    assert "Traceback" not in log


@on_every_database
@pytest.mark.parametrize(
    "token",
    [OTHER_TOKEN, "x", "x" * 500, "a%00b", "%FF%FE", "%ED%A0%80", "'; DROP TABLE accounts; --", "名前"],
)
def test_an_unknown_address_is_refused_whatever_it_is_made_of(office: Any, token: str) -> None:
    before = refused().get("unknown_token", 0)
    answer = office.post(GOOD, token=token)
    assert (answer.status_code, *_said(answer)) == (404, "unknown_token", True)
    assert refused()["unknown_token"] == before + 1
    assert office.stored() == 0
    _no_secret_and_no_stack_trace(office.log.getvalue())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/", 404, "not_found"),
        ("GET", "/nothing/here", 404, "not_found"),
        ("POST", "/webhooks/chatwoot/", 404, "not_found"),
        ("POST", "/webhooks/chatwoot/a/b", 404, "not_found"),
        ("GET", "/webhooks/chatwoot/token", 405, "method_not_allowed"),
        ("PUT", "/webhooks/chatwoot/token", 405, "method_not_allowed"),
        ("POST", "/health/live", 405, "method_not_allowed"),
    ],
)
def test_what_there_is_not_is_told_in_json_too(
    office: Any, method: str, path: str, status: int, code: str
) -> None:
    answer = office.app.test_client().open(path, method=method, data=GOOD)
    assert (answer.status_code, answer.mimetype, answer.json["error"]) == (status, "application/json", code)
    assert answer.json["message"].endswith(".")
    if status == 405:
        assert answer.headers["Allow"]


def test_a_large_delivery_within_the_limit_is_accepted(office: Any) -> None:
    payload = message_created(5, content="x" * (1024 * 1024 - 5000))
    assert office.deliver(payload)["accepted"] == 1


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_json_is_json_however_its_type_is_written(office: Any, content_type: str) -> None:
    answer = office.post(GOOD, {**signed(GOOD), "Content-Type": content_type})
    assert answer.status_code == 202


# -- when we are at fault ----------------------------------------------------------------------------------------------


def test_a_delivery_is_not_answered_with_202_when_the_key_of_the_secrets_is_lost(office: Any) -> None:
    office.runtime.store.keyring = Keyring([Fernet.generate_key().decode()])
    answer = office.post(GOOD)
    assert (answer.status_code, *_said(answer)) == (503, "not_stored", True)
    assert "CRM_SYNC_SECRET_KEYS" in office.log.getvalue()
    assert office.stored() == 0


@on_every_database
def test_a_delivery_is_not_answered_with_202_when_its_table_is_gone(office: Any) -> None:
    before = refused()
    with office.runtime.store.write() as session:
        session.execute(text("ALTER TABLE deliveries RENAME TO elsewhere"))
    answer = office.post(GOOD)
    assert answer.status_code == 503
    assert _said(answer)[1]
    assert sum(refused().values()) == sum(before.values()) + 1
    assert "Ana Souza" not in office.log.getvalue()
    _no_secret_and_no_stack_trace(office.log.getvalue())
    with office.runtime.store.write() as session:
        session.execute(text("ALTER TABLE elsewhere RENAME TO deliveries"))
    assert office.post(GOOD).status_code == 202


def test_a_fault_of_our_own_is_told_as_503_and_its_trace_stays_in_the_log(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> str:
        raise LookupError(f"nobody foresaw this of {SECRET}")

    monkeypatch.setattr(ingest, "position", broken)
    answer = office.post(GOOD)
    assert (answer.status_code, *_said(answer)) == (503, "not_stored", True)
    assert "nobody foresaw" not in answer.text
    log = office.log.getvalue()
    assert "nobody foresaw" in log
    assert SECRET not in log
    assert office.stored() == 0


def test_what_fails_outside_of_a_delivery_is_told_in_json(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bytes:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(metrics, "render", broken)
    answer = office.app.test_client().get("/metrics")
    assert (answer.status_code, answer.json["error"]) == (500, "internal_server_error")
    assert "nobody foresaw" not in answer.text


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_no_log_of_whatever_library_shows_a_secret_that_was_decrypted(office: Any) -> None:
    office.deliver(contact_created())
    office.runtime.store.keyring.decrypt_json(
        office.runtime.store.keyring.encrypt_json({"user_token": "glpi-user-token-77", "number": 5})
    )
    logging.getLogger("urllib3").warning("retrying with %s", SECRET)
    structlog.get_logger("any").error("odd", words=["glpi-user-token-77"], path=f"/x?y={SECRET}")
    log = office.log.getvalue()
    assert "retrying with [redacted]" in log
    assert SECRET not in log
    assert "glpi-user-token-77" not in log


@pytest.fixture
def unsigned(office: Any) -> Iterator[Any]:
    """An account whose Chatwoot signs nothing."""
    office.change_account(signature=SignatureMode.OFF, signing_secret=None)
    return office


def test_a_delivery_of_no_stated_account_belongs_to_the_account_of_its_address(unsigned: Any) -> None:
    payload = conversation_created()
    del payload["account"]
    assert unsigned.deliver(payload)["accepted"] == 1
