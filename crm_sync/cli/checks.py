"""What ``crm-sync doctor`` looks at. Each check says how things are and, where they are not well, what to do.

They change nothing, and one that cannot be made is a finding like any other.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import Fernet
from redis.exceptions import RedisError
from sqlalchemy import Connection, make_url, select, text

from crm_sync import clock, embedded, keys
from crm_sync.cli import surroundings, troubles
from crm_sync.config import Config
from crm_sync.engine import hooks
from crm_sync.errors import ConfigError, CrmSyncError
from crm_sync.store import open_store
from crm_sync.store.migrate import alembic_config
from crm_sync.store.models import Account, Hook, HookState
from crm_sync.store.secrets import KEY_FILE, Keyring
from crm_sync.supervisor.redis import OLDEST as OLDEST_REDIS, find_server

#: Versions of Python this is tested with.
PYTHONS = ((3, 11), (3, 13))
OLDEST_POSTGRES = 13
#: How far two clocks may be apart, in seconds: more is odd, and more than the second one breaks leases.
CLOCK_ODD_S, CLOCK_WRONG_S = 2.0, 30.0
HTTP_TIMEOUT_S = 5.0
#: What a claim must hold beyond the time limits of one call, in seconds.
LEASE_MARGIN_S = 5.0


class Status(StrEnum):
    """How well something is. Only ``FAIL`` keeps the service from its promise."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``remedy`` is what to do about it."""

    check: str
    status: Status
    message: str
    remedy: str | None = None


Check = Callable[[Config], Iterator[Finding]]


def run(config: Config, *, online: bool) -> Iterator[Finding]:
    """All findings; with ``online`` the CRMs are called, too."""
    for check in (python, data_dir, lease, redis, web):
        yield from _made(check, config)
    looked = list(_made(database, config))
    yield from looked
    if any(finding.status is Status.FAIL for finding in looked):
        return
    for check in (secret_keys, public_url, crm_hooks, *((credentials,) if online else ())):
        yield from _made(check, config)


def _made(check: Check, config: Config) -> Iterator[Finding]:
    try:
        yield from check(config)
    except Exception as error:
        trouble = troubles.in_words(error)
        if trouble is None:
            raise
        yield Finding(check.__name__, Status.FAIL, trouble.message)


def python(_config: Config) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        yield Finding("python", Status.OK, f"Python {version}.")
    else:
        known = " to ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        yield Finding("python", Status.WARN, f"Python {version} is untested here.", f"Use Python {known}.")


def data_dir(config: Config) -> Iterator[Finding]:
    """Where the embedded parts keep their files."""
    path = config.data_dir
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK) or not place.is_dir():
        remedy = "Give it to the user who runs crm-sync, or choose another directory with CRM_SYNC_DATA_DIR."
        yield Finding("data_dir", Status.FAIL, f"{place} cannot be written.", remedy)
    elif place != path:
        yield Finding("data_dir", Status.OK, f"{path} will be made by the first start.")
    elif path.stat().st_mode & 0o077:
        yield Finding("data_dir", Status.WARN, f"{path} can be entered by others.", f"chmod 700 {path}")
    else:
        yield Finding("data_dir", Status.OK, f"{path} can be written.")


def database(config: Config) -> Iterator[Finding]:
    """The journal's database: does it answer, which version, is the schema ours, is its clock ours."""
    if _is_new(config):
        yield Finding("database", Status.OK, "The database will be made by the first start.")
        return
    with _connected(config) as connection:
        yield _database_version(connection)
        yield _schema(connection)
        if connection.dialect.name == "postgresql":
            theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            yield _clock("database", theirs)


def redis(config: Config) -> Iterator[Finding]:
    """The broker: does it answer, does it keep what it is given, is its clock ours."""
    url = config.redis_url or embedded.url_of(config.data_dir)
    if not config.redis_url:
        try:
            server = find_server()
        except ConfigError as error:
            yield Finding("redis", Status.FAIL, str(error))
            return
        if surroundings.redis_url(config) is None:
            yield Finding("redis", Status.OK, f"crm-sync up will start its own, {server}.")
            return
    with closing(keys.connect(url)) as client:
        try:
            facts: dict[str, Any] = client.info()
            seconds, micros = client.time()
        except RedisError as error:
            remedy = "Start it, or correct CRM_SYNC_REDIS_URL. Deliveries are stored meanwhile and wait."
            yield Finding("redis", Status.FAIL, f"Redis does not answer ({troubles.reason(error)}).", remedy)
            return
    yield from _redis_facts(facts)
    yield _clock("redis", datetime.fromtimestamp(seconds + micros / 1_000_000, UTC))


