"""Notices from a CRM: something changed there. A hint to pull at once; nothing of it is trusted further, or stored."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import select

from crm_sync.crms.base import Notices
from crm_sync.engine import apps
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import ConfigError
from crm_sync.receiver.refusal import TOKEN, Refusal, in_time, raw_body
from crm_sync.store.models import Hook
from crm_sync.telemetry import metrics

blueprint = Blueprint("notices", __name__)


@blueprint.errorhandler(Refusal)
def refused(refusal: Refusal) -> tuple[Response, int]:
    """The sender is told why."""
    metrics.NOTICES.labels(refusal.code).inc()
    return jsonify(error=refusal.code, message=refusal.message), refusal.status


@blueprint.post("/hooks/<token>/<app_id>")
def receive(token: str, app_id: str) -> tuple[Response, int]:
    """Take a notice. Answers 202, 401, 404, 413 or 503, and never a redirect, which GLPI would take for success."""
    runtime: Runtime = current_app.extensions["crm_sync_runtime"]
    raw = raw_body(runtime.config.max_body_bytes)
    headers = {name.lower(): value for name, value in request.headers}

    def accepted() -> int:
        hook, notices, secret = _hook(runtime, token, app_id)
        notices.verify(secret, raw, headers, runtime.now())
        return hook.id

    hook_id = in_time(accepted)
    runtime.alarm.pull(hook_id)
    metrics.NOTICES.labels("accepted").inc()
    return jsonify(accepted=1), 202


@blueprint.get("/hooks/<token>/<app_id>")
def challenge(token: str, app_id: str) -> Response:
    """Prove that the address is ours, to a CRM that asks before it sends."""
    runtime: Runtime = current_app.extensions["crm_sync_runtime"]
    asked = request.args.get("crc_token", "")
    if not asked:
        raise Refusal(400, "no_challenge", "This address takes notices (POST), or answers a crc_token.")

    def proof() -> str | None:
        _, notices, secret = _hook(runtime, token, app_id)
        return notices.answer(secret, asked) if notices.answer is not None else None

    told = in_time(proof)
    if told is None:
        raise Refusal(404, "unknown_token", "This app asks for no proof.")
    return Response(told, content_type="text/plain; charset=utf-8")


def _hook(runtime: Runtime, token: str, app_id: str) -> tuple[Hook, Notices, str]:
    """The hook of an address, how its app signs, and with what."""
    unknown = Refusal(404, "unknown_token", "No hook takes notices under this address.")
    if not TOKEN.fullmatch(token):
        raise unknown
    with runtime.store.read() as session:
        hook = session.scalar(select(Hook).where(Hook.notice_token == token, Hook.app_id == app_id))
    if hook is None or hook.notice_secret is None:
        raise unknown
    try:
        notices = apps.find(app_id).notices
    except ConfigError:
        raise unknown from None
    if notices is None:
        raise unknown
    return hook, notices, runtime.store.keyring.decrypt(hook.notice_secret)
