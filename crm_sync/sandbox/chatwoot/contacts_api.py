"""The API of contacts (app/controllers/api/v1/accounts/contacts_controller.rb)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot import answers
from crm_sync.sandbox.chatwoot.problems import invalid
from crm_sync.sandbox.chatwoot.records import ContactRow
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.chatwoot.state import State

_PAGE = 15
_LATEST_CONVERSATIONS = 20
_PHONE = re.compile(r"\+[1-9]\d{1,14}\Z")
_COLUMNS = (
    "name",
    "email",
    "phone_number",
    "identifier",
    "blocked",
    "additional_attributes",
    "custom_attributes",
)
_UNIQUE = ("email", "phone_number", "identifier")


def register(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    """Add the endpoints."""
    _register_lists(blueprint, sandbox)
    _register_records(blueprint, sandbox)


def _register_lists(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state
    base = "/api/v1/accounts/<int:account_id>/contacts"

    @blueprint.get(base)
    def list_contacts(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        rows = _sorted([row for row in state.contacts.values() if row.resolved])
        shown = _page(rows)
        return {
            "meta": {"count": len(rows), "current_page": request.args.get("page", 1)},
            "payload": [answers.contact(row) for row in shown],
        }

    @blueprint.get(f"{base}/search")
    def search_contacts(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        wanted = request.args.get("q", "").strip().lower()
        if not wanted:
            return {"error": "Specify search string with parameter q"}, 422
        rows = [row for row in _sorted(state.contacts.values()) if row.resolved and _mentions(row, wanted)]
        shown = _page(rows)
        number = request.args.get("page", 1, type=int)
        return {
            "meta": {
                "count": len(shown),
                "current_page": request.args.get("page", 1),
                "has_more": len(rows) > number * _PAGE,
            },
            "payload": [answers.contact(row) for row in shown],
        }

    @blueprint.post(f"{base}/filter")
    def filter_contacts(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        conditions = request.get_json(force=True).get("payload") or []
        rows = [row for row in _sorted(state.contacts.values()) if row.resolved and _meets(row, conditions)]
        return {
            "meta": {"count": len(rows), "current_page": request.args.get("page", 1, type=int)},
            "payload": [answers.contact_with_inboxes(state, row) for row in _page(rows)],
        }

    @blueprint.get(f"{base}/<int:contact_id>/conversations")
    def list_contact_conversations(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001
        rows = [
            row for row in state.conversations.values() if row.contact_id == state.contacts[contact_id].id
        ]
        rows.sort(key=lambda row: row.last_activity_at, reverse=True)
        return {
            "payload": [answers.conversation(state, row, listed=True) for row in rows[:_LATEST_CONVERSATIONS]]
        }


def _register_records(blueprint: Blueprint, sandbox: ChatwootSandbox) -> None:
    state = sandbox.state
    base = "/api/v1/accounts/<int:account_id>/contacts"

    @blueprint.post(base)
    def create_contact(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        body = request.get_json(force=True)
        with state.lock:
            columns = _columns(body)
            _check(state, columns)
            row = sandbox.create_contact(**columns)
        inbox = state.inboxes.get(body.get("inbox_id"))
        shown = answers.contact_with_inboxes(state, row)
        contact_inbox = {"inbox": answers.inbox(inbox), "source_id": body.get("source_id")} if inbox else None
        return {"payload": {"contact": shown, "contact_inbox": contact_inbox}}

    @blueprint.get(f"{base}/<int:contact_id>")
    def show_contact(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        return {"payload": answers.contact_with_inboxes(state, state.contacts[contact_id])}

    @blueprint.route(f"{base}/<int:contact_id>", methods=["PUT", "PATCH"])
    def change_contact(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        with state.lock:
            columns = _columns(request.get_json(force=True))
            _check(state, columns, own=state.contacts[contact_id].id)
            row = sandbox.update_contact(contact_id, **columns)
        return {"payload": answers.contact_with_inboxes(state, row)}

    @blueprint.delete(f"{base}/<int:contact_id>")
    def delete_contact(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        sandbox.delete_contact(contact_id)
        return "", 200

    @blueprint.post(f"{base}/<int:contact_id>/destroy_custom_attributes")
    def remove_attributes(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        keys = request.get_json(force=True).get("custom_attributes") or []
        row = sandbox.remove_contact_attributes(contact_id, keys)
        return {"payload": answers.contact_with_inboxes(state, row)}

    @blueprint.get(f"{base}/<int:contact_id>/labels")
    def contact_labels(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001 (as above)
        return {"payload": state.contacts[contact_id].labels}

    @blueprint.post(f"{base}/<int:contact_id>/labels")
    def set_contact_labels(account_id: int, contact_id: int) -> ResponseReturnValue:  # noqa: ARG001
        state.contacts[contact_id].labels = list(request.get_json(force=True).get("labels") or [])
        return {"payload": state.contacts[contact_id].labels}

    @blueprint.post("/api/v1/accounts/<int:account_id>/actions/contact_merge")
    def merge_contacts(account_id: int) -> ResponseReturnValue:  # noqa: ARG001 (checked by the guard)
        body = request.get_json(force=True)
        row = sandbox.merge_contacts(int(body["base_contact_id"]), int(body["mergee_contact_id"]))
        return answers.contact(row)


def _check(state: State, columns: Mapping[str, Any], own: int | None = None) -> None:
    """The validations of app/models/contact.rb that matter to somebody who writes."""
    phone = columns.get("phone_number")
    if phone and not _PHONE.match(phone):
        raise invalid("Phone number should be in e164 format", "phone_number")
    for key in _UNIQUE:
        value = str(columns.get(key) or "").lower()
        others = (row for row in state.contacts.values() if row.id != own)
        if value and any(str(getattr(row, key) or "").lower() == value for row in others):
            raise invalid(f"{key.replace('_', ' ').capitalize()} has already been taken", key)


def _columns(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in _COLUMNS if key in body}


def _page(rows: list[ContactRow]) -> list[ContactRow]:
    number = max(1, request.args.get("page", 1, type=int))
    return rows[(number - 1) * _PAGE : number * _PAGE]


def _sorted(rows: Iterable[ContactRow]) -> list[ContactRow]:
    """``sort`` names a column, with a dash in front for the other way round; the id decides between equals."""
    wanted = request.args.get("sort", "name")
    key = wanted.removeprefix("-")

    def value(row: ContactRow) -> Any:
        if key in {"created_at", "last_activity_at"}:
            moment = getattr(row, key)
            return moment.timestamp() if moment else 0.0
        return str(getattr(row, key, "") or "").lower()

    return sorted(rows, key=lambda row: (value(row), row.id), reverse=wanted.startswith("-"))


def _mentions(row: ContactRow, wanted: str) -> bool:
    return any(wanted in str(getattr(row, key) or "").lower() for key in ("name", *_UNIQUE))


def _meets(row: ContactRow, conditions: Iterable[Mapping[str, Any]]) -> bool:
    """A chain of conditions, each tied to the next by its ``query_operator``."""
    found, operator = True, "AND"
    for condition in conditions:
        one = _meets_one(row, condition)
        found = (found or one) if operator == "OR" else (found and one)
        operator = str(condition.get("query_operator") or "AND").upper()
    return found


def _meets_one(row: ContactRow, condition: Mapping[str, Any]) -> bool:
    key, operator = str(condition.get("attribute_key")), str(condition.get("filter_operator"))
    value = getattr(row, key) if key in {"name", *_UNIQUE} else row.custom_attributes.get(key)
    text = "" if value is None else str(value).lower()
    values = [str(item).lower() for item in condition.get("values") or []]
    if operator == "equal_to":
        return text in values
    if operator == "contains":
        return any(item in text for item in values)
    raise invalid(f"Invalid operator. The allowed operators for {key} are [equal_to,contains].")
