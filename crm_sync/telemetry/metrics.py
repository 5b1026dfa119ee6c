"""Every metric, declared once: its name, help and labels, summed over all processes of the service.

The processes share a directory (``PROMETHEUS_MULTIPROC_DIR``, set by whoever starts them, before this module is
imported); without one a process counts for itself. The directory is emptied when the service starts.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

#: The labels of each counter, in order.
_LABELS: dict[str, tuple[str, ...]] = {}


def _counter(name: str, help: str, *labels: str) -> Counter:
    _LABELS[name] = labels
    return Counter(name, help, labels)


DELIVERIES = _counter("crm_sync_deliveries_total", "Deliveries stored in the journal.", "source", "event")
DELIVERIES_REFUSED = _counter(
    "crm_sync_deliveries_refused_total", "Deliveries answered with an error, by its code.", "reason"
)
DELIVERIES_IGNORED = _counter(
    "crm_sync_deliveries_ignored_total", "Deliveries that concern no hook, or came before.", "reason"
)
EVENTS = _counter("crm_sync_events_total", "Events that reached their outcome.", "app_id", "state", "reason")
ATTEMPTS = _counter("crm_sync_attempts_total", "Attempts at an event.", "app_id", "outcome")
CRM_CALLS = _counter("crm_sync_crm_calls_total", "Requests to other systems.", "system", "method", "status")
CRM_CALL_DURATION = Histogram(
    "crm_sync_crm_call_duration_seconds",
    "How long requests to other systems took.",
    ["system"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LOCK_LOST = _counter("crm_sync_lock_lost_total", "Mutexes and claims that were lost while they were held.")
WAKES = _counter("crm_sync_wakes_total", "Wake-ups that a worker took from the queue.")
NOTICES = _counter(
    "crm_sync_notices_total", "Notices of changes that CRMs sent, by what was answered.", "answer"
)
PULLED = _counter("crm_sync_pulled_records_total", "Changed records that pulls brought.", "app_id", "became")
INGEST_DURATION = Histogram(
    "crm_sync_ingest_duration_seconds",
    "How long a delivery took from arrival to answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


def directory_of(data_dir: Path) -> Path:
    """Where the processes of the service that keeps its files there share their counts."""
    return data_dir / "metrics"


def reset(directory: Path) -> None:
    """Forget the counts of processes that are gone; only while none of them runs."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)


def forget_process(pid: int) -> None:
    """Drop the gauges of a process that ended; what it counted stays in the sums."""
    if os.environ.get(DIRECTORY):
        mark_process_dead(pid)


def render(directory: Path | None = None) -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(_registry(directory))


def counts(name: str, directory: Path | None = None) -> dict[tuple[str, ...], float]:
    """The values of a counter by the values of its labels, in the order they are declared in."""
    found: dict[tuple[str, ...], float] = {}
    order = _LABELS[name]
    for family in _registry(directory).collect():
        for sample in family.samples:
            if sample.name == name:
                found[tuple(sample.labels[label] for label in order)] = sample.value
    return found


def _registry(directory: Path | None) -> CollectorRegistry:
    shared = directory or os.environ.get(DIRECTORY)
    if not shared:
        return REGISTRY
    registry = CollectorRegistry()
    if Path(shared).is_dir():
        MultiProcessCollector(registry, path=str(shared))
    return registry
