"""Metrics are counted over all processes of the service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crm_sync.telemetry import metrics
from crm_sync.telemetry.readiness import PART, READY_DIR, announce


def _process(directory: Path, program: str) -> str:
    """Run a program as a process of the service."""
    done = subprocess.run(
        [sys.executable, "-c", f"from crm_sync.telemetry import metrics\n{program}"],
        env={**os.environ, metrics.DIRECTORY: str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def shared(data_dir: Path) -> Path:
    """The directory the processes share, empty."""
    directory = metrics.directory_of(data_dir)
    metrics.reset(directory)
    return directory


def test_counts_of_several_processes_are_summed_by_label(shared: Path) -> None:
    for state in ("done", "done", "failed"):
        _process(shared, f"metrics.EVENTS.labels('glpi', {state!r}, '').inc()")
    assert metrics.counts("crm_sync_events_total", shared) == {
        ("glpi", "done", ""): 2.0,
        ("glpi", "failed", ""): 1.0,
    }


def test_labels_come_in_the_order_they_were_declared_in(shared: Path) -> None:
    _process(shared, "metrics.CRM_CALLS.labels(system='glpi', status='200', method='GET').inc(3)")
    assert metrics.counts("crm_sync_crm_calls_total", shared) == {("glpi", "GET", "200"): 3.0}


def test_a_counter_without_labels_has_one_value(shared: Path) -> None:
    _process(shared, "metrics.LOCK_LOST.inc()")
    assert metrics.counts("crm_sync_lock_lost_total", shared) == {(): 1.0}


def test_what_nobody_counted_is_empty_and_so_is_a_service_that_never_ran(
    shared: Path, tmp_path: Path
) -> None:
    assert metrics.counts("crm_sync_wakes_total", shared) == {}
    assert metrics.counts("crm_sync_wakes_total", tmp_path / "never") == {}


def test_an_unknown_counter_is_an_error() -> None:
    with pytest.raises(KeyError, match="crm_sync_typo_total"):
        metrics.counts("crm_sync_typo_total")


def test_the_text_format_shows_the_sums_of_all_processes(shared: Path) -> None:
    for _ in range(2):
        _process(shared, "metrics.INGEST_DURATION.observe(0.02)")
    text = _process(shared, "import sys; sys.stdout.buffer.write(metrics.render())")
    assert "crm_sync_ingest_duration_seconds_count 2.0" in text


def test_a_process_of_its_own_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metrics.DIRECTORY, raising=False)
    before = metrics.counts("crm_sync_wakes_total")[()]
    metrics.WAKES.inc()
    metrics.forget_process(1)
    assert metrics.counts("crm_sync_wakes_total") == {(): before + 1}
    assert b"crm_sync_wakes_total" in metrics.render()


def test_what_a_process_counted_outlives_it(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = int(_process(shared, "import os; metrics.WAKES.inc(); print(os.getpid())"))
    monkeypatch.setenv(metrics.DIRECTORY, str(shared))
    metrics.forget_process(pid)
    assert metrics.counts("crm_sync_wakes_total", shared) == {(): 1.0}


def test_a_reset_forgets_all_counts(shared: Path) -> None:
    _process(shared, "metrics.WAKES.inc()")
    metrics.reset(shared)
    assert metrics.counts("crm_sync_wakes_total", shared) == {}


def test_every_metric_is_named_after_the_service_and_what_it_counts() -> None:
    names = re.findall(r"^# TYPE (crm_sync_\w+) ", metrics.render().decode(), re.MULTILINE)
    assert {name for name in names if not name.endswith("_created")} == {
        "crm_sync_attempts_total",
        "crm_sync_crm_call_duration_seconds",
        "crm_sync_crm_calls_total",
        "crm_sync_deliveries_ignored_total",
        "crm_sync_deliveries_refused_total",
        "crm_sync_deliveries_total",
        "crm_sync_events_total",
        "crm_sync_ingest_duration_seconds",
        "crm_sync_lock_lost_total",
        "crm_sync_notices_total",
        "crm_sync_pulled_records_total",
        "crm_sync_wakes_total",
    }


def test_a_part_announces_itself_to_those_who_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(READY_DIR, raising=False)
    monkeypatch.setenv(PART, "worker")
    announce()
    monkeypatch.setenv(READY_DIR, str(tmp_path))
    announce()
    assert (tmp_path / "worker").exists()
