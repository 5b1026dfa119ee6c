"""The GLPI sandbox as a Flask application: transport, control endpoints, and the handle for tests.

Guarantees to its users: the public paths are those of a real server (``/apirest.php``, on 11 also
``/api.php/v1``); one lock guards the state, and neither latency nor JSON of the answer is spent under it.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, jsonify, request

from crm_sync.sandbox.glpi.api import Call, Reply, error_body, handle, parse_json
from crm_sync.sandbox.glpi.errors import ApiError, Crashed
from crm_sync.sandbox.glpi.flavour import Flavour, flavour_named
from crm_sync.sandbox.glpi.query import boolean, nested
from crm_sync.sandbox.glpi.session import Sessions, credentials
from crm_sync.sandbox.glpi.state import State
from crm_sync.sandbox.server import CallLog, Faults, add_control, html_page, install_faults, lose, refuse

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_JSON = "application/json; charset=UTF-8"
_HTML = "text/html; charset=UTF-8"
_NO_STORE = {
    "Cache-Control": "no-store, no-cache, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "Mon, 26 Jul 1997 05:00:00 GMT",
}


class GlpiSandbox:
    """The handle in ``app.extensions["sandbox"]``: credentials, state, faults and the calls so far."""

    def __init__(self, flavour: Flavour, seed: int, faults: Faults, calls: CallLog) -> None:
        self.state = State(flavour)
        self.sessions = Sessions(self.state, seed=seed)
        self.app_token = self.sessions.app_token
        self.user_tokens = dict(self.sessions.user_tokens)
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
    *, flavour: str = "10.0.19", latency_ms: int = 0, fail_rate: float = 0.0, seed: int = 0
) -> Flask:
    """A sandbox of one version, with the data of a fresh installation.

    ``latency_ms`` and ``fail_rate`` are the starting values of the faults; ``seed`` makes them and the tokens
    repeatable.
    """
    chosen = flavour_named(flavour)
    app = Flask("crm_sync.sandbox.glpi")
    faults = install_faults(
        app, latency_ms=latency_ms, fail_rate=fail_rate, seed=seed, faults=(refuse, lose, html_page)
    )
    calls = CallLog(app)
    sandbox = GlpiSandbox(chosen, seed, faults, calls)
    app.extensions["sandbox"] = sandbox
    add_control(app, faults, calls)
    _add_own_control(app, sandbox)

    def answer(rest: str = "") -> Response:
        response = _answer(sandbox, rest)
        # The server's clock, be it right or wrong, is the one by which its rows are dated.
        response.date = sandbox.state.clock()
        return response

    for number, root in enumerate(chosen.api_roots):
        for suffix, rule in enumerate((root, f"{root}/", f"{root}/<path:rest>")):
            app.add_url_rule(
                rule,
                f"api_{number}_{suffix}",
                answer,
                methods=_METHODS,
                provide_automatic_options=False,
                strict_slashes=False,
            )
    return app


def _add_own_control(app: Flask, sandbox: GlpiSandbox) -> None:
    def dump() -> Response:
        with sandbox.state.lock:
            rows = sandbox.state.dump()
        return jsonify(rows)

    def expire() -> Response:
        with sandbox.state.lock:
            return jsonify({"expired": sandbox.sessions.expire_all()})

    def settings() -> Response:
        with sandbox.state.lock:
            for name, value in request.get_json(force=True).items():
                if name in sandbox.state.settings:
                    sandbox.state.settings[name] = bool(value)
            return jsonify(sandbox.state.settings)

    app.add_url_rule("/_sandbox/dump", "sandbox_dump", dump, methods=["GET"])
    app.add_url_rule("/_sandbox/sessions/expire", "sandbox_expire", expire, methods=["POST"])
    app.add_url_rule("/_sandbox/settings", "sandbox_settings", settings, methods=["POST"])


def _answer(sandbox: GlpiSandbox, rest: str) -> Response:
    link_base = request.host_url.rstrip("/") + sandbox.state.flavour.link_root
    page = _page(sandbox, rest)
    if page is not None:
        return page
    try:
        call = _read_call(rest, request.host_url.rstrip("/"), link_base)
        with sandbox.state.lock:
            reply = handle(sandbox.state, sandbox.sessions, call)
    except ApiError as error:
        # The documentation's address is not known yet when the body itself is at fault.
        base = "" if error.code == "ERROR_JSON_PAYLOAD_FORBIDDEN" else link_base
        return _json(error.status, error_body(error, base), {})
    except Crashed:
        return (
            _html("Error - GLPI", 500) if sandbox.state.flavour.is_11 else Response(b"", content_type=_HTML)
        )
    return _response(reply)


def _page(sandbox: GlpiSandbox, rest: str) -> Response | None:
    """What is answered without looking at the call: preflight, the inline documentation, maintenance."""
    if request.method == "OPTIONS":
        return Response(b"", content_type=_HTML)
    if sandbox.state.settings["maintenance"]:
        return _html("MAINTENANCE MODE - GLPI", 200)
    if not rest and request.method == "GET":
        return _html("GLPI REST API", 200)
    return None


def _html(title: str, status: int) -> Response:
    page = f"<!DOCTYPE html>\n<html>\n<head>\n   <title>{title}</title>\n</head>\n<body></body>\n</html>\n"
    return Response(page, status, content_type=_HTML)


def _response(reply: Reply) -> Response:
    if reply.content is not None:
        return Response(reply.content, reply.status, headers=reply.headers)
    return _json(reply.status, reply.body, reply.headers)


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    response = Response(text.encode("utf-8", "surrogatepass"), status, content_type=_JSON)
    response.headers.update({**_NO_STORE, **headers})
    return response


def _read_call(rest: str, host: str, link_base: str) -> Call:
    params = nested(request.args.items(multi=True))
    files: list[tuple[str, bytes, str]] = []
    content_type = request.headers.get("Content-Type", "application/json")
    if "multipart/form-data" in content_type:
        params.update(_manifest())
        for upload in request.files.values():
            files.append(
                (upload.filename or "", upload.read(), upload.mimetype or "application/octet-stream")
            )
            upload.close()
    else:
        body = request.get_data().decode("utf-8", "replace").strip()
        if body and request.method == "GET":
            text = "GET Request should not have json payload (http body)"
            raise ApiError(400, "ERROR_JSON_PAYLOAD_FORBIDDEN", text, documented=True)
        if body and "application/json" in content_type:
            parsed = parse_json(body)
            if isinstance(parsed, dict):
                params.update({name: boolean(value) for name, value in parsed.items()})
        elif body and "application/x-www-form-urlencoded" in content_type:
            params.update(nested(request.form.items(multi=True)))
    params.update(credentials(request.headers.get("Authorization")))
    for header, name in (("Session-Token", "session_token"), ("App-Token", "app_token")):
        if header in request.headers:
            params[name] = request.headers[header]
    return Call(
        method=request.method,
        path=[part for part in rest.split("/") if part],
        params=params,
        host=host,
        link_base=link_base,
        raw_text=request.headers.get("X-GLPI-Sanitized-Content", "true") == "false",
        accepts_bytes=request.headers.get("Accept", "") == "application/octet-stream",
        files=files,
    )


def _manifest() -> dict[str, Any]:
    if not request.files:
        raise ApiError(400, "ERROR_UPLOAD_FILE_TOO_BIG_POST_MAX_SIZE", "The file seems too big")
    manifest = parse_json(request.form.get("uploadManifest", ""))
    if not isinstance(manifest, dict):
        raise ApiError(400, "ERROR_JSON_PAYLOAD_INVALID", "JSON payload seems not valid")
    return manifest
