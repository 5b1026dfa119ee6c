"""Putting tags on leads and persons, and taking them off (97d-97f)."""

from __future__ import annotations

from crm_sync.sandbox.krayin import rules
from crm_sync.sandbox.krayin.context import Context, number_of
from crm_sync.sandbox.krayin.errors import Refused
from crm_sync.sandbox.krayin.sql import Row

_LINKS = {"leads": ("lead_tags", "lead_id"), "persons": ("person_tags", "person_id")}


def attach(ctx: Context, entity_type: str, number: str) -> None:
    """Puts the tag of the body on a record, once.

    Raises:
        Invalid: there is no such tag, and the generation looks.
        Crashed: there is none, and it does not; or there is no such record (97f).
        NotFound: there is no such record, on the newer generation.
    """
    if ctx.flavour.checks_pointers:
        known = rules.exists(lambda value: ctx.state.get("tags", value) is not None)
        rules.check(ctx.data, {"tag_id": [rules.required, known]})
    table, link = _link(ctx, entity_type, number)
    if not ctx.state[table].where(**link):
        ctx.state.insert(table, link)


def detach(ctx: Context, entity_type: str, number: str) -> None:
    """Takes the tag of the body off a record.

    Raises:
        Refused: it was not on it; only the newer generation says so.
    """
    table, link = _link(ctx, entity_type, number)
    found = ctx.state[table].where(**link)
    if not found and ctx.flavour.checks_pointers:
        raise Refused(404, "The tag is not attached to this record.")
    for row in found:
        ctx.state[table].remove(row)


def _link(ctx: Context, entity_type: str, number: str) -> tuple[str, Row]:
    table, column = _LINKS[entity_type]
    record = ctx.find_or_crash(entity_type, number)
    return table, {column: record["id"], "tag_id": number_of(ctx.data, "tag_id")}
