"""Rows as the API shows them: links, names instead of ids, decoded text, the session's zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

from crm_sync.sandbox.glpi.documents import attached
from crm_sync.sandbox.glpi.kinds import Context
from crm_sync.sandbox.glpi.schema import DOCUMENTED, LEGACY_FOLLOWUP, Row, foreign_type
from crm_sync.sandbox.glpi.state import SERVER_UTC_OFFSET, moment

_HIDDEN = {"Webhook": ("secret",)}


@dataclass(frozen=True)
class Wishes:
    """The parameters of a GET that change how rows look."""

    links: bool = True
    expand: bool = False
    documents: bool = False
    logs: bool = False
    key_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Wishes:
        """Reads them from the call."""
        names = params.get("add_keys_names")
        return cls(
            links=params.get("get_hateoas", True) is not False,
            expand=params.get("expand_dropdowns") is True,
            documents=params.get("with_documents") is True,
            logs=params.get("with_logs") is True,
            key_names=tuple(map(str, names.values())) if isinstance(names, dict) else (),
        )


def shown(ctx: Context, itemtype: str, row: Row, wishes: Wishes) -> Row:
    """A copy of a row, ready to be sent."""
    found = dict(row)
    for name in _HIDDEN.get(itemtype, ()):
        found.pop(name, None)
    if ctx.session.shift:
        for column in ctx.state[itemtype].date_columns:
            found[column] = ctx.session.local(found[column])
    if ctx.raw_text:
        read = ctx.state.flavour.read
        for name, value in found.items():
            if isinstance(value, str):
                found[name] = read(value)
    _add_wishes(ctx, itemtype, found, row, wishes)
    return found


def _add_wishes(ctx: Context, itemtype: str, found: Row, row: Row, wishes: Wishes) -> None:
    if wishes.expand:
        _expand(ctx, found, row)
    if wishes.documents and itemtype == "Ticket":
        plain_wishes = Wishes(links=False)
        found["_documents"] = [shown(ctx, "Document", d, plain_wishes) for d in attached(ctx.state, row)]
    if wishes.logs:
        found["_logs"] = _logs(ctx, itemtype, row)
    if wishes.key_names:
        found["_keys_names"] = {name: _key_name(ctx, itemtype, name, row) for name in wishes.key_names}
    if wishes.links:
        links = _links(ctx, itemtype, row)
        if links:
            found["links"] = links


def last_modified(row: Row) -> str | None:
    """``date_mod`` as the header shows it: the true GMT time whatever the session's zone."""
    if not row.get("date_mod"):
        return None
    return format_datetime(moment(row["date_mod"]) - SERVER_UTC_OFFSET).replace("-0000", "GMT")


def legacy_links(ctx: Context, row: Row) -> list[Row]:
    """The links of a followup read through the 9.3 type: they name the new one."""
    return _links(ctx, "ITILFollowup", row)


def _links(ctx: Context, itemtype: str, row: Row) -> list[Row]:
    base = ctx.link_base
    found: list[Row] = []
    for column, value in row.items():
        target = row.get("itemtype") if column == "items_id" else foreign_type(column)
        if not isinstance(value, int) or not target or target == LEGACY_FOLLOWUP:
            continue
        if value > 0 or (value == 0 and column == "entities_id"):
            found.append({"rel": target, "href": f"{base}/{target}/{value}"})
    own = f"{base}/{itemtype}/{row['id']}"
    if itemtype in DOCUMENTED:
        found.append({"rel": "Document_Item", "href": f"{own}/Document_Item/"})
    if itemtype == "Ticket":
        found += [
            {"rel": child, "href": f"{own}/{child}/"}
            for child in ctx.state.flavour.stock["ticket_sub_items"]
            if child != "Document_Item"
        ]
    return found


#: Columns that GLPI takes for references by their names, and that refer to no type: it empties what it has no name for.
_NAMELESS = frozenset({"sourceitems_id", "sourceof_items_id"})


def _expand(ctx: Context, found: Row, row: Row) -> None:
    for column, value in row.items():
        if column in _NAMELESS and value:
            found[column] = ""
        target = foreign_type(column)
        if target is None or not isinstance(value, int) or (not value and column != "entities_id"):
            continue
        other = ctx.state.get(target, value)
        if other is not None:
            name = ctx.kind(target).name(ctx, other)
            found[column] = name if ctx.raw_text else ctx.state.flavour.stored(name)


def _key_name(ctx: Context, itemtype: str, column: str, row: Row) -> str:
    target = itemtype if column == "id" else foreign_type(column)
    other = ctx.state.get(target or "", row.get(column))
    return ctx.kind(target).name(ctx, other) if target and other is not None else ""


def _logs(ctx: Context, itemtype: str, row: Row) -> Row:
    """The history holds the creation of the item only; other changes are not kept."""
    writer = ctx.state.get("User", row.get("users_id_recipient") or row.get("users_id") or 2)
    entry = {
        "id": row["id"],
        "itemtype": itemtype,
        "items_id": row["id"],
        "itemtype_link": "0",
        "linked_action": 20,
        "user_name": f"{writer['name']} ({writer['id']})" if writer else "",
        "date_mod": ctx.session.local(row.get("date_creation")),
        "id_search_option": 0,
        "old_value": "",
        "new_value": "",
    }
    return {str(row["id"]): entry}
