"""The ``search`` endpoints: a small language of fields and conditions that forgets what it does not understand.

``search=value`` looks for a value in all of ``searchFields``, ``search=field:value;field:value`` for one in each; a
field of ``searchFields`` may carry ``:like``, ``:=`` or ``:in``. What no condition comes of is dropped, and a search
without conditions is the whole table (51g, 54d, 166): the first ten rows, unfiltered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.sandbox.krayin import sql
from crm_sync.sandbox.krayin.context import Context, Reply
from crm_sync.sandbox.krayin.errors import Crashed
from crm_sync.sandbox.krayin.schema import columns_of
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.state import State

_LIMIT = 10
_CONDITIONS = ("=", "like", "ilike", "in")

#: What may be searched without naming a condition (51f, 54b).
FIELDS: Mapping[str, tuple[str, ...]] = {
    "persons": (
        "name",
        "emails",
        "contact_numbers",
        "organization_id",
        "job_title",
        "organization.name",
        "user_id",
        "user.name",
    ),
    "leads": (
        "title",
        "lead_value",
        "status",
        "user_id",
        "user.name",
        "person_id",
        "person.name",
        "lead_source_id",
        "lead_type_id",
        "lead_pipeline_id",
        "lead_pipeline_stage_id",
        "created_at",
        "closed_at",
        "expected_close_date",
    ),
    "products": ("sku", "name", "description"),
    "quotes": ("subject", "description", "person_id", "person.name", "user_id", "user.name", "expired_at"),
    "tags": ("name", "color", "user_id"),
    "users": ("name", "email", "status", "view_permission", "role_id"),
}


@dataclass(frozen=True)
class Relation:
    """Rows of another table: by a column here that points there, by one there that points here, or by a third table."""

    table: str
    own: str | None = None
    theirs: str | None = None
    through: str | None = None

    def rows(self, state: State, start: str, row: Row) -> list[Row]:
        """The related rows."""
        if self.table == "attribute_values":
            return state[self.table].where(entity_type=start, entity_id=row["id"])
        if self.through is not None:
            links = state[self.through].where(**{str(self.own): row["id"]})
            found = [state.get(self.table, link[str(self.theirs)]) for link in links]
            return [each for each in found if each is not None]
        if self.own is not None:
            target = state.get(self.table, row[self.own])
            return [] if target is None else [target]
        return state[self.table].where(**{str(self.theirs): row["id"]})


RELATIONS: Mapping[str, Mapping[str, Relation]] = {
    "persons": {
        "organization": Relation("organizations", own="organization_id"),
        "user": Relation("users", own="user_id"),
        "tags": Relation("tags", own="person_id", theirs="tag_id", through="person_tags"),
        "activities": Relation(
            "activities", own="person_id", theirs="activity_id", through="person_activities"
        ),
        "leads": Relation("leads", theirs="person_id"),
        "attribute_values": Relation("attribute_values"),
    },
    "leads": {
        "person": Relation("persons", own="person_id"),
        "user": Relation("users", own="user_id"),
        "type": Relation("lead_types", own="lead_type_id"),
        "source": Relation("lead_sources", own="lead_source_id"),
        "pipeline": Relation("lead_pipelines", own="lead_pipeline_id"),
        "stage": Relation("lead_pipeline_stages", own="lead_pipeline_stage_id"),
        "tags": Relation("tags", own="lead_id", theirs="tag_id", through="lead_tags"),
        "activities": Relation("activities", own="lead_id", theirs="activity_id", through="lead_activities"),
        "products": Relation("lead_products", theirs="lead_id"),
        "attribute_values": Relation("attribute_values"),
    },
    "organizations": {
        "persons": Relation("persons", theirs="organization_id"),
        "attribute_values": Relation("attribute_values"),
    },
    "products": {"attribute_values": Relation("attribute_values")},
    "quotes": {
        "person": Relation("persons", own="person_id"),
        "user": Relation("users", own="user_id"),
    },
    "tags": {"user": Relation("users", own="user_id")},
    "users": {"role": Relation("roles", own="role_id")},
}


def search(ctx: Context, table: str, resource: Callable[[Row], Any]) -> Reply:
    """The answer of a search: oldest first unless told otherwise, ``limit`` rows, no pages (55, 55b, 59s).

    Raises:
        Crashed: the user may not see everything (143), a field or relation does not exist (54c), or none of the
            fields may be searched this way (54b).
    """
    if ctx.user["view_permission"] != "global":
        raise Crashed
    wanted = conditions(table, ctx.query)
    rows = [row for row in ctx.state[table].rows.values() if _matches(ctx, table, row, wanted)]
    order = ctx.query.get("orderBy")
    if order:
        if order not in columns_of(table):
            raise Crashed
        descending = str(ctx.query.get("sortedBy") or "asc").lower() == "desc"
        rows.sort(key=lambda row: sql.sort_key(row, order), reverse=descending)
    limit = ctx.query.get("limit")
    count = _LIMIT if limit is None else int(limit) if str(limit).isdigit() else _LIMIT
    return Reply({"data": [resource(row) for row in rows[:count]]})


def _matches(ctx: Context, table: str, row: Row, wanted: list[tuple[str, str, str]]) -> bool:
    if not wanted:
        return True
    tests = [_holds(ctx.state, table, row, *condition) for condition in wanted]
    return all(tests) if str(ctx.query.get("searchJoin") or "or").lower() == "and" else any(tests)


def conditions(table: str, query: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The conditions a query comes to: field, operator and value.

    Raises:
        Crashed: no field is left of those that were named (54b).
    """
    search = query.get("search")
    if not search:
        return []
    by_field = _values_by_field(str(search))
    everywhere = _value_for_all(str(search))
    found = []
    for field, operator in _fields(table, query.get("searchFields"), list(by_field)).items():
        value = by_field.get(field, everywhere)
        if value is not None:
            found.append((field, operator, value))
    return found


def _values_by_field(search: str) -> dict[str, str]:
    if search.find(":") < 1:
        return {}
    parts = (part.split(":") for part in search.split(";"))
    return {part[0]: part[1] for part in parts if len(part) > 1}


def _value_for_all(search: str) -> str | None:
    if search.find(";") < 1 and search.find(":") < 1:
        return search
    return next((part for part in search.split(";") if ":" not in part), None)


def _fields(table: str, named: Any, sent: list[str]) -> dict[str, str]:
    """The fields to look in and how; a field that was named with a condition may be any (54, 74c, 81c)."""
    known = dict.fromkeys(FIELDS[table], "=")
    if not named:
        return known
    wanted = [str(each) for each in named] if isinstance(named, list) else str(named).split(";")
    names = []
    for each in wanted:
        name, _, operator = each.partition(":")
        if operator.lower() in _CONDITIONS:
            known[name] = operator.lower()
            names.append(name)
        else:
            names.append(each)
    found = {name: how for name, how in known.items() if name in {*names, *sent}}
    if not found:
        raise Crashed
    return found


def _holds(state: State, table: str, row: Row, field: str, operator: str, value: str) -> bool:
    *relations, column = field.split(".")
    rows, start = [row], table
    for name in relations:
        relation = RELATIONS.get(start, {}).get(name)
        if relation is None:
            raise Crashed
        rows = [other for each in rows for other in relation.rows(state, start, each)]
        start = relation.table
    if column not in columns_of(start):
        raise Crashed
    if operator in ("like", "ilike"):
        return any(sql.like(each[column], f"%{value}%") for each in rows)
    wanted = value.split(",") if operator == "in" else [value]
    return any(sql.equals(each[column], one) for each in rows for one in wanted)
