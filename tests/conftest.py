"""What every test may ask for: a real Redis, a real PostgreSQL, a data directory and a configuration of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from crm_sync.config import PREFIX, Config, load
from tests.servers import Postgres, postgres_server, redis_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the pages need a browser; everything else runs everywhere, what takes long not at the end.

    One that begins last would be waited for by itself. But those that take long start many processes, and side by side
    they would wait for each other: they are spread over the first two thirds.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    if slow:
        step = len(quick) * 2 // 3 // len(slow)
        for number, item in enumerate(slow):
            quick.insert(number * (step + 1), item)
        items[:] = quick
    if shutil.which("chromium"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="there is no Chromium, and it cannot be installed here"))


@pytest.fixture(scope="session", autouse=True)
def _away_from_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the options, or touches the data directory, of whoever runs it."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patched.delenv(name)
        patched.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
        patched.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def _redis() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server of this test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def redis_url(_redis: str) -> str:
    """A real Redis that holds nothing."""
    with redis.Redis.from_url(_redis) as client:
        client.flushall()
    return _redis


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database on a real PostgreSQL."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The database option: empty (SQLite in the data directory), or PostgreSQL's under ``on_every_database``."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return ""


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that holds no option of ours, and a way to set some."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def config(clean_environment: pytest.MonkeyPatch, data_dir: Path, redis_url: str, database: str) -> Config:
    """A configuration with a real Redis and a database of its own, also in the environment for child processes."""
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    clean_environment.setenv("CRM_SYNC_REDIS_URL", redis_url)
    if database:
        clean_environment.setenv("CRM_SYNC_DATABASE_URL", database)
    return load()
