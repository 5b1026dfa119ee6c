"""Products: a SKU nobody else has (96, 96b)."""

from __future__ import annotations

from crm_sync.sandbox.krayin import attributes, listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply
from crm_sync.sandbox.krayin.search import search as search_rows

_COLUMNS = ("sku", "name", "description", "quantity", "price")


def index(ctx: Context) -> Reply:
    """The list."""
    return listing.index(ctx, "products", resources.product)


def search(ctx: Context) -> Reply:
    """The search."""
    return search_rows(ctx, "products", resources.product)


def show(ctx: Context, number: str) -> Reply:
    """One product."""
    return Reply({"data": resources.product(ctx.find_or_crash("products", number))})


def store(ctx: Context) -> Reply:
    """Creates one."""
    rules.check(ctx.body, attributes.rules_for(ctx, "products", ctx.body, own=None))
    row = ctx.state.insert("products", ctx.body)
    attributes.save(ctx, "products", row["id"], ctx.body)
    sent = {name: ctx.body.get(name) for name in _COLUMNS}
    return Reply({"data": resources.product(row, sent), "message": "Product created successfully."})


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent."""
    rules.check(ctx.body, attributes.rules_for(ctx, "products", ctx.body, own=int(number)))
    row = ctx.find("products", number)
    ctx.state.update("products", row, ctx.body)
    attributes.save(ctx, "products", row["id"], ctx.body)
    sent = {name: ctx.body[name] for name in _COLUMNS if name in ctx.body}
    return Reply({"data": resources.product(row, sent), "message": "Product updated successfully."})


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one, also from the leads it is on."""
    return ctx.delete("products", ctx.find_or_crash("products", number), "Product")
