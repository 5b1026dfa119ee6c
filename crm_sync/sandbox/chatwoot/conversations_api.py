"""The API of conversations and their messages (app/controllers/api/v1/accounts/conversations*)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot import answers, shapes
from crm_sync.sandbox.chatwoot.problems import Problem, invalid
from crm_sync.sandbox.chatwoot.records import ACTIVITY, ConversationRow, MessageRow
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.chatwoot.state import State

_BASE = "/api/v1/accounts/<int:account_id>/conversations"
_ONE = f"{_BASE}/<int:conversation_id>"
_PAGE = 25
#: app/finders/message_finder.rb
_LATEST, _NEWER, _BETWEEN = 20, 100, 1000
#: app/models/jsonb_attributes_length_validator.rb
_MAX_TEXT, _MAX_NUMBER = 1500, 9_999_999_999
_STATUSES = ("open", "resolved", "pending", "snoozed")
_PRIORITIES = (None, "low", "medium", "high", "urgent")


def register(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    """Add the endpoints."""
    _register_reading(blueprint, sandbox)
    _register_changing(blueprint, sandbox)
    _register_attributes(blueprint, sandbox)
    _register_messages(blueprint, sandbox)


def _register_reading(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state

    @blueprint.get(_BASE)
    def list_conversations(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        rows = _wanted(state)
        return {"data": {"meta": _counts(rows), "payload": [_listed(state, row) for row in _page(rows)]}}

    @blueprint.post(f"{_BASE}/filter")
    def filter_conversations(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        rows = list(state.conversations.values())
        for condition in request.get_json(force=True).get("payload") or []:
            key, values = str(condition.get("attribute_key")), condition.get("values") or []
            rows = [row for row in rows if _column(row, key) in values]
        rows.sort(key=lambda row: row.last_activity_at, reverse=True)
        counts = _counts(rows)
        del counts["assigned_count"]
        return {"meta": counts, "payload": [_listed(state, row) for row in _page(rows)]}

    @blueprint.get(_ONE)
    def show_conversation(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        return answers.conversation(state, state.conversations[conversation_id])

    @blueprint.post(_BASE)
    def create_conversation(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        body = request.get_json(force=True)
        message = body.get("message") or {}
        row = sandbox.create_conversation(
            int(body["contact_id"]),
            int(body["inbox_id"]),
            message.get("content"),
            status=body.get("status"),
            direction="outgoing",
            sender_id=g.user_id,
            custom_attributes=body.get("custom_attributes"),
            additional_attributes=body.get("additional_attributes"),
        )
        return answers.conversation(state, row)


def _register_changing(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state

    @blueprint.route(_ONE, methods=["PATCH", "PUT"])
    def change_conversation(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        row = sandbox.set_priority(conversation_id, request.get_json(force=True).get("priority"))
        return answers.conversation(state, row)

    @blueprint.post(f"{_ONE}/toggle_status")
    def toggle_status(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        body = request.get_json(force=True, silent=True) or {}
        row = state.conversations[conversation_id]
        status = body.get("status") or ("resolved" if row.status == "open" else "open")
        if status not in _STATUSES:
            raise Problem(422, error=f"'{status}' is not a valid status")
        until = body.get("snoozed_until")
        row = sandbox.set_status(
            conversation_id,
            status,
            snoozed_until=datetime.fromtimestamp(int(until), UTC) if until else None,
        )
        payload = {
            "success": True,
            "conversation_id": row.id,
            "current_status": row.status,
            "snoozed_until": shapes.iso(row.snoozed_until),
        }
        return {"meta": {}, "payload": payload}

    @blueprint.post(f"{_ONE}/toggle_priority")
    def toggle_priority(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        priority = request.get_json(force=True).get("priority")
        if priority not in _PRIORITIES:
            raise Problem(422, error=f"'{priority}' is not a valid priority")
        sandbox.set_priority(conversation_id, priority)
        return "", 200, {"Content-Type": "application/json; charset=utf-8"}

    @blueprint.post(f"{_ONE}/assignments")
    def assign(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        body = request.get_json(force=True)
        if body.get("team_id") is not None:
            sandbox.assign(conversation_id, team_id=int(body["team_id"]))
            return {"id": body["team_id"], "name": state.teams[int(body["team_id"])].name}
        number = body.get("assignee_id")
        row = sandbox.assign(conversation_id, assignee_id=None if number is None else int(number))
        user = state.users[row.assignee_id] if row.assignee_id is not None else None
        found = json.dumps(answers.agent(state, user) if user else None)
        return found, 200, {"Content-Type": "application/json; charset=utf-8"}


def _register_attributes(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state

    @blueprint.post(f"{_ONE}/custom_attributes")
    def write_custom_attributes(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        body = request.get_json(force=True)
        attributes = body.get("custom_attributes")
        _check_attributes(attributes)
        row = sandbox.set_custom_attributes(conversation_id, attributes, merge=body.get("merge") is True)
        return {"custom_attributes": row.custom_attributes}

    @blueprint.post(f"{_ONE}/destroy_custom_attributes")
    def remove_custom_attributes(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        if not sandbox.can_merge:
            return "", 404
        keys = request.get_json(force=True).get("custom_attributes") or []
        row = sandbox.remove_custom_attributes(conversation_id, keys)
        return {"custom_attributes": row.custom_attributes}

    @blueprint.get(f"{_ONE}/labels")
    def show_labels(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        return {"payload": state.conversations[conversation_id].label_list}

    @blueprint.post(f"{_ONE}/labels")
    def write_labels(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        row = sandbox.set_labels(conversation_id, request.get_json(force=True).get("labels") or [])
        return {"payload": row.label_list}


def _register_messages(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state

    @blueprint.get(f"{_ONE}/messages")
    def list_messages(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        row = state.conversations[conversation_id]
        payload = [answers.message(state, message) for message in _messages(row, request.args)]
        return {"meta": answers.messages_meta(state, row), "payload": payload}

    @blueprint.post(f"{_ONE}/messages")
    def create_message(account_id: int, conversation_id: int) -> ResponseReturnValue:  # noqa: ARG001
        body = request.get_json(force=True)
        with state.lock:
            row = state.conversations[conversation_id]
            _check_flood(sandbox, row)
            direction = body.get("message_type") or "outgoing"
            if direction == "incoming" and state.inboxes[row.inbox_id].channel_type != "Channel::Api":
                raise Problem(422, error="Incoming messages are only allowed in Api inboxes")
            attributes = body.get("content_attributes") or {}
            message = sandbox.add_message(
                conversation_id,
                body.get("content"),
                direction=direction,
                private=body.get("private") is True,
                sender_id=g.user_id,
                content_type=body.get("content_type"),
                content_attributes=json.loads(attributes) if isinstance(attributes, str) else attributes,
                source_id=body.get("source_id"),
            )
        echo = {"echo_id": body["echo_id"]} if "echo_id" in body else {}
        return answers.message(state, message) | echo

    @blueprint.delete(f"{_ONE}/messages/<int:message_id>")
    def delete_message(
        account_id: int,  # noqa: ARG001 (checked by the guard)
        conversation_id: int,  # noqa: ARG001 (the message knows it)
        message_id: int,
    ) -> ResponseReturnValue:
        sandbox.delete_message(message_id)
        return "", 200


def _wanted(state: State) -> list[ConversationRow]:
    """The rows of a list: the status is ``open`` unless it says otherwise."""
    args = request.args
    rows = list(state.conversations.values())
    if (status := args.get("status", "open")) != "all":
        rows = [row for row in rows if row.status == status]
    if (inbox_id := args.get("inbox_id", type=int)) is not None:
        rows = [row for row in rows if row.inbox_id == inbox_id]
    if (seconds := args.get("updated_within", type=int)) is not None:
        since = state.tick() - timedelta(seconds=seconds)
        rows = [row for row in rows if row.updated_at >= since]
    if args.get("sort_by") == "created_at_asc":
        return sorted(rows, key=lambda row: row.created_at)
    return sorted(rows, key=lambda row: row.last_activity_at, reverse=True)


def _page(rows: list[ConversationRow]) -> list[ConversationRow]:
    if "updated_within" in request.args:
        return rows
    number = max(1, request.args.get("page", 1, type=int))
    return rows[(number - 1) * _PAGE : number * _PAGE]


def _listed(state: State, row: ConversationRow) -> dict[str, Any]:
    return answers.conversation(state, row, listed=True)


def _counts(rows: list[ConversationRow]) -> dict[str, int]:
    assigned = sum(row.assignee_id is not None for row in rows)
    return {
        "mine_count": sum(row.assignee_id == g.user_id for row in rows),
        "assigned_count": assigned,
        "unassigned_count": len(rows) - assigned,
        "all_count": len(rows),
    }


def _column(row: ConversationRow, key: str) -> Any:
    """A column by the name the filter knows it under; any other name is a custom attribute."""
    if key == "display_id":
        return row.id
    if key in {"status", "priority", "inbox_id", "assignee_id", "team_id"}:
        return getattr(row, key)
    return row.custom_attributes.get(key)


def _messages(row: ConversationRow, args: Mapping[str, str]) -> list[MessageRow]:
    """The latest, those before or after one, or those between two (the first of them included)."""
    rows = row.messages
    if args.get("filter_internal_messages"):
        rows = [m for m in rows if not m.private and m.message_type != ACTIVITY]
    after, before = args.get("after"), args.get("before")
    if after and before:
        return [m for m in rows if int(after) <= m.id < int(before)][:_BETWEEN]
    if before:
        return [m for m in rows if m.id < int(before)][-_LATEST:]
    if after:
        return [m for m in rows if m.id > int(after)][:_NEWER]
    return rows[-_LATEST:]


def _check_flood(sandbox: ChatwootSandbox, row: ConversationRow) -> None:
    since = sandbox.state.tick() - timedelta(minutes=1)
    if sum(message.created_at >= since for message in row.messages) >= sandbox.flood_limit:
        raise Problem(422, error="Validation failed: Too many messages")


def _check_attributes(attributes: Any) -> None:
    if not isinstance(attributes, dict):
        raise invalid("Custom attributes can't be blank", "custom_attributes")
    for key, value in attributes.items():
        if isinstance(value, str) and len(value) > _MAX_TEXT:
            words = f"Custom attributes {key} length should be < {_MAX_TEXT}"
            raise invalid(words, "custom_attributes")
        if isinstance(value, int) and value > _MAX_NUMBER:
            words = f"Custom attributes {key} value should be < {_MAX_NUMBER}"
            raise invalid(words, "custom_attributes")
