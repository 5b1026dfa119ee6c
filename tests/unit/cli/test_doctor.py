"""The doctor finds what would break the promise, says what to do, and changes nothing."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import text

from crm_sync import clock
from crm_sync.cli import checks, surroundings
from crm_sync.cli.checks import Finding, Status
from crm_sync.config import Config
from crm_sync.errors import ConfigError
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import migrate, open_store
from crm_sync.store.models import Account, Hook, HookState, SignatureMode
from tests.commands import crm_sync
from tests.servers import free_port, on_every_database


def findings(check: checks.Check, config: Config) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(config)}


def statuses(check: checks.Check, config: Config) -> set[tuple[str, str]]:
    return {(finding.check, finding.status.value) for finding in check(config)}


@pytest.fixture
def connected(config: Config) -> Config:
    """A journal with an account and a hook."""
    migrate(config)
    store = open_store(config)
    now = clock.now()
    with store.write() as session:
        account = Account(
            chatwoot_url="http://chat.example.com",
            chatwoot_account_id=3,
            api_token_secret=store.keyring.encrypt("token"),
            webhook_token="webhook-token",
            signature=SignatureMode.OFF,
            created_at=now,
        )
        session.add(account)
        session.flush()
        session.add(
            Hook(
                account_id=account.id,
                app_id="glpi",
                settings={},
                settings_secret=store.keyring.encrypt_json({}),
                facts={},
                state=HookState.ACTIVE,
                version=1,
                created_at=now,
                updated_at=now,
            )
        )
    store.close()
    return config


@contextmanager
def web(status: int) -> Iterator[str]:
    """Something that answers on a port of its own; yields where."""
    app = Flask("web")
    app.add_url_rule("/<path:path>", "any", lambda path: (path, status))
    with SandboxServer(app) as server:
        yield f"127.0.0.1:{server.port}"


# -- the command ---------------------------------------------------------------------------------------------------


def test_a_new_installation_is_well_and_the_doctor_leaves_it_as_it_was(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(tmp_path / "data"))
    clean_environment.setenv("CRM_SYNC_BIND", f"127.0.0.1:{free_port()}")
    answer = crm_sync("doctor", "--online", "--json")
    assert answer.status == 0, answer.stdout
    assert {finding["status"] for finding in answer.objects} <= {"ok", "warn"}
    assert not (tmp_path / "data").exists()


def test_the_exit_status_is_1_and_the_last_line_says_which_when_a_check_failed(
    config: Config, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("CRM_SYNC_LEASE_S", "34")
    answer = crm_sync("doctor", "--json")
    assert answer.status == 1
    assert answer.objects[-1] == {"error": "unwell", "message": "1 check failed: lease."}
    words = crm_sync("doctor").stdout
    assert "fail lease" in words
    assert "→ Set CRM_SYNC_LEASE_S to more than 38" in words
    assert config.data_dir.exists()


def test_a_database_that_does_not_answer_is_told_once(
    config: Config, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("CRM_SYNC_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/x")
    answer = crm_sync("doctor", "--online", "--json")
    failed = [finding["check"] for finding in answer.objects if finding.get("status") == "fail"]
    assert failed == ["database"]
    assert "hunter2" not in answer.stdout
    assert config.data_dir.exists()


# -- the checks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "status"), [((3, 12, 1), Status.OK), ((3, 14, 0), Status.WARN)])
def test_a_python_that_is_untested_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, config: Config, version: tuple[int, int, int], status: Status
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert findings(checks.python, config)["python"].status is status


def test_a_data_directory_is_well_only_when_it_can_be_written_by_its_owner_alone(
    config: Config, tmp_path: Path
) -> None:
    assert findings(checks.data_dir, config)["data_dir"].status is Status.OK
    config.data_dir.chmod(0o755)
    assert findings(checks.data_dir, config)["data_dir"].status is Status.WARN
    file = tmp_path / "file"
    file.touch()
    below_a_file = dataclasses.replace(config, data_dir=file / "data")
    assert findings(checks.data_dir, below_a_file)["data_dir"].status is Status.FAIL


@on_every_database
def test_a_database_is_well_when_its_schema_is_ours(config: Config) -> None:
    migrate(config)
    assert ("schema", "ok") in statuses(checks.database, config)


@on_every_database
@pytest.mark.parametrize("revision", ["9999"])
def test_a_schema_of_another_version_is_a_failure_that_says_what_to_do(config: Config, revision: str) -> None:
    migrate(config)
    store = open_store(config)
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    store.close()
    found = findings(checks.database, config)["schema"]
    assert found.status is Status.FAIL
    assert "newer crm_sync" in found.message
    answer = crm_sync("stats", "--json")
    assert (answer.status, answer.object["message"]) == (1, found.message)


def test_an_older_schema_is_brought_up_to_date_by_the_next_start() -> None:
    scripts: Any = SimpleNamespace(walk_revisions=lambda: [SimpleNamespace(revision="0001")])
    assert "older crm_sync; run crm-sync up first" in surroundings.schema_words(scripts, "0001")
    assert "newer crm_sync" in surroundings.schema_words(scripts, "0002")


def test_an_empty_database_is_no_failure_because_the_first_start_fills_it(
    postgres_url: str, config: Config
) -> None:
    empty = dataclasses.replace(config, database_url=postgres_url)
    assert statuses(checks.database, empty) == {("database", "ok")}
    assert statuses(checks.secret_keys, empty) == {("secret_keys", "ok")}
    assert statuses(checks.crm_hooks, empty) == set()


def test_an_old_postgresql_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, config: Config
) -> None:
    monkeypatch.setattr(checks, "OLDEST_POSTGRES", 99)
    server = dataclasses.replace(config, database_url=postgres_url)
    migrate(server)
    assert findings(checks.database, server)["database"].status is Status.WARN


def test_a_redis_without_a_file_is_a_warning_and_one_that_forgets_a_failure(
    config: Config, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert statuses(checks.redis, config) == {
            ("redis", "ok"),
            ("redis_eviction", "ok"),
            ("redis_persistence", "warn"),
            ("clock", "ok"),
        }
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "yes")
        try:
            found = statuses(checks.redis, config)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("appendonly", "no")
    assert {("redis_eviction", "fail"), ("redis_persistence", "ok")} <= found


def test_a_redis_that_is_too_old_or_away_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, config: Config
) -> None:
    monkeypatch.setattr(checks, "OLDEST_REDIS", (99, 0))
    assert findings(checks.redis, config)["redis"].status is Status.FAIL
    away = dataclasses.replace(config, redis_url=f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    found = findings(checks.redis, away)["redis"]
    assert found.status is Status.FAIL
    assert "hunter2" not in found.message


def test_a_machine_without_any_redis_is_a_failure(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    def none() -> Path:
        raise ConfigError("There is no redis-server.")

    monkeypatch.setattr(checks, "find_server", none)
    embedded = dataclasses.replace(config, redis_url="")
    assert findings(checks.redis, embedded)["redis"].message == "There is no redis-server."


@pytest.mark.parametrize(("apart_s", "status"), [(0.5, "ok"), (10, "warn"), (-100, "fail")])
def test_clocks_that_differ_are_told(monkeypatch: pytest.MonkeyPatch, apart_s: float, status: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert checks._clock("redis", now + timedelta(seconds=apart_s)).status == status


def test_stored_secrets_without_their_key_are_a_failure(connected: Config) -> None:
    assert (
        findings(checks.secret_keys, connected)["secret_keys"].message
        == "The keys open all 2 stored secrets."
    )
    file = connected.data_dir / "secret_keys"
    file.chmod(0o644)
    assert [finding.status for finding in checks.secret_keys(connected)] == [Status.WARN, Status.OK]
    file.unlink()
    assert findings(checks.secret_keys, connected)["secret_keys"].status is Status.FAIL
    assert not file.exists()
    other = dataclasses.replace(connected, secret_keys=[Fernet.generate_key().decode()])
    (found,) = checks._made(checks.secret_keys, other)
    assert found.status is Status.FAIL
    assert "add the old key back" in found.message


def test_the_public_address_is_tried_once_an_account_is_connected(connected: Config) -> None:
    with web(200) as address:
        well = dataclasses.replace(connected, public_url=f"http://{address}")
        assert statuses(checks.public_url, well) == {("public_url", "ok")}
    away = dataclasses.replace(connected, public_url=f"http://127.0.0.1:{free_port()}")
    assert findings(checks.public_url, away)["public_url"].status is Status.FAIL
    assert statuses(checks.public_url, connected) == {("public_url", "warn")}


def test_the_web_process_is_ready_or_not_or_not_there(config: Config) -> None:
    for status, expected in ((200, Status.OK), (503, Status.FAIL)):
        with web(status) as address:
            found = findings(checks.web, dataclasses.replace(config, bind=address))["web"]
            assert found.status is expected
    nobody = dataclasses.replace(config, bind=f"0.0.0.0:{free_port()}")
    found = findings(checks.web, nobody)["web"]
    assert found.status is Status.WARN
    assert "Connection refused" in found.message


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (HookState.ACTIVE, "ok"),
        (HookState.PAUSED, "warn"),
        (HookState.SETTING_UP, "warn"),
        (HookState.NEEDS_ATTENTION, "fail"),
    ],
)
def test_a_hook_that_does_not_flow_is_told(connected: Config, state: HookState, status: str) -> None:
    store = open_store(connected)
    with store.write() as session:
        hook = session.get_one(Hook, 1)
        hook.state, hook.state_reason = state, "A reason."
    store.close()
    found = findings(checks.crm_hooks, connected)["hooks"]
    assert found.status == status
    assert "A reason." in found.message
