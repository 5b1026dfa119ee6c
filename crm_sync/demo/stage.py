"""The stage of the demo: a Chatwoot, a GLPI and a Krayin that are played, and the whole service between them, for real.

Guarantees: nothing of the machine's own service is touched (database, Redis and keys of the environment are not
used), and nothing stays behind but the data directory.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from crm_sync import embedded, service
from crm_sync.config import Config
from crm_sync.engine import accounts, hooks
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import ConfigError, CrmSyncError
from crm_sync.sandbox import chatwoot as chatwoot_sandbox, glpi as glpi_sandbox, krayin as krayin_sandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.supervisor import Service

#: Engine times of the demo: short, so that a day and its faults fit into a minute. But for the first: the day shuffles
#: its deliveries, and a machine that is busy with other things must not add to their disorder.
ENGINE: Mapping[str, str] = {
    "CRM_SYNC_SETTLE_S": "2",
    "CRM_SYNC_RETRY_DELAYS_S": "0.5,1,2,5,10,10,10",
    "CRM_SYNC_UNKNOWN_SETTLE_S": "2",
    "CRM_SYNC_BREAKER_REST_S": "2",
    "CRM_SYNC_SWEEP_INTERVAL_S": "2",
}
#: What the demo does not take from the environment, lest it plays with real data.
_OWN = {
    "CRM_SYNC_DATABASE_URL": "",
    "CRM_SYNC_SECRET_KEYS": "",
    "CRM_SYNC_PUBLIC_URL": "",
}
LATENCY_MS = 5
#: The generation of Krayin that has no limit of calls a minute.
KRAYIN = "2.2.3"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 40.0
LOG_FILE = "demo.log"
_POLL_S = 0.2


class Stopped(CrmSyncError):
    """Somebody asked the demo to stop."""

    def __init__(self) -> None:
        super().__init__("The demo was stopped before its end.")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that plays."""

    runtime: Runtime
    chatwoot: chatwoot_sandbox.ChatwootSandbox
    glpi: glpi_sandbox.GlpiSandbox
    krayin: krayin_sandbox.KrayinSandbox
    service: Service
    #: Where people can look: the sandboxes, health and metrics.
    urls: Mapping[str, str]
    _apps: Mapping[str, Any]
    #: The hooks between Chatwoot and each CRM, by the app, and where the CRMs' APIs are.
    hook_ids: Mapping[str, int]
    glpi_url: str
    krayin_url: str

    def chatwoot_dump(self) -> dict[str, Any]:
        """Everything in Chatwoot."""
        return self._dump("chatwoot")

    def crm_dumps(self) -> dict[str, dict[str, Any]]:
        """Everything in each CRM, by its app."""
        return {app_id: self._dump(app_id) for app_id in self.hook_ids}

    def let_crms_fail(self, rate: float) -> None:
        """This share (0 to 1) of what the CRMs are asked fails from now on."""
        for crm in (self.glpi, self.krayin):
            crm.faults.change({"fail_rate": rate})

    def faults(self) -> int:
        """How often a CRM has failed."""
        return sum(sum(crm.faults.hits.values()) for crm in (self.glpi, self.krayin))

    def kill_worker(self) -> int | None:
        """End the events worker as a crash would; its process id, or None while there is none."""
        pid = self.service.pids().get("worker")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid

    def _dump(self, name: str) -> dict[str, Any]:
        answer = self._apps[name].test_client().get("/_sandbox/dump")
        found: dict[str, Any] = answer.get_json()
        return found


def check_directory(data_dir: Path) -> None:
    """Raise ConfigError when the directory holds a journal: the demo counts what it finds there."""
    if (data_dir / "crm_sync.db").exists():
        raise ConfigError(
            f"{data_dir} holds a journal already; the demo needs an empty directory: unset CRM_SYNC_DATA_DIR, "
            "or name another one.",
            setting="CRM_SYNC_DATA_DIR",
        )


