"""How rows look in answers.

A create or update answers with what it was sent where the database would already show something else (71, 101): that
is what ``sent`` holds, by column. Relations are always read from the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import attributes, labels
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.state import State
from crm_sync.sandbox.krayin.times import shown

Sent = Mapping[str, Any]
NOTHING: Sent = {}


def stamps(row: Row) -> Row:
    """When a row was made and changed."""
    return {"created_at": shown(row["created_at"]), "updated_at": shown(row["updated_at"])}


def plain(row: Row, *columns: str, sent: Sent = NOTHING) -> Row:
    """An id, some columns and the times."""
    return {"id": row["id"], **{name: sent.get(name, row[name]) for name in columns}, **stamps(row)}


def role(row: Row) -> Row:
    """A role."""
    return plain(row, "name", "description", "permission_type", "permissions")


def user(state: State, row: Row) -> Row:
    """A user with the role."""
    its_role = state.get("roles", row["role_id"])
    return {
        "id": row["id"],
        "name": row["name"],
        "email": row["email"],
        "status": row["status"],
        "view_permission": row["view_permission"],
        "role": None if its_role is None else role(its_role),
        **stamps(row),
        "image": row["image"],
        "image_url": None,
    }


def _user_or_none(state: State, number: Any) -> Row | None:
    row = state.get("users", number)
    return None if row is None else user(state, row)


def _custom(state: State, entity_type: str, number: int) -> Row:
    """The custom attributes, where answers have them (81)."""
    if not state.flavour.echoes_custom:
        return {}
    return {
        attribute["code"]: attributes.value_of(state, attribute, number)
        for attribute in attributes.custom(state, entity_type)
    }


def organization(state: State, row: Row, sent: Sent = NOTHING) -> Row:
    """An organisation."""
    return {**_custom(state, "organizations", row["id"]), **plain(row, "name", "address", sent=sent)}


def person(state: State, row: Row, sent: Sent = NOTHING, *, organization_id: Any = ...) -> Row:
    """A person; keys without a value for owner and organisation are left out.

    An update shows the organisation the person had before (59h, 59i): ``organization_id``.
    """
    found = {
        **_custom(state, "persons", row["id"]),
        "id": row["id"],
        "name": sent.get("name", row["name"]),
        "emails": sent.get("emails", row["emails"]),
        "contact_numbers": sent.get("contact_numbers", row["contact_numbers"]),
    }
    employer = state.get(
        "organizations", row["organization_id"] if organization_id is ... else organization_id
    )
    if employer is not None:
        found["organization"] = organization(state, employer)
    found["job_title"] = sent.get("job_title", row["job_title"])
    owner = _user_or_none(state, row["user_id"])
    if owner is not None:
        found["sales_owner"] = owner
    return {**found, **stamps(row)}


def _person_or_none(state: State, number: Any) -> Row | None:
    row = state.get("persons", number)
    return None if row is None else person(state, row)


def product(row: Row, sent: Sent = NOTHING) -> Row:
    """A product."""
    return plain(row, "sku", "name", "description", "quantity", "price", sent=sent)


def _lead_product(state: State, row: Row) -> Row:
    its_product = state.get("products", row["product_id"])
    return {
        "id": row["id"],
        "quantity": row["quantity"],
        "price": row["price"],
        "amount": row["amount"],
        "product": None if its_product is None else product(its_product),
        **stamps(row),
    }


def lead(state: State, row: Row, sent: Sent = NOTHING) -> Row:
    """A lead with owner, person and products."""
    columns = ("title", "description", "lead_value", "status", "lost_reason")
    ids = ("lead_source_id", "lead_type_id", "lead_pipeline_id", "lead_pipeline_stage_id")
    return {
        **_custom(state, "leads", row["id"]),
        "id": row["id"],
        **{name: sent.get(name, row[name]) for name in columns},
        "closed_at": shown(row["closed_at"]),
        "user": _user_or_none(state, row["user_id"]),
        "person": _person_or_none(state, row["person_id"]),
        "lead_products": [
            _lead_product(state, each) for each in state["lead_products"].where(lead_id=row["id"])
        ],
        **{name: row[name] for name in ids},
        **stamps(row),
        "expected_close_date": sent.get("expected_close_date", shown(row["expected_close_date"])),
    }


def stage(row: Row, value: Any = None) -> Row:
    """A stage; probability and order are not told (20), the value only on the board (75)."""
    return {
        "id": row["id"],
        "code": row["code"],
        "name": row["name"],
        "lead_value": value,
        "formatted_lead_value": labels.money(value),
        "is_user_defined": None,
        **stamps(row),
    }


def stages_of(state: State, pipeline: int) -> list[Row]:
    """The stages of a pipeline in their order."""
    rows = state["lead_pipeline_stages"].where(lead_pipeline_id=pipeline)
    return sorted(rows, key=lambda row: row["sort_order"])


def pipeline(state: State, row: Row) -> Row:
    """A pipeline with its stages."""
    return {
        "id": row["id"],
        "name": row["name"],
        "is_default": row["is_default"],
        "rotten_days": row["rotten_days"],
        "stages": [stage(each) for each in stages_of(state, row["id"])],
        **stamps(row),
    }


def activity(state: State, row: Row, sent: Sent = NOTHING) -> Row:
    """An activity; its user's ``updated_at`` carries the user's name, as Krayin has it (90)."""
    columns = ("title", "type", "comment")
    its_user = state.get("users", row["user_id"])
    return {
        "id": row["id"],
        "parent_id": None,
        **{name: sent.get(name, row[name]) for name in columns},
        "additional": row["additional"],
        "schedule_from": shown(row["schedule_from"]),
        "schedule_to": shown(row["schedule_to"]),
        "is_done": sent.get("is_done", row["is_done"]),
        "user": None
        if its_user is None
        else {
            "id": its_user["id"],
            "name": its_user["name"],
            "email": its_user["email"],
            "image": its_user["image"],
            "created_at": shown(its_user["created_at"]),
            "updated_at": its_user["name"],
        },
        "files": [
            plain(each, "name", "path") for each in state["activity_files"].where(activity_id=row["id"])
        ],
        "participants": [
            _participant(state, each) for each in state["activity_participants"].where(activity_id=row["id"])
        ],
        "location": sent.get("location", row["location"]),
        **stamps(row),
    }


def _participant(state: State, row: Row) -> Row:
    if row["user_id"] is not None:
        return {"user": _user_or_none(state, row["user_id"])}
    return {"person": _person_or_none(state, row["person_id"])}


def mail(state: State, row: Row, sent: Sent = NOTHING) -> Row:
    """An e-mail with its person and lead."""
    columns = [
        "subject",
        "source",
        "user_type",
        "name",
        "reply",
        "is_read",
        "folders",
        "from",
        "sender",
        "reply_to",
        "cc",
        "bcc",
        "unique_id",
        "message_id",
        "reference_ids",
    ]
    its_lead = state.get("leads", row["lead_id"])
    parent = state.get("emails", row["parent_id"])
    return {
        "id": row["id"],
        **{name: sent.get(name, row[name]) for name in columns},
        "person": _person_or_none(state, row["person_id"]),
        "lead": None if its_lead is None else lead(state, its_lead),
        "parent_id": row["parent_id"],
        "parent": None if parent is None else mail(state, parent),
        "attachments": [],
        **stamps(row),
    }


def mail_as_activity(state: State, row: Row) -> Row:
    """An e-mail among a lead's activities."""
    author = state.get("users", 1)
    return {
        "id": row["id"],
        "parent_id": row["parent_id"],
        "title": row["subject"],
        "type": "email",
        "comment": row["reply"],
        "additional": {name: row[name] for name in ("folders", "from", "reply_to", "cc", "bcc")},
        "schedule_from": None,
        "schedule_to": None,
        "is_done": 1,
        "user": None if author is None else user(state, author),
        "files": [],
        "participants": [],
        "location": None,
        **stamps(row),
    }


