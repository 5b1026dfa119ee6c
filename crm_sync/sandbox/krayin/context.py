"""What a controller has at hand while it answers one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_sync.sandbox.krayin.body import Upload
from crm_sync.sandbox.krayin.errors import Crashed, NotFound, Refused
from crm_sync.sandbox.krayin.flavour import Flavour
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.state import State


@dataclass
class Reply:
    """A successful answer: JSON, or the bytes of a file."""

    body: Any
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: Tells workflows of an event and the row it is about, when the call is over.
Notice = Callable[["Context", str, str, Row], None]


@dataclass
class Context:
    """One call: who asks, what was sent, and the database."""

    state: State
    user: Row
    query: dict[str, Any]
    body: dict[str, Any]
    #: The address of the list that was asked for, without its query.
    url: str
    #: The call came from a script that says so; forms are turned back instead.
    is_ajax: bool
    notify: Notice
    #: What is sent to webhooks before the answer, once the lock is free.
    outgoing: list[Callable[[], None]] = field(default_factory=list)

    @property
    def flavour(self) -> Flavour:
        """The generation that is played."""
        return self.state.flavour

    @property
    def data(self) -> dict[str, Any]:
        """Query and body together, as Laravel's ``all()`` has them: the body wins."""
        return {**self.query, **self.body}

    def upload(self, name: str) -> Upload | None:
        """A file of the body, or None."""
        found = self.body.get(name)
        return found if isinstance(found, Upload) else None

    def find(self, table: str, number: Any) -> Row:
        """A row that must be there; NotFound otherwise."""
        row = self.state.get(table, number)
        if row is None:
            raise NotFound
        return row

    def find_or_crash(self, table: str, number: Any) -> Row:
        """A row where the older generation crashes without it (22, 58, 59l, 68) and the newer says 404."""
        row = self.state.get(table, number)
        if row is not None:
            return row
        if self.flavour.missing_crashes:
            raise Crashed
        raise NotFound

    def delete(self, table: str, row: Row, name: str) -> Reply:
        """Removes a row that nothing needs.

        Raises:
            Refused: other rows still point at it; the older generation says even then that it went (79d).
        """
        try:
            self.state.delete(table, row)
        except Crashed:
            raise Refused(500, self.flavour.delete_failed.format(name=name)) from None
        return message_reply(f"{name} deleted successfully.", wrapped=self.flavour.wraps_messages)

    def some(self, rows: list[Row]) -> list[Row]:
        """The rows many of which are to change; the newer generation says when there are none (79).

        Raises:
            Refused: none of them exists.
        """
        if not rows and self.flavour.checks_pointers:
            raise Refused(404, "No matching records were found to delete.")
        return rows

    def fire(self, event: str, entity_type: str, row: Row) -> None:
        """Tells the workflows."""
        self.notify(self, event, entity_type, row)

    def leave_a_gap(self) -> None:
        """The time between a check in PHP and the insert, in which another request can pass the same check."""
        window = self.state.settings["race_window_ms"]
        if window:
            self.state.lock.release()
            try:
                time.sleep(window / 1000)
            finally:
                self.state.lock.acquire()


def message_reply(message: str, *, wrapped: bool) -> Reply:
    """An answer that is only a message, in ``data`` or not: that differs from controller to controller."""
    return Reply({"data": {"message": message}} if wrapped else {"message": message})


def number_of(values: Mapping[str, Any], name: str) -> int | None:
    """An id among what was sent, or None when it is absent or empty."""
    value = values.get(name)
    if value in (None, "", 0, "0"):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
