"""Quotes with their items, for a person and perhaps a lead (98)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import attributes, listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply, number_of
from crm_sync.sandbox.krayin.errors import Crashed
from crm_sync.sandbox.krayin.search import search as search_rows
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.times import day

_AMOUNTS = ("sub_total", "discount_amount", "tax_amount", "adjustment_amount", "grand_total")
_PLAIN = ("subject", "description", "billing_address", "shipping_address", "discount_percent", *_AMOUNTS)


def index(ctx: Context) -> Reply:
    """The list."""
    return listing.index(ctx, "quotes", lambda row: resources.quote(ctx.state, row))


def search(ctx: Context) -> Reply:
    """The search."""
    return search_rows(ctx, "quotes", lambda row: resources.quote(ctx.state, row))


def show(ctx: Context, number: str) -> Reply:
    """One quote."""
    return Reply({"data": resources.quote(ctx.state, ctx.find_or_crash("quotes", number))})


def store(ctx: Context) -> Reply:
    """Creates one, with its items, on a lead when the body names one (98b)."""
    sent = ctx.body
    rules.check(sent, attributes.rules_for(ctx, "quotes", sent, own=None))
    row = ctx.state.insert("quotes", _columns(sent))
    attributes.save(ctx, "quotes", row["id"], sent)
    _add_items(ctx, row, sent.get("items"))
    _link(ctx, row)
    ctx.fire("quote.create.after", "quotes", row)
    return Reply(
        {
            "data": resources.quote(ctx.state, row, {name: sent.get(name) for name in _PLAIN}),
            "message": "Quote created successfully.",
        }
    )


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent and replaces the items."""
    sent = ctx.body
    rules.check(sent, attributes.rules_for(ctx, "quotes", sent, own=int(number)))
    row = ctx.find("quotes", number)
    ctx.state.update("quotes", row, _columns(sent))
    attributes.save(ctx, "quotes", row["id"], sent)
    for item in ctx.state["quote_items"].where(quote_id=row["id"]):
        ctx.state["quote_items"].remove(item)
    _add_items(ctx, row, sent.get("items") or {})
    _link(ctx, row)
    ctx.fire("quote.update.after", "quotes", row)
    echoed = {name: sent[name] for name in _PLAIN if name in sent}
    body = {"data": resources.quote(ctx.state, row, echoed), "message": "Quote updated successfully."}
    return Reply(body)


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one with its items."""
    row = ctx.find_or_crash("quotes", number)
    ctx.fire("quote.delete.before", "quotes", row)
    return ctx.delete("quotes", row, "Quote")


def of_lead(ctx: Context, number: str) -> Reply:
    """The quotes of a lead."""
    links = ctx.state["lead_quotes"].where(lead_id=int(number))
    rows = [ctx.find("quotes", link["quote_id"]) for link in links]
    return Reply({"data": [resources.quote(ctx.state, row) for row in rows]})


def _columns(sent: Mapping[str, Any]) -> Row:
    found = {name: sent[name] for name in _PLAIN if name in sent}
    found |= {name: number_of(sent, name) for name in ("person_id", "user_id") if name in sent}
    if "expired_at" in sent:
        found["expired_at"] = day(sent["expired_at"])
    return found


def _add_items(ctx: Context, row: Row, items: Any) -> None:
    if not isinstance(items, (list, Mapping)):
        raise Crashed
    for item in items.values() if isinstance(items, Mapping) else items:
        if not isinstance(item, Mapping):
            raise Crashed
        ctx.state.insert("quote_items", {**item, "quote_id": row["id"]})


def _link(ctx: Context, row: Row) -> None:
    link = {"lead_id": number_of(ctx.body, "lead_id"), "quote_id": row["id"]}
    if link["lead_id"] is not None and not ctx.state["lead_quotes"].where(**link):
        ctx.state.insert("lead_quotes", link)
