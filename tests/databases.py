"""Databases with the present schema, without the migrations being carried out for each of them."""

from __future__ import annotations

import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from sqlalchemy import make_url

from crm_sync.config import Config, load
from crm_sync.store import migrate


def migrated(config: Config) -> None:
    """Give a configuration's database its schema. What migrations do is for the tests of the store to see."""
    if config.database_url:
        migrate(config)
    else:
        shutil.copyfile(_template(), _file_of(config))


@functools.cache
def _template() -> Path:
    """An empty SQLite database, migrated once in this process."""
    config = replace(load(), data_dir=Path(_folder().name), database_url="")
    migrate(config)
    return _file_of(config)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="crm_sync_schema_")


def _file_of(config: Config) -> Path:
    return Path(str(make_url(config.sqlalchemy_url).database))
