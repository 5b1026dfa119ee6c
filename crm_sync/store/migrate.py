"""Brings a database's schema to the newest version, safely when several processes start at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from crm_sync.config import Config
from crm_sync.store.database import open_store

#: Any number, as long as nobody else locks it: the advisory lock held while PostgreSQL is being migrated.
ADVISORY_LOCK = 7_243_001


def migrate(config: Config) -> None:
    """Run the migrations that are missing. Does nothing when there are none."""
    store = open_store(config)
    try:
        with store.engine.execution_options(crm_sync_write="durable").begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            alembic = alembic_config()
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, "head")
    finally:
        store.close()


def pending(connection: Connection) -> bool:
    """Whether the schema is older (or newer) than this program."""
    current = MigrationContext.configure(connection).get_current_revision()
    return current != ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config() -> AlembicConfig:
    """Alembic's configuration; there is no ini file."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
