"""Reading and writing items: ``/Itemtype``, ``/Itemtype/:id`` and their sub-items.

Guarantees: bulk writes answer row by row in the order of the input, with the statuses and shapes of the
recordings (201/200, 207 with an error array, 400); nothing a session may not touch is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crm_sync.sandbox.glpi.errors import (
    NOT_ALLOWED,
    ApiError,
    Refused,
    bad_array,
    not_found,
    plain,
    right_missing,
)
from crm_sync.sandbox.glpi.followups import legacy_row
from crm_sync.sandbox.glpi.kinds import Context
from crm_sync.sandbox.glpi.paging import LIST_LIMIT, exceeded, page_of
from crm_sync.sandbox.glpi.registry import real_type
from crm_sync.sandbox.glpi.render import Wishes, legacy_links, shown
from crm_sync.sandbox.glpi.schema import LEGACY_FOLLOWUP, POLYMORPHIC, Row, parent_column, table_name
from crm_sync.sandbox.glpi.text import Pattern, fold

Answer = tuple[int, Any, dict[str, str]]


def get_row(ctx: Context, itemtype: str, number: int) -> Row:
    """One row the session may read; 404 when it is missing, 403 when it is hidden."""
    row = ctx.state[real_type(itemtype)].rows.get(number)
    if row is None:
        raise not_found()
    if not ctx.rights.sees(real_type(itemtype), row):
        raise right_missing()
    return row


def present(ctx: Context, itemtype: str, row: Row, wishes: Wishes) -> Row:
    """A row as its type shows it."""
    if itemtype != LEGACY_FOLLOWUP:
        return shown(ctx, itemtype, row, wishes)
    found = legacy_row(shown(ctx, "ITILFollowup", row, Wishes(links=False)))
    if wishes.links:
        found["links"] = legacy_links(ctx, row)
    return found


def get_list(
    ctx: Context, itemtype: str, params: Mapping[str, Any], parent: tuple[str, int] | None = None
) -> Answer:
    """A page of a type's rows, or of a parent's sub-items."""
    real = real_type(itemtype)
    if parent is not None:
        get_row(ctx, *parent)
    if not ctx.rights.sees_type(real):
        raise right_missing()
    rows = _rows(ctx, real, params, parent)
    total = len(rows)
    page = page_of(params, default_end=LIST_LIMIT - 1)
    if page.start > total:
        raise exceeded(total)
    _sort(ctx, real, rows, params)
    found = rows[page.start : page.end + 1]
    if params.get("only_id") is True:
        body = [{"id": row["id"]} for row in found]
    else:
        wishes = Wishes.of(params)
        body = [present(ctx, itemtype, row, wishes) for row in found]
    headers = {"Accept-Range": f"{itemtype} 1000"}
    if total:
        # Without a range the header promises one row more than there is.
        end = page.end if page.given else LIST_LIMIT
        headers["Content-Range"] = f"{page.start}-{min(end, total - 1)}/{total}"
    return (206 if len(found) < total else 200), body, headers


def _rows(
    ctx: Context, itemtype: str, params: Mapping[str, Any], parent: tuple[str, int] | None
) -> list[Row]:
    table = ctx.state[itemtype]
    candidates: Iterable[Row]
    if parent is None:
        candidates = table.all()
    elif itemtype in POLYMORPHIC:
        kind = real_type(parent[0])
        candidates = (row for row in table.where("items_id", parent[1]) if row["itemtype"] == kind)
    else:
        column = parent_column(parent[0], itemtype)
        if column is None or column not in table.columns:
            raise plain(f"{itemtype} is not a sub-item of {parent[0]}")
        candidates = table.where(column, parent[1])
    filters = params.get("searchText")
    if isinstance(filters, dict):
        candidates = _matching(ctx, itemtype, filters, candidates, narrow=parent is None)
    if "is_deleted" in table.columns:
        wanted = 1 if params.get("is_deleted") in (True, 1, "1") else 0
        candidates = (row for row in candidates if row["is_deleted"] == wanted)
    if ctx.rights.sees_all(itemtype):
        return list(candidates)
    return [row for row in candidates if ctx.rights.sees(itemtype, row)]


def _matching(
    ctx: Context, itemtype: str, filters: Mapping[str, Any], rows: Iterable[Row], *, narrow: bool
) -> Iterable[Row]:
    table = ctx.state[itemtype]
    for column, value in filters.items():
        if column not in table.columns:
            text = f"Field {column} is not valid for {itemtype} item."
            raise ApiError(400, "ERROR_FIELD_NOT_FOUND", text, documented=True)
        pattern = Pattern(ctx.state.flavour.stored(str(value)))
        if pattern.exact is not None:
            ids = table.alike(column, pattern.exact)
        else:
            ids = sorted(pattern.found_in(table.folds(column)))
        if narrow:
            rows, narrow = [table.rows[number] for number in ids], False
        else:
            known = set(ids)
            rows = [row for row in rows if row["id"] in known]
    return rows


def _sort(ctx: Context, itemtype: str, rows: list[Row], params: Mapping[str, Any]) -> None:
    column = str(params.get("sort", "id"))
    table = ctx.state[itemtype]
    if column not in table.columns:
        raise plain(f"sort param is not a field of {table_name(itemtype)}")
    downwards = str(params.get("order", "ASC")).upper() == "DESC"
    if column == "id":
        if downwards:
            rows.reverse()
        return
    rows.sort(key=lambda row: (row[column] is not None, _comparable(row[column])), reverse=downwards)


def _comparable(value: Any) -> Any:
    return fold(value) if isinstance(value, str) else value or 0


def _inputs(params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    given = params.get("input")
    if isinstance(given, dict):
        return [given], False
    if isinstance(given, list) and all(isinstance(entry, dict) for entry in given):
        return given, True
    raise bad_array()


def create(ctx: Context, itemtype: str, params: Mapping[str, Any], uploads: list[Row]) -> Answer:
    """POST: adds one row or several."""
    inputs, several = _inputs(params)
    results: list[Row] = []
    failed = 0
    for position, values in enumerate(inputs):
        result = _create_one(ctx, itemtype, values)
        failed += result["id"] is False
        if uploads and position == 0:
            result["upload_result"] = {"filename": uploads}
        results.append(result)
    headers: dict[str, str] = {}
    if not several:
        if failed:
            raise ApiError(400, "ERROR_GLPI_ADD", results[0]["message"])
        headers["location"] = f"{ctx.link_base}/{itemtype}/{results[0]['id']}"
        return 201, results[0], headers
    return _verdict(201, "ADD", results, failed, len(inputs)), results, headers


def _create_one(ctx: Context, itemtype: str, values: dict[str, Any]) -> Row:
    real = real_type(itemtype)
    if itemtype == LEGACY_FOLLOWUP:
        values = {**values, "itemtype": "Ticket", "items_id": values.get("tickets_id")}
    values = _numbered(values)
    if not ctx.rights.may_create(real, values):
        return {"id": False, "message": NOT_ALLOWED}
    kind = ctx.kind(real)
    try:
        row = kind.add(ctx, values)
    except Refused as refusal:
        return {"id": False, "message": refusal.message}
    title = ctx.state.flavour.message(kind.title(ctx, row)) if kind.announces else ""
    return {"id": row["id"], "message": f"Item successfully added: {title}" if title else ""}


def _numbered(values: dict[str, Any]) -> dict[str, Any]:
    """Ids that come as text are numbers (case ``ticket-create-integer-as-string``)."""
    return {
        name: int(value)
        if isinstance(value, str) and value.isdigit() and (name.endswith("s_id") or name == "id")
        else value
        for name, value in values.items()
    }


def update(ctx: Context, itemtype: str, number: int | None, params: Mapping[str, Any]) -> Answer:
    """PUT: changes one row or several; a missing row leaves no trace in the answer."""
    inputs, several = _inputs(params)
    if not several and number is not None:
        inputs = [{"id": number, **inputs[0]}]
    results: list[Row] = []
    failed = 0
    message: str | None = None
    for values in inputs:
        if "id" not in values:
            results.append({})
            continue
        result, message, good = _update_one(ctx, itemtype, _numbered(values))
        failed += not good
        if result is not None:
            results.append(result)
    if not several:
        if failed:
            raise ApiError(400, "ERROR_GLPI_UPDATE", message)
        return 200, results, {}
    return _verdict(200, "UPDATE", results, failed, len(inputs)), results, {}


def _update_one(ctx: Context, itemtype: str, values: dict[str, Any]) -> tuple[Row | None, str | None, bool]:
    real = real_type(itemtype)
    row = ctx.state[real].rows.get(values["id"])
    if row is None:
        return None, None, False
    if not ctx.rights.may_update(real, row):
        return {str(row["id"]): False, "message": NOT_ALLOWED}, NOT_ALLOWED, False
    try:
        ctx.kind(real).update(ctx, row, values)
    except Refused as refusal:
        return {str(row["id"]): False, "message": refusal.message}, refusal.message, False
    return {str(row["id"]): True, "message": ""}, "", True


def delete(ctx: Context, itemtype: str, number: int | None, params: Mapping[str, Any]) -> Answer:
    """DELETE: to the bin, or for good with ``force_purge``."""
    if number is not None:
        inputs, several = [{"id": number}], False
    else:
        inputs, several = _inputs(params)
    # As PHP has it: other clients send numbers for a yes and a no.
    purge = params.get("force_purge") not in {None, False, "", "0"}
    results: list[Row] = []
    failed = 0
    for values in inputs:
        result, good = _delete_one(ctx, itemtype, _numbered(values), purge=purge)
        failed += not good
        results.append(result)
    if not several:
        if failed:
            raise ApiError(400, "ERROR_GLPI_DELETE", results[0]["message"])
        return 200, results, {}
    return _verdict(200, "DELETE", results, failed, len(inputs)), results, {}


def _delete_one(ctx: Context, itemtype: str, values: dict[str, Any], *, purge: bool) -> tuple[Row, bool]:
    real = real_type(itemtype)
    table = ctx.state[real]
    number = values.get("id")
    row = table.rows.get(number) if isinstance(number, int) else None
    if row is None:
        return {str(number): False, "message": "Item not found"}, False
    purge = purge or "is_deleted" not in table.columns
    if not ctx.rights.may_delete(real, row, purge=purge):
        return {str(number): False, "message": NOT_ALLOWED}, False
    ctx.kind(real).delete(ctx, row, purge=purge)
    return {str(number): True, "message": ""}, True


def _verdict(good: int, verb: str, results: list[Row], failed: int, asked: int) -> int:
    if failed == asked:
        raise ApiError(400, f"ERROR_GLPI_{verb}", results)
    if failed:
        raise ApiError(207, f"ERROR_GLPI_PARTIAL_{verb}", results)
    return good
