"""Puts the sandbox together: the API behind its guard, the control endpoints, and the faults in front."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot import (
    access,
    account_api,
    contacts_api,
    control,
    conversations_api,
    problems,
    shapes,
    storage,
)
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import CallLog, add_control, install_faults, lose, refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def throttled(
    app: WSGIApplication,  # noqa: ARG001 (a fault gets the healthy application)
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Too many requests, as rack-attack says it: plain text and no Retry-After (contracts: error_429)."""
    return Response("Retry later\n", 429, mimetype="text/plain")(environ, start_response)


def create_app(
    *,
    latency_ms: int = 0,
    fail_rate: float = 0.0,
    seed: int = 0,
    deliver: bool = True,
    account_id: int = 3,
    workers: int = 1,
) -> Flask:
    """A Chatwoot with one account; ``app.extensions["sandbox"]`` is its :class:`ChatwootSandbox`.

    ``workers`` send webhooks side by side; one sends them in order, unless they are shuffled.
    """
    app = Flask(__name__)
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    sandbox = ChatwootSandbox(account_id=account_id, seed=seed, deliver=deliver, workers=workers)
    app.extensions["sandbox"] = sandbox
    problems.install(app)

    @app.get("/api")
    def version() -> ResponseReturnValue:
        timestamp = (shapes.iso(sandbox.state.tick()) or "")[:19].replace("T", " ")
        found = {"version": sandbox.version, "timestamp": timestamp}
        return found | {"queue_services": "ok", "data_services": "ok"}

    api = Blueprint("api", __name__)
    access.guard(api, sandbox)
    account_api.register(api, sandbox)
    contacts_api.register(api, sandbox)
    conversations_api.register(api, sandbox)
    app.register_blueprint(api)
    app.register_blueprint(control.blueprint(sandbox))
    app.register_blueprint(storage.blueprint(sandbox))
    sandbox.calls = CallLog(app)
    sandbox.faults = install_faults(
        app, latency_ms=latency_ms, fail_rate=fail_rate, seed=seed, faults=(refuse, lose, throttled)
    )
    add_control(app, sandbox.faults, sandbox.calls)
    return app
