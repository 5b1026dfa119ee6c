"""Who may call what: tokens, roles, bots and the limit of calls (rack_attack.rb; contracts: error_*)."""

from __future__ import annotations

import time
from collections import deque

from flask import Blueprint, Response, g, request

from crm_sync.sandbox.chatwoot.problems import Problem, unauthorized
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox

#: The endpoints a bot's token reaches.
_FOR_BOTS = frozenset(
    {
        "show_conversation",
        "toggle_status",
        "toggle_priority",
        "write_custom_attributes",
        "remove_custom_attributes",
        "create_message",
        "assign",
        "show_labels",
        "write_labels",
    }
)
#: The endpoints that need an administrator.
_FOR_ADMINISTRATORS = frozenset(
    {
        "list_webhooks",
        "create_webhook",
        "change_webhook",
        "delete_webhook",
        "create_definition",
        "create_dashboard_app",
        "delete_contact",
    }
)
_MINUTE_S = 60.0


def guard(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    """Check every call of the blueprint; ``g.user_id`` is whose token it came with (negative: a bot)."""
    calls: deque[float] = deque()
    lock = sandbox.state.lock

    def enter() -> None:
        lock.acquire()

    def leave(_: BaseException | None) -> None:
        lock.release()

    # A call sees and leaves the rows whole; latency and faults act outside of this.
    blueprint.before_request(enter)
    blueprint.teardown_request(leave)
    blueprint.before_request(lambda: _throttle(calls, sandbox.limit_per_minute))
    blueprint.before_request(lambda: _authenticate(sandbox))


def _throttle(calls: deque[float], limit: int | None) -> Response | None:
    """Refuse what is more than the limit within a minute (contracts: error_429)."""
    now = time.monotonic()
    while calls and now - calls[0] > _MINUTE_S:
        calls.popleft()
    if limit is not None and len(calls) >= limit:
        return Response("Retry later\n", 429, mimetype="text/plain")
    calls.append(now)
    return None


def _authenticate(sandbox: ChatwootSandbox) -> None:
    user_id = sandbox.tokens.get(request.headers.get("api-access-token", ""))
    if user_id is None:
        raise unauthorized()
    g.user_id = user_id
    endpoint = (request.endpoint or "").rpartition(".")[2]
    if user_id < 0 and endpoint not in _FOR_BOTS:
        raise unauthorized("Access to this endpoint is not authorized for bots")
    if endpoint in _FOR_ADMINISTRATORS and sandbox.state.users[user_id].role != "administrator":
        raise unauthorized("You are not authorized to do this action")
    if (request.view_args or {}).get("account_id", sandbox.account_id) != sandbox.account_id:
        raise Problem(404, error="Resource could not be found")