@contextmanager
def staged(config: Config, *, seed: int, stopping: threading.Event) -> Iterator[Stage]:
    """Bring everything up, connected, and take it down again. ``config`` comes from :func:`config_of`.

    Raises Stopped when ``stopping`` is set before it is up.
    """
    glpi_app = glpi_sandbox.create_app(latency_ms=LATENCY_MS, seed=seed)
    chatwoot_app = chatwoot_sandbox.create_app(latency_ms=LATENCY_MS, seed=seed, workers=2)
    krayin_app = krayin_sandbox.create_app(flavour=KRAYIN, latency_ms=LATENCY_MS, seed=seed)
    krayin: krayin_sandbox.KrayinSandbox = krayin_app.extensions["sandbox"]
    glpi: glpi_sandbox.GlpiSandbox = glpi_app.extensions["sandbox"]
    chatwoot: chatwoot_sandbox.ChatwootSandbox = chatwoot_app.extensions["sandbox"]
    with ExitStack() as stack:
        glpi_server = stack.enter_context(SandboxServer(glpi_app))
        krayin_server = stack.enter_context(SandboxServer(krayin_app))
        chatwoot_server = stack.enter_context(SandboxServer(chatwoot_app))
        # Where its files are.
        chatwoot.state.public_url = chatwoot_server.url
        running, url = stack.enter_context(_running(config, stopping))
        runtime = service.build(
            replace(config, bind=urlsplit(url).netloc, redis_url=embedded.url_of(config.data_dir))
        )
        stack.callback(runtime.store.close)
        connected = accounts.connect(
            runtime.store,
            runtime.config,
            chatwoot_url=chatwoot_server.url,
            account_id=chatwoot.account_id,
            api_token=chatwoot.api_token,
        )
        glpi_url, krayin_url = f"{glpi_server.url}/apirest.php", f"{krayin_server.url}/api/v1"
        settings = {
            "glpi": {
                "api_url": glpi_url,
                "app_token": glpi.app_token,
                "user_token": glpi.user_tokens["super"],
                "enable_followup_sync": "true",
                "attachments": "document",
            },
            "krayin": {
                "api_url": krayin_url,
                "api_token": krayin.token,
                "sync_to_organization": "true",
                "enable_activity_sync": "true",
                # A chat would be a note, which is always done.
                "activity_type": "call",
                "enable_message_sync": "true",
                "attachments": "file",
            },
        }
        hook_ids = {
            app_id: hooks.add(runtime, app_id, connected.account, given).hook
            for app_id, given in settings.items()
        }
        urls = {
            "Chatwoot (sandbox)": f"{chatwoot_server.url}/_sandbox/dump",
            "GLPI (sandbox)": f"{glpi_server.url}/_sandbox/dump",
            "Krayin (sandbox)": f"{krayin_server.url}/_sandbox/dump",
            "health": f"{url}/health/ready",
            "metrics": f"{url}/metrics",
        }
        played = {"chatwoot": chatwoot_app, "glpi": glpi_app, "krayin": krayin_app}
        yield Stage(runtime, chatwoot, glpi, krayin, running, urls, played, hook_ids, glpi_url, krayin_url)


def config_of(base: Config, data_dir: Path) -> Config:
    """The demo's configuration: everything embedded, in this directory, with short times."""
    return replace(
        base,
        database_url="",
        redis_url="",
        secret_keys=[],
        public_url="",
        bind="127.0.0.1:0",
        data_dir=data_dir,
        settle_s=float(ENGINE["CRM_SYNC_SETTLE_S"]),
        unknown_settle_s=float(ENGINE["CRM_SYNC_UNKNOWN_SETTLE_S"]),
        breaker_rest_s=float(ENGINE["CRM_SYNC_BREAKER_REST_S"]),
        sweep_interval_s=float(ENGINE["CRM_SYNC_SWEEP_INTERVAL_S"]),
        retry_delays_s=[float(delay) for delay in ENGINE["CRM_SYNC_RETRY_DELAYS_S"].split(",")],
    )


@contextmanager
def _running(config: Config, stopping: threading.Event) -> Iterator[tuple[Service, str]]:
    """The service, with its log in the data directory; yields it and its URL once it answers."""
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (config.data_dir / LOG_FILE).open("w", encoding="utf-8") as log:
        running = _Running(config, log)
        running.start()
        try:
            yield running.service, running.wait_ready(stopping)
        finally:
            running.stop()


class _Running:
    """The service in a thread of its own, which must live as long as the processes it starts."""

    def __init__(self, config: Config, log: TextIO) -> None:
        self.service = Service(config, config.bind, extra_env={**_OWN, **ENGINE}, output=log)
        self._url = ""
        self._error: BaseException | None = None
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self, stopping: threading.Event) -> str:
        """Its URL. Raises CrmSyncError when it does not start."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._settled.wait(_POLL_S):
            if stopping.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                raise CrmSyncError(f"The service did not get ready within {START_TIMEOUT_S:g} s.")
        if self._error is not None:
            raise self._error
        return self._url

    def stop(self) -> None:
        self.service.stop()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self.service.run(self._ready)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the service raises it
            self._error = error
        finally:
            self._settled.set()

    def _ready(self, url: str) -> None:
        self._url = url
        self._settled.set()
