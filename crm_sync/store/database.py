"""The door to the database: sessions that read and sessions that write, on SQLite and on PostgreSQL.

On SQLite a write takes the lock when it begins, so that two writers wait for each other instead of failing. A
durable commit is on the disk before it returns: an answer of 202 and a claim made before a CRM is called survive a
power cut. What may be done again without harm (an outcome, a confirmation) does not wait for the disk; commits reach
it in order all the same.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from crm_sync.config import Config
from crm_sync.store.secrets import Keyring
from crm_sync.store.together import Together

T = TypeVar("T")

#: How long a statement waits for another writer, and a connection for the server, in seconds. Together they stay
#: below the five seconds Chatwoot gives a webhook.
LOCK_TIMEOUT_S = 2
CONNECT_TIMEOUT_S = 2
#: How often it is looked, on SQLite, whether another process's write is over, in seconds.
LOCK_POLL_S = 0.0005
POOL_SIZE = 24

#: What a session raises when the database is away or overloaded, as opposed to refusing a row.
DatabaseDown = (OperationalError, InterfaceError, PoolTimeoutError)


class Store:
    """Sessions on the database, and the keyring for the secrets in it. Safe to share by threads."""

    def __init__(self, engine: Engine, keyring: Keyring) -> None:
        self.engine = engine
        self.keyring = keyring
        self._reader = sessionmaker(engine, expire_on_commit=False)
        self._writers = {
            durable: sessionmaker(
                engine.execution_options(crm_sync_write="durable" if durable else "quick"),
                expire_on_commit=False,
            )
            for durable in (True, False)
        }
        # Threads of one process queue here rather than poll the file's lock.
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        # PostgreSQL gathers commits by itself.
        self._together = (
            Together(lambda durable: self.write(durable=durable)) if engine.dialect.name == "sqlite" else None
        )

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that must not write."""
        with self._reader() as session:
            yield session

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """A transaction: committed when the block ends, rolled back when it raises.

        One that is not ``durable`` may be forgotten in a power cut, never alone and never by a crash of ours.
        """
        with self._turn, self._writers[durable].begin() as session:
            yield session

    def write_together(self, work: Callable[[Session], T], *, durable: bool = True) -> T:
        """Carry out a write; on SQLite in one commit with those of other threads, which is much quicker.

        Raises what the work raises, and then nothing of it is written.
        """
        if self._together is None:
            with self.write(durable=durable) as session:
                return work(session)
        return self._together.run(work, durable=durable)

    def close(self) -> None:
        """Give all connections back to the server."""
        self.engine.dispose()


def open_store(config: Config) -> Store:
    """The store of a configuration. Connects on first use; does not touch the schema."""
    url = normalised(config.sqlalchemy_url)
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(
            url, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, connect_args={"timeout": LOCK_TIMEOUT_S}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_timeout=LOCK_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "crm_sync",
                # A host that vanished without a word is noticed by these.
                "keepalives_idle": 20,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
                "options": f"-c lock_timeout={LOCK_TIMEOUT_S}s -c timezone=UTC",
            },
        )
        event.listen(engine, "begin", _begin_postgresql)
    return Store(engine, Keyring.load(config))


def normalised(url: str) -> URL:
    """The URL with the driver we ship, whichever of PostgreSQL's usual spellings was given."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transactions begin late and deferred; ours begin in _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("crm_sync_write")
    if kind is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if kind == 'durable' else 'NORMAL'}")
    _take_turn(connection)


def _take_turn(connection: Connection) -> None:
    """Begin a write as soon as the writer of another process is done.

    SQLite's own wait looks after 1, 2, 5, 10, 15, 20, 25 ms and rarer, while a write takes two or three: it would let
    the file lie idle for as long as it is used. The time limit is the same.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA busy_timeout=0")
    try:
        until = time.monotonic() + LOCK_TIMEOUT_S
        while time.monotonic() < until:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            time.sleep(LOCK_POLL_S)
    finally:
        raw.execute(f"PRAGMA busy_timeout={round(LOCK_TIMEOUT_S * 1000)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("crm_sync_write") == "quick":
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
