"""The database is what the models say, on both of them; writers wait for each other; secrets can be rotated."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from crm_sync import clock
from crm_sync.config import Config
from crm_sync.errors import ConfigError
from crm_sync.store import DatabaseDown, Store, database, migrate, open_store
from crm_sync.store.database import normalised
from crm_sync.store.migrate import alembic_config, pending
from crm_sync.store.models import Account, Base
from crm_sync.store.secrets import KEY_FILE, Keyring
from tests.servers import on_every_database


@pytest.fixture
def store(config: Config) -> Store:
    migrate(config)
    return open_store(config)


def account(number: int) -> Account:
    return Account(
        chatwoot_url="http://chatwoot.example.com",
        chatwoot_account_id=number,
        api_token_secret="",
        webhook_token=f"token-{number}",
        created_at=clock.now(),
    )


def accounts(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Account)) or 0


def fail(store: Store, *, durable: bool) -> None:
    with store.write(durable=durable) as session:
        session.add(account(2))
        session.flush()
        raise ZeroDivisionError


# -- the schema --------------------------------------------------------------------------------------------------------


@on_every_database
def test_the_migrations_make_what_the_models_say(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert not pending(connection)
    store.close()


@on_every_database
def test_indexes_and_unique_keys_are_those_of_the_models(store: Store) -> None:
    found = inspect(store.engine)
    for table in Base.metadata.tables.values():
        assert {index["name"] for index in found.get_indexes(table.name)} >= {
            index.name for index in table.indexes
        }
    store.close()


@on_every_database
def test_several_processes_may_migrate_at_once_and_again(config: Config) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: migrate(config), range(4)))
    migrate(config)
    store = open_store(config)
    with store.engine.connect() as connection:
        assert not pending(connection)
    store.close()


@on_every_database
def test_accounts_of_before_have_every_feature_on_and_keep_their_hooks_on_the_way_there_and_back(
    config: Config,
) -> None:
    store = open_store(config)

    def revise(step: Callable[[AlembicConfig, str], None], revision: str) -> None:
        with store.engine.execution_options(crm_sync_write="durable").begin() as connection:
            alembic = alembic_config()
            alembic.attributes["connection"] = connection
            step(alembic, revision)

    revise(command.upgrade, "0001")
    columns = {
        "accounts": "id, chatwoot_url, chatwoot_account_id, api_token_secret, webhook_token, signature, created_at",
        "hooks": "id, account_id, app_id, settings, settings_secret, facts, state, version, created_at, updated_at",
    }
    now = "'2026-11-01 12:00:00'"
    values = {
        "accounts": f"1, 'http://chat.example.com', 3, '', 't', 'off', {now}",
        "hooks": f"1, 1, 'glpi', '{{}}', '', '{{}}', 'active', 1, {now}, {now}",
    }
    with store.write() as session:
        for table in ("accounts", "hooks"):
            session.execute(text(f"INSERT INTO {table} ({columns[table]}) VALUES ({values[table]})"))
    migrate(config)
    with store.read() as session:
        assert session.get_one(Account, 1).features_off == []
    revise(command.downgrade, "0001")
    with store.read() as session:
        assert session.scalar(text("SELECT count(*) FROM hooks")) == 1
    migrate(config)
    with store.read() as session:
        assert [hook.id for hook in session.get_one(Account, 1).hooks] == [1]
    store.close()


def test_an_empty_database_is_seen_to_lack_its_schema(config: Config) -> None:
    store = open_store(config)
    with store.engine.connect() as connection:
        assert pending(connection)
    store.close()


@pytest.mark.parametrize("url", ["postgres://h/d", "postgresql://h/d", "postgresql+psycopg://h/d"])
def test_every_spelling_of_postgresql_means_the_driver_we_ship(url: str) -> None:
    assert normalised(url).drivername == "postgresql+psycopg"


# -- writing -----------------------------------------------------------------------------------------------------------


@on_every_database
@pytest.mark.parametrize("durable", [True, False])
def test_a_write_is_seen_by_others_after_its_block_and_not_at_all_when_it_raises(
    store: Store, *, durable: bool
) -> None:
    with store.write(durable=durable) as session:
        session.add(account(1))
        session.flush()
        assert accounts(store) == 0
    assert accounts(store) == 1
    with pytest.raises(ZeroDivisionError):
        fail(store, durable=durable)
    assert accounts(store) == 1
    store.close()


def test_a_durable_write_waits_for_the_disk_and_a_quick_one_does_not(store: Store) -> None:
    found = {}
    for durable in (True, False, True):
        with store.write(durable=durable) as session:
            found[durable] = session.scalar(text("PRAGMA synchronous"))
    assert found == {True: 2, False: 1}
    store.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_only_a_quick_write_returns_before_postgresqls_log_is_on_the_disk(store: Store) -> None:
    with store.write(durable=False) as session:
        assert session.scalar(text("SHOW synchronous_commit")) == "off"
    with store.engine.connect() as connection:
        connection.execute(text("SET synchronous_commit = on"))
        connection.commit()
    with store.write() as session:
        assert session.scalar(text("SHOW transaction_isolation")) == "read committed"
    store.close()


@on_every_database
def test_times_come_back_aware_and_in_utc(store: Store) -> None:
    made = account(1)
    with store.write() as session:
        session.add(made)
    with store.read() as session:
        found = session.scalar(select(Account.created_at))
    assert found == made.created_at
    assert found is not None
    assert found.utcoffset() is not None
    assert not found.utcoffset()
    store.close()


@on_every_database
def test_writers_of_many_threads_wait_for_each_other(store: Store) -> None:
    def add(number: int) -> None:
        with store.write(durable=number % 2 == 0) as session:
            session.add(account(number))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(add, range(60)))
    assert accounts(store) == 60
    store.close()


@on_every_database
def test_work_done_together_succeeds_and_fails_piece_by_piece(store: Store) -> None:
    def add(number: int) -> bool:
        # Every number comes twice: the unique key refuses the second one, and only that.
        try:
            store.write_together(lambda session: (session.add(account(number)), session.flush()))
        except Exception:  # noqa: BLE001 - which error it is, is the database's business
            return False
        return True

    with ThreadPoolExecutor(24) as pool:
        done = list(pool.map(add, [number // 2 for number in range(160)]))
    assert sum(done) == accounts(store) == 80
    store.close()


@on_every_database
def test_work_that_came_alone_leaves_nothing_behind_when_it_fails(store: Store) -> None:
    def fails(session: Session) -> None:
        session.add(account(1))
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_together(fails)
    assert accounts(store) == 0
    store.write_together(lambda session: session.add(account(1)))
    assert accounts(store) == 1
    store.close()


def test_nobody_waits_for_ever_when_more_come_together_than_fit_into_one_commit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_sync.store.together.BATCH", 1)
    assert store._together is not None
    together = store._together
    numbers = iter(range(100))
    together._turn.acquire()
    threads = [
        threading.Thread(
            target=store.write_together, args=(lambda session: session.add(account(next(numbers))),)
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    together._turn.release()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert accounts(store) == 6
    store.close()


def test_a_file_that_somebody_else_has_locked_is_reported_as_a_database_that_is_down(
    store: Store, config: Config
) -> None:
    with sqlite3.connect(config.data_dir / "crm_sync.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseDown), store.write() as session:
            session.add(account(1))
        assert accounts(store) == 0, "reading goes on"
        other.execute("ROLLBACK")
    other.close()
    with store.write() as session:
        session.add(account(1))
    store.close()


def test_a_write_begins_soon_after_that_of_another_process_and_waits_no_longer_than_it_may(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config.data_dir / "crm_sync.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    with store.write() as session:
        session.add(account(1))
    other.execute("BEGIN IMMEDIATE")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr(database.time, "sleep", sleep)
    with store.write() as session:
        assert session.scalar(text("PRAGMA busy_timeout")) == database.LOCK_TIMEOUT_S * 1000
    assert waited == [database.LOCK_POLL_S] * 3
    monkeypatch.undo()
    monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 0.2)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError), store.write() as session:
        session.connection()
    other.execute("ROLLBACK")
    other.close()
    store.close()


def test_a_server_that_is_not_there_is_reported_as_a_database_that_is_down(config: Config) -> None:
    store = open_store(replace(config, database_url="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(OperationalError), store.read() as session:
        session.execute(text("SELECT 1"))
    assert OperationalError in DatabaseDown
    store.close()


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_only_its_owner_can_read_it(config: Config) -> None:
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: Keyring.load(config), range(8)))
    tokens = [ring.encrypt("x") for ring in rings]
    assert {rings[0].decrypt(token) for token in tokens} == {"x"}
    path = Path(config.data_dir) / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.glob("tmp*")] == []


def test_the_first_key_writes_all_of_them_read_and_rotating_moves_to_the_first() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    token = Keyring([old]).encrypt_json({"user_token": "t"})
    both = Keyring([new, old])
    assert both.decrypt_json(token) == {"user_token": "t"}
    rotated = both.rotate(token)
    assert Keyring([new]).decrypt_json(rotated) == {"user_token": "t"}
    with pytest.raises(ConfigError, match="add the old key back"):
        Keyring([new]).decrypt(token)


def test_something_that_is_no_key_is_named_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        Keyring(["hunter2"])
    assert caught.value.setting == "CRM_SYNC_SECRET_KEYS"
    assert "hunter2" not in str(caught.value)
