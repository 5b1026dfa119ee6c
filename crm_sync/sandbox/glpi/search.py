"""``/search/Itemtype``: criteria to rows, rows to columns, columns to a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crm_sync.sandbox.glpi.criteria import Compiler, Plan
from crm_sync.sandbox.glpi.errors import right_missing
from crm_sync.sandbox.glpi.fields import ENTITY, Field, field_of
from crm_sync.sandbox.glpi.kinds import Context
from crm_sync.sandbox.glpi.paging import exceeded, page_of
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.state import Table
from crm_sync.sandbox.glpi.text import fold

#: Columns of a search that asks for none, by type (a fresh installation's display preferences).
_PREFERRED: dict[str, tuple[int, ...]] = {
    "Ticket": (12, 19, 15, 3, 4, 5, 7),
    "User": (34, 5, 6, 3, 8),
    "Contact": (3, 4, 5, 6, 9),
    "QueuedWebhook": (22, 20, 21, 7, 30, 16),
}


def search(ctx: Context, itemtype: str, params: Mapping[str, Any]) -> tuple[int, Row, dict[str, str]]:
    """Status, body and headers of a search call."""
    if not ctx.rights.sees_type(itemtype):
        raise right_missing()
    table = ctx.state[itemtype]
    plan = Compiler(ctx.state, ctx.session, itemtype).plan(params.get("criteria"))
    numbers, orders = _sorting(ctx, params)
    page = page_of(params, default_end=19)
    rows = _found(ctx, table, plan, binned=_truthy(params.get("is_deleted")))
    total = len(rows)
    if page.start > total:
        raise exceeded(total)
    _sort(ctx, itemtype, rows, numbers, orders)
    shown = rows[page.start : page.end + 1]
    body = _body(ctx, itemtype, plan, params, shown)
    span = f"{page.start}-{page.start + len(shown) - 1}/{total}"
    answer: Row = {"totalcount": total, "count": len(shown), "sort": numbers, "order": orders}
    if shown:
        answer["data"] = body
    answer["content-range"] = span
    headers = {"Accept-Range": f"{itemtype} 1000"}
    if total:
        headers["Content-Range"] = span
    return (206 if len(shown) < total else 200), answer, headers


def _truthy(value: Any) -> bool:
    return value in (True, 1, "1")


def _found(ctx: Context, table: Table, plan: Plan, *, binned: bool) -> list[Row]:
    ids = plan.ids()
    candidates: Iterable[Row]
    if ids is None:
        candidates = table.all()
    else:
        candidates = (table.rows[number] for number in sorted(set(ids)) if number in table.rows)
    wanted = 1 if binned else 0
    if "is_deleted" in table.columns:
        candidates = (row for row in candidates if row["is_deleted"] == wanted)
    elif binned:
        candidates = ()
    if not ctx.rights.sees_all(table.name):
        candidates = (row for row in candidates if ctx.rights.sees(table.name, row))
    return [row for row in candidates if plan.test(row)] if plan.alternatives else list(candidates)


def _sorting(ctx: Context, params: Mapping[str, Any]) -> tuple[list[int], list[str]]:
    given = params.get("sort", ctx.state.flavour.default_sort)
    values = (
        list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else [given]
    )
    numbers = [int(value) if str(value).isdigit() else ctx.state.flavour.default_sort for value in values]
    given = params.get("order", "ASC")
    orders = (
        list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else [given]
    )
    found = ["DESC" if str(order).upper() == "DESC" else "ASC" for order in orders]
    found += ["ASC"] * (len(numbers) - len(found))
    return numbers, found[: len(numbers)]


def _sort(ctx: Context, itemtype: str, rows: list[Row], numbers: list[int], orders: list[str]) -> None:
    table = ctx.state[itemtype]
    for number, order in reversed(list(zip(numbers, orders, strict=True))):
        found = field_of(ctx.state.flavour, itemtype, table.columns, number)
        if found is None:
            continue
        rows.sort(key=_sort_key(ctx, table, found), reverse=order == "DESC")


def _sort_key(ctx: Context, table: Table, found: Field) -> Any:
    if found.join is None and table.kinds.get(found.column) in ("string", "long"):
        folds = table.folds(found.column)
        return lambda row: folds[row["id"]] or ""
    if found.join is None:
        column = found.column
        return lambda row: (row[column] is not None, row[column] or 0 if row[column] is not None else 0)

    def joined_key(row: Row) -> tuple[bool, str, float]:
        first = next((value for value in found.values(ctx.state, row) if value is not None), None)
        number = float(first) if isinstance(first, int) else 0.0
        return first is not None, fold(str(first or "")), number

    return joined_key


def _body(ctx: Context, itemtype: str, plan: Plan, params: Mapping[str, Any], rows: list[Row]) -> Any:
    shown = _columns(ctx, itemtype, plan, params)
    narrowed = plan.narrowed()
    by_uid = params.get("uid_cols") in (True, "true")
    built = [
        {field.uid if by_uid else str(field.number): _cell(ctx, field, row, narrowed) for field in shown}
        for row in rows
    ]
    if params.get("withindexes") in (True, "true"):
        return {str(row["id"]): cells for row, cells in zip(rows, built, strict=True)}
    return built


def _columns(ctx: Context, itemtype: str, plan: Plan, params: Mapping[str, Any]) -> list[Field]:
    flavour = ctx.state.flavour
    table = ctx.state[itemtype]
    always = flavour.shown_always.get(itemtype)
    if always is None:
        always = (2, 1, 80) if itemtype == "QueuedWebhook" else (1, 80)
    if len(ctx.session.entities) <= 1:
        always = tuple(number for number in always if number != ENTITY)
    given = params.get("forcedisplay")
    asked = list(given.values()) if isinstance(given, dict) else list(given or ())
    numbers = [int(value) for value in asked if str(value).isdigit()] or list(_PREFERRED.get(itemtype, ()))
    found: list[Field] = []
    for number in dict.fromkeys([*always, *numbers, *plan.fields]):
        field = field_of(flavour, itemtype, table.columns, number)
        if field is not None:
            found.append(field)
    return found


def _cell(ctx: Context, field: Field, row: Row, narrowed: Mapping[str, Any]) -> Any:
    if field.join is None:
        value = row[field.column]
        return ctx.session.local(value) if field.datatype == "datetime" else value
    rows = field.join.rows(ctx.state, row)
    for test in narrowed.get(field.join.name, ()):
        rows = [joined for joined in rows if test(joined)]
    if field.shows == "count":
        return len(rows)
    values = [field.value_of(joined) for joined in rows]
    if field.datatype == "datetime":
        values = [ctx.session.local(value) for value in values]
    if field.shows == "newest":
        return max((value for value in values if value is not None), default=None)
    if field.shows == "distinct":
        values = list(dict.fromkeys(values))
        if len(values) > 1:
            values = [value for value in values if value not in ("", None)]
    if not values:
        return None
    return values[0] if len(values) == 1 else values
