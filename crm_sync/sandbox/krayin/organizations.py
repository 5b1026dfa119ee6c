"""Organisations: a name nobody else has, and an address in any form (60-69)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import attributes, listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply, number_of
from crm_sync.sandbox.krayin.sql import Row, equals


def index(ctx: Context) -> Reply:
    """The list."""
    return listing.index(ctx, "organizations", lambda row: resources.organization(ctx.state, row))


def show(ctx: Context, number: str) -> Reply:
    """One organisation (67, 68)."""
    row = ctx.find_or_crash("organizations", number)
    return Reply({"data": resources.organization(ctx.state, row)})


def store(ctx: Context) -> Reply:
    """Creates one; without a name it stays nameless (63)."""
    rules.check(ctx.body, attributes.rules_for(ctx, "organizations", ctx.body, own=None))
    ctx.leave_a_gap()
    row = _create(ctx, ctx.body)
    sent = {"name": ctx.body.get("name"), "address": ctx.body.get("address")}
    body = {
        "data": resources.organization(ctx.state, row, sent),
        "message": "Organization created successfully.",
    }
    return Reply(body)


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent (69)."""
    own = int(number)
    rules.check(ctx.body, attributes.rules_for(ctx, "organizations", ctx.body, own=own))
    row = ctx.find("organizations", number)
    ctx.state.update("organizations", row, _columns(ctx.body))
    attributes.save(ctx, "organizations", own, ctx.body)
    body = {"data": resources.organization(ctx.state, row), "message": "Organization updated successfully."}
    return Reply(body)


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one nobody belongs to."""
    return ctx.delete("organizations", ctx.find_or_crash("organizations", number), "Organization")


def named(ctx: Context, name: str) -> Row:
    """The organisation of that name, made when there is none (30, 59i)."""
    for row in ctx.state["organizations"].rows.values():
        if equals(row["name"], name):
            return row
    return _create(ctx, {"name": name})


def _create(ctx: Context, sent: Mapping[str, Any]) -> Row:
    row = ctx.state.insert("organizations", _columns(sent))
    attributes.save(ctx, "organizations", row["id"], sent)
    return row


def _columns(sent: Mapping[str, Any]) -> Row:
    found = {name: sent[name] for name in ("name", "address") if name in sent}
    if "user_id" in sent:
        found["user_id"] = number_of(sent, "user_id")
    return found
