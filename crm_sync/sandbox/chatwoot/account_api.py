"""The API about the account itself: who we are, agents, inboxes, webhooks, definitions, dashboard apps."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot import answers, shapes
from crm_sync.sandbox.chatwoot.problems import invalid
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox

#: What a webhook asks for when it does not say (db/schema.rb).
_DEFAULT_SUBSCRIPTIONS = [
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
]
_MODELS = ("conversation_attribute", "contact_attribute", "company_attribute")
_KINDS = ("text", "number", "currency", "percent", "link", "date", "list", "checkbox")


def register(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    """Add the endpoints."""
    _register_people(blueprint, sandbox)
    _register_webhooks(blueprint, sandbox)
    _register_definitions(blueprint, sandbox)


def _register_people(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state
    base = "/api/v1/accounts/<int:account_id>"

    @blueprint.get("/api/v1/profile")
    def show_profile() -> ResponseReturnValue:
        token = next(token for token, user_id in sandbox.tokens.items() if user_id == g.user_id)
        return answers.profile(state, state.users[g.user_id], token)

    @blueprint.get(f"{base}/agents")
    def list_agents(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        return [answers.agent(state, user) for user in state.users.values()]

    @blueprint.get(f"{base}/inboxes")
    def list_inboxes(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        return {"payload": [answers.inbox(row) for row in state.inboxes.values()]}

    @blueprint.get(f"{base}/dashboard_apps")
    def list_dashboard_apps(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        return list(state.dashboard_apps)

    @blueprint.post(f"{base}/dashboard_apps")
    def create_dashboard_app(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        body = _body("dashboard_app")
        row = {
            "id": next(state.other_ids),
            "title": body["title"],
            "content": body["content"],
            "created_at": shapes.iso(state.tick()),
        }
        state.dashboard_apps.append(row)
        return row


def _register_webhooks(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state
    base = "/api/v1/accounts/<int:account_id>/webhooks"

    def check(url: str, own: int | None = None) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
            raise invalid("Url is invalid", "url")
        if any(row.url == url and row.id != own for row in state.webhooks.values()):
            raise invalid("Url has already been taken", "url")

    @blueprint.get(base)
    def list_webhooks(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        return {"payload": {"webhooks": [answers.webhook(state, row) for row in state.webhooks.values()]}}

    @blueprint.post(base)
    def create_webhook(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        body = _body("webhook")
        with state.lock:
            check(str(body.get("url", "")))
            row = sandbox.add_webhook(
                body["url"], body.get("subscriptions") or _DEFAULT_SUBSCRIPTIONS, name=body.get("name")
            )
        return {"payload": {"webhook": answers.webhook(state, row)}}

    @blueprint.route(f"{base}/<int:webhook_id>", methods=["PATCH", "PUT"])
    def change_webhook(account_id: int, webhook_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        body = _body("webhook")
        with state.lock:
            row = state.webhooks[webhook_id]
            check(str(body.get("url", row.url)), own=webhook_id)
            row.url = body.get("url", row.url)
            row.name = body.get("name", row.name)
            row.subscriptions = list(body.get("subscriptions", row.subscriptions))
        return {"payload": {"webhook": answers.webhook(state, row)}}

    @blueprint.delete(f"{base}/<int:webhook_id>")
    def delete_webhook(account_id: int, webhook_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        del state.webhooks[webhook_id]
        return "", 200


def _register_definitions(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state
    base = "/api/v1/accounts/<int:account_id>/custom_attribute_definitions"

    @blueprint.get(base)
    def list_definitions(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        model = _named(request.args.get("attribute_model"), _MODELS)
        return [row for row in state.definitions if model is None or row["attribute_model"] == model]

    @blueprint.post(base)
    def create_definition(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        body = _body("custom_attribute_definition")
        model, key = _named(body.get("attribute_model", 0), _MODELS), body.get("attribute_key")
        now = shapes.iso(state.tick())
        with state.lock:
            if any(
                (row["attribute_model"], row["attribute_key"]) == (model, key) for row in state.definitions
            ):
                raise invalid("Attribute key has already been taken", "attribute_key")
            if not body.get("attribute_display_name"):
                raise invalid("Attribute display name can't be blank", "attribute_display_name")
            row = {
                "id": len(state.definitions) + 1,
                "attribute_display_name": body["attribute_display_name"],
                "attribute_display_type": _named(body.get("attribute_display_type", 0), _KINDS),
                "attribute_description": body.get("attribute_description"),
                "attribute_key": key,
                "regex_pattern": None,
                "regex_cue": None,
                "attribute_values": body.get("attribute_values") or [],
                "attribute_model": model,
                "default_value": None,
                "created_at": now,
                "updated_at": now,
            }
            state.definitions.append(row)
        return row


def _named(value: Any, names: tuple[str, ...]) -> Any:
    """Rails takes an enum by name or by number, and answers it by name."""
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        return names[int(value)]
    return value


def _body(wrapper: str) -> dict[str, Any]:
    """The JSON of the call, flat or wrapped in the record's name."""
    body: dict[str, Any] = request.get_json(force=True)
    wrapped = body.get(wrapper)
    return wrapped if isinstance(wrapped, dict) else body
