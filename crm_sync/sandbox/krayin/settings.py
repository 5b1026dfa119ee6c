"""The settings that are lists of simple rows: sources, types, tags, groups, roles, users, webhooks, workflows.

All of them are one shape: rules, columns, a picture of a row. What is special about one of them stands in its
:class:`Kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from crm_sync.sandbox.krayin import listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply, number_of
from crm_sync.sandbox.krayin.rules import Rule
from crm_sync.sandbox.krayin.schema import TABLES
from crm_sync.sandbox.krayin.search import search as search_rows
from crm_sync.sandbox.krayin.sql import Row, equals
from crm_sync.sandbox.krayin.state import State


@dataclass(frozen=True)
class Kind:
    """One list of settings: its table, its name in messages, and what a body must and may have."""

    table: str
    name: str
    picture: Callable[[State, Row], Row]
    required: tuple[str, ...] = ("name",)
    unique: tuple[str, ...] = ("name",)
    forms: Mapping[str, Rule] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    #: Columns a row gets besides what was sent.
    own: Callable[[Context], Row] = lambda _ctx: {}

    def index(self, ctx: Context) -> Reply:
        """The list (23, 24, 25, 29, 122c)."""
        return listing.index(ctx, self.table, lambda row: self.picture(ctx.state, row))

    def search(self, ctx: Context) -> Reply:
        """The search."""
        return search_rows(ctx, self.table, lambda row: self.picture(ctx.state, row))

    def show(self, ctx: Context, number: str) -> Reply:
        """One row."""
        return Reply({"data": self.picture(ctx.state, ctx.find_or_crash(self.table, number))})

    def store(self, ctx: Context) -> Reply:
        """Creates a row (27, 28, 97b, 97c, 121, 122, 140, 141)."""
        rules.check(ctx.body, self._rules(ctx, None))
        row = ctx.state.insert(self.table, self._columns(ctx.body) | self.own(ctx))
        body = {"data": self.picture(ctx.state, row), "message": f"{self.name} created successfully."}
        return Reply(body)

    def update(self, ctx: Context, number: str) -> Reply:
        """Changes what was sent."""
        rules.check(ctx.body, self._rules(ctx, int(number)))
        row = ctx.find(self.table, number)
        ctx.state.update(self.table, row, self._columns(ctx.body))
        body = {"data": self.picture(ctx.state, row), "message": f"{self.name} updated successfully."}
        return Reply(body)

    def destroy(self, ctx: Context, number: str) -> Reply:
        """Removes a row nothing points at."""
        return ctx.delete(self.table, ctx.find_or_crash(self.table, number), self.name)

    def _columns(self, sent: Mapping[str, Any]) -> Row:
        found = {name: sent[name] for name in TABLES[self.table] if name in sent}
        return found | {name: number_of(sent, name) for name in self.ids if name in sent}

    def _rules(self, ctx: Context, own: int | None) -> dict[str, list[Rule]]:
        found: dict[str, list[Rule]] = {}
        for name in self.required:
            # An update may leave out what the row already has.
            if own is None or name in ctx.body:
                found[name] = [rules.required, *filter(None, [self.forms.get(name)])]
        for name in self.unique:
            if name in found:
                found[name].append(rules.fresh(partial(self._taken, ctx, own, name)))
        return found

    def _taken(self, ctx: Context, own: int | None, column: str, value: Any) -> bool:
        rows = ctx.state[self.table].rows.values()
        return any(equals(row[column], value) for row in rows if row["id"] != own)


def _tag_owner(ctx: Context) -> Row:
    return {"user_id": ctx.user["id"]}


SOURCES = Kind("lead_sources", "Source", lambda _, row: resources.plain(row, "name"))
TYPES = Kind("lead_types", "Type", lambda _, row: resources.plain(row, "name"))
GROUPS = Kind("groups", "Group", lambda _, row: resources.plain(row, "name", "description"))
TAGS = Kind("tags", "Tag", resources.tag, own=_tag_owner)
ROLES = Kind("roles", "Role", lambda _, row: resources.role(row), required=("name", "permission_type"))
USERS = Kind(
    "users",
    "User",
    resources.user,
    required=("email", "name", "role_id"),
    unique=("email",),
    forms={"email": rules.email},
    ids=("role_id",),
)
WEBHOOKS = Kind(
    "webhooks",
    "Webhook",
    lambda _, row: resources.webhook(row),
    required=("name", "entity_type", "method", "end_point", "payload_type"),
    unique=(),
)
WORKFLOWS = Kind("workflows", "Workflow", lambda _, row: resources.workflow(row), unique=())
