"""Persons: who must have what, what a body leaves out, and what stays behind a crash (30-59, 131, 163, 169).

Two habits matter most to a client: an update empties the owner it was not told (163), and a phone without a label
crashes the server after the row was written (32), so that a second try finds its own traces (32b).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import attributes, journal, listing, organizations, resources, rules, tags
from crm_sync.sandbox.krayin.attributes import first_value
from crm_sync.sandbox.krayin.context import Context, Reply, message_reply, number_of
from crm_sync.sandbox.krayin.errors import Crashed, NotFound
from crm_sync.sandbox.krayin.search import search as search_rows
from crm_sync.sandbox.krayin.sql import Row

_PLAIN = ("name", "emails", "job_title")


def index(ctx: Context) -> Reply:
    """The list."""
    return listing.index(ctx, "persons", lambda row: resources.person(ctx.state, row))


def search(ctx: Context) -> Reply:
    """The search (51-55)."""
    return search_rows(ctx, "persons", lambda row: resources.person(ctx.state, row))


def show(ctx: Context, number: str) -> Reply:
    """One person (57, 58)."""
    return Reply({"data": resources.person(ctx.state, ctx.find_or_crash("persons", number))})


def store(ctx: Context) -> Reply:
    """Creates one."""
    rules.check(ctx.body, attributes.rules_for(ctx, "persons", ctx.body, own=None))
    wanted = _readable(ctx)
    ctx.leave_a_gap()
    row = create(ctx, wanted)
    ctx.fire("contacts.person.create.after", "persons", row)
    sent = {"name": ctx.body.get("name"), "job_title": ctx.body.get("job_title")}
    body = {"data": resources.person(ctx.state, row, sent), "message": "Person created successfully."}
    return Reply(body)


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent, and empties the owner that was not (59b, 163).

    The answer still shows the organisation of before (59h, 59i).
    """
    own = int(number)
    rules.check(ctx.body, attributes.rules_for(ctx, "persons", ctx.body, own=own))
    wanted = _readable(ctx)
    values = _columns(ctx, wanted)
    row = ctx.find("persons", number)
    before = row["organization_id"]
    old = ctx.state.update("persons", row, {"user_id": None, **values})
    journal.columns(ctx, "persons", own, row, old)
    attributes.save(ctx, "persons", own, {**wanted, **_ids(values)})
    ctx.fire("contacts.person.update.after", "persons", row)
    sent: Row = {name: ctx.body[name] for name in ("name", "job_title") if name in ctx.body}
    shown = resources.person(ctx.state, row, sent, organization_id=before)
    return Reply({"data": shown, "message": "Person updated successfully."})


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one without leads; the older generation says it did so even when it could not (59k, 79d)."""
    row = ctx.find_or_crash("persons", number)
    ctx.fire("contacts.person.delete.before", "persons", row)
    journal.forget(ctx, "persons", row["id"])
    return ctx.delete("persons", row, "Person")


def attach_tag(ctx: Context, number: str) -> Reply:
    """Puts a tag on a person (97e)."""
    tags.attach(ctx, "persons", number)
    return message_reply("Tag attached successfully.", wrapped=False)


def detach_tag(ctx: Context, number: str) -> Reply:
    """Takes a tag off a person."""
    tags.detach(ctx, "persons", number)
    return message_reply("Tag detached successfully.", wrapped=False)


def activities(ctx: Context, number: str) -> Reply:
    """A person's activities, newest first, those of the system among them (91)."""
    links = ctx.state["person_activities"].where(person_id=int(number))
    rows = [ctx.find("activities", link["activity_id"]) for link in links]
    rows.sort(key=lambda row: -row["id"])
    return Reply({"data": [resources.activity(ctx.state, row) for row in rows]})


def create(ctx: Context, sent: Mapping[str, Any]) -> Row:
    """A new person from a body of its own or from a lead's (70c).

    Raises:
        Crashed: no e-mails at all (35, 70h), or a phone without a label, when the row is already there (32).
    """
    if not isinstance(sent.get("emails"), list):
        raise Crashed
    values = _columns(ctx, sent)
    row = ctx.state.insert("persons", values)
    journal.created(ctx, "persons", row["id"])
    attributes.save(ctx, "persons", row["id"], {**sent, **_ids(values)})
    return row


def find_or_create(ctx: Context, sent: Mapping[str, Any]) -> Row:
    """The person a lead's body means: the one of that id, whatever else it says of it (70f), or a new one.

    Raises:
        NotFound: nobody has that id (70g).
    """
    if not sent.get("id"):
        return create(ctx, sent)
    row = ctx.state.get("persons", sent["id"])
    if row is None:
        raise NotFound
    return row


def _columns(ctx: Context, sent: Mapping[str, Any]) -> Row:
    """The columns a body means, with the key the database holds unique; an unknown organisation is made."""
    found = {name: sent[name] for name in _PLAIN if name in sent}
    if "user_id" in sent:
        found["user_id"] = number_of(sent, "user_id")
    if "organization_id" in sent:
        found["organization_id"] = number_of(sent, "organization_id")
    parts = [found.get("user_id"), found.get("organization_id"), first_value(sent.get("emails"))]
    unique = "|".join(str(part) for part in parts if part)
    if sent.get("contact_numbers") is not None:
        phones = attributes.without_nulls(sent["contact_numbers"])
        if not phones:
            raise Crashed
        unique += f"|{first_value(phones) or ''}"
        found["contact_numbers"] = phones
    elif "contact_numbers" in sent:
        found["contact_numbers"] = None
    found["unique_id"] = unique
    if sent.get("organization_name"):
        found["organization_id"] = organizations.named(ctx, str(sent["organization_name"]))["id"]
    return found


def _ids(values: Row) -> Row:
    return {name: values[name] for name in ("user_id", "organization_id") if name in values}


def _readable(ctx: Context) -> Row:
    """A body sent to persons, with its phones as the server can read them.

    The older generation reads the first phone, whatever was sent (33, 34, 34b, 34e, 59). The newer forgets a list
    without a number, so that an update with one keeps the phones there are. A lead's person has neither (70e).
    """
    sent = ctx.body
    phones = sent.get("contact_numbers")
    numbers = attributes.without_nulls(phones) if isinstance(phones, list) else []
    if not ctx.flavour.needs_phone:
        kept = {name: value for name, value in sent.items() if name != "contact_numbers"}
        return {**kept, "contact_numbers": numbers} if numbers else kept
    if first_value(numbers) is None:
        raise Crashed
    return sent
