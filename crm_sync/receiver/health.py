"""Whether the service is alive and ready, and its metrics, for those who watch it."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from crm_sync.receiver.deadline import Deadline, Overdue
from crm_sync.store.migrate import pending
from crm_sync.telemetry import metrics

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/health/ready")
def ready() -> tuple[Response, int]:
    """Deliveries can be stored. A broker that is away is told, but makes nothing unready: the journal waits for it."""
    parts = {"database": _database(), "broker": _broker()}
    ok = parts["database"] == "ok"
    return jsonify(status="ok" if ok else "unavailable", parts=parts), 200 if ok else 503


@blueprint.get("/metrics")
def exposition() -> Response:
    """All metrics, in Prometheus' text format."""
    return Response(metrics.render(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _database() -> str:
    deadline: Deadline = current_app.extensions["crm_sync_deadline"]
    store = current_app.extensions["crm_sync_runtime"].store

    def look() -> bool:
        with store.engine.connect() as connection:
            return pending(connection)

    try:
        return "schema is not up to date" if deadline.run(look) else "ok"
    except (SQLAlchemyError, Overdue):
        return "down"


def _broker() -> str:
    try:
        current_app.extensions["crm_sync_runtime"].redis.ping()
    except RedisError:
        return "down"
    return "ok"