def quote(state: State, row: Row, sent: Sent = NOTHING) -> Row:
    """A quote."""
    amounts = ("sub_total", "discount_amount", "tax_amount", "adjustment_amount", "grand_total")
    return {
        "id": row["id"],
        "description": sent.get("description", row["description"]),
        "expired_at": shown(row["expired_at"]),
        "subject": sent.get("subject", row["subject"]),
        "person": _person_or_none(state, row["person_id"]),
        "user": _user_or_none(state, row["user_id"]),
        "billing_address": row["billing_address"],
        "shipping_address": row["shipping_address"],
        **{name: sent.get(name, row[name]) for name in amounts},
        **stamps(row),
    }


def attribute(state: State, row: Row, sent: Sent = NOTHING) -> Row:
    """An attribute's definition with its options."""
    columns = [
        "code",
        "name",
        "type",
        "lookup_type",
        "entity_type",
        "sort_order",
        "validation",
        "is_required",
        "is_unique",
        "quick_add",
        "is_user_defined",
    ]
    options = state["attribute_options"].where(attribute_id=row["id"])
    return {
        "id": row["id"],
        **{name: sent.get(name, row[name]) for name in columns},
        "options": [{"id": each["id"], "name": each["name"]} for each in options],
        **stamps(row),
    }


def tag(state: State, row: Row) -> Row:
    """A tag and who made it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "color": row["color"],
        "user": _user_or_none(state, row["user_id"]),
        **stamps(row),
    }


def webhook(row: Row) -> Row:
    """A webhook."""
    return plain(
        row,
        "name",
        "entity_type",
        "description",
        "method",
        "end_point",
        "query_params",
        "headers",
        "payload_type",
        "raw_payload_type",
        "payload",
    )


def workflow(row: Row) -> Row:
    """A workflow; the event is told wrongly, as the entity type (122)."""
    shown_row = plain(
        row, "name", "description", "entity_type", "event", "condition_type", "conditions", "actions"
    )
    return {**shown_row, "event": row["entity_type"]}
