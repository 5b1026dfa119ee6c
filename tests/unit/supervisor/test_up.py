"""What the service is made of, and where it listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from crm_sync.config import Config
from crm_sync.errors import ConfigError, CrmSyncError
from crm_sync.supervisor import up
from crm_sync.supervisor.processes import Part
from crm_sync.telemetry import metrics, readiness

PROCFILE = Path(__file__).parents[3] / "Procfile"


def test_the_procfile_runs_the_same_parts_on_the_same_queues(config: Config, tmp_path: Path) -> None:
    lines = dict(line.split(": ", 1) for line in PROCFILE.read_text().splitlines() if ": " in line)
    parts = {part.name: part for part in up.parts(config, "127.0.0.1:0", {}, tmp_path)}
    assert list(lines) == ["web", "worker", "bulk", "beat"]
    assert list(parts) == ["web", "worker", "worker-2", "bulk", "beat"]
    assert parts["worker-2"].command[:-1] == parts["worker"].command[:-1]
    for name in ("worker", "bulk"):
        queues = parts[name].command[parts[name].command.index("-Q") + 1]
        assert f"-Q {queues} " in lines[name]


def test_every_queue_has_a_worker(config: Config, tmp_path: Path) -> None:
    from crm_sync.celery import app

    served = {
        queue
        for part in up.parts(config, "127.0.0.1:0", {}, tmp_path)
        if "-Q" in part.command
        for queue in part.command[part.command.index("-Q") + 1].split(",")
    }
    assert served == {queue.name for queue in app.conf.task_queues}


def test_a_part_that_is_started_again_must_say_again_that_it_is_ready(config: Config, tmp_path: Path) -> None:
    worker = up.parts(config, "127.0.0.1:0", {}, tmp_path)[1]
    assert worker.env[readiness.PART] == "worker"
    assert not worker.ready()
    (tmp_path / "worker").touch()
    assert worker.ready()
    worker.before()
    assert not worker.ready()


def test_an_address_that_is_taken_is_refused_in_a_sentence(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"Address already in use.*--bind") as refusal:
            up.run_up(config, bind, on_ready=lambda _: None)
    assert refusal.value.setting == "CRM_SYNC_BIND"


@pytest.mark.parametrize("bind", ["8000x", "127.0.0.1", "127.0.0.1:99999", "no such host:1"])
def test_an_address_that_is_none_is_refused_in_a_sentence(config: Config, bind: str) -> None:
    with pytest.raises(ConfigError, match=f"^Cannot listen on {bind}: "):
        up.run_up(config, bind, on_ready=lambda _: None)


def test_port_0_means_any_free_one() -> None:
    host, port = up._free("127.0.0.1:0").split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    assert up._free("[::1]:0").startswith("[::1]:")


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        (":8000", "127.0.0.1:8000"),
        ("[::]:8000", "[::1]:8000"),
        ("10.0.0.1:8000", "10.0.0.1:8000"),
    ],
)
def test_a_service_that_listens_everywhere_is_asked_on_this_machine(bind: str, address: str) -> None:
    assert up._reachable(bind) == address


def test_a_web_process_that_does_not_answer_is_not_ready() -> None:
    assert not up._answers("http://127.0.0.1:1/health/ready")


def test_what_a_former_run_left_is_forgotten_and_the_parts_share_what_is_new(
    config: Config, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    old = metrics.directory_of(data_dir) / "counter_1.db"
    old.parent.mkdir()
    old.touch()
    (data_dir / "ready").mkdir()
    (data_dir / "ready" / "worker").touch()
    seen: dict[str, str] = {}

    def parts(_config: Config, _bind: str, env: dict[str, str], _ready_dir: Path) -> list[Part]:
        seen.update(env)
        return [Part("web", ["false"], env, ready=lambda: False)]

    monkeypatch.setattr(up, "parts", parts)
    with pytest.raises(CrmSyncError, match="web does not start"):
        up.run_up(config, "127.0.0.1:0", on_ready=lambda _: None, extra_env={"EXTRA": "1"})
    assert not old.exists()
    assert seen[metrics.DIRECTORY] == str(old.parent)
    assert seen["CRM_SYNC_REDIS_URL"] == config.redis_url
    assert seen["EXTRA"] == "1"
    assert not list(Path(seen[readiness.READY_DIR]).iterdir())
