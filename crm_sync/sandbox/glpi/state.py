"""The sandbox's database: tables in memory, their indexes, the clock and the settings of the installation.

Guarantees to the modules that answer calls: every write goes through :class:`Table`, so an index never
lies; ids only grow, and an insert that a unique key stops still uses one up, as InnoDB does. Nothing here
locks: whoever handles a call holds :attr:`State.lock`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crm_sync.sandbox.glpi.schema import Row, columns_of, kind_of
from crm_sync.sandbox.glpi.text import fold

if TYPE_CHECKING:
    from crm_sync.sandbox.glpi.flavour import Flavour

#: The server's zone. As in the recordings it is not UTC: a client that ignores zones is to be found out.
SERVER_UTC_OFFSET = timedelta(hours=-3)
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class Table:
    """Rows by id, with indexes that are built when first asked for and kept up to date from then on."""

    def __init__(self, name: str, columns: Mapping[str, Any]) -> None:
        self.name = name
        self.columns = dict(columns)
        self.kinds = {column: kind_of(column, default) for column, default in columns.items()}
        self.date_columns = tuple(column for column, kind in self.kinds.items() if kind == "datetime")
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.version = 0
        self._next = 1
        self._values: dict[str, dict[Any, dict[int, None]]] = {}
        self._folds: dict[str, dict[int, str | None]] = {}
        self._folded: dict[str, dict[str | None, dict[int, None]]] = {}
        self._ordered: dict[str, list[tuple[str, int]]] = {}

    def use_up_id(self) -> int:
        """Takes the next id, for a row or for an insert that fails on a unique key."""
        taken = self._next
        self._next += 1
        return taken

    def insert(self, values: Mapping[str, Any]) -> Row:
        """A new row: defaults overlaid with ``values``; a wanted id is honoured while it is free."""
        wanted = values.get("id")
        row = {**self.columns, **values}
        if (
            isinstance(wanted, int)
            and wanted >= 0
            and wanted not in self.rows
            and (wanted or self.name == "Entity")
        ):
            row["id"] = wanted
            self._next = max(self._next, wanted + 1)
        else:
            row["id"] = self.use_up_id()
        self.rows[row["id"]] = row
        if self.ids and row["id"] < self.ids[-1]:
            insort(self.ids, row["id"])
        else:
            self.ids.append(row["id"])
        self.version += 1
        for column in self._indexed():
            self._index(column, row)
        return row

    def install(self, row: Mapping[str, Any]) -> None:
        """A row of the installation, exactly as it was recorded, before any index is built."""
        self.rows[row["id"]] = dict(row)
        self.ids.append(row["id"])
        self._next = row["id"] + 1

    def update(self, row: Row, changes: Mapping[str, Any]) -> None:
        """Writes ``changes`` into a row of this table."""
        indexed = self._indexed() & changes.keys()
        for column in indexed:
            self._unindex(column, row)
        row.update(changes)
        self.version += 1
        for column in indexed:
            self._index(column, row)

    def delete(self, row: Row) -> None:
        """Removes a row for good."""
        for column in self._indexed():
            self._unindex(column, row)
        del self.rows[row["id"]]
        del self.ids[bisect_left(self.ids, row["id"])]
        self.version += 1

    def where(self, column: str, value: Any) -> list[Row]:
        """Rows whose column holds exactly ``value``, in order of id."""
        index = self._values.get(column)
        if index is None:
            index = self._values[column] = {}
            for row in self.all():
                index.setdefault(row[column], {})[row["id"]] = None
        return [self.rows[number] for number in sorted(index.get(value, ()))]

    def folds(self, column: str) -> Mapping[int, str | None]:
        """Id → the column's text as the collation sees it."""
        if column not in self._folds:
            self._folds[column] = {}
            self._folded[column] = {}
            for row in self.all():
                self._index_fold(column, row)
        return self._folds[column]

    def alike(self, column: str, folded: str) -> list[int]:
        """Ids of the rows whose folded text is ``folded``."""
        self.folds(column)
        return sorted(self._folded[column].get(folded, ()))

    def after(self, column: str, value: str) -> list[int]:
        """Ids of the rows whose (date) text is greater than ``value``, oldest first."""
        ordered = self._order(column)
        return [number for _, number in ordered[bisect_left(ordered, (value, 1 << 62)) :]]

    def before(self, column: str, value: str) -> list[int]:
        """Ids of the rows whose (date) text is less than ``value``, oldest first."""
        ordered = self._order(column)
        return [number for _, number in ordered[: bisect_left(ordered, (value, -1))]]

    def all(self) -> Iterable[Row]:
        """Every row in order of id."""
        return map(self.rows.__getitem__, self.ids)

    def _order(self, column: str) -> list[tuple[str, int]]:
        if column not in self._ordered:
            self._ordered[column] = sorted((row[column], row["id"]) for row in self.all() if row[column])
        return self._ordered[column]

    def _indexed(self) -> set[str]:
        return self._values.keys() | self._folds.keys() | self._ordered.keys()

    def _index_fold(self, column: str, row: Row) -> None:
        value = row[column]
        folded = None if value is None else fold(str(value))
        self._folds[column][row["id"]] = folded
        self._folded[column].setdefault(folded, {})[row["id"]] = None

    def _index(self, column: str, row: Row) -> None:
        if column in self._values:
            self._values[column].setdefault(row[column], {})[row["id"]] = None
        if column in self._folds:
            self._index_fold(column, row)
        if column in self._ordered and row[column]:
            insort(self._ordered[column], (row[column], row["id"]))

    def _unindex(self, column: str, row: Row) -> None:
        number = row["id"]
        if column in self._values:
            self._values[column][row[column]].pop(number)
        if column in self._folds:
            self._folded[column][self._folds[column].pop(number)].pop(number)
        if column in self._ordered and row[column]:
            ordered = self._ordered[column]
            del ordered[bisect_left(ordered, (row[column], number))]


