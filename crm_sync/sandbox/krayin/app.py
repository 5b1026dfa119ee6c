"""The Krayin sandbox as a Flask application: transport, errors, the limit, control endpoints, the handle for tests.

Guarantees to its users: the paths are those of a real server (``/api/v1/…``); one lock guards the state, and neither
latency, nor the JSON of an answer, nor what is sent to webhooks is spent under it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request
from werkzeug.test import run_wsgi_app

from crm_sync.sandbox.krayin import errors
from crm_sync.sandbox.krayin.automation import notify
from crm_sync.sandbox.krayin.body import read_body, read_query
from crm_sync.sandbox.krayin.context import Context, Reply
from crm_sync.sandbox.krayin.flavour import FLAVOURS, Flavour, flavour_named
from crm_sync.sandbox.krayin.limits import DEFAULT_LIMIT, Limiter
from crm_sync.sandbox.krayin.routes import Route, route_for
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.state import State
from crm_sync.sandbox.server import (
    CallLog,
    FaultKind,
    Faults,
    add_control,
    install_faults,
    lose,
    refuse,
)

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_ROOT = "/api/v1"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
_HTML = "text/html; charset=UTF-8"
_FIRST_USER = 1
#: Whoever has no token yet.
_NOBODY: Row = {}


class KrayinSandbox:
    """The handle in ``app.extensions["sandbox"]``: credentials, state, faults and the calls so far."""

    #: The administrator's login.
    email = "admin@example.com"
    password = "admin123"

    def __init__(
        self, flavour: Flavour, *, seed: int, rate_limit: int, faults: Faults, calls: CallLog
    ) -> None:
        self.state = State(flavour, seed=seed)
        self.state.settings["rate_limit"] = rate_limit
        self.limiter = Limiter()
        self.token = self.state.issue_token(_FIRST_USER)
        self.faults = faults
        self._calls = calls

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        """The API calls handled so far: method, path, status."""
        return self._calls.calls()

    def reset_requests(self) -> None:
        """Forgets the calls so far."""
        self._calls.clear()


def create_app(
    *,
    flavour: str = FLAVOURS[0],
    latency_ms: int = 0,
    fail_rate: float = 0.0,
    seed: int = 0,
    rate_limit: int = 0,
) -> Flask:
    """A sandbox of one generation, with the data of a fresh installation.

    ``latency_ms`` and ``fail_rate`` are the starting values of the faults; ``seed`` makes them and the tokens
    repeatable. ``rate_limit`` is how many calls a minute a user has where the generation knows such a limit
    (:data:`~crm_sync.sandbox.krayin.limits.DEFAULT_LIMIT` on a real server); 0 lets everybody through.
    """
    chosen = flavour_named(flavour)
    app = Flask("crm_sync.sandbox.krayin")
    faults = install_faults(
        app, latency_ms=latency_ms, fail_rate=fail_rate, seed=seed, faults=(refuse, lose, *_crashes(chosen))
    )
    calls = CallLog(app)
    sandbox = KrayinSandbox(chosen, seed=seed, rate_limit=rate_limit, faults=faults, calls=calls)
    app.extensions["sandbox"] = sandbox
    add_control(app, faults, calls)
    _add_own_control(app, sandbox)

    def answer(rest: str = "") -> Response:
        return _answer(sandbox, rest)

    for number, rule in enumerate((_ROOT, f"{_ROOT}/", f"{_ROOT}/<path:rest>")):
        app.add_url_rule(
            rule,
            f"api_{number}",
            answer,
            methods=_METHODS,
            provide_automatic_options=False,
            strict_slashes=False,
        )
    return app


def _crashes(flavour: Flavour) -> tuple[FaultKind, FaultKind]:
    """Two faults in the generation's words that nobody can tell apart: nothing was done, everything was."""

    def crash(
        _app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        return _json(500, {"message": flavour.crashed}, {})(environ, start_response)

    def crash_after_saving(
        app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        run_wsgi_app(app, environ, buffered=True)
        return crash(app, environ, start_response)

    return crash, crash_after_saving


def _add_own_control(app: Flask, sandbox: KrayinSandbox) -> None:
    state = sandbox.state

    def dump() -> Response:
        with state.lock:
            rows = state.dump()
        return jsonify(rows)

    def deliveries() -> Response:
        with state.lock:
            sent, mails = list(state.deliveries), list(state.mails_sent)
        return jsonify({"total": len(sent), "deliveries": sent, "mails": mails})

    def settings() -> Response:
        with state.lock:
            for name, value in (request.get_json(silent=True) or {}).items():
                if name in state.settings:
                    state.settings[name] = int(value)
            return jsonify(state.settings)

    def new_window() -> Response:
        with state.lock:
            sandbox.limiter.reset()
        return jsonify({"limit": state.settings["rate_limit"]})

    def revoke() -> Response:
        with state.lock:
            revoked = len(state.tokens)
            state.revoke_tokens()
        return jsonify({"revoked": revoked})

    for path, view, methods in (
        ("dump", dump, ["GET"]),
        ("deliveries", deliveries, ["GET"]),
        ("settings", settings, ["GET", "POST"]),
        ("limit/reset", new_window, ["POST"]),
        ("tokens/revoke", revoke, ["POST"]),
    ):
        app.add_url_rule(f"/_sandbox/{path}", f"sandbox_{path}", view, methods=methods)


def _answer(sandbox: KrayinSandbox, rest: str) -> Response:
    state = sandbox.state
    path = rest.strip("/")
    headers: dict[str, str] = {}
    outgoing: list[Any] = []
    try:
        route = route_for(request.method, path)
        ctx = _read(state, path)
        with state.lock:
            try:
                _admit(sandbox, route, ctx, headers)
                reply = route.answer(ctx, path)
            finally:
                outgoing = ctx.outgoing
        response = _reply(reply, headers)
    except errors.Stopped as stop:
        response = _stopped(state.flavour, stop, headers)
    for send in outgoing:
        send()
    return response


def _read(state: State, path: str) -> Context:
    empty_is_null = state.flavour.empty_is_null
    return Context(
        state=state,
        user=_NOBODY,
        query=read_query(request, empty_is_null=empty_is_null),
        body=read_body(request, empty_is_null=empty_is_null),
        url=f"{request.host_url.rstrip('/')}{_ROOT}/{path}",
        is_ajax=request.headers.get("X-Requested-With") == "XMLHttpRequest",
        notify=notify,
    )


def _admit(sandbox: KrayinSandbox, route: Route, ctx: Context, headers: dict[str, str]) -> None:
    """Finds the user and counts the call; ``headers`` gets what is left of the minute."""
    key = f"address {request.remote_addr}"
    if not route.public:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        user = ctx.state.user_of(token)
        if user is None:
            raise errors.Unauthenticated
        ctx.user = user
        key = f"user {user['id']}"
    if not ctx.flavour.throttles:
        return
    limit = ctx.state.settings["rate_limit"]
    left: int | None = DEFAULT_LIMIT - 1
    if limit:
        window_s = ctx.state.settings["rate_window_s"]
        left = sandbox.limiter.hit(key, limit, ctx.state.clock(), window_s=window_s)
        if left is None:
            raise errors.Throttled
    headers["X-RateLimit-Limit"] = str(limit or DEFAULT_LIMIT)
    headers["X-RateLimit-Remaining"] = str(left)


def _reply(reply: Reply, headers: Mapping[str, str]) -> Response:
    if reply.content is not None:
        return Response(reply.content, 200, headers={**headers, **reply.headers})
    return _json(200, reply.body, headers)


def _stopped(flavour: Flavour, stop: errors.Stopped, headers: Mapping[str, str]) -> Response:
    """How a generation answers what could not be done."""
    if isinstance(stop, errors.TurnedBack):
        return _redirect(headers)
    if isinstance(stop, errors.Refused):
        return _json(stop.status, {"message": stop.message}, headers)
    as_page = flavour.hides_errors and "json" not in request.headers.get("Accept", "")
    if isinstance(stop, errors.Invalid):
        if as_page:
            return _redirect(headers)
        return _json(422, {"message": stop.summary, "errors": stop.errors}, headers)
    status, message = _status(flavour, stop)
    if as_page:
        return _page(status)
    early = isinstance(stop, errors.Crashed) and stop.early
    return _json(status, {"message": message}, {} if early else headers)


def _status(flavour: Flavour, stop: errors.Stopped) -> tuple[int, str]:
    if isinstance(stop, errors.NotFound):
        return 404, flavour.not_found
    if isinstance(stop, errors.Unauthenticated) and not flavour.hides_errors:
        return 401, flavour.unauthenticated
    return 500, flavour.crashed


def _json(status: int, body: Any, headers: Mapping[str, str]) -> Response:
    text = json.dumps(body, separators=(",", ":"))
    response = Response(text, status, content_type="application/json")
    response.headers.update({"Cache-Control": "no-cache, private", **headers})
    return response


def _page(status: int) -> Response:
    """The older generation's page for browsers, which comes with the status of a success (07)."""
    title = "404 Not Found" if status == 404 else "500 Internal Server Error"
    page = f'<!DOCTYPE html>\n\n<html lang="en">\n<head>\n<title>{title}</title>\n</head>\n<body></body>\n</html>\n'
    return Response(page, 200, content_type=_HTML)


def _redirect(headers: Mapping[str, str]) -> Response:
    """Back to where a browser would have come from (04, 90o)."""
    home = request.host_url.rstrip("/")
    page = (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="UTF-8" />\n'
        f"<title>Redirecting to {escape(home)}</title>\n</head>\n<body></body>\n</html>"
    )
    response = Response(page, 302, content_type="text/html; charset=utf-8")
    response.autocorrect_location_header = False
    response.headers.update({"Location": home, **headers})
    return response
