"""Search criteria: from the numbered query parameters to a test of rows.

Guarantees: what the recordings found and did not find, this finds and does not; rubbish in a date matches
everything, an unknown field is an error, an unknown search type acts like ``contains``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any

from crm_sync.sandbox.glpi.errors import plain
from crm_sync.sandbox.glpi.fields import Field, Join, field_of, searched_texts
from crm_sync.sandbox.glpi.rights import ASSIGNED, OBSERVER, REQUESTER
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.session import Session, sons
from crm_sync.sandbox.glpi.state import DATETIME_FORMAT, SERVER_UTC_OFFSET, State, Table
from crm_sync.sandbox.glpi.text import Pattern, fold

Test = Callable[[Row], bool]

_NUMERIC = {"number", "count", "integer", "decimal", "timestamp", "bool"}
_COMPARISON = re.compile(r"^\s*(&lt;|&gt;|&#60;|&#62;|[<>])(=?)\s*(-?\d+(?:\.\d+)?)")
_COMPARE = {(True, False): gt, (True, True): ge, (False, False): lt, (False, True): le}
_DATE = re.compile(r"^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?")
_RELATIVE = re.compile(r"^(-?)(\d+)(MINUTE|HOUR|DAY|WEEK|MONTH|YEAR)$")
_DAYS = {"DAY": 1, "WEEK": 7, "MONTH": 30, "YEAR": 365}
_STATUS_WORDS = {
    "process": {2, 3},
    "notold": {1, 2, 3, 4},
    "old": {5, 6},
    "notclosed": {1, 2, 3, 4, 5},
}
_STATUS = 12
_LEVELS = (3, 10, 11)
_ROLES = {4: REQUESTER, 5: ASSIGNED, 66: OBSERVER}


@dataclass
class Criterion:
    """One test. ``ids`` are all rows it can match, where an index knows them."""

    test: Test
    ids: Sequence[int] | None = None
    #: Name of the join whose shown rows it narrows, and the test of a joined row.
    narrows: tuple[str, Test] | None = None


@dataclass
class Plan:
    """All criteria of a search: alternatives of conjunctions, as SQL reads AND before OR."""

    alternatives: list[list[Criterion]] = field(default_factory=list)
    #: Fields the criteria name: a search shows them without being asked.
    fields: list[int] = field(default_factory=list)

    def test(self, row: Row) -> bool:
        """Whether a row is found."""
        if not self.alternatives:
            return True
        return any(all(criterion.test(row) for criterion in group) for group in self.alternatives)

    def ids(self) -> Sequence[int] | None:
        """A superset of the ids found, or None for all."""
        if len(self.alternatives) != 1:
            return None
        known = [criterion.ids for criterion in self.alternatives[0] if criterion.ids is not None]
        return min(known, key=len) if known else None

    def narrowed(self) -> dict[str, list[Test]]:
        """Join name → what its shown rows must pass."""
        found: dict[str, list[Test]] = {}
        if len(self.alternatives) == 1:
            for criterion in self.alternatives[0]:
                if criterion.narrows:
                    found.setdefault(criterion.narrows[0], []).append(criterion.narrows[1])
        return found


class Compiler:
    """Turns the criteria of one call into a plan."""

    def __init__(self, state: State, session: Session, itemtype: str) -> None:
        self._state = state
        self._session = session
        self._itemtype = itemtype
        self._table: Table = state[itemtype]

    def plan(self, criteria: Any) -> Plan:
        """The plan of a ``criteria`` parameter; ApiError for a field the type has not."""
        plan = Plan(fields=_fields_in(criteria))
        for position, entry in enumerate(_in_order(criteria)):
            compiled = self._criterion(entry)
            if compiled is None:
                continue
            link = str(entry.get("link", "AND")).upper()
            if link.endswith("NOT"):
                compiled = _negated(compiled)
            if not plan.alternatives or (link.startswith("OR") and position):
                plan.alternatives.append([])
            plan.alternatives[-1].append(compiled)
        return plan

    def _criterion(self, entry: dict[str, Any]) -> Criterion | None:
        if "criteria" in entry:
            inner = self.plan(entry["criteria"])
            return Criterion(inner.test, inner.ids()) if inner.alternatives else None
        name = str(entry.get("field", ""))
        searchtype = str(entry.get("searchtype", "contains"))
        value = "" if entry.get("value") is None else str(entry["value"])
        if name in ("view", "all"):
            return self._anywhere(value)
        number = int(name) if name.isdigit() else -1
        found = field_of(self._state.flavour, self._itemtype, self._table.columns, number)
        if found is None:
            raise plain("Bad field ID in search criteria")
        if searchtype == "empty" and self._state.flavour.has_empty_search:
            return Criterion(lambda row: not any(found.values(self._state, row)))
        if value == "":
            return None
        negative = searchtype in ("notequals", "notcontains", "notunder")
        positive = self._positive(found, searchtype.removeprefix("not"), value)
        return _negated(positive) if negative else positive

    def _anywhere(self, value: str) -> Criterion | None:
        if not value:
            return None
        pattern = Pattern(value)
        columns = [name for name, kind in self._table.kinds.items() if kind in ("string", "long")]
        folds = [self._table.folds(name) for name in columns]
        return Criterion(lambda row: any(pattern.matches(texts[row["id"]]) for texts in folds))

    def _positive(self, found: Field, searchtype: str, value: str) -> Criterion:
        if searchtype == "under" and found.join is not None and found.column == "completename":
            return self._under(found.join, value)
        if self._itemtype == "Ticket" and found.number in (*_LEVELS, _STATUS):
            return self._specific(found, value)
        if found.datatype == "datetime" and searchtype in ("morethan", "lessthan", "equals"):
            return self._date(found, searchtype, value)
        if found.datatype in _NUMERIC or (
            found.join is None and self._table.kinds.get(found.column) == "int"
        ):
            numeric = self._number(found, value)
            if numeric is not None:
                return numeric
        if searchtype == "equals":
            return self._equals(found, value)
        return self._contains(found, value)

    def _under(self, join: Join, value: str) -> Criterion:
        below = set(sons(self._state, int(value))) if value.isdigit() else set()
        return Criterion(lambda row: any(joined["id"] in below for joined in join.rows(self._state, row)))

    def _specific(self, found: Field, value: str) -> Criterion:
        """Status words, and a negative priority for "at least"."""
        column = found.column
        if found.number == _STATUS:
            if value == "all":
                return Criterion(lambda _: True)
            wanted = _STATUS_WORDS.get(value) or {int(value) if value.isdigit() else 0}
            return Criterion(lambda row: row[column] in wanted)
        if not value.lstrip("-").isdigit() or int(value) == 0:
            return Criterion(lambda _: True)
        level = int(value)
        if level < 0:
            return Criterion(lambda row: row[column] >= -level)
        return Criterion(lambda row: row[column] == level)

    def _number(self, found: Field, value: str) -> Criterion | None:
        comparison = _COMPARISON.match(value)
        if comparison is not None:
            sign, equal, text = comparison.groups()
            compare, limit = _COMPARE[(sign in (">", "&gt;", "&#62;"), bool(equal))], float(text)
            return self._any(found, lambda v: bool(compare(v, limit)))
        text = value
        if self._state.flavour.anchors_match_numbers:
            text = value.removeprefix("^").removesuffix("$")
        try:
            wanted = float(text)
        except ValueError:
            return None if self._state.flavour.anchors_match_numbers else Criterion(lambda _: False, ids=())
        if text != value and not text.lstrip("-").isdigit():
            return None
        ids = [int(wanted)] if found.join is None and found.column == "id" else None
        return self._any(found, lambda v: v == wanted, ids)

    def _any(self, found: Field, test: Callable[[Any], bool], ids: Sequence[int] | None = None) -> Criterion:
        state = self._state
        if found.join is None:
            column = found.column
            return Criterion(lambda row: row[column] is not None and test(row[column]), ids)
        if found.shows == "count":
            join = found.join
            return Criterion(lambda row: test(len(join.rows(state, row))))
        return Criterion(lambda row: any(v is not None and test(v) for v in found.values(state, row)))

    def _equals(self, found: Field, value: str) -> Criterion:
        """On a joined or linked field ``equals`` compares the id of the row behind it."""
        if found.join is not None:
            return self._equals_joined(found, found.join, value)
        if found.datatype == "itemlink":
            wanted = int(value) if value.isdigit() else -1
            return Criterion(lambda row: row["id"] == wanted, [wanted])
        folded = fold(self._state.flavour.stored(value))
        ids = self._table.alike(found.column, folded)
        known = set(ids)
        return Criterion(lambda row: row["id"] in known, ids)

    def _equals_joined(self, found: Field, join: Join, value: str) -> Criterion:
        state, wanted = self._state, int(value) if value.isdigit() else -1
        if self._itemtype == "Ticket" and found.number in _ROLES:
            if value == "myself":
                wanted = self._session.user_id
            rows = state["Ticket_User"].where("users_id", wanted) if wanted > 0 else []
            ids = [row["tickets_id"] for row in rows if row["type"] == _ROLES[found.number]]
            if wanted > 0:
                known = set(ids)
                return Criterion(lambda row: row["id"] in known, ids)
        if wanted == 0 and found.column != "completename":
            return Criterion(lambda row: not any(j.get("id") for j in join.rows(state, row)))
        return Criterion(lambda row: any(j.get("id") == wanted for j in join.rows(state, row)))

    def _contains(self, found: Field, value: str) -> Criterion:
        pattern = Pattern(self._state.flavour.stored(value))
        if found.join is None:
            if pattern.exact is not None:
                own = self._table.alike(found.column, pattern.exact)
            else:
                own = pattern.found_in(self._table.folds(found.column))
            known = set(own)
            return Criterion(lambda row: row["id"] in known, own)
        join, state = found.join, self._state

        def matches(joined: Row) -> bool:
            texts = searched_texts(found, joined)
            return any(pattern.matches(None if text is None else fold(text)) for text in texts)

        def test(row: Row) -> bool:
            rows = join.rows(state, row)
            return any(map(matches, rows)) or (not rows and pattern.matches(None))

        ids = None
        if join.name == "emails" and pattern.exact is not None:
            emails = state["UserEmail"]
            ids = [emails.rows[number]["users_id"] for number in emails.alike("email", pattern.exact)]
        return Criterion(test, ids, (join.name, matches) if join.narrowed else None)

    def _date(self, found: Field, searchtype: str, value: str) -> Criterion:
        wanted = self._date_value(value)
        if wanted is None:
            # The database reads rubbish as the zero date: everything is later.
            return Criterion(lambda _: searchtype == "morethan")
        if searchtype == "equals":
            short = len(value.strip()) <= len("2026-11-21")
            prefix = wanted[: len("2026-11-21")] if short else wanted
            return self._any(found, lambda v: str(v).startswith(prefix))
        more = searchtype == "morethan"
        if found.join is not None:
            join, column, state = found.join, found.column, self._state

            def joined_test(joined: Row) -> bool:
                date = str(joined.get(column) or "")
                return date != "" and (date > wanted if more else date < wanted)

            narrows = (join.name, joined_test) if join.narrowed else None
            return Criterion(lambda row: any(map(joined_test, join.rows(state, row))), None, narrows)
        column = found.column
        ids = self._table.after(column, wanted) if more else self._table.before(column, wanted)
        known = set(ids)
        return Criterion(lambda row: row["id"] in known, ids)

    def _date_value(self, value: str) -> str | None:
        """A date as the database reads it: zone marks are ignored, ``-1HOUR`` and ``NOW`` computed."""
        relative = _RELATIVE.match(value)
        if relative is not None:
            sign, amount, unit = relative.groups()
            days = _DAYS.get(unit, 0) * int(amount)
            seconds = {"MINUTE": 60, "HOUR": 3600}.get(unit, 0) * int(amount)
            step = timedelta(days=days, seconds=seconds)
            return self._moment(-step if sign else step)
        if value in ("NOW", "TODAY"):
            now = self._moment(timedelta(0))
            return now if value == "NOW" else f"{now[:10]} 00:00:00"
        parts = _DATE.match(value)
        if parts is None:
            return None
        year, month, day, hour, minute, second = (int(part or 0) for part in parts.groups())
        return self._session.stored(f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}")

    def _moment(self, step: timedelta) -> str:
        local: datetime = self._state.clock().astimezone(UTC) + SERVER_UTC_OFFSET + step
        return local.strftime(DATETIME_FORMAT)


def _negated(criterion: Criterion) -> Criterion:
    test = criterion.test
    return Criterion(lambda row: not test(row))


def _in_order(criteria: Any) -> list[dict[str, Any]]:
    entries = list(criteria.values()) if isinstance(criteria, dict) else list(criteria or [])
    return [entry for entry in entries if isinstance(entry, dict)]


def _fields_in(criteria: Any) -> list[int]:
    found: list[int] = []
    for entry in _in_order(criteria):
        if "criteria" in entry:
            found.extend(_fields_in(entry["criteria"]))
        elif str(entry.get("field", "")).isdigit():
            found.append(int(entry["field"]))
    return found
