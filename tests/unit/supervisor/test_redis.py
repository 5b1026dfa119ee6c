"""The embedded Redis: what the broker is kept in for those who bring none."""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from crm_sync import embedded
from crm_sync.errors import ConfigError, CrmSyncError
from crm_sync.supervisor import redis as subject
from crm_sync.supervisor.redis import EmbeddedRedis, find_server, version_of
from tests.servers import wait_for


def _get(url: str, key: str) -> bytes | None:
    with redis.Redis.from_url(url) as client:
        value: bytes | None = client.get(key)
        return value


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_it_keeps_what_it_holds_and_its_address_when_it_is_started_again(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as first, redis.Redis.from_url(first.url) as client:
        client.set("kept", "yes")
    with EmbeddedRedis(data_dir) as second:
        assert second.url == first.url == embedded.url_of(data_dir)
        assert _get(second.url, "kept") == b"yes"


def test_it_evicts_nothing_and_writes_every_change_to_disk(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_nobody_gets_in_without_the_password_that_only_the_owner_can_read(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as server:
        password = server.url.split(":")[2].split("@")[0]
        assert len(password) >= 32
        with (
            redis.Redis.from_url(server.url.replace(password, "")) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        assert stat.S_IMODE((embedded.folder(data_dir) / "url").stat().st_mode) == 0o600
        assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()


def test_nothing_runs_after_the_block(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as server:
        pid = server.pid
        assert pid is not None
        assert _lives(pid)
    assert not _lives(pid)


def test_it_is_started_again_at_the_same_address_when_it_crashes(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedRedis(data_dir) as server:
        url, first = server.url, server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: server.pid != first, 20, "another process")
        assert server.url == url
        assert _get(url, "anything") is None
    assert "ended with status -9" in caplog.text


def test_it_goes_on_trying_when_it_cannot_be_started_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedRedis(data_dir) as server:
        launch = server._launch
        broken = iter([True])

        def sometimes(binary: Path) -> subprocess.Popen[bytes]:
            if next(broken, False):
                raise CrmSyncError("no luck")
            return launch(binary)

        monkeypatch.setattr(server, "_launch", sometimes)
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: server.pid != first, 20, "another process")
    assert "trying again" in caplog.text


def test_a_data_directory_in_use_is_refused_in_a_sentence(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir), pytest.raises(ConfigError, match="Another crm-sync is running") as refusal:
        EmbeddedRedis(data_dir, handover_s=0.05).__enter__()
    assert refusal.value.setting == "CRM_SYNC_DATA_DIR"


def test_it_takes_another_port_when_somebody_has_the_one_it_had(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as server:
        former = server.url
    port = int(former.split(":")[3].split("/")[0])
    with socket.create_server(("127.0.0.1", port)), EmbeddedRedis(data_dir) as server:
        assert server.url != former
        assert embedded.url_of(data_dir) == server.url


def test_it_does_not_mistake_a_strangers_redis_for_its_own(data_dir: Path, redis_url: str) -> None:
    embedded.folder(data_dir).mkdir()
    embedded.remember(data_dir, redis_url.replace("//", "//:some-password@"))
    with EmbeddedRedis(data_dir) as server:
        assert _get(server.url, "anything") is None
        assert server.url.split("@")[1] != redis_url.split("//")[1]


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _program(tmp_path / "redis-server", "cat >/dev/null; echo 'no memory left' >>redis.log; exit 1")
    monkeypatch.setattr(subject, "find_server", lambda: broken)
    with pytest.raises(CrmSyncError, match=r"does not start: .*no memory left"):
        EmbeddedRedis(data_dir).__enter__()
    silent = _program(tmp_path / "silent", "exit 1")
    monkeypatch.setattr(subject, "find_server", lambda: silent)
    with pytest.raises(CrmSyncError, match="does not start: no log"):
        EmbeddedRedis(data_dir).__enter__()


def test_a_data_directory_is_free_again_when_the_server_could_not_be_started(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(subject, "find_server", lambda: tmp_path / "nothing")
        with pytest.raises(FileNotFoundError):
            EmbeddedRedis(data_dir).__enter__()
    with EmbeddedRedis(data_dir, handover_s=0):
        pass


def test_it_ends_when_the_process_that_started_it_is_killed(data_dir: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from crm_sync.supervisor.redis import EmbeddedRedis\n"
        "with EmbeddedRedis(Path(sys.argv[1])) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(data_dir)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    wait_for(lambda: not _lives(pid), 20, "the server ends")
    with EmbeddedRedis(data_dir) as server:
        assert _get(server.url, "anything") is None


def test_the_server_on_path_is_preferred_when_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    binary = _program(tmp_path / "redis-server", "echo 'Redis server v=7.4.1 sha=0 bits=64'")
    assert find_server() == binary
    _program(tmp_path / "redis-server", "echo 'Redis server v=6.0.16 sha=0 bits=64'")
    assert find_server() != binary
    assert version_of(find_server()) >= (6, 2)


def test_without_any_server_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subject, "_BUNDLES", ("no_such_package",))
    with pytest.raises(ConfigError, match="CRM_SYNC_REDIS_URL"):
        find_server()


def test_a_program_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path / "missing") == ()
    assert version_of(_program(tmp_path / "silent", "exit 0")) == ()


def test_a_data_directory_without_a_redis_has_no_address(data_dir: Path) -> None:
    assert embedded.url_of(data_dir) == ""


@pytest.fixture(autouse=True)
def _log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
