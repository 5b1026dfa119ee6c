"""What a command works on: the journal of this machine's data directory, and the workers, if any are running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis.exceptions import RedisError

from crm_sync import embedded, keys, service, store
from crm_sync.cli import output
from crm_sync.config import Config, load
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import ConfigError
from crm_sync.store.migrate import alembic_config

#: How long to wait for a Redis that may not be there, in seconds.
PING_TIMEOUT_S = 1.0


class NobodyToWake:
    """Stands in where no Redis answers: the events stay in the journal, where the sweep finds them."""

    def wake(self, mailboxes: Sequence[str], *, delay_s: float = 0.0) -> None:  # noqa: ARG002 - the protocol's
        """Tell the person instead."""
        if mailboxes:
            output.note(
                "No Redis answers, so no worker was woken; the events are taken up once crm-sync runs."
            )

    def disarm(self, mailbox: str) -> None:
        """Nothing is armed."""

    def hold(self, mailboxes: Sequence[str]) -> None:
        """Nobody stands in line."""

    def pull(self, hook_id: int) -> None:
        """Nobody pulls; the hook is due at its interval."""


@contextmanager
def opened(*, wakes: bool = False) -> Iterator[Runtime]:
    """The engine on the journal; ``wakes`` when the command may leave something for the workers to do."""
    config = load()
    prepare_database(config)
    url = redis_url(config) if wakes else None
    alarm = NobodyToWake() if url is None else None
    runtime = service.build(replace(config, redis_url=url or config.redis_url), alarm=alarm)
    try:
        yield runtime
    finally:
        runtime.store.close()


def prepare_database(config: Config) -> None:
    """Make sure the schema is there and ours; an empty database gets it. Raises ConfigError saying what to do."""
    opened_store = store.open_store(config)
    try:
        with opened_store.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        opened_store.close()
    scripts = ScriptDirectory.from_config(alembic_config())
    if current is None:
        store.migrate(config)
    elif current != scripts.get_current_head():
        raise ConfigError(schema_words(scripts, current), setting="CRM_SYNC_DATABASE_URL")


def schema_words(scripts: ScriptDirectory, current: str) -> str:
    """What to do about a schema of another version."""
    if any(revision.revision == current for revision in scripts.walk_revisions()):
        return "The database is of an older crm_sync; run crm-sync up first, which brings it up to date."
    return "The database is of a newer crm_sync than this one; update this program first."


def redis_url(config: Config) -> str | None:
    """The Redis of the configuration or the embedded one of the data directory, if it answers."""
    url = config.redis_url or embedded.url_of(config.data_dir)
    if not url:
        return None
    with keys.connect(url, timeout_s=PING_TIMEOUT_S) as redis:
        try:
            redis.ping()
        except (RedisError, OSError):
            return None
    return url
