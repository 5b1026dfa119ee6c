"""Writes of several threads in one commit.

On SQLite one transaction writes at a time, and a durable one waits for the disk. Threads that have to wait for each
other anyway put their work into one transaction: whoever gets the turn carries out what has gathered meanwhile, each
piece behind a savepoint of its own where there are several, and commits once. Nobody returns before the commit; it is
durable if one of the pieces is to be.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")

#: A piece of work and what becomes of it.
_Piece = tuple[Callable[[Session], Any], "Future[Any]", bool]

#: Most pieces in one transaction, so that nobody waits long for strangers.
BATCH = 64


class Together:
    """Runs work in shared transactions. ``begin(durable)`` opens one that is committed when its block ends."""

    def __init__(self, begin: Callable[[bool], AbstractContextManager[Session]]) -> None:
        self._begin = begin
        self._waiting: deque[_Piece] = deque()
        self._turn = threading.Lock()

    def run(self, work: Callable[[Session], T], *, durable: bool) -> T:
        """The result of the work once it is committed, or what it raised; then nothing of it was written."""
        future: Future[T] = Future()
        self._waiting.append((work, future, durable))
        with self._turn:
            # Whoever had the turn before may have done our work already.
            while not future.done():
                self._carry_out()
        return future.result()

    def _carry_out(self) -> None:
        pieces = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        results: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._begin(any(durable for _, _, durable in pieces)) as session:
                if len(pieces) == 1:
                    # Nobody else is in this transaction: it is rolled back as a whole, and needs no savepoint.
                    ((work, future, _),) = pieces
                    results = [(future, work(session), None)]
                else:
                    results = [(future, *_attempt(session, work)) for work, future, _ in pieces]
        except BaseException as error:
            for _, future, _ in pieces:
                future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for future, value, failure in results:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)


def _attempt(session: Session, work: Callable[[Session], Any]) -> tuple[Any, BaseException | None]:
    """The result of a piece of work, or why it was rolled back."""
    try:
        with session.begin_nested():
            return work(session), None
    except Exception as error:  # noqa: BLE001 - it is raised where the work came from
        return None, error
