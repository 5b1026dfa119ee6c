"""Lists: filters by column, sorting and pages, as every index of the API has them (44-49, 59n, 73, 157-159).

A filter is ``IN`` over a real column, nothing else: no ranges, no likes, no columns of other tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from crm_sync.sandbox.krayin import sql
from crm_sync.sandbox.krayin.context import Context, Reply
from crm_sync.sandbox.krayin.errors import Crashed, Invalid
from crm_sync.sandbox.krayin.schema import columns_of
from crm_sync.sandbox.krayin.sql import Row

_RESERVED = {"page", "limit", "pagination", "sort", "order", "entity_type", "token"}
_PER_PAGE = 10
#: What Laravel takes for a page of 0 (157).
_MODEL_PER_PAGE = 15
#: Pages beside the present one, and how many there are before dots stand in for some.
_EACH_SIDE = 3
_ALL_PAGES_SHOWN = _EACH_SIDE * 2 + 8


def index(ctx: Context, table: str, resource: Callable[[Row], Any]) -> Reply:
    """The answer of a list.

    Raises:
        Crashed: a column the older generation does not know, or a parameter that is an array (47, 73g, 73h, 81d).
        Invalid: a sort the newer generation does not know (73g).
    """
    rows = sorted(_filtered(ctx, table), key=lambda row: row["id"])
    sort, order = _order(ctx, table)
    rows.sort(key=lambda row: sql.sort_key(row, sort), reverse=order == "desc")
    if "pagination" in ctx.query and str(ctx.query["pagination"]) in ("0", ""):
        return Reply({"data": [resource(row) for row in rows]})
    page = Page.of(ctx, rows)
    return Reply({"data": [resource(row) for row in page.rows], "links": page.links(), "meta": page.meta()})


def _filtered(ctx: Context, table: str) -> list[Row]:
    rows = list(ctx.state[table].rows.values())
    known = columns_of(table)
    for name, value in ctx.query.items():
        if name in _RESERVED:
            continue
        if name not in known:
            if ctx.flavour.unknown_column_crashes:
                raise Crashed
            continue
        if isinstance(value, (list, dict)):
            raise Crashed
        wanted = ["" if value is None else each for each in str(value).split(",")]
        if not ctx.flavour.unknown_column_crashes:
            wanted = [each.strip() for each in wanted]
        rows = [row for row in rows if any(sql.equals(row[name], each) for each in wanted)]
    return rows


def _order(ctx: Context, table: str) -> tuple[str, str]:
    sort, order = ctx.query.get("sort"), str(ctx.query.get("order") or "desc").lower()
    if not sort:
        return "id", "desc"
    if sort not in columns_of(table):
        if ctx.flavour.unknown_column_crashes:
            raise Crashed
        raise Invalid({"sort": ["The selected sort is invalid."]})
    if order not in ("asc", "desc"):
        if ctx.flavour.unknown_column_crashes:
            raise Crashed
        order = "desc"
    return str(sort), order


@dataclass(frozen=True)
class Page:
    """One page of rows and where it stands among the others."""

    rows: Sequence[Row]
    number: int
    size: int
    total: int
    url: str

    @classmethod
    def of(cls, ctx: Context, rows: Sequence[Row]) -> Page:
        """The page that was asked for; a page that is no number is the first."""
        try:
            size = int(ctx.query["limit"]) if ctx.query.get("limit") is not None else _PER_PAGE
        except (TypeError, ValueError):
            raise Crashed from None
        size = size if size > 0 else _MODEL_PER_PAGE
        asked = str(ctx.query.get("page") or "1")
        number = max(int(asked), 1) if asked.isdigit() else 1
        start = (number - 1) * size
        return cls(rows[start : start + size], number, size, len(rows), ctx.url)

    @property
    def last(self) -> int:
        """The number of the last page; there always is one."""
        return max(ceil(self.total / self.size), 1)

    def numbers(self) -> dict[str, Any]:
        """Where the page stands."""
        first = (self.number - 1) * self.size + 1 if self.rows else None
        return {
            "current_page": self.number,
            "from": first,
            "last_page": self.last,
            "per_page": self.size,
            "to": None if first is None else first + len(self.rows) - 1,
            "total": self.total,
        }

    def meta(self) -> dict[str, Any]:
        """``meta`` of the answer."""
        shown: list[dict[str, Any]] = [
            {"url": self._url(self._before()), "label": "&laquo; Previous", "active": False}
        ]
        for number in self._window():
            active = number == self.number
            shown.append({"url": self._url(number), "label": str(number or "..."), "active": active})
        shown.append({"url": self._url(self._after()), "label": "Next &raquo;", "active": False})
        return {**self.numbers(), "links": shown, "path": self.url}

    def links(self) -> Mapping[str, str | None]:
        """``links`` of the answer; they forget every parameter but the page."""
        return {
            "first": self._url(1),
            "last": self._url(self.last),
            "prev": self._url(self._before()),
            "next": self._url(self._after()),
        }

    def _before(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    def _after(self) -> int | None:
        return self.number + 1 if self.number < self.last else None

    def _url(self, number: int | None) -> str | None:
        return None if number is None else f"{self.url}?page={number}"

    def _window(self) -> list[int | None]:
        """The pages that have a link; None for the dots between them."""
        if self.last < _ALL_PAGES_SHOWN:
            return list(range(1, self.last + 1))
        edge = _EACH_SIDE + 4
        start, end = [1, 2], [self.last - 1, self.last]
        if self.number <= edge:
            return [*range(1, edge + _EACH_SIDE + 1), None, *end]
        if self.number > self.last - edge:
            return [*start, None, *range(self.last - edge - _EACH_SIDE + 1, self.last + 1)]
        middle = range(self.number - _EACH_SIDE, self.number + _EACH_SIDE + 1)
        return [*start, None, *middle, None, *end]
