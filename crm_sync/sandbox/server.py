"""Runs a sandbox as a real HTTP server and lets it misbehave on demand.

Guarantees, to every sandbox and to the tests, demo and benches that use one:

* :class:`SandboxServer` serves a Flask application on 127.0.0.1 with one thread a connection and HTTP/1.1
  keep-alive, and cuts every open connection when it stops, as a dying server does.
* :func:`install_faults` puts latency and faults in front of an application. They act outside the
  application's own locks, their choice is repeatable (seeded), they can be changed while the server runs,
  and they never touch the control endpoints under ``/_sandbox/``.
* :class:`CallLog` remembers the API calls an application really handled.
* :func:`add_control` publishes both under ``/_sandbox/requests`` and ``/_sandbox/faults``.
"""

from __future__ import annotations

import errno
import io
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from flask import Flask, Response, jsonify, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CONTROL_PREFIX = "/_sandbox/"

#: What a fault does with a request: it gets the healthy application and answers in its place.
FaultKind = Callable[["WSGIApplication", "WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def refuse(_app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A server error before anything was done."""
    answer = Response("The server is temporarily unable to handle the request.\n", 503, mimetype="text/plain")
    return answer(environ, start_response)


def lose(app: WSGIApplication, environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    """Everything is done, but the connection breaks before the answer: the client cannot know."""
    run_wsgi_app(app, environ, buffered=True)
    raise ConnectionAbortedError("the sandbox dropped the answer on purpose")


def html_page(
    _app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Status 200 with an HTML error page, nothing done: how GLPI reports a lost database."""
    page = (
        "<!DOCTYPE html><html><head><title>Error</title></head>"
        "<body><p>A link to the SQL server could not be established.</p></body></html>"
    )
    return Response(page, 200, mimetype="text/html")(environ, start_response)


class Faults:
    """The misbehaviour of one application, changeable while it runs; all methods are safe between threads.

    ``latency_ms`` delays every call, ``fail_rate`` (0 to 1) is the share of calls that get one of the
    ``kinds`` chosen at random, ``down`` refuses all of them. ``hits`` counts what was done, by the kind's name.
    """

    def __init__(self, *, latency_ms: int, fail_rate: float, seed: int, kinds: Sequence[FaultKind]) -> None:
        self.latency_ms = latency_ms
        self.fail_rate = fail_rate
        self.down = False
        self.kinds = tuple(kinds)
        self._named = {getattr(kind, "__name__", "fault"): kind for kind in self.kinds}
        self.hits: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def pick(self) -> FaultKind | None:
        """The fault the next call gets, or None for a healthy one."""
        with self._lock:
            kind: FaultKind | None = None
            if self.down:
                kind = refuse
            elif self.kinds and self.fail_rate > 0 and self._random.random() < self.fail_rate:
                kind = self._random.choice(self.kinds)
            if kind is not None:
                self.hits[getattr(kind, "__name__", "fault")] += 1
            return kind

    def change(self, settings: Mapping[str, Any]) -> None:
        """Takes over the known settings of a mapping; a key that is absent keeps its value.

        ``kinds`` names those of the application's kinds that failing calls get from now on; KeyError for another.
        """
        if "latency_ms" in settings:
            self.latency_ms = int(settings["latency_ms"])
        if "fail_rate" in settings:
            self.fail_rate = float(settings["fail_rate"])
        if "down" in settings:
            self.down = bool(settings["down"])
        if "kinds" in settings:
            self.kinds = tuple(self._named[name] for name in settings["kinds"])

    def as_dict(self) -> dict[str, Any]:
        """The present settings and what was done so far."""
        with self._lock:
            hits = dict(self.hits)
        return {
            "latency_ms": self.latency_ms,
            "fail_rate": self.fail_rate,
            "down": self.down,
            "hits": hits,
        }


def install_faults(
    app: Flask,
    *,
    latency_ms: int = 0,
    fail_rate: float = 0.0,
    seed: int = 0,
    faults: Sequence[FaultKind] | None = None,
) -> Faults:
    """Puts latency and faults in front of ``app`` and returns the switchboard.

    ``faults`` are the kinds a failing call may get; by default :func:`refuse`, :func:`lose` and
    :func:`html_page`.
    """
    kinds = (refuse, lose, html_page) if faults is None else faults
    switchboard = Faults(latency_ms=latency_ms, fail_rate=fail_rate, seed=seed, kinds=kinds)
    healthy = cast("WSGIApplication", app.wsgi_app)

    def with_faults(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(CONTROL_PREFIX):
            return healthy(environ, start_response)
        if switchboard.latency_ms > 0:
            time.sleep(switchboard.latency_ms / 1000)
        kind = switchboard.pick()
        if kind is None:
            return healthy(environ, start_response)
        return kind(healthy, environ, start_response)

    app.wsgi_app = with_faults  # type: ignore[method-assign]
    return switchboard


class CallLog:
    """The API calls an application handled, in order: (method, path, status); control calls left out."""

    def __init__(self, app: Flask) -> None:
        self._lock = threading.Lock()
        self._calls: list[tuple[str, str, int]] = []
        app.after_request(self._note)

    def _note(self, response: Response) -> Response:
        if not request.path.startswith(CONTROL_PREFIX):
            with self._lock:
                self._calls.append((request.method, request.path, response.status_code))
        return response

    def calls(self) -> list[tuple[str, str, int]]:
        """A copy of what was noted so far."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forgets everything noted so far."""
        with self._lock:
            self._calls = []


def add_control(app: Flask, faults: Faults, calls: CallLog) -> None:
    """Publishes the call log and the faults to whoever drives the sandbox from outside.

    ``GET`` and ``DELETE /_sandbox/requests``; ``GET`` and ``POST /_sandbox/faults``.
    """

    def show_requests() -> Response:
        noted = calls.calls()
        return jsonify({"total": len(noted), "calls": noted})

    def forget_requests() -> Response:
        calls.clear()
        return jsonify({"total": 0, "calls": []})

    def show_faults() -> Response:
        return jsonify(faults.as_dict())

    def change_faults() -> Response:
        faults.change(request.get_json(force=True))
        return jsonify(faults.as_dict())

    base = CONTROL_PREFIX.rstrip("/")
    app.add_url_rule(f"{base}/requests", "sandbox_requests", show_requests, methods=["GET"])
    app.add_url_rule(f"{base}/requests", "sandbox_forget", forget_requests, methods=["DELETE"])
    app.add_url_rule(f"{base}/faults", "sandbox_faults", show_faults, methods=["GET"])
    app.add_url_rule(f"{base}/faults", "sandbox_set_faults", change_faults, methods=["POST"])


class _KeepAliveHandler(WSGIRequestHandler):
    """One connection. werkzeug's own handler closes after each answer; this one goes on."""

    protocol_version = "HTTP/1.1"
    # Header and body leave at once and in one packet: a kept-alive client would wait 40 ms for its ACK.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        cast("_Server", self.server).connections.add(self.connection)

    def finish(self) -> None:
        cast("_Server", self.server).connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            self.rfile.close()

    def run_wsgi(self) -> None:
        self.environ = environ = self.make_environ()
        # Left out by the server for safety, but Chatwoot's documented header is called api_access_token.
        for name, value in self.headers.items():
            if "_" in name:
                environ.setdefault(f"HTTP_{name.upper().replace('-', '_')}", value)
        if environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read()
        else:
            announced = int(environ.get("CONTENT_LENGTH") or 0)
            body = self.rfile.read(announced)
            if len(body) < announced:
                # Whoever sent it died over it. No server hands half a request to its application.
                self.close_connection = True
                return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        try:
            chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except ConnectionError:
            self.close_connection = True
            return
        answer = b"".join(chunks)
        code, _, reason = status.partition(" ")
        if any(name == "Date" for name, _ in headers):
            # An application with a clock of its own.
            self.send_response_only(int(code), reason)
        else:
            self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Silent: the call log is the place to look."""


class _Server:
    """What the handler needs to know beyond werkzeug's server: the connections that are open."""

    connections: set[socket.socket]


def _bound(app: Flask, port: int) -> BaseWSGIServer:
    try:
        return make_server("127.0.0.1", port, app, threaded=True, request_handler=_KeepAliveHandler)
    except SystemExit as left:
        # werkzeug ends the whole program when a port is taken.
        raise OSError(errno.EADDRINUSE, f"port {port} of 127.0.0.1 is in use") from left


class SandboxServer:
    """Serves ``app`` on 127.0.0.1 from a background thread; usable as a context manager.

    ``port`` 0 takes any free port. The port is bound on construction, so :attr:`url` is right even before
    :meth:`start`. A stopped server cannot be started again; make a new one on the same port.
    """

    def __init__(self, app: Flask, *, port: int = 0) -> None:
        self._server = _bound(app, port)
        self._open: set[socket.socket] = set()
        cast("_Server", self._server).connections = self._open
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.port

    @property
    def url(self) -> str:
        """Where the server answers, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answers from now on."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and cuts every open connection; harmless when already stopped."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self.disconnect()

    @property
    def connections(self) -> int:
        """How many connections are open, or still have an answer under way."""
        return len(self._open)

    def disconnect(self) -> None:
        """Cuts every open connection; answers that are under way go on into nothing."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
