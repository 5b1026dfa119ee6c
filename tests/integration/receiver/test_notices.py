"""Notices of changes: believed when signed, and never more than a hint; one pull for many, and nobody is sent away."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from sqlalchemy import text, update
from werkzeug.test import TestResponse

from crm_sync import keys
from crm_sync.celery import app as celery
from crm_sync.crms.glpi import notices
from crm_sync.publisher import Publisher
from crm_sync.store.models import Hook
from crm_sync.telemetry import metrics
from tests.deliveries import MOMENT
from tests.integration.receiver.conftest import Office
from tests.servers import free_port, on_every_database

# Tests that take ``hook`` want it to be there.
# ruff: noqa: ARG001

ADDRESS = "the-address-of-notices_42"
KEY = "what-glpi-signs-with"
BODY = b'{\n    "item": {"id": 1},\n    "event": "update"\n}'


@pytest.fixture
def hook(office: Office) -> int:
    """A hook that takes notices."""
    number = office.add_hook("glpi")
    with office.runtime.store.write() as session:
        session.execute(
            update(Hook)
            .where(Hook.id == number)
            .values(notice_token=ADDRESS, notice_secret=office.encrypted(KEY))
        )
    return number


def notice(body: bytes = BODY, *, secret: str = KEY, age_s: int = 0) -> dict[str, str]:
    """The headers GLPI sends along; there is no Content-Type among them."""
    stamp = str(int(MOMENT.timestamp()) - age_s)
    signature = hmac.new(secret.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return {"X-GLPI-signature": signature, "X-GLPI-timestamp": stamp, "User-Agent": "GuzzleHttp/7"}


def post(
    office: Office, body: bytes = BODY, path: str = f"/hooks/{ADDRESS}/glpi", **more: Any
) -> TestResponse:
    """A notice comes in."""
    headers = more.pop("headers", None)
    return office.app.test_client().post(path, data=body, headers=headers or notice(body), **more)


def pulls(office: Office) -> list[Any]:
    """The pulls in the queue."""
    return list(office.runtime.redis.lrange(f"{keys.PREFIX}pull", 0, -1))


def counted(answer: str) -> float:
    """How many notices were answered like this."""
    return metrics.NOTICES.labels(answer)._value.get()  # type: ignore[no-any-return]


@on_every_database
def test_many_notices_make_one_pull_and_are_not_stored(office: Office, hook: int) -> None:
    before = counted("accepted")
    for age_s in range(5):
        answer = post(office, headers=notice(age_s=age_s))
        assert (answer.status_code, answer.json) == (202, {"accepted": 1})
    assert counted("accepted") == before + 5
    (message,) = pulls(office)
    assert json.loads(message)["headers"]["task"] == "crm_sync.pull"
    assert json.loads(message)["headers"]["argsrepr"] == f"[{hook}]"
    assert office.stored() == 0


def test_a_notice_that_comes_hours_late_or_twice_is_taken(office: Office, hook: int) -> None:
    assert [post(office, headers=notice(age_s=age_s)).status_code for age_s in (7200, 7200)] == [202, 202]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-GLPI-timestamp": "1"}, "signature_missing"),
        (notice(secret="another"), "signature_mismatch"),
        (notice(age_s=90_000), "signature_stale"),
        (notice(b"another body"), "signature_mismatch"),
    ],
)
def test_what_is_not_signed_is_refused_and_counted_and_pulls_nothing(
    office: Office,
    hook: int,
    headers: dict[str, str],
    code: str,
) -> None:
    before = counted(code)
    answer = post(office, headers=headers)
    assert (answer.status_code, answer.json["error"]) == (401, code)
    assert counted(code) == before + 1
    assert pulls(office) == []
    assert KEY not in office.log.getvalue() + answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/hooks/an-address-of-nobody/glpi",
        f"/hooks/{ADDRESS}/krayin",
        f"/hooks/{ADDRESS}/notebook",
        "/hooks/%00/glpi",
        f"/hooks/{'x' * 65}/glpi",
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_address_of_nobody_is_unknown(office: Office, hook: int, path: str, method: str) -> None:
    answer = getattr(office.app.test_client(), method)(f"{path}?crc_token=abc", headers=notice())
    assert (answer.status_code, answer.json["error"]) == (404, "unknown_token")


def test_the_notices_of_an_app_that_has_none_are_unknown(office: Office, hook: int) -> None:
    with office.runtime.store.write() as session:
        session.execute(update(Hook).where(Hook.id == hook).values(app_id="notebook_without"))
    answer = post(office, path=f"/hooks/{ADDRESS}/notebook_without")
    assert (answer.status_code, answer.json["error"]) == (404, "unknown_token")


def test_a_notice_that_is_too_large_is_refused(office: Office, hook: int) -> None:
    answer = post(office, b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json["error"]) == (413, "too_large")


def test_a_challenge_is_answered_and_nothing_else_is(office: Office, hook: int) -> None:
    client, path = office.app.test_client(), f"/hooks/{ADDRESS}/glpi"
    answer = client.get(f"{path}?crc_token=abc")
    assert (answer.status_code, answer.text) == (200, notices.answer(KEY, "abc"))
    answer = client.get(path)
    assert (answer.status_code, answer.json["error"]) == (400, "no_challenge")


@pytest.mark.parametrize("path", [f"/hooks/{ADDRESS}/glpi/", f"//hooks/{ADDRESS}/glpi", f"/hooks/{ADDRESS}"])
def test_nobody_is_redirected_since_glpi_would_take_it_for_success(
    office: Office,
    hook: int,
    path: str,
) -> None:
    assert post(office, path=path).status_code == 404


def test_a_broker_that_is_away_costs_no_notice(office: Office, hook: int) -> None:
    office.runtime.alarm = Publisher(celery, f"redis://127.0.0.1:{free_port()}/0")
    assert post(office).status_code == 202
    assert "pull_not_published" in office.log.getvalue()


def test_a_database_that_cannot_be_asked_is_told_so_that_glpi_sends_again(office: Office, hook: int) -> None:
    with office.runtime.store.write() as session:
        session.execute(text("ALTER TABLE hooks RENAME TO lost"))
    answer = post(office)
    assert (answer.status_code, answer.json["error"]) == (503, "database_unavailable")
