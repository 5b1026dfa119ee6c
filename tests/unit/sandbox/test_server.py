"""The server under every sandbox: keep-alive, faults, and a sudden death."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests
from flask import Flask, Response, request

from crm_sync.sandbox import server as sandbox_server
from crm_sync.sandbox.server import (
    CallLog,
    Faults,
    SandboxServer,
    add_control,
    html_page,
    install_faults,
    lose,
    refuse,
)

Made = tuple[Flask, Faults, CallLog, list[bytes]]


@pytest.fixture
def made() -> Made:
    app = Flask("under test")
    faults = install_faults(app, seed=7)
    calls = CallLog(app)
    add_control(app, faults, calls)
    acted: list[bytes] = []

    @app.route("/act", methods=["GET", "POST"])
    def act() -> Response:
        acted.append(request.get_data())
        return Response("done")

    return app, faults, calls, acted


@pytest.fixture
def server(made: Made) -> Iterator[SandboxServer]:
    with SandboxServer(made[0]) as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"half of"])
def test_a_request_whose_sender_dies_over_it_does_nothing(
    server: SandboxServer, made: Made, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1024) == b"", "there is nobody to answer"
    assert made[3] == []


def test_one_connection_serves_many_calls(server: SandboxServer, made: Made) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    for number in range(3):
        connection.request("POST", "/act", body=f"body {number}")
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.version) == (200, b"done", 11)
    connection.request("HEAD", "/act")
    assert connection.getresponse().read() == b""
    connection.request(
        "POST",
        "/act",
        body=iter([b"in ", b"chunks"]),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )
    assert connection.getresponse().read() == b"done"
    connection.close()
    assert made[3] == [b"body 0", b"body 1", b"body 2", b"", b"in chunks"]


def test_a_lost_answer_was_acted_upon(server: SandboxServer, made: Made) -> None:
    made[1].kinds = (lose,)
    made[1].fail_rate = 1.0

    with pytest.raises(requests.ConnectionError):
        requests.post(f"{server.url}/act", data=b"x", timeout=5)

    assert made[3] == [b"x"]
    assert made[1].hits == {"lose": 1}


def test_other_faults_do_nothing(server: SandboxServer, made: Made) -> None:
    made[1].fail_rate = 1.0
    answers = []
    for kind in (refuse, html_page):
        made[1].kinds = (kind,)
        answers.append(requests.get(f"{server.url}/act", timeout=5))

    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[1].headers["Content-Type"].startswith("text/html")
    assert made[3] == []


def test_faults_repeat_for_a_seed() -> None:
    def picks(seed: int) -> list[str]:
        faults = install_faults(Flask("x"), fail_rate=0.3, seed=seed)
        return [getattr(faults.pick(), "__name__", "none") for _ in range(50)]

    assert picks(1) == picks(1) != picks(2)
    assert set(picks(1)) == {"none", "refuse", "lose", "html_page"}
    assert install_faults(Flask("x"), fail_rate=1.0, faults=()).pick() is None


def test_a_server_that_is_down_refuses_all_but_its_controls(server: SandboxServer) -> None:
    control = f"{server.url}/_sandbox/faults"
    answer = requests.post(control, json={"down": True, "latency_ms": 1, "fail_rate": 0.5}, timeout=5).json()
    assert answer == {"down": True, "latency_ms": 1, "fail_rate": 0.5, "hits": {}}
    assert requests.get(f"{server.url}/act", timeout=5).status_code == 503
    assert requests.get(control, timeout=5).json()["hits"] == {"refuse": 1}
    assert requests.post(control, json={}, timeout=5).json()["down"] is True


def test_latency_is_spent_side_by_side(
    server: SandboxServer, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made[1].latency_ms = 200
    together, spent = threading.Barrier(8, timeout=20), []

    def sleep(seconds: float) -> None:
        spent.append(seconds)
        together.wait()

    monkeypatch.setattr(sandbox_server, "time", SimpleNamespace(sleep=sleep))
    with ThreadPoolExecutor(8) as pool:
        statuses = list(
            pool.map(lambda _: requests.get(f"{server.url}/act", timeout=30).status_code, range(8))
        )

    assert (statuses, spent) == ([200] * 8, [0.2] * 8)


def test_handled_calls_are_logged_and_forgotten(server: SandboxServer, made: Made) -> None:
    requests.get(f"{server.url}/act", timeout=5)
    requests.get(f"{server.url}/nowhere", timeout=5)

    shown = requests.get(f"{server.url}/_sandbox/requests", timeout=5).json()
    assert shown == {"total": 2, "calls": [["GET", "/act", 200], ["GET", "/nowhere", 404]]}
    assert requests.delete(f"{server.url}/_sandbox/requests", timeout=5).json()["total"] == 0
    assert made[2].calls() == []


def test_a_stopped_server_cuts_open_connections_and_frees_its_port(made: Made) -> None:
    # Other tests of this process may keep a sandbox for long.
    others = set(threading.enumerate())
    server = SandboxServer(made[0])
    server.start()
    session = requests.Session()
    assert session.get(f"{server.url}/act", timeout=5).status_code == 200
    port = server.port
    server.stop()
    server.stop()

    with pytest.raises(requests.ConnectionError):
        session.get(f"http://127.0.0.1:{port}/act", timeout=5)
    session.close()
    with SandboxServer(made[0], port=port) as again:
        assert requests.get(f"{again.url}/act", timeout=5).text == "done"
    assert [
        thread for thread in threading.enumerate() if thread.name == "sandbox" and thread not in others
    ] == []


def test_a_broken_application_answers_500(made: Made) -> None:
    made[0].add_url_rule("/broken", "broken", lambda: 1 / 0)
    with SandboxServer(made[0]) as server:
        assert requests.get(f"{server.url}/broken", timeout=5).status_code == 500


def test_a_taken_port_is_an_error_and_no_end(server: SandboxServer, made: Made) -> None:
    with pytest.raises(OSError, match=str(server.port)):
        SandboxServer(made[0], port=server.port)
