"""The receiver as Chatwoot meets it: a real web server, and bytes on a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from crm_sync import clock
from tests.deliveries import signed
from tests.payloads import contact_created
from tests.system import System, running

#: Less than the five seconds Chatwoot waits.
PATIENCE_S = 4.0


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    """The web process of a service with a connected account, and the path of its webhook."""
    with running("web") as (system, runtime):
        system.connect(runtime)
        yield system, _secrets(system)


def _secrets(system: System) -> tuple[str, str]:
    """The path of our webhook and its secret."""
    (webhook,) = system.chatwoot.state.webhooks.values()
    return "/webhooks/chatwoot/" + webhook.url.rpartition("/")[2], webhook.secret


def _headers(raw: bytes, secret: str) -> dict[str, str]:
    return signed(raw, secret=secret, at=clock.now())


def _talk(system: System, head: list[str], body: bytes) -> tuple[int, dict[str, Any]]:
    """Send these very bytes and nothing more; the status and the JSON that are answered."""
    host, _, port = system.bind.partition(":")
    lines = [*head, f"Host: {system.bind}", "Connection: close", "", ""]
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), json.loads(rest.partition(b"\r\n\r\n")[2])


def _head(path: str, headers: dict[str, str]) -> list[str]:
    return [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]


def test_a_signed_delivery_is_accepted(web: Any) -> None:
    system, (path, secret) = web
    raw = json.dumps(contact_created(1)).encode()
    answer = requests.post(system.url + path, data=raw, headers=_headers(raw, secret), timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 2 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_delivery_that_is_too_large_is_refused_however_it_is_sent(
    web: Any, size: int, *, chunked: bool
) -> None:
    system, (path, secret) = web
    raw = b" " * size
    data: Any = (raw[at : at + 65536] for at in range(0, size, 65536)) if chunked else raw
    answer = requests.post(system.url + path, data=data, headers=_headers(raw, secret), timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


def test_a_delivery_in_chunks_is_accepted(web: Any) -> None:
    system, (path, secret) = web
    raw = json.dumps(contact_created(2)).encode()
    answer = requests.post(
        system.url + path, data=iter([raw[:10], raw[10:]]), headers=_headers(raw, secret), timeout=PATIENCE_S
    )
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        ("Content-Length: 1000", b'{"event": "contact_cr'),
        ("Transfer-Encoding: chunked", b'16\r\n{"event": "contact_cr'),
        ("Transfer-Encoding: chunked", b"this is no chunk\r\n"),
    ],
)
def test_a_delivery_that_breaks_off_is_refused(web: Any, declared: str, body: bytes) -> None:
    system, (path, secret) = web
    status, said = _talk(system, [*_head(path, _headers(body, secret)), declared], body)
    assert (status, said["error"]) == (400, "incomplete")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Chatwoot-Signature", "sha256=ÿþýüé"),
        ("X-Chatwoot-Signature", "sha256=" + "名".encode().decode("latin-1")),
        ("X-Chatwoot-Timestamp", "²³"),
        ("X-Chatwoot-Timestamp", "9" * 6000),
        ("X-Chatwoot-Delivery", "ÿ" * 300),
        ("Content-Type", "application/json; charset=ÿ"),
        ("Content-Type", "ÿ/ÿ"),
    ],
)
def test_headers_of_any_bytes_are_answered(web: Any, name: str, value: str) -> None:
    system, (path, secret) = web
    raw = json.dumps(contact_created(3)).encode()
    headers = {**_headers(raw, secret), name: value, "Content-Length": str(len(raw))}
    status, _ = _talk(system, _head(path, headers), raw)
    assert status in {202, 401, 415}


def test_an_address_of_any_bytes_is_unknown(web: Any) -> None:
    system, _ = web
    for token in ("%00", "%ff", "a%2Fb", "%2e%2e"):
        status, said = _talk(system, _head(f"/webhooks/chatwoot/{token}", {"Content-Length": "2"}), b"{}")
        assert (status, set(said)) == (404, {"error", "message"})


def test_health_and_metrics_are_told(web: Any) -> None:
    system, _ = web
    ready = requests.get(f"{system.url}/health/ready", timeout=PATIENCE_S)
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "parts": {"database": "ok", "broker": "ok"}},
    )
    assert requests.get(f"{system.url}/health/live", timeout=PATIENCE_S).json() == {"status": "ok"}
    answer = requests.get(f"{system.url}/metrics", timeout=PATIENCE_S)
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {
        "crm_sync_deliveries",
        "crm_sync_deliveries_refused",
        "crm_sync_ingest_duration_seconds",
    } <= families


def test_nothing_secret_is_in_the_log(web: Any) -> None:
    system, (path, secret) = web
    raw = json.dumps(contact_created(4)).encode()
    requests.post(system.url + path, data=raw, headers=_headers(raw, "another"), timeout=PATIENCE_S)
    log = (system.data_dir / "web.log").read_text()
    assert "signature_mismatch" in log
    for hidden in (secret, path.rpartition("/")[2], system.chatwoot.api_token, system.glpi.app_token):
        assert hidden not in log
    assert "Traceback" not in log


def test_the_account_is_found_by_its_address_alone(web: Any) -> None:
    system, (path, secret) = web
    raw = json.dumps(contact_created(5)).encode()
    answer = requests.post(
        f"{system.url}{path[:-1]}", data=raw, headers=_headers(raw, secret), timeout=PATIENCE_S
    )
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_token")
