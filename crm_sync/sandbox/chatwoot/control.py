"""The sandbox's own endpoints under /_sandbox/: other processes act in it and look into it through them.

They take the columns and arguments of :class:`ChatwootSandbox` as JSON and never meet a fault.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot import answers
from crm_sync.sandbox.chatwoot.records import ConversationRow
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox


def blueprint(sandbox: ChatwootSandbox) -> Blueprint:
    """The endpoints of one sandbox."""
    control = Blueprint("control", __name__, url_prefix="/_sandbox")
    _register_acting(control, sandbox)
    _register_changing(control, sandbox)
    _register_looking(control, sandbox)
    return control


def _register_acting(control: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state

    @control.post("/contacts")
    def create_contact() -> ResponseReturnValue:
        return answers.contact(sandbox.create_contact(**_body()))

    @control.patch("/contacts/<int:contact_id>")
    def update_contact(contact_id: int) -> ResponseReturnValue:
        return answers.contact(sandbox.update_contact(contact_id, **_body()))

    @control.delete("/contacts/<int:contact_id>")
    def delete_contact(contact_id: int) -> ResponseReturnValue:
        sandbox.delete_contact(contact_id)
        return "", 204

    @control.post("/contacts/<int:contact_id>/merge")
    def merge_contacts(contact_id: int) -> ResponseReturnValue:
        return answers.contact(sandbox.merge_contacts(contact_id, int(_body()["mergee_id"])))

    @control.post("/conversations")
    def create_conversation() -> ResponseReturnValue:
        return _shown(sandbox, sandbox.create_conversation(**_body()))

    @control.post("/messages")
    def add_message() -> ResponseReturnValue:
        return answers.message(state, sandbox.add_message(**_body()))

    @control.patch("/messages/<int:message_id>")
    def edit_message(message_id: int) -> ResponseReturnValue:
        return answers.message(state, sandbox.edit_message(message_id, str(_body()["content"])))

    @control.delete("/messages/<int:message_id>")
    def delete_message(message_id: int) -> ResponseReturnValue:
        return answers.message(state, sandbox.delete_message(message_id))


def _register_changing(control: Blueprint, sandbox: ChatwootSandbox) -> None:
    one = "/conversations/<int:conversation_id>"

    @control.post(f"{one}/status")
    def set_status(conversation_id: int) -> ResponseReturnValue:
        body = _body()
        until = body.get("snoozed_until")
        row = sandbox.set_status(
            conversation_id,
            body["status"],
            snoozed_until=datetime.fromisoformat(until) if until else None,
        )
        return _shown(sandbox, row)

    @control.post(f"{one}/priority")
    def set_priority(conversation_id: int) -> ResponseReturnValue:
        return _shown(sandbox, sandbox.set_priority(conversation_id, _body().get("priority")))

    @control.post(f"{one}/assignee")
    def assign(conversation_id: int) -> ResponseReturnValue:
        return _shown(sandbox, sandbox.assign(conversation_id, **_body()))

    @control.post(f"{one}/labels")
    def set_labels(conversation_id: int) -> ResponseReturnValue:
        return _shown(sandbox, sandbox.set_labels(conversation_id, _body().get("labels") or []))

    @control.post(f"{one}/custom_attributes")
    def set_custom_attributes(conversation_id: int) -> ResponseReturnValue:
        return _shown(sandbox, sandbox.set_custom_attributes(conversation_id, _body()["custom_attributes"]))

    @control.post("/webhooks")
    def add_webhook() -> ResponseReturnValue:
        return answers.webhook(sandbox.state, sandbox.add_webhook(**_body()))

    @control.post("/delivery")
    def change_delivery() -> ResponseReturnValue:
        body, outbox = _body(), sandbox.outbox
        outbox.shuffle = bool(body.get("shuffle", outbox.shuffle))
        outbox.double = float(body.get("double", outbox.double))
        outbox.late = bool(body.get("late", outbox.late))
        outbox.enabled = bool(body.get("enabled", outbox.enabled))
        outbox.workers = int(body.get("workers", outbox.workers))
        outbox.window = int(body.get("window", outbox.window))
        keys = ("shuffle", "double", "late", "enabled", "workers", "window")
        return {key: getattr(outbox, key) for key in keys}

    @control.post("/wait")
    def wait_delivered() -> ResponseReturnValue:
        return {"delivered": sandbox.wait_delivered(float(_body().get("timeout", 10.0)))}


def _register_looking(control: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state

    @control.get("/dump")
    def dump() -> ResponseReturnValue:
        with state.lock:
            return {
                "account_id": state.account_id,
                "contacts": [answers.contact(row) for row in state.contacts.values()],
                "conversations": [_shown(sandbox, row) for row in state.conversations.values()],
                "webhooks": [answers.webhook(state, row) for row in state.webhooks.values()],
                "custom_attribute_definitions": list(state.definitions),
            }

    @control.get("/deliveries")
    def deliveries() -> ResponseReturnValue:
        found = sandbox.deliveries
        shown = [
            {
                "event": one.event,
                "id": one.id,
                "status": one.status,
                "delivery_id": one.delivery_id,
                "double": one.double,
            }
            for one in found
        ]
        return {"total": len(found), "deliveries": shown}


def _shown(sandbox: ChatwootSandbox, row: ConversationRow) -> dict[str, Any]:
    """A conversation with all of its messages."""
    found = answers.conversation(sandbox.state, row)
    found["messages"] = [answers.message(sandbox.state, message) for message in row.messages]
    return found


def _body() -> dict[str, Any]:
    body: dict[str, Any] = request.get_json(force=True, silent=True) or {}
    return body