def secret_keys(config: Config) -> Iterator[Finding]:
    """The keys: are they there, do they fit what is stored."""
    file = config.data_dir / KEY_FILE
    if not config.secret_keys and not file.exists():
        if not _is_new(config) and _secrets(config):
            remedy = f"Put the key back into {file}, or into CRM_SYNC_SECRET_KEYS."
            yield Finding("secret_keys", Status.FAIL, "The key of the stored secrets is gone.", remedy)
        else:
            yield Finding("secret_keys", Status.OK, "A key will be made by the first start.")
        return
    if not config.secret_keys and file.stat().st_mode & 0o077:
        yield Finding("secret_keys", Status.WARN, f"{file} can be read by others.", f"chmod 600 {file}")
    keyring = Keyring.load(config)
    stored = [] if _is_new(config) else _secrets(config)
    for token in stored:
        keyring.decrypt(token)
    yield Finding("secret_keys", Status.OK, f"The keys open all {len(stored)} stored secrets.")


def lease(config: Config) -> Iterator[Finding]:
    """Whether a claim outlives the slowest call."""
    call_s = config.connect_timeout_s + config.read_timeout_s
    if config.lease_s > call_s + LEASE_MARGIN_S:
        words = f"A claim holds for {config.lease_s:g} s, a call takes {call_s:g} s at most."
        yield Finding("lease", Status.OK, words)
    else:
        remedy = f"Set CRM_SYNC_LEASE_S to more than {call_s + LEASE_MARGIN_S:g}, or shorten the timeouts."
        words = f"A claim holds for {config.lease_s:g} s, but one call may take {call_s:g} s."
        yield Finding("lease", Status.FAIL, words, remedy)


def public_url(config: Config) -> Iterator[Finding]:
    """Whether Chatwoot can reach us, as far as that can be told from here."""
    if _is_new(config) or not _accounts(config):
        yield Finding("public_url", Status.OK, "No account is connected yet.")
        return
    if not config.public_url:
        remedy = (
            "Set CRM_SYNC_PUBLIC_URL and repeat crm-sync accounts connect, unless Chatwoot runs right here."
        )
        yield Finding("public_url", Status.WARN, f"Chatwoot is told to call {config.base_url}.", remedy)
        return
    status = _get(f"{config.base_url}/health/live")
    if status == 200:
        yield Finding("public_url", Status.OK, f"{config.base_url} answers from here.")
    else:
        remedy = "Check that crm-sync runs, and the reverse proxy in front of it."
        yield Finding(
            "public_url", Status.FAIL, f"{config.base_url} does not answer as it should ({status}).", remedy
        )


def web(config: Config) -> Iterator[Finding]:
    """Whether the web process on this machine takes deliveries."""
    host, _, port = config.bind.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - names to replace
    status = _get(f"http://{host}:{port}/health/ready")
    if status == 200:
        yield Finding("web", Status.OK, f"The web process answers at {config.bind}.")
    elif isinstance(status, int):
        remedy = "See its log; /health/ready names the part."
        yield Finding(
            "web", Status.FAIL, f"The web process at {config.bind} is not ready ({status}).", remedy
        )
    else:
        words = f"Nothing answers at {config.bind} ({status})."
        yield Finding("web", Status.WARN, words, "Start crm-sync up, unless it runs on another machine.")


def crm_hooks(config: Config) -> Iterator[Finding]:
    """How the hooks stand."""
    for hook in [] if _is_new(config) else _hooks(config):
        name = f"hook {hook.id} ({hook.app_id})"
        words = f"{name} is {hook.state.replace('_', ' ')}." + (
            f" {hook.state_reason}" if hook.state_reason else ""
        )
        if hook.state == HookState.ACTIVE:
            yield Finding("hooks", Status.OK, words)
        elif hook.state == HookState.NEEDS_ATTENTION:
            remedy = f"Mend it with crm-sync hooks set {hook.id}, then crm-sync hooks resume {hook.id}."
            yield Finding("hooks", Status.FAIL, words, remedy)
        else:
            remedy = f"crm-sync hooks resume {hook.id} lets its events go on."
            yield Finding("hooks", Status.WARN, words, remedy)


