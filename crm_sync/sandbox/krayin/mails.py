"""E-mails: drafts and sent ones, on a lead or a person (99). Nothing is really sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply, number_of
from crm_sync.sandbox.krayin.sql import Row

_PLAIN = ("subject", "name", "reply", "reply_to", "cc", "bcc")


def index(ctx: Context) -> Reply:
    """The list (99, 99c)."""
    return listing.index(ctx, "emails", lambda row: resources.mail(ctx.state, row))


def show(ctx: Context, number: str) -> Reply:
    """One e-mail."""
    return Reply({"data": resources.mail(ctx.state, ctx.find_or_crash("emails", number))})


def store(ctx: Context) -> Reply:
    """Creates a draft (99b); without ``is_draft`` it leaves for ``reply_to`` at once.

    The answer still has it in the outbox, where the database has it among the sent ones.
    """
    sent = ctx.body
    rules.check(sent, {"reply_to": [rules.required], "reply_to.*": [rules.email], "reply": [rules.required]})
    row = ctx.state.insert("emails", _columns(ctx, sent))
    name = f"{int(ctx.state.clock().timestamp())}@webkul.com"
    own = {"unique_id": name, "message_id": name, "reference_ids": [name]}
    ctx.state["emails"].write(row, own)
    draft = bool(number_of(sent, "is_draft"))
    if not draft:
        ctx.state.mails_sent.append({"mail": row["id"], "to": sent["reply_to"]})
    echoed = {each: sent.get(each) for each in _PLAIN} | {"is_read": None}
    echoed["folders"] = ["draft"] if draft else ["outbox"]
    message = ctx.flavour.draft_saved if draft else "Email created successfully."
    return Reply({"data": resources.mail(ctx.state, row, echoed), "message": message})


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent."""
    row = ctx.find("emails", number)
    known = {name: ctx.body[name] for name in (*_PLAIN, "is_read", "folders") if name in ctx.body}
    links = {name: number_of(ctx.body, name) for name in ("lead_id", "person_id") if name in ctx.body}
    ctx.state.update("emails", row, known | links)
    return Reply({"data": resources.mail(ctx.state, row), "message": "Email updated successfully."})


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one."""
    return ctx.delete("emails", ctx.find_or_crash("emails", number), "Email")


def _columns(ctx: Context, sent: Mapping[str, Any]) -> Row:
    draft = bool(number_of(sent, "is_draft"))
    return {
        **{name: sent.get(name) for name in _PLAIN},
        "source": "web",
        "user_type": "admin",
        "from": "laravel@krayincrm.com",
        "folders": ["draft"] if draft else ["inbox", "sent"],
        "lead_id": number_of(sent, "lead_id"),
        "person_id": number_of(sent, "person_id"),
        "parent_id": number_of(ctx.body, "parent_id"),
    }
