"""The demo, as ``make demo ONCE=1`` runs it: the whole service, a day of traffic, faults, and the reconciliation."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crm_sync.config import Config
from crm_sync.demo import stage
from tests.commands import crm_sync

PROGRAM = Path(sys.executable).with_name("crm-sync")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_day_with_faults_and_a_killed_worker_adds_up(
    clean_environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    # Whatever else is set belongs to a service that the demo must not touch.
    clean_environment.setenv("CRM_SYNC_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/real")
    clean_environment.setenv("CRM_SYNC_REDIS_URL", "redis://127.0.0.1:1/0")
    done = subprocess.run(
        [PROGRAM, "demo", "--once"], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    figures = json.loads(done.stdout.splitlines()[-1])
    assert set(figures) == {
        "deliveries",
        "events",
        "done",
        "skipped",
        "failed",
        "lost",
        "duplicates",
        "out_of_order",
        "faults",
    }
    assert (figures["lost"], figures["duplicates"], figures["out_of_order"]) == (0, 0, 0)
    assert figures["events"] == figures["done"] + figures["skipped"] + figures["failed"]
    assert figures["deliveries"] > figures["events"] > 500
    assert figures["faults"] > 1
    assert "Killed the worker" in done.stderr
    assert "Everything adds up" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_stops_and_leaves_nothing_running_when_it_is_interrupted(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean_environment.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(
        [PROGRAM, "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Starting the service")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 1
    assert json.loads(stdout) == {"error": "stopped", "message": "The demo was stopped before its end."}
    assert stderr.splitlines()[-1] == "The demo was stopped before its end."


def test_the_demo_refuses_a_directory_that_holds_a_journal(
    clean_environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    (data_dir / "crm_sync.db").touch()
    answer = crm_sync("demo", "--once", "--json")
    assert (answer.status, answer.object["setting"]) == (1, "CRM_SYNC_DATA_DIR")


def test_the_demo_says_why_its_service_does_not_start(tmp_path: Path) -> None:
    config = stage.config_of(Config(), tmp_path / "data")
    (tmp_path / "data" / "redis").mkdir(parents=True)
    # A folder where Redis wants to write its lock.
    (tmp_path / "data" / "redis" / "lock").mkdir()
    with (
        pytest.raises((OSError, Exception), match=r"lock|service"),
        stage.staged(config, seed=1, stopping=threading.Event()),
    ):
        pytest.fail("the service started")