def credentials(config: Config) -> Iterator[Finding]:
    """Whether each CRM lets us in."""
    if _is_new(config):
        return
    with surroundings.opened() as runtime:
        for hook in _hooks(config):
            name = f"hook {hook.id} ({hook.app_id})"
            try:
                hooks.test(runtime, hook.id)
            except CrmSyncError as error:
                yield Finding("credentials", Status.FAIL, f"{name}: {error}", f"crm-sync hooks set {hook.id}")
            else:
                yield Finding("credentials", Status.OK, f"{name} is let in and has its rights.")


# -- parts ---------------------------------------------------------------------------------------------------------


def _is_new(config: Config) -> bool:
    """Whether there is no database yet: opening a file would make it."""
    url = make_url(config.sqlalchemy_url)
    if url.get_backend_name() == "sqlite":
        return not url.database or not Path(url.database).exists()
    with _connected(config) as connection:
        return MigrationContext.configure(connection).get_current_revision() is None


@contextmanager
def _connected(config: Config) -> Iterator[Connection]:
    # A check must not make the key file; nothing is decrypted through this store.
    throwaway = [Fernet.generate_key().decode()]
    store = open_store(replace(config, secret_keys=throwaway))
    try:
        with store.engine.connect() as connection:
            yield connection
    finally:
        store.close()


def _database_version(connection: Connection) -> Finding:
    info = connection.dialect.server_version_info or ()
    version = ".".join(map(str, info))
    if connection.dialect.name == "postgresql" and int(info[0]) < OLDEST_POSTGRES:
        words = f"PostgreSQL {version} is older than what this is tested with."
        return Finding("database", Status.WARN, words, f"Use PostgreSQL {OLDEST_POSTGRES} or newer.")
    return Finding("database", Status.OK, f"{connection.dialect.name} {version} answers.")


def _schema(connection: Connection) -> Finding:
    current = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(alembic_config())
    if current is None:
        return Finding("schema", Status.OK, "The tables will be made by the first start.")
    if current == scripts.get_current_head():
        return Finding("schema", Status.OK, f"The schema is up to date ({current}).")
    return Finding("schema", Status.FAIL, surroundings.schema_words(scripts, current))


def _redis_facts(facts: dict[str, Any]) -> Iterator[Finding]:
    version = str(facts.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_REDIS:
        yield Finding("redis", Status.FAIL, f"Redis {version} is too old.", "Use Redis 6.2 or newer.")
    else:
        yield Finding("redis", Status.OK, f"Redis {version} answers.")
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        yield Finding("redis_eviction", Status.OK, "Redis throws nothing away.")
    else:
        words = f"Redis throws keys away when its memory is full (maxmemory-policy {policy})."
        yield Finding("redis_eviction", Status.FAIL, words, "Set maxmemory-policy noeviction.")
    if int(facts.get("aof_enabled", 0)):
        yield Finding("redis_persistence", Status.OK, "Redis keeps an append-only file.")
    else:
        words = "Redis forgets its queue when it restarts; the sweep finds the events again, later."
        yield Finding("redis_persistence", Status.WARN, words, "Set appendonly yes.")


def _clock(whose: str, theirs: datetime) -> Finding:
    apart_s = abs((clock.now() - theirs).total_seconds())
    words = f"The clocks of this machine and the {whose} are {apart_s:.1f} s apart."
    if apart_s <= CLOCK_ODD_S:
        return Finding("clock", Status.OK, words)
    status = Status.WARN if apart_s <= CLOCK_WRONG_S else Status.FAIL
    return Finding("clock", status, words, "Let both follow NTP.")


def _accounts(config: Config) -> int:
    with _connected(config) as connection:
        return len(connection.execute(select(Account.id)).all())


def _secrets(config: Config) -> list[str]:
    columns = [Account.api_token_secret, Account.signing_secret, Account.previous_signing_secret]
    with _connected(config) as connection:
        tokens = [token for row in connection.execute(select(*columns)) for token in row]
        tokens += connection.execute(select(Hook.settings_secret)).scalars()
    return [token for token in tokens if token]


@dataclass(frozen=True, slots=True)
class _HookRow:
    id: int
    app_id: str
    state: str
    state_reason: str | None


def _hooks(config: Config) -> list[_HookRow]:
    columns = select(Hook.id, Hook.app_id, Hook.state, Hook.state_reason).order_by(Hook.id)
    with _connected(config) as connection:
        return [_HookRow(*row) for row in connection.execute(columns)]


def _get(url: str) -> int | str:
    """The status of an answer, or why there is none."""
    try:
        with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310 - our own addresses
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        return getattr(cause, "strerror", None) or troubles.reason(error)
