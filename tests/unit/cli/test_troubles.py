"""Trouble that can be foreseen is told in one sentence, with a code for scripts and without a secret."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy.exc import (
    ArgumentError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    TimeoutError as PoolTimeoutError,
)

from crm_sync.cli import troubles
from crm_sync.errors import ConfigError, CrmSyncError, RateLimited, Unauthorized


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (ConfigError("The setting x is missing.", setting="x"), "config_error", "x is missing"),
        (CrmSyncError("No."), "crm_sync_error", "No."),
        (Unauthorized("Who are you?"), "unauthorized", "Who"),
        (RateLimited("Slowly."), "rate_limited", "Slowly"),
        (ArgumentError("nonsense"), "config_error", "CRM_SYNC_DATABASE_URL"),
        (NoSuchModuleError("mongodb"), "config_error", "CRM_SYNC_DATABASE_URL"),
        (OperationalError("SELECT 1", {}, Exception("refused.\nmore")), "database_unreachable", "(refused)"),
        (PoolTimeoutError("QueuePool limit"), "database_unreachable", "QueuePool limit"),
        (redis.ConnectionError("Error 111"), "redis_unreachable", "Error 111"),
        (PermissionError(13, "Permission denied", "/data/key"), "not_permitted", "/data/key"),
    ],
)
def test_a_foreseen_error_has_a_code_and_one_sentence(error: Exception, code: str, part: str) -> None:
    trouble = troubles.in_words(error)
    assert trouble is not None
    assert trouble.error == code
    assert part in trouble.message
    assert "\n" not in trouble.message


def test_the_setting_to_mend_is_named_when_there_is_one() -> None:
    trouble = troubles.in_words(ConfigError("Wrong.", setting="app_token"))
    assert trouble is not None
    assert trouble.setting == "app_token"


def test_what_it_is_more_exactly_is_told_where_that_has_a_name() -> None:
    for error in (
        ConfigError("Wrong.", code="rights_missing"),
        Unauthorized("Wrong.", code="rights_missing"),
    ):
        trouble = troubles.in_words(error)
        assert trouble is not None
        assert trouble.code == "rights_missing"


@pytest.mark.parametrize(
    "error", [ValueError("x"), ProgrammingError("SELECT", {}, Exception("no such table"))]
)
def test_a_fault_of_our_own_is_not_dressed_up(error: Exception) -> None:
    assert troubles.in_words(error) is None


def test_what_a_driver_says_is_told_without_the_password_in_it() -> None:
    error = OperationalError("", {}, Exception("cannot reach postgresql://user:hunter2@db/x"))
    assert "hunter2" not in troubles.reason(error)
