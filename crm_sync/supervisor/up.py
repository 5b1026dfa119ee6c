"""The whole service on this machine: what ``crm-sync up`` and the demo run."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from crm_sync import store
from crm_sync.config import Config
from crm_sync.errors import ConfigError
from crm_sync.supervisor.processes import Part, Supervisor, stopped_by_signals
from crm_sync.supervisor.redis import EmbeddedRedis
from crm_sync.telemetry import metrics, readiness

#: Threads of the worker for setup, pull and backfill: bulk work may take its time.
BULK_CONCURRENCY = 2

_PROBE_TIMEOUT_S = 2.0


def run_up(
    config: Config,
    bind: str,
    *,
    on_ready: Callable[[str], None],
    extra_env: Mapping[str, str] | None = None,
) -> None:
    """Run the service until SIGTERM or SIGINT; ``on_ready`` gets its URL when every part of it answers.

    ``extra_env`` is added to the environment of every part.
    """
    Service(config, bind, extra_env=extra_env).run(on_ready)


class Service:
    """The service; port 0 in ``bind`` means any free one. Without a Redis in the configuration it brings one."""

    def __init__(
        self,
        config: Config,
        bind: str,
        *,
        extra_env: Mapping[str, str] | None = None,
        output: TextIO | None = None,
    ) -> None:
        self._config = config
        self._bind = bind
        self._extra_env = dict(extra_env or {})
        self._output = output
        self._stopping = threading.Event()
        self._supervisor: Supervisor | None = None

    def stop(self) -> None:
        """Have :meth:`run` end; may be called by any thread."""
        self._stopping.set()

    def pids(self) -> dict[str, int]:
        """The processes that run, by the name of their part; may be called by any thread."""
        return {} if self._supervisor is None else self._supervisor.pids()

    def run(self, on_ready: Callable[[str], None]) -> None:
        """Run until stopped, or until SIGTERM or SIGINT where this is the main thread.

        ``on_ready`` is called once and must return soon. Raises CrmSyncError when something cannot start.
        """
        config = self._config
        bind = _free(self._bind)
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with stopped_by_signals(self.stop), _redis(config) as redis_url:
            store.migrate(config)
            ready_dir = _ready_dir(config)
            self._supervisor = Supervisor(
                parts(config, bind, self._environment(bind, redis_url, ready_dir), ready_dir),
                # A line of JSON must stay one.
                prefix=config.log_format != "json",
                stopping=self._stopping,
                output=self._output,
            )
            self._supervisor.run(lambda: on_ready(config.public_url.rstrip("/") or f"http://{bind}"))

    def _environment(self, bind: str, redis_url: str, ready_dir: Path) -> dict[str, str]:
        shared = metrics.directory_of(self._config.data_dir)
        metrics.reset(shared)
        return {
            **os.environ,
            "CRM_SYNC_BIND": bind,
            "CRM_SYNC_DATA_DIR": str(self._config.data_dir.resolve()),
            "CRM_SYNC_REDIS_URL": redis_url,
            metrics.DIRECTORY: str(shared),
            readiness.READY_DIR: str(ready_dir),
            # A log that is buffered is lost with its process.
            "PYTHONUNBUFFERED": "1",
            **self._extra_env,
        }


def parts(config: Config, bind: str, env: Mapping[str, str], ready_dir: Path) -> list[Part]:
    """The processes of the service; the Procfile lists the same."""
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "-A", "crm_sync"]
    worker = [*celery, "worker", "--pool", "threads", "--without-gossip", "--without-mingle"]

    def signalled(name: str, command: list[str]) -> Part:
        file = ready_dir / name
        return Part(
            name,
            command,
            {**env, readiness.PART: name},
            ready=file.exists,
            before=lambda: file.unlink(missing_ok=True),
        )

    gunicorn = [python, "-m", "gunicorn", "-c", "python:crm_sync.receiver.gunicorn_conf"]
    return [
        Part(
            "web",
            [*gunicorn, "--bind", bind, "crm_sync.receiver:create_app()"],
            {**env, readiness.PART: "web"},
            ready=lambda: _answers(f"http://{_reachable(bind)}/health/ready"),
        ),
        *(
            signalled(
                name, [*worker, "-Q", "events,ticks", "-c", str(config.concurrency), "-n", f"{name}@%h"]
            )
            for name in worker_names(config.workers)
        ),
        signalled(
            "bulk", [*worker, "-Q", "setup,pull,backfill", "-c", str(BULK_CONCURRENCY), "-n", "bulk@%h"]
        ),
        signalled("beat", [*celery, "beat", "--pidfile="]),
    ]


def worker_names(number: int) -> list[str]:
    """The workers for events: one process keeps one core busy, so there are several."""
    return ["worker", *(f"worker-{nth}" for nth in range(2, number + 1))]


@contextmanager
def _redis(config: Config) -> Iterator[str]:
    if config.redis_url:
        yield config.redis_url
        return
    with EmbeddedRedis(config.data_dir) as embedded:
        yield embedded.url


def _ready_dir(config: Config) -> Path:
    """Where the parts say that they are ready; empty, whatever a former run left there."""
    path = config.data_dir.resolve() / "ready"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    return path


def _free(bind: str) -> str:
    """The address with a port in it; raises ConfigError when we cannot listen there."""
    host, _, port = bind.rpartition(":")
    trouble = "it is not written as host:port"
    if port.isdecimal() and int(port) < 2**16:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.create_server((host.strip("[]"), int(port)), family=family) as probe:
                return f"{host}:{probe.getsockname()[1]}"
        except OSError as error:
            trouble = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
    raise ConfigError(
        f"Cannot listen on {bind}: {trouble}. Choose another address with --bind or CRM_SYNC_BIND.",
        setting="CRM_SYNC_BIND",
    )


def _reachable(bind: str) -> str:
    host, _, port = bind.rpartition(":")
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host) + f":{port}"  # noqa: S104 - a name to replace, not to bind


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False
