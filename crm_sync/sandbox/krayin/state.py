"""The sandbox's database: tables in memory, tokens, files, the clock and the switches of the installation.

Guarantees to the modules that answer calls: rows pass :class:`Column` on their way in, foreign keys hold, ids only
grow, and an insert that the database refuses still uses one up, as InnoDB does (59m, 71j). There are no transactions:
what was written before a crash stays. Nothing here locks: whoever handles a call holds :attr:`State.lock`.
"""

from __future__ import annotations

import hashlib
import random
import string
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from crm_sync.sandbox.krayin.errors import Crashed
from crm_sync.sandbox.krayin.flavour import Flavour
from crm_sync.sandbox.krayin.limits import DEFAULT_WINDOW_S
from crm_sync.sandbox.krayin.schema import CASCADES, TABLES, kept
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.times import stored

_TOKEN_LENGTH = 48
_ALPHABET = string.ascii_letters + string.digits
#: A key of the database that the checks in PHP do not ask for (169b, parallel creates).
_UNIQUE = {"persons": "unique_id"}
#: Columns besides foreign keys that have an index.
_INDEXED = {"entity_id", "attribute_id", "unique_id"}


class Table:
    """Rows by id, oldest first, with indexes of the columns that are asked for by value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[int, Row] = {}
        self._next = 1
        self._indexes: dict[str, dict[Any, dict[int, Row]]] = {
            column: {} for column, spec in TABLES[name].items() if spec.references or column in _INDEXED
        }

    def use_up_id(self) -> int:
        """Takes the next id, for a row or for an insert that fails."""
        taken = self._next
        self._next += 1
        return taken

    def add(self, row: Row) -> None:
        """Puts in a row under its own id."""
        self.rows[row["id"]] = row
        self._next = max(self._next, row["id"] + 1)
        for column, index in self._indexes.items():
            index.setdefault(row[column], {})[row["id"]] = row

    def write(self, row: Row, values: Mapping[str, Any]) -> None:
        """Gives a row new values."""
        for column in self._indexes.keys() & values.keys():
            del self._indexes[column][row[column]][row["id"]]
            self._indexes[column].setdefault(values[column], {})[row["id"]] = row
        row.update(values)

    def remove(self, row: Row) -> None:
        """Takes a row out."""
        for column, index in self._indexes.items():
            del index[row[column]][row["id"]]
        del self.rows[row["id"]]

    def where(self, **wanted: Any) -> list[Row]:
        """The rows whose columns have these very values, oldest first."""
        near, nearest = self.rows, ""
        for column in self._indexes.keys() & wanted.keys():
            bucket = self._indexes[column].get(wanted[column], {})
            if not nearest or len(bucket) < len(near):
                near, nearest = bucket, column
        rest = [(name, value) for name, value in wanted.items() if name != nearest]
        found = list(near.values())
        for name, value in rest:
            found = [row for row in found if row[name] == value]
        return sorted(found, key=_by_id) if nearest and len(found) > 1 else found


def _by_id(row: Row) -> int:
    number: int = row["id"]
    return number


class State:
    """Everything one sandbox remembers."""

    def __init__(
        self, flavour: Flavour, *, seed: int = 0, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.flavour = flavour
        self.lock = threading.Lock()
        self.clock = clock or (lambda: datetime.now(UTC))
        self.tables = {name: Table(name) for name in TABLES}
        self.files: dict[str, tuple[bytes, str]] = {}
        #: Who a token's digest belongs to.
        self.tokens: dict[str, int] = {}
        #: What workflows sent to webhooks: URL, headers, body and the answer's status.
        self.deliveries: list[dict[str, Any]] = []
        #: E-mails that would have left the server: to the participants of activities, and those that are no drafts.
        self.mails_sent: list[dict[str, Any]] = []
        self.settings: dict[str, int] = {
            # Calls a minute; 0 lets everybody through, as an installation that raised its limit does.
            "rate_limit": 0,
            # How long that minute is: tests of pacing need not wait for a real one.
            "rate_window_s": DEFAULT_WINDOW_S,
            # How long a create leaves the others a chance between its checks and its insert.
            "race_window_ms": 0,
        }
        self._random = random.Random(seed)
        self._token_number = 0
        now = self.now()
        for name, rows in flavour.stock.items():
            for row in rows:
                times: Row = {"created_at": now, "updated_at": now}
                if name in ("roles", "lead_pipeline_stages"):
                    times = {"created_at": None, "updated_at": None}
                blank = {column: spec.missing for column, spec in TABLES[name].items()}
                self.tables[name].add({**blank, **row, **times})

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def now(self) -> str:
        """The present second as the database writes it."""
        return stored(self.clock())

    def get(self, table: str, number: Any) -> Row | None:
        """One row by an id as a client may have written it, or None."""
        try:
            return self.tables[table].rows.get(int(number))
        except (TypeError, ValueError):
            return None

    def insert(self, table: str, values: Mapping[str, Any]) -> Row:
        """A new row of what ``values`` names, with the rest left to the database.

        Raises:
            Crashed: a foreign or unique key does not hold; an id is used up all the same.
        """
        columns = TABLES[table]
        row = {name: spec.missing for name, spec in columns.items()} | kept(table, values)
        number = self.tables[table].use_up_id()
        self._check_keys(table, row, number)
        now = self.now()
        row = {"id": number, **row, "created_at": now, "updated_at": now}
        self.tables[table].add(row)
        return row

    def update(self, table: str, row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
        """Writes what differs and returns the old values of that; a row nothing changed in keeps its time.

        Raises:
            Crashed: a foreign or unique key does not hold.
        """
        new = kept(table, values)
        changed = {name: row[name] for name, value in new.items() if row[name] != value}
        if not changed:
            return {}
        self._check_keys(table, {name: new[name] for name in changed}, row["id"])
        self.tables[table].write(row, {name: new[name] for name in changed} | {"updated_at": self.now()})
        return changed

    def delete(self, table: str, row: Row) -> None:
        """Removes a row with what belongs to it.

        Raises:
            Crashed: rows of other tables still point at it (79d).
        """
        own = CASCADES.get(table, ())
        for other, columns in TABLES.items():
            for column, spec in columns.items():
                pointing = spec.references == table and (other, column) not in own
                if pointing and self.tables[other].where(**{column: row["id"]}):
                    raise Crashed
        for other, column in own:
            for below in self.tables[other].where(**{column: row["id"]}):
                self.tables[other].remove(below)
        if table in ("leads", "persons", "organizations", "products", "quotes"):
            for value in self["attribute_values"].where(entity_type=table, entity_id=row["id"]):
                self["attribute_values"].remove(value)
        self.tables[table].remove(row)

    def _check_keys(self, table: str, values: Mapping[str, Any], number: int) -> None:
        for name, value in values.items():
            target = TABLES[table][name].references
            if target is not None and value is not None and value not in self.tables[target].rows:
                raise Crashed
        unique = _UNIQUE.get(table)
        if unique is not None and values.get(unique) is not None:
            taken = self.tables[table].where(**{unique: values[unique]})
            if any(row["id"] != number for row in taken):
                raise Crashed

    def issue_token(self, user: int) -> str:
        """A new token of a user; all earlier ones of that user are gone (01, 11)."""
        self.revoke_tokens(user)
        self._token_number += 1
        secret = "".join(self._random.choices(_ALPHABET, k=_TOKEN_LENGTH))
        token = f"{self._token_number}|{secret}"
        self.tokens[_digest(token)] = user
        return token

    def revoke_tokens(self, user: int | None = None) -> None:
        """Forgets the tokens of one user, or everybody's."""
        self.tokens = {digest: owner for digest, owner in self.tokens.items() if user not in (None, owner)}

    def user_of(self, token: str) -> Row | None:
        """Who a token belongs to, inactive users included (145)."""
        return self.get("users", self.tokens.get(_digest(token)))

    def file_name(self, suffix: str) -> str:
        """A random name for a stored file."""
        return "".join(self._random.choices(_ALPHABET, k=40)) + suffix

    def dump(self) -> dict[str, list[Row]]:
        """Copies of all rows by table, without passwords."""
        return {
            name: [
                {key: value for key, value in row.items() if key != "password"} for row in table.rows.values()
            ]
            for name, table in self.tables.items()
            if table.rows
        }


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
