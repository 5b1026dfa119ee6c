"""The transport: what broke on the line, and every call told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from crm_sync.crms.http import Call, Transport, observed
from crm_sync.errors import ApiError, ClaimLost, OutcomeUnknown, Timeout, Unreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def line(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes every connection and does this with it; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def hangs_up(connection: socket.socket) -> None:
    """Reads the request and closes."""
    connection.recv(65536)


def answers(connection: socket.socket) -> None:
    """Says fine, once."""
    connection.recv(65536)
    connection.sendall(OK)


def breaks_off(connection: socket.socket) -> None:
    """Says half of what it announced."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def babbles(connection: socket.socket) -> None:
    """Speaks something else."""
    connection.recv(65536)
    connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")


class Notes:
    """Takes calls down; refuses them when told to."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.before: list[tuple[str, str]] = []
        self.after: list[Call] = []
        self.refusal = refusal

    def before_call(self, system: str, method: str) -> None:
        self.before.append((system, method))
        if self.refusal is not None:
            raise self.refusal

    def after_call(self, call: Call) -> None:
        self.after.append(call)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("broken", [hangs_up, breaks_off, babbles])
def test_a_line_that_breaks_leaves_a_write_in_doubt_and_a_read_to_repeat(
    method: str, broken: Callable[[socket.socket], None]
) -> None:
    expected = Timeout if method == "GET" else OutcomeUnknown
    with line(broken) as url, pytest.raises(ApiError) as caught:
        Transport(url, system="GLPI").request(method, "/Ticket")
    assert type(caught.value) is expected
    assert caught.value.path == "/Ticket"


@pytest.mark.parametrize(("method", "expected"), [("GET", Timeout), ("POST", OutcomeUnknown)])
def test_an_answer_that_does_not_come_leaves_a_write_in_doubt(method: str, expected: type[ApiError]) -> None:
    done = threading.Event()

    def waits(connection: socket.socket) -> None:
        connection.recv(65536)
        done.wait(30)

    with line(waits) as url:
        with pytest.raises(expected, match="GLPI did not answer in time"):
            Transport(url, system="GLPI", timeouts_s=(5.0, 0.05)).request(method, "/Ticket")
        done.set()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid"])
def test_what_was_never_sent_is_never_in_doubt(method: str, url: str) -> None:
    with pytest.raises(Unreachable, match="GLPI cannot be reached"):
        Transport(url, system="GLPI").request(method, "/Ticket")


def test_a_server_that_does_not_speak_tls_was_never_sent_anything() -> None:
    with line(babbles) as url, pytest.raises(Unreachable):
        Transport(url.replace("http", "https"), system="GLPI").request("POST", "/Ticket")


def test_a_handshake_that_is_cut_leaves_a_write_in_doubt() -> None:
    """Whether TLS broke before or after the request was sent cannot be told, so it counts as sent."""
    with line(hangs_up) as url, pytest.raises(OutcomeUnknown):
        Transport(url.replace("http", "https"), system="GLPI").request("POST", "/Ticket")


def test_every_call_is_told_without_anything_secret() -> None:
    notes = Notes()
    with line(answers) as url, observed(notes):
        transport = Transport(f"{url}/apirest.php/", system="GLPI")
        transport.request(
            "POST", "/Ticket", params={"user_token": "t"}, json={"a": 1}, headers={"App-Token": "x"}
        )
    [call] = notes.after
    assert (call.system, call.method, call.path, call.status) == ("GLPI", "POST", "/Ticket", 200)
    assert notes.before == [("GLPI", "POST")]


def test_a_call_without_an_answer_is_told_too() -> None:
    notes = Notes()
    with observed(notes), pytest.raises(Unreachable):
        Transport("http://127.0.0.1:1", system="GLPI").request("POST", "/Ticket")
    assert [call.status for call in notes.after] == [0]


def test_a_call_that_is_not_to_be_made_is_not_made() -> None:
    notes = Notes(ClaimLost("taken over"))
    with observed(notes), pytest.raises(ClaimLost):
        Transport("http://127.0.0.1:1", system="GLPI").request("POST", "/Ticket")
    assert notes.after == []


def test_nobody_is_told_after_the_attempt() -> None:
    notes = Notes()
    with observed(notes):
        pass
    with line(answers) as url:
        assert Transport(url, system="GLPI").request("GET", "/x").status_code == 200
    assert notes.before == []


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    def elsewhere(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )

    with line(elsewhere) as url:
        assert Transport(url, system="GLPI").request("GET", "/x").status_code == 302


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with line(answers) as url:
        assert Transport(url, system="GLPI").request("GET", "/x").status_code == 200


def test_a_cookie_is_not_sent_back() -> None:
    heard: list[bytes] = []

    def sets_a_cookie(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(OK.replace(b"\r\n", b"\r\nSet-Cookie: glpi=1\r\nConnection: close\r\n", 1))

    with line(sets_a_cookie) as url:
        transport = Transport(url, system="GLPI")
        for _ in range(2):
            transport.request("GET", "/x", headers={"App-Token": "secret"})
    assert all(b"App-Token: secret" in request and b"User-Agent: " in request for request in heard)
    assert b"ookie" not in heard[1]


def test_a_request_that_cannot_be_made_takes_no_turn() -> None:
    class Nobody:
        def before_call(self, _system: str, _method: str) -> None:
            pytest.fail("nothing is to be called")

        def after_call(self, _call: Call) -> None:
            pytest.fail("nothing was called")

    with observed(Nobody()), pytest.raises(Unreachable):
        Transport("http://[nowhere", system="GLPI").request("POST", "/x", json={})


def test_each_thread_has_connections_of_its_own() -> None:
    transport = Transport("http://127.0.0.1:1", system="GLPI")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(transport._session)) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join(10)
    found.append(transport._session)
    found.append(transport._session)
    assert len({id(item) for item in found}) == 3
