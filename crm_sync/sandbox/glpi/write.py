"""What the database makes of the values a client sends.

Guarantees: unknown fields vanish without a word, numbers may come as text, impossible dates and numbers are
refused with the recorded messages, and over-long text is cut or refused as the version does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from crm_sync.sandbox.glpi.errors import Refused
from crm_sync.sandbox.glpi.flavour import Flavour
from crm_sync.sandbox.glpi.schema import JSON_COLUMNS, Row, table_name
from crm_sync.sandbox.glpi.session import Session
from crm_sync.sandbox.glpi.state import DATETIME_FORMAT, Table

VARCHAR_LENGTH = 255
BAD_DATE = "Incorrect value for date field."

_DATE = re.compile(r"^(\d{4})-(\d\d?)-(\d\d?)(?: (\d\d?):(\d\d?)(?::(\d\d?))?)?$")


class Writer:
    """Reads the input of one call for one table."""

    def __init__(self, flavour: Flavour, session: Session, table: Table) -> None:
        self._flavour = flavour
        self._session = session
        self._table = table

    def columns(self, values: Mapping[str, Any], *, row: Row | None = None) -> Row:
        """The known fields in the form they are stored; ``row`` is the row an update is meant for."""
        found: Row = {}
        for name, value in values.items():
            if name in self._table.columns:
                found[name] = self._value(name, value, found, row)
        return found

    def _value(self, column: str, value: Any, found: Row, row: Row | None) -> Any:
        kind = self._table.kinds[column]
        if isinstance(value, (dict, list)):
            if column not in JSON_COLUMNS:
                raise Refused("")
            value = json.dumps(value, separators=(",", ":"))
        if kind == "int":
            return self._int(column, value, found, row)
        if value is None or value == "NULL":
            return None
        if kind == "datetime":
            return self._date(value)
        text = self._flavour.stored(str(int(value)) if isinstance(value, bool) else str(value))
        if kind == "string" and len(text) > VARCHAR_LENGTH:
            if self._flavour.cuts_long_text:
                return text[:VARCHAR_LENGTH]
            self._sql_refusal(
                f"Data too long for column '{column}' at row 1", 1406, {**found, column: text}, row
            )
        return text

    def _int(self, column: str, value: Any, found: Row, row: Row | None) -> int:
        if value in (None, "", "NULL"):
            return 0
        try:
            return int(float(value)) if isinstance(value, float) else int(value)
        except ValueError:
            column_name = f"`glpi`.`{table_name(self._table.name)}`.`{column}`"
            text = f"Incorrect integer value: '{value}' for column {column_name} at row 1"
            self._sql_refusal(text, 1366, {**found, column: value}, row)

    def _date(self, value: Any) -> str | None:
        text = str(value).strip()
        if not text:
            return None
        parts = _DATE.match(text)
        if parts is None:
            raise Refused(BAD_DATE)
        try:
            full = datetime(*(int(part or 0) for part in parts.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
        except ValueError:
            raise Refused(BAD_DATE) from None
        return self._session.stored(full.strftime(DATETIME_FORMAT))

    def _sql_refusal(self, text: str, errno: int, values: Row, row: Row | None) -> NoReturn:
        raise Refused(self._flavour.sql_error(text, errno, statement(self._table.name, values, row)))


def statement(itemtype: str, values: Mapping[str, Any], row: Row | None = None) -> str:
    """The SQL an error text of 11 quotes, values included; it is shown, never run."""
    table = table_name(itemtype)
    if row is not None:
        assignments = ", ".join(f"`{name}` = '{value}'" for name, value in values.items())
        return " ".join(("UPDATE", f"`{table}` SET {assignments} WHERE `id` = '{row['id']}'"))
    names = ", ".join(f"`{name}`" for name in values)
    quoted = ", ".join(repr(str(value)) for value in values.values())
    return " ".join(("INSERT INTO", f"`{table}` ({names}) VALUES ({quoted})"))


def duplicate(flavour: Flavour, itemtype: str, key: str, values: Mapping[str, Any]) -> Refused:
    """The refusal of a unique key."""
    text = f"Duplicate entry '{key}' for key 'unicity'"
    return Refused(flavour.sql_error(text, 1062, statement(itemtype, values)))
