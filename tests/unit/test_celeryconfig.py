"""What the broker's settings must hold, whatever their values."""

from __future__ import annotations

import fnmatch
import runpy
from pathlib import Path
from typing import Any

import pytest

from crm_sync import embedded

CONFIG = Path(__file__).parents[2] / "celeryconfig.py"


@pytest.fixture
def environment(clean_environment: pytest.MonkeyPatch, data_dir: Path) -> pytest.MonkeyPatch:
    """Options of a service with a data directory and nothing else."""
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    return clean_environment


def _settings() -> dict[str, Any]:
    return runpy.run_path(str(CONFIG))


def test_the_broker_is_the_one_that_is_configured(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CRM_SYNC_REDIS_URL", "rediss://:pw@cache.example/2")
    assert _settings()["broker_url"] == "rediss://:pw@cache.example/2"


def test_without_one_it_is_the_embedded_redis_of_the_data_directory(
    environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    embedded.folder(data_dir).mkdir()
    embedded.remember(data_dir, "redis://:pw@127.0.0.1:4711/0")
    assert _settings()["broker_url"] == "redis://:pw@127.0.0.1:4711/0"
    environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir / "other"))
    assert _settings()["broker_url"] == "redis://127.0.0.1:6379/0"


@pytest.mark.usefixtures("environment")
def test_a_message_comes_back_only_after_its_task_must_be_over() -> None:
    settings = _settings()
    assert settings["broker_transport_options"]["visibility_timeout"] > settings["task_time_limit"]
    assert settings["task_time_limit"] > settings["task_soft_time_limit"]


@pytest.mark.usefixtures("environment")
def test_no_wait_for_the_broker_is_without_end() -> None:
    options = _settings()["broker_transport_options"]
    assert options["socket_timeout"]
    assert options["socket_connect_timeout"]
    assert options["health_check_interval"]


@pytest.mark.usefixtures("environment")
def test_nothing_but_json_is_read_or_written() -> None:
    settings = _settings()
    assert settings["accept_content"] == ["json"]
    assert settings["task_serializer"] == settings["result_serializer"] == "json"


@pytest.mark.usefixtures("environment")
def test_each_route_leads_to_a_declared_queue_with_an_exchange_of_its_own() -> None:
    settings = _settings()
    queues = {queue.name: queue for queue in settings["task_queues"]}
    assert {route["queue"] for route in settings["task_routes"].values()} == set(queues)
    assert {(queue.exchange.name, queue.routing_key) for queue in queues.values()} == {
        (name, name) for name in queues
    }


@pytest.mark.usefixtures("environment")
def test_the_sweep_never_waits_behind_wake_ups() -> None:
    routes = _settings()["task_routes"]
    assert routes["crm_sync.sweep"]["queue"] != routes["crm_sync.wake"]["queue"]


def test_a_late_tick_is_dropped_for_the_next_one_does_the_same(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CRM_SYNC_SWEEP_INTERVAL_S", "3")
    sweep = _settings()["beat_schedule"]["sweep"]
    assert (sweep["schedule"], sweep["options"]["expires"]) == (3.0, 3.0)


@pytest.mark.usefixtures("environment")
def test_the_beat_remembers_in_the_data_directory(data_dir: Path) -> None:
    assert Path(_settings()["beat_schedule_filename"]).parent == data_dir


@pytest.mark.usefixtures("environment")
def test_every_task_has_a_route_and_every_tick_a_task() -> None:
    from crm_sync import tasks

    settings = _settings()
    ours = {name for name in tasks.app.tasks if name.startswith("crm_sync.")}
    assert {entry["task"] for entry in settings["beat_schedule"].values()} <= ours
    for name in ours:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in settings["task_routes"]), name
