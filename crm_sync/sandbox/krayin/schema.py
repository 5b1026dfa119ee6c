"""The columns of Krayin's tables, what the database does to values on their way in, and who points at whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.sandbox.krayin.sql import Row, number_in

_VARCHAR = 255
_TEXT_BYTES = 65535


@dataclass(frozen=True)
class Column:
    """One column. ``missing`` is what a row gets that does not name it; ``references`` a table its ids are of."""

    kind: str = "varchar"
    missing: Any = None
    references: str | None = None

    def keep(self, value: Any) -> Any:
        """A value as the database keeps it: nothing is refused, too much is cut (101)."""
        if value is None:
            return self.missing
        if self.kind in ("varchar", "text", "longtext"):
            text = "1" if value is True else "" if value is False else str(value)
            if self.kind == "varchar":
                return text[:_VARCHAR]
            return cut(text) if self.kind == "text" else text
        if self.kind == "decimal":
            return f"{number_in(str(value)):.4f}"
        if self.kind == "integer":
            return int(number_in(str(int(value) if isinstance(value, bool) else value)))
        return value


def cut(text: str) -> str:
    """A text as long as a column of 64 KiB holds it; a sign that is cut in two goes."""
    return text.encode()[:_TEXT_BYTES].decode(errors="ignore")


_ID = Column("integer")
_NAME = Column(missing="")
_USER = Column("integer", references="users")
_MONEY = Column("decimal")
_JSON = Column("json")
_TIME = Column("datetime")

TABLES: Mapping[str, Mapping[str, Column]] = {
    "roles": {"name": _NAME, "description": Column(), "permission_type": Column(), "permissions": _JSON},
    "groups": {"name": _NAME, "description": Column()},
    "users": {
        "name": _NAME,
        "email": _NAME,
        "password": Column("secret"),
        "status": Column("integer", missing=0),
        "view_permission": Column(missing="global"),
        "role_id": Column("integer", references="roles"),
        "image": Column(),
    },
    "attributes": {
        "code": _NAME,
        "name": _NAME,
        "type": _NAME,
        "lookup_type": Column(),
        "entity_type": _NAME,
        "sort_order": Column("integer"),
        "validation": Column(),
        "is_required": Column("integer", missing=0),
        "is_unique": Column("integer", missing=0),
        "quick_add": Column("integer", missing=1),
        "is_user_defined": Column("integer", missing=1),
    },
    "attribute_options": {"name": _NAME, "sort_order": Column("integer"), "attribute_id": _ID},
    "attribute_values": {
        "entity_type": _NAME,
        "entity_id": _ID,
        "attribute_id": _ID,
        "text_value": Column("text"),
        "boolean_value": Column("integer"),
        "integer_value": Column("integer"),
        "float_value": _MONEY,
        "datetime_value": _TIME,
        "date_value": _TIME,
        "json_value": _JSON,
    },
    "lead_sources": {"name": _NAME},
    "lead_types": {"name": _NAME},
    "lead_pipelines": {
        "name": _NAME,
        "is_default": Column("integer", missing=0),
        "rotten_days": Column("integer", missing=30),
    },
    "lead_pipeline_stages": {
        "code": _NAME,
        "name": _NAME,
        "probability": Column("integer", missing=0),
        "sort_order": Column("integer", missing=0),
        "lead_pipeline_id": Column("integer", references="lead_pipelines"),
    },
    "organizations": {"name": Column(), "address": _JSON, "user_id": _USER},
    "persons": {
        "name": _NAME,
        "emails": _JSON,
        "contact_numbers": _JSON,
        "job_title": Column(),
        "unique_id": Column(),
        "organization_id": Column("integer", references="organizations"),
        "user_id": _USER,
    },
    "leads": {
        "title": _NAME,
        "description": Column("text"),
        "lead_value": _MONEY,
        "status": Column("integer", missing=1),
        "lost_reason": Column("text"),
        "expected_close_date": _TIME,
        "closed_at": _TIME,
        "user_id": _USER,
        "person_id": Column("integer", references="persons"),
        "lead_source_id": Column("integer", references="lead_sources"),
        "lead_type_id": Column("integer", references="lead_types"),
        "lead_pipeline_id": Column("integer", references="lead_pipelines"),
        "lead_pipeline_stage_id": Column("integer", references="lead_pipeline_stages"),
    },
    "products": {
        "sku": _NAME,
        "name": Column(),
        "description": Column(),
        "quantity": Column("integer", missing=0),
        "price": _MONEY,
    },
    "lead_products": {
        "quantity": Column("integer", missing=0),
        "price": _MONEY,
        "amount": _MONEY,
        "lead_id": Column("integer", references="leads"),
        "product_id": Column("integer", references="products"),
    },
    "activities": {
        "title": Column(),
        "type": _NAME,
        "comment": Column("longtext"),
        "additional": _JSON,
        "location": Column(),
        "schedule_from": _TIME,
        "schedule_to": _TIME,
        "is_done": Column("integer", missing=0),
        "user_id": _USER,
    },
    "activity_files": {
        "name": _NAME,
        "path": _NAME,
        "activity_id": Column("integer", references="activities"),
    },
    "activity_participants": {
        "activity_id": Column("integer", references="activities"),
        "user_id": _USER,
        "person_id": Column("integer", references="persons"),
    },
    "lead_activities": {
        "lead_id": Column("integer", references="leads"),
        "activity_id": Column("integer", references="activities"),
    },
    "person_activities": {
        "person_id": Column("integer", references="persons"),
        "activity_id": Column("integer", references="activities"),
    },
    "tags": {"name": _NAME, "color": Column(), "user_id": _USER},
    "lead_tags": {
        "lead_id": Column("integer", references="leads"),
        "tag_id": Column("integer", references="tags"),
    },
    "person_tags": {
        "person_id": Column("integer", references="persons"),
        "tag_id": Column("integer", references="tags"),
    },
    "quotes": {
        "subject": _NAME,
        "description": Column(),
        "billing_address": _JSON,
        "shipping_address": _JSON,
        "discount_percent": _MONEY,
        "discount_amount": _MONEY,
        "tax_amount": _MONEY,
        "adjustment_amount": _MONEY,
        "sub_total": _MONEY,
        "grand_total": _MONEY,
        "expired_at": _TIME,
        "person_id": Column("integer", references="persons"),
        "user_id": _USER,
    },
    "quote_items": {
        "sku": Column(),
        "name": Column(),
        "quantity": Column("integer", missing=0),
        "price": _MONEY,
        "discount_amount": _MONEY,
        "tax_amount": _MONEY,
        "total": _MONEY,
        "product_id": _ID,
        "quote_id": Column("integer", references="quotes"),
    },
    "lead_quotes": {
        "lead_id": Column("integer", references="leads"),
        "quote_id": Column("integer", references="quotes"),
    },
    "emails": {
        "subject": Column(),
        "source": _NAME,
        "user_type": _NAME,
        "name": Column(),
        "reply": Column("text"),
        "is_read": Column("integer", missing=0),
        "folders": _JSON,
        "from": _JSON,
        "sender": _JSON,
        "reply_to": _JSON,
        "cc": _JSON,
        "bcc": _JSON,
        "unique_id": Column(),
        "message_id": Column(),
        "reference_ids": _JSON,
        "person_id": Column("integer", references="persons"),
        "lead_id": Column("integer", references="leads"),
        "parent_id": _ID,
    },
    "webhooks": {
        "name": _NAME,
        "entity_type": _NAME,
        "description": Column(),
        "method": _NAME,
        "end_point": _NAME,
        "query_params": _JSON,
        "headers": _JSON,
        "payload_type": _NAME,
        "raw_payload_type": Column(),
        "payload": _JSON,
    },
    "workflows": {
        "name": _NAME,
        "description": Column(),
        "entity_type": _NAME,
        "event": _NAME,
        "condition_type": Column(missing="and"),
        "conditions": _JSON,
        "actions": _JSON,
    },
}

#: Rows that go with the row they point at; a pointer that is not here keeps its target from being deleted.
CASCADES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "leads": (
        ("lead_products", "lead_id"),
        ("lead_activities", "lead_id"),
        ("lead_tags", "lead_id"),
        ("lead_quotes", "lead_id"),
    ),
    "persons": (
        ("person_tags", "person_id"),
        ("person_activities", "person_id"),
        ("activity_participants", "person_id"),
    ),
    "activities": (
        ("lead_activities", "activity_id"),
        ("person_activities", "activity_id"),
        ("activity_participants", "activity_id"),
        ("activity_files", "activity_id"),
    ),
    "tags": (("lead_tags", "tag_id"), ("person_tags", "tag_id")),
    "products": (("lead_products", "product_id"),),
    "quotes": (("lead_quotes", "quote_id"), ("quote_items", "quote_id")),
    "lead_pipelines": (("lead_pipeline_stages", "lead_pipeline_id"),),
}


def columns_of(table: str) -> set[str]:
    """Every name a filter or a sort may use on a table."""
    return {"id", *TABLES[table], "created_at", "updated_at"}


def kept(table: str, values: Mapping[str, Any]) -> Row:
    """The columns among ``values`` as the database keeps them; anything else is nobody's business."""
    columns = TABLES[table]
    return {name: columns[name].keep(value) for name, value in values.items() if name in columns}
