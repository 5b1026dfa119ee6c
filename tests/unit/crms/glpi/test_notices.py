"""A notice is believed when GLPI 11 signed it, as the recorded deliveries show; and its challenge is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crm_sync.crms.glpi import notices
from crm_sync.errors import SignatureError

RECORDED = sorted(
    (Path(__file__).parents[3] / "contract" / "glpi" / "data" / "11.0.6" / "webhooks").glob("*.json")
)
SIGNED = [path for path in RECORDED if "challenge" not in path.name]


def recorded(path: Path) -> tuple[str, bytes, dict[str, str], datetime]:
    """A recorded delivery: secret, raw body, headers by lower-case names, and when it was queued."""
    case = json.loads(path.read_text())
    headers = {name.lower(): value for name, value in case["request"]["headers"].items()}
    at = datetime.fromtimestamp(int(headers[notices.TIMESTAMP]), UTC)
    return case["secret"], case["request"]["body_raw"].encode(), headers, at


def refused(changed: dict[str, Any], *, after: timedelta = timedelta(0), secret: str | None = None) -> str:
    """Why a recorded delivery with other headers, at another time, is not believed."""
    known, body, headers, at = recorded(SIGNED[0])
    given = {name: value for name, value in {**headers, **changed}.items() if value is not None}
    with pytest.raises(SignatureError) as caught:
        notices.verify(secret or known, body, given, at + after)
    return caught.value.code


def test_all_recorded_deliveries_are_here() -> None:
    assert (len(RECORDED), len(SIGNED)) == (16, 15)


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=4), timedelta(hours=23)], ids=str)
def test_what_glpi_signed_is_believed_also_when_it_comes_late(path: Path, late: timedelta) -> None:
    secret, body, headers, at = recorded(path)
    notices.verify(secret, body, headers, at + late)


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
def test_a_changed_body_is_not_believed(path: Path) -> None:
    secret, body, headers, at = recorded(path)
    with pytest.raises(SignatureError):
        notices.verify(secret, body + b" ", headers, at)


@pytest.mark.parametrize(
    ("changed", "after", "code"),
    [
        ({notices.SIGNATURE: None}, timedelta(0), "signature_missing"),
        ({notices.SIGNATURE: ""}, timedelta(0), "signature_missing"),
        ({notices.TIMESTAMP: None}, timedelta(0), "signature_missing"),
        ({notices.SIGNATURE: "0" * 64}, timedelta(0), "signature_mismatch"),
        ({notices.SIGNATURE: "ÿþé"}, timedelta(0), "signature_mismatch"),
        ({notices.TIMESTAMP: "1795312535"}, timedelta(0), "signature_mismatch"),
        ({notices.TIMESTAMP: "²³"}, timedelta(0), "signature_mismatch"),
        ({notices.TIMESTAMP: "9" * 5000}, timedelta(0), "signature_mismatch"),
        ({}, timedelta(hours=25), "signature_stale"),
        ({}, timedelta(minutes=-16), "signature_stale"),
    ],
)
def test_why_a_notice_is_not_believed_is_told(changed: dict[str, Any], after: timedelta, code: str) -> None:
    assert refused(changed, after=after) == code


@pytest.mark.parametrize("timestamp", ["tomorrow", "-1", "1" * 30, "²³"])
def test_a_time_that_is_none_is_stale_although_it_is_signed(timestamp: str) -> None:
    signature = notices._signed("secret", b"{}" + timestamp.encode())
    headers = {notices.SIGNATURE: signature, notices.TIMESTAMP: timestamp}
    with pytest.raises(SignatureError) as caught:
        notices.verify("secret", b"{}", headers, datetime(2026, 11, 2, tzinfo=UTC))
    assert caught.value.code == "signature_stale"


def test_another_secret_does_not_fit() -> None:
    assert refused({}, secret="s3cret-abd") == "signature_mismatch"


def test_the_challenge_is_glpis_own_and_its_answer_is_of_the_same_kind() -> None:
    case = json.loads(next(path for path in RECORDED if "challenge" in path.name).read_text())
    asked = case["request"]["path"].partition("crc_token=")[2]
    # facts/glpi11 §5: the token is made as the answer is, of a fixed text.
    assert notices.answer(case["secret"], "validate_cra_challenge") == asked
    assert notices.answer(case["secret"], asked) != asked
    assert len(notices.answer(case["secret"], asked)) == 64
