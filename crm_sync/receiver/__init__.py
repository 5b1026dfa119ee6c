"""The web process: deliveries in, health, metrics. ``create_app`` is what gunicorn runs."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from crm_sync.engine.runtime import Runtime
from crm_sync.receiver import health, notices, webhooks
from crm_sync.receiver.deadline import Deadline


def create_app(runtime: Runtime | None = None) -> Flask:
    """The Flask app. Without a runtime, one is made from the environment."""
    if runtime is None:
        from crm_sync import service  # noqa: PLC0415 - a test brings its own
        from crm_sync.telemetry import logging  # noqa: PLC0415

        runtime = service.runtime()
        logging.configure(runtime.config)
    app = Flask(__name__)
    # A body sent in chunks is cut off there without a word; by the byte too much it is known.
    app.config["MAX_CONTENT_LENGTH"] = runtime.config.max_body_bytes + 1
    app.extensions["crm_sync_runtime"] = runtime
    app.extensions["crm_sync_deadline"] = Deadline()
    app.register_blueprint(webhooks.blueprint)
    app.register_blueprint(notices.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _http_error(error: HTTPException) -> Response:
    """Errors in JSON, with the headers that belong to them (Allow)."""
    response = jsonify(
        error=error.name.lower().replace(" ", "_"), message=error.description or f"{error.name}."
    )
    response.status_code = error.code or 500
    for name, value in error.get_headers():
        response.headers.setdefault(name, value)
    return response
