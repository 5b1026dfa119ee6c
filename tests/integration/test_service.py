"""The whole service as `crm-sync up` runs it: real processes, an embedded Redis, SQLite."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest

from crm_sync import embedded
from crm_sync.config import load
from crm_sync.supervisor import Service
from crm_sync.telemetry import metrics
from tests.servers import wait_for


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own service
        body: bytes = answer.read()
        return body


def _processes_of(data_dir: Path) -> dict[int, str]:
    """The processes that work on a data directory, and what they are."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CRM_SYNC_DATA_DIR={data_dir}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    found.pop(os.getpid(), None)
    return found


def test_it_is_ready_when_every_part_answers_and_leaves_nothing_behind(
    clean_environment: pytest.MonkeyPatch, data_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    clean_environment.setenv("CRM_SYNC_SWEEP_INTERVAL_S", "0.5")
    service = Service(load(), "127.0.0.1:0")
    ready: list[str] = []

    def on_ready(url: str) -> None:
        ready.append(url)
        assert json.loads(_get(f"{url}/health/ready"))["status"] == "ok"
        assert b"crm_sync_ingest_duration_seconds" in _get(f"{url}/metrics")
        assert embedded.url_of(data_dir)
        beat = next(pid for pid, words in _processes_of(data_dir).items() if " beat " in words)
        os.kill(beat, signal.SIGKILL)
        # A part that is just being mended must not stay behind either.
        os.kill(os.getpid(), signal.SIGTERM)

    service.run(on_ready)
    assert len(ready) == 1
    wait_for(lambda: not _processes_of(data_dir), 30, "every process ends")
    assert metrics.directory_of(data_dir).is_dir()
    assert "ready" in capfd.readouterr().err
