"""The whole service as processes, with sandboxes around it, and hands to hurt it: for chaos runs and benches.

The sandboxes live in this process, so that what they hold can be looked at; everything of the product runs as its
users run it. All of it listens on 127.0.0.1 and is gone when the block ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import redis
import requests
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import func, select

from crm_sync import config as configuration, service, store
from crm_sync.engine import accounts, hooks
from crm_sync.engine.runtime import Runtime
from crm_sync.sandbox.chatwoot import create_app as chatwoot_app
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.glpi import create_app as glpi_app
from crm_sync.sandbox.krayin import create_app as krayin_app
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store.models import Event, EventState, Link
from crm_sync.supervisor import children
from crm_sync.supervisor.processes import Part
from crm_sync.supervisor.redis import find_server
from crm_sync.supervisor.up import parts
from crm_sync.telemetry import metrics
from tests.servers import free_port, wait_for

STOP_S = 20.0
READY_S = 60.0

#: Times short enough for a test, and still in the right proportion to each other.
QUICK = {
    "CRM_SYNC_SETTLE_S": "0.3",
    "CRM_SYNC_RETRY_DELAYS_S": "0.5,1,1,2,2,2,3,3,3,3,3,3,3,3,3,3,3,3",
    "CRM_SYNC_UNKNOWN_SETTLE_S": "1.5",
    "CRM_SYNC_SWEEP_INTERVAL_S": "1",
    "CRM_SYNC_BREAKER_REST_S": "1",
    "CRM_SYNC_LEASE_S": "12",
    "CRM_SYNC_CONNECT_TIMEOUT_S": "2",
    "CRM_SYNC_READ_TIMEOUT_S": "5",
    "CRM_SYNC_LOG_LEVEL": "WARNING",
    "CRM_SYNC_LOG_FORMAT": "json",
}


#: What a call is to a gate: its method and its path.
Called = Callable[[str, str], None]


@dataclass
class Gate:
    """Stands before a sandbox. ``before`` sees a call before it is handled, ``after`` before it is answered."""

    before: Called | None = None
    after: Called | None = None

    def guard(self, app: Flask) -> None:
        """Stand before this application from now on."""
        inner = cast("Callable[[Any, Any], Iterable[bytes]]", app.wsgi_app)

        def guarded(environ: Any, start_response: Any) -> Iterable[bytes]:
            call = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
            if self.before is not None:
                self.before(*call)
            answer = inner(environ, start_response)
            if self.after is not None:
                self.after(*call)
            return answer

        app.wsgi_app = guarded  # type: ignore[method-assign]


@dataclass
class System:
    """A running service; see :func:`running`."""

    env: dict[str, str]
    data_dir: Path
    redis_port: int
    bind: str
    glpi: Any
    glpi_url: str
    krayin: Any
    krayin_url: str
    chatwoot: ChatwootSandbox
    chatwoot_url: str
    gate: Gate = field(default_factory=Gate)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    faults: int = 0

    @property
    def url(self) -> str:
        """Where the web process answers."""
        return f"http://{self.bind}"

    # -- processes -----------------------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start parts of the service and wait until they are ready."""
        for name in names:
            self.launch(name)
        for name in names:
            self.wait_ready(name)

    def launch(self, name: str) -> None:
        """Start a part without waiting for it. To be called by a thread that outlives the part."""
        part = self._parts()[name]
        if part.before is not None:
            part.before()
        with (self.data_dir / f"{name}.log").open("ab") as log:
            self.processes[name] = children.spawn(part.command, env=part.env, stdout=log, stderr=log)

    def wait_ready(self, name: str) -> None:
        """Wait until a part that was started is ready."""
        wait_for(self._parts()[name].ready, READY_S, f"{name} is ready")

    def _parts(self) -> dict[str, Part]:
        ready_dir = Path(self.env["CRM_SYNC_READY_DIR"])
        return {part.name: part for part in parts(configuration.load(), self.bind, self.env, ready_dir)}

    def kill(self, name: str) -> None:
        """SIGKILL a part and everything it started."""
        process = self.processes.pop(name)
        children.kill(process)
        process.wait()
        self.faults += 1

    def terminate(self, name: str) -> int:
        """SIGTERM a part, as a supervisor does, and wait for its end; its exit status."""
        return children.stop(self.processes.pop(name), STOP_S)

    def freeze(self, name: str) -> None:
        """SIGSTOP a part: it is there, and does nothing."""
        os.killpg(self.processes[name].pid, signal.SIGSTOP)
        self.faults += 1

    def thaw(self, name: str) -> None:
        """SIGCONT a part."""
        os.killpg(self.processes[name].pid, signal.SIGCONT)

    def start_redis(self) -> None:
        """Start a Redis that forgets everything when it ends."""
        command = [
            find_server(),
            "--port",
            str(self.redis_port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.processes["redis"] = children.spawn(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._redis_answers, READY_S, "the Redis answers")

    def flush_redis(self) -> None:
        """Let Redis forget everything."""
        with redis.Redis(port=self.redis_port) as client:
            client.flushall()
        self.faults += 1

    def _redis_answers(self) -> bool:
        try:
            with redis.Redis(port=self.redis_port, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """End everything."""
        for name in sorted(self.processes, key=lambda name: name == "redis"):
            process = self.processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
            children.stop(process, STOP_S)

    # -- what a person does --------------------------------------------------------------------------------------

    def connect(self, runtime: Runtime, *, krayin: bool = False, **settings: str) -> int:
        """Connect the Chatwoot and its GLPI, and its Krayin if it is to be; returns GLPI's hook."""
        connected = accounts.connect(
            runtime.store,
            runtime.config,
            chatwoot_url=self.chatwoot_url,
            account_id=self.chatwoot.account_id,
            api_token=self.chatwoot.api_token,
        )
        given = {
            "api_url": f"{self.glpi_url}/apirest.php",
            "app_token": self.glpi.app_token,
            "user_token": self.glpi.user_tokens["tech"],
            "enable_followup_sync": "true",
            **settings,
        }
        hook = hooks.add(runtime, "glpi", connected.account, given).hook
        if krayin:
            hooks.add(runtime, "krayin", connected.account, self._krayin_settings())
        return hook

    def _krayin_settings(self) -> dict[str, str]:
        return {
            "api_url": f"{self.krayin_url}/api/v1",
            "api_token": self.krayin.token,
            "sync_to_organization": "true",
            "enable_activity_sync": "true",
            "activity_type": "call",
            "enable_message_sync": "true",
            "attachments": "file",
        }

    def glpi_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Everything the GLPI holds."""
        return _dump(self.glpi_url)

    def krayin_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Everything the Krayin holds."""
        return _dump(self.krayin_url)


def _dump(url: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = requests.get(f"{url}/_sandbox/dump", timeout=30).json()
    return found


def counts(runtime: Runtime) -> dict[str, int]:
    """How many events are in each state."""
    with runtime.store.read() as session:
        rows = session.execute(select(Event.state, func.count()).group_by(Event.state))
        found = {state: number for state, number in rows}  # noqa: C416 - rows are not pairs to a type checker
    return {state.value: found.get(state.value, 0) for state in EventState}


def write_backs(runtime: Runtime) -> int:
    """How many links wait to be written back."""
    with runtime.store.read() as session:
        return session.scalar(select(func.count()).where(Link.mirror_at.is_not(None))) or 0


def wait_until_quiet(runtime: Runtime, timeout_s: float) -> float:
    """Wait until no event is pending; returns how long it took, in seconds."""
    started = time.monotonic()
    wait_for(lambda: counts(runtime)["pending"] == 0, timeout_s, "every event has its outcome")
    return time.monotonic() - started


@contextmanager
def running(
    *parts_wanted: str,
    options: Mapping[str, str] | None = None,
    glpi_options: Mapping[str, Any] | None = None,
    krayin_options: Mapping[str, Any] | None = None,
    chatwoot_options: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[tuple[System, Runtime]]:
    """The service with these parts, and a runtime of this process's own on the same database and Redis.

    ``options`` hold for both, ``env`` only for the parts.
    """
    before = dict(os.environ)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="crm_sync_", ignore_cleanup_errors=True))
        )
        data_dir, ready_dir = folder / "data", folder / "ready"
        data_dir.mkdir()
        ready_dir.mkdir()
        glpi = glpi_app(**(glpi_options or {}))
        krayin = krayin_app(**{"flavour": "2.2.3", **(krayin_options or {})})
        chatwoot = chatwoot_app(**(chatwoot_options or {}))
        gate = Gate()
        gate.guard(glpi)
        glpi_url = stack.enter_context(SandboxServer(glpi)).url
        krayin_url = stack.enter_context(SandboxServer(krayin)).url
        chatwoot_url = stack.enter_context(SandboxServer(chatwoot)).url
        chatwoot.extensions["sandbox"].state.public_url = chatwoot_url
        redis_port, bind = free_port(), f"127.0.0.1:{free_port()}"
        ours = {
            **QUICK,
            "CRM_SYNC_DATA_DIR": str(data_dir),
            "CRM_SYNC_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "CRM_SYNC_BIND": bind,
            "CRM_SYNC_READY_DIR": str(ready_dir),
            metrics.DIRECTORY: str(metrics.directory_of(data_dir)),
            **(options or {}),
        }
        metrics.reset(metrics.directory_of(data_dir))
        os.environ.update({name: value for name, value in ours.items() if name != metrics.DIRECTORY})
        stack.callback(_restore, before)
        config = configuration.load()
        store.migrate(config)
        runtime = service.build(config)
        stack.callback(runtime.store.close)
        system = System(
            env={**os.environ, **ours, **(env or {})},
            data_dir=data_dir,
            redis_port=redis_port,
            bind=bind,
            glpi=glpi.extensions["sandbox"],
            glpi_url=glpi_url,
            krayin=krayin.extensions["sandbox"],
            krayin_url=krayin_url,
            chatwoot=chatwoot.extensions["sandbox"],
            chatwoot_url=chatwoot_url,
            gate=gate,
        )
        stack.callback(system.stop)
        system.start_redis()
        system.start(*parts_wanted)
        yield system, runtime


def _restore(before: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)
