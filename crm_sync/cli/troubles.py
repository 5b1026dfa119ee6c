"""Errors as a command tells them: a code for scripts and one sentence for people. Never a secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import RedisError
from sqlalchemy.exc import (
    ArgumentError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    TimeoutError as PoolTimeoutError,
)

from crm_sync.errors import ApiError, ConfigError, CrmSyncError
from crm_sync.telemetry.logging import redact_text


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a command could not be done. ``setting`` names the option or setting to mend, where it is one.

    ``error`` is the kind of trouble to a script, ``code`` what it is more exactly, where that has a name.
    """

    error: str
    message: str
    setting: str | None = None
    code: str | None = None


def in_words(error: Exception) -> Trouble | None:
    """What to tell about an error; None for one that nobody foresaw."""
    if isinstance(error, ConfigError):
        return Trouble("config_error", str(error), error.setting, error.code)
    if isinstance(error, CrmSyncError):
        code = error.code if isinstance(error, ApiError) else None
        return Trouble(_snake(type(error).__name__), str(error), code=code)
    for kinds, words in _FORESEEN:
        if isinstance(error, kinds):
            return words(error)
    return None


def _bad_database_url(_error: Exception) -> Trouble:
    return Trouble(
        "config_error",
        "CRM_SYNC_DATABASE_URL is no database URL we know; "
        "write it as postgresql://user:password@host/database, or leave it empty for SQLite.",
        "CRM_SYNC_DATABASE_URL",
    )


def _database_down(error: Exception) -> Trouble:
    return Trouble(
        "database_unreachable",
        f"The database does not answer ({reason(error)}); check that it runs, and CRM_SYNC_DATABASE_URL.",
    )


def _redis_down(error: Exception) -> Trouble:
    return Trouble(
        "redis_unreachable",
        f"Redis does not answer ({reason(error)}); check that it runs, and CRM_SYNC_REDIS_URL.",
    )


def _not_permitted(error: Exception) -> Trouble:
    path = getattr(error, "filename", None) or "A file"
    return Trouble("not_permitted", f"{path} may not be read or written; check who owns it.")


_FORESEEN: tuple[tuple[tuple[type[Exception], ...], Callable[[Exception], Trouble]], ...] = (
    ((ArgumentError, NoSuchModuleError), _bad_database_url),
    ((OperationalError, InterfaceError, PoolTimeoutError), _database_down),
    ((RedisError,), _redis_down),
    ((PermissionError,), _not_permitted),
)


def reason(error: BaseException) -> str:
    """The first line of what a driver says, without secrets and without its closing full stop."""
    words = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return redact_text(words.splitlines()[0]).rstrip(".")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
