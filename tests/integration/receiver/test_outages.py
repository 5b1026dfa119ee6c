"""Broker or database away or frozen: what can be stored is answered with 202, the rest with 503, nothing hangs.

The time limits are those of the client: Chatwoot gives up after five seconds, and never sends a delivery again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from crm_sync import clock
from tests import servers
from tests.deliveries import signed
from tests.payloads import contact_created
from tests.servers import wait_for
from tests.system import System, counts, running

#: What a delivery may take while the broker is away, and what one may while the database is, in seconds.
PROMPT_S = 2.0
CHATWOOT_S = 5.0
#: Chatwoot sends several webhooks at a time.
AT_ONCE = 8
#: How soon everything is as before, in seconds.
RECOVERY_S = 30.0

_contacts = count(1)


def _deliver(system: System, timeout_s: float) -> tuple[int, dict[str, Any]]:
    """A new delivery comes in; its status and answer. A client that waits for longer raises."""
    (webhook,) = system.chatwoot.state.webhooks.values()
    raw = json.dumps(contact_created(next(_contacts))).encode()
    answer = requests.post(
        f"{system.url}/webhooks/chatwoot/{webhook.url.rpartition('/')[2]}",
        data=raw,
        headers=signed(raw, secret=webhook.secret, at=clock.now()),
        timeout=timeout_s,
    )
    return answer.status_code, answer.json()


def _many(system: System, timeout_s: float) -> list[tuple[int, dict[str, Any]]]:
    """Several deliveries come in side by side."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: _deliver(system, timeout_s), range(AT_ONCE)))


def _all_accepted(system: System) -> bool:
    return {status for status, _ in _many(system, CHATWOOT_S)} == {202}


def _health(system: System) -> tuple[int, dict[str, str]]:
    """What is told to those who watch; the process itself is alive and its metrics can be read throughout."""
    assert requests.get(f"{system.url}/health/live", timeout=CHATWOOT_S).status_code == 200
    metrics = requests.get(f"{system.url}/metrics", timeout=CHATWOOT_S)
    assert list(text_string_to_metric_families(metrics.text))
    answer = requests.get(f"{system.url}/health/ready", timeout=CHATWOOT_S)
    parts: dict[str, str] = answer.json()["parts"]
    return answer.status_code, parts


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["down", "frozen"])
def test_deliveries_are_accepted_without_a_broker_and_processed_when_it_is_back(fault: str) -> None:
    with running("web") as (system, runtime):
        system.connect(runtime)
        assert _deliver(system, PROMPT_S)[0] == 202  # connections are open now
        if fault == "down":
            system.kill("redis")
        else:
            system.freeze("redis")
        answers = [_deliver(system, PROMPT_S) for _ in range(4)] + _many(system, PROMPT_S)
        assert {status for status, _ in answers} == {202}
        assert {answer["accepted"] for _, answer in answers} == {1}
        assert _health(system) == (200, {"database": "ok", "broker": "down"})
        assert counts(runtime)["pending"] == len(answers) + 1
        if fault == "down":
            system.start_redis()
        else:
            system.thaw("redis")
        system.start("worker", "beat")
        wait_for(lambda: counts(runtime)["done"] == len(answers) + 1, 60, "every delivery is processed")
        wait_for(lambda: _health(system)[1]["broker"] == "ok", RECOVERY_S, "the broker is well again")


class _Postgres:
    """A PostgreSQL of our own, to be hurt."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._stack = ExitStack()
        self.server: servers.Postgres = self._stack.enter_context(start())

    def stop(self) -> None:
        self._stack.close()

    def start(self) -> None:
        self._stack.enter_context(self._start())

    def freeze(self) -> None:
        """The server first: then no process of its is new, and one that ends stays in the table until the thaw."""
        self._frozen = [self._pid()]
        os.kill(self._frozen[0], signal.SIGSTOP)
        self._frozen += _children(self._frozen[0])
        for process in self._frozen[1:]:
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in reversed(self._frozen):
            os.kill(process, signal.SIGCONT)

    def _pid(self) -> int:
        """The server's process, which all the others descend from."""
        with psycopg.connect(self.server.url("postgres")) as connection:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            return _parent(row[0])


def _children(pid: int) -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _parent(folder.name) == pid]


def _parent(pid: int | str) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:
        return 0


@contextmanager
def _postgres() -> Iterator[_Postgres]:
    user = servers._unprivileged()
    root = Path(tempfile.mkdtemp(prefix="crm_sync_pg_"))
    account = servers.pwd.getpwuid(os.getuid() if user is None else user)
    try:
        if user is not None:
            os.chown(root, user, account.pw_gid)
        binaries, port = servers._binaries(root), servers.free_port()
        servers._prepare(binaries, root, user, account)
        subject = _Postgres(lambda: servers._running(binaries, root, user, account, port))
        try:
            yield subject
        finally:
            subject.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["down", "frozen"])
def test_deliveries_are_refused_in_time_while_postgresql_is_away_and_accepted_again_after(fault: str) -> None:
    with _postgres() as database:
        options = {"CRM_SYNC_DATABASE_URL": database.server.url("postgres")}
        with running("web", options=options) as (system, runtime):
            system.connect(runtime)
            assert _all_accepted(system)
            database.stop() if fault == "down" else database.freeze()
            try:
                for _ in range(2):
                    answers = _many(system, CHATWOOT_S)
                    assert {(status, said["error"]) for status, said in answers} == {
                        (503, "database_unavailable")
                    }
                assert _health(system) == (503, {"database": "down", "broker": "ok"})
            finally:
                database.start() if fault == "down" else database.thaw()
            wait_for(lambda: _all_accepted(system), RECOVERY_S, "deliveries are stored again")
            wait_for(lambda: _health(system)[0] == 200, RECOVERY_S, "the service is ready again")
            assert counts(runtime)["pending"] >= 2 * AT_ONCE
            assert "Traceback" not in (system.data_dir / "web.log").read_text()


@pytest.mark.slow
def test_deliveries_are_refused_in_time_while_the_file_of_sqlite_is_locked_and_accepted_again_after() -> None:
    with running("web") as (system, runtime):
        system.connect(runtime)
        assert _deliver(system, CHATWOOT_S)[0] == 202
        path = runtime.store.engine.url.database
        assert path is not None
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(2):
                answers = _many(system, CHATWOOT_S)
                assert {(status, said["error"]) for status, said in answers} == {
                    (503, "database_unavailable")
                }
            other.execute("ROLLBACK")
        wait_for(lambda: _all_accepted(system), RECOVERY_S, "deliveries are stored again")
        assert "Traceback" not in (system.data_dir / "web.log").read_text()


def test_a_delivery_that_the_database_refuses_is_not_answered_with_202() -> None:
    with running("web") as (system, runtime):
        system.connect(runtime)
        path = Path(str(runtime.store.engine.url.database))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
            status, said = _deliver(system, CHATWOOT_S)
            assert (status, set(said)) == (503, {"error", "message"})
            other.execute("DROP TRIGGER full")
        assert _deliver(system, CHATWOOT_S)[0] == 202