class State:
    """Everything one sandbox remembers."""

    def __init__(self, flavour: Flavour, *, clock: Callable[[], datetime] | None = None) -> None:
        self.flavour = flavour
        self.lock = threading.RLock()
        self.clock = clock or (lambda: datetime.now(UTC))
        self.files: dict[str, bytes] = {}
        self.settings: dict[str, bool] = {
            "api_enabled": True,
            "address_allowed": True,
            "password_login": True,
            "maintenance": False,
            # Without them the accounts' time zones are kept and mean nothing.
            "database_timezones": True,
        }
        columns = columns_of(flavour.stock["columns"], version_11=flavour.is_11)
        self.tables = {name: Table(name, its_columns) for name, its_columns in columns.items()}
        for name, rows in flavour.stock["rows"].items():
            for row in rows:
                self.tables[name].install(row)
        for number, user, profile in ((2, 2, 4), (3, 3, 1), (4, 4, 6), (5, 5, 2)):
            self.tables["Profile_User"].insert(
                {"id": number, "users_id": user, "profiles_id": profile, "entities_id": 0, "is_recursive": 1}
            )

    def __getitem__(self, itemtype: str) -> Table:
        return self.tables[itemtype]

    def get(self, itemtype: str, number: Any) -> Row | None:
        """One row, or None."""
        table = self.tables.get(itemtype)
        return table.rows.get(number) if table is not None else None

    def now(self) -> str:
        """The present second in the server's zone, as the database writes it."""
        return (self.clock().astimezone(UTC) + SERVER_UTC_OFFSET).strftime(DATETIME_FORMAT)

    def dump(self) -> dict[str, list[Row]]:
        """Copies of all rows, by type."""
        return {name: [dict(row) for row in table.all()] for name, table in self.tables.items() if table.rows}


def moment(text: str) -> datetime:
    """A date text of the database as a naive time in the server's zone."""
    return datetime.strptime(text, DATETIME_FORMAT)  # noqa: DTZ007 - the database knows no zones


def shifted(value: str, by: timedelta) -> str:
    """A naive date text moved by some hours; a text that is no full date comes back as it is."""
    try:
        return (moment(value) + by).strftime(DATETIME_FORMAT)
    except ValueError:
        return value


def seconds_between(earlier: str, later: str) -> int:
    """Whole seconds from one date text to another, never negative."""
    return max(0, int((moment(later) - moment(earlier)).total_seconds()))
