"""Every option is declared once, read from its own variable, and refused by name when it is wrong."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from crm_sync.config import PREFIX, Config, load, options
from crm_sync.crms.texts import LANGUAGES
from crm_sync.errors import ConfigError

#: For each option a value as it is written, and what it is read as.
VALUES: dict[str, tuple[str, Any]] = {
    "database_url": ("postgresql://crm:pw@db/crm", "postgresql://crm:pw@db/crm"),
    "redis_url": ("redis://:pw@cache/0", "redis://:pw@cache/0"),
    "data_dir": ("/var/lib/crm_sync", Path("/var/lib/crm_sync")),
    "secret_keys": ("new,old", ["new", "old"]),
    "public_url": ("https://sync.example/", "https://sync.example/"),
    "bind": ("0.0.0.0:9000", "0.0.0.0:9000"),
    "admin_password": ("hunter2", "hunter2"),
    "log_format": ("json", "json"),
    "log_level": ("DEBUG", "DEBUG"),
    "max_body_bytes": ("2048", 2048),
    "signature_window_s": ("60", 60),
    "settle_s": ("0.5", 0.5),
    "lease_s": ("90", 90.0),
    "unknown_settle_s": ("0", 0.0),
    "connect_timeout_s": ("1.5", 1.5),
    "read_timeout_s": ("12", 12.0),
    "ceiling": ("4", 4),
    "workers": ("3", 3),
    "concurrency": ("32", 32),
    "sweep_interval_s": ("1", 1.0),
    "breaker_rest_s": ("5", 5.0),
    "retry_delays_s": ("1,2.5,10", [1.0, 2.5, 10.0]),
    "language": ("pt_BR", "pt_BR"),
    "keep_days": ("30", 30),
}

WRONG: dict[str, list[str]] = {
    "log_format": ["xml"],
    "log_level": ["LOUD"],
    "max_body_bytes": ["many", "1023", "1.5"],
    "signature_window_s": ["0", "soon"],
    "settle_s": ["-1", "soon"],
    "lease_s": ["0"],
    "unknown_settle_s": ["-0.1"],
    "connect_timeout_s": ["0"],
    "read_timeout_s": ["0"],
    "ceiling": ["0"],
    "workers": ["0"],
    "concurrency": ["0", "all"],
    "sweep_interval_s": ["0.1"],
    "breaker_rest_s": ["0"],
    "retry_delays_s": ["1,later"],
    "language": ["de", "fr_FR"],
    "keep_days": ["0"],
}


def test_each_option_is_covered_here() -> None:
    assert set(VALUES) == {option.name for option in fields(Config)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_may_have_every_language_there_are_texts_in(
    clean_environment: pytest.MonkeyPatch, language: str
) -> None:
    clean_environment.setenv("CRM_SYNC_LANGUAGE", language)
    assert load().language == language


@pytest.mark.parametrize("name", VALUES)
def test_each_option_is_read_from_its_variable(clean_environment: pytest.MonkeyPatch, name: str) -> None:
    written, read = VALUES[name]
    clean_environment.setenv(PREFIX + name.upper(), written)
    assert getattr(load(), name) == read


@pytest.mark.parametrize(("name", "written"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    clean_environment: pytest.MonkeyPatch, name: str, written: str
) -> None:
    variable = PREFIX + name.upper()
    clean_environment.setenv(variable, written)
    with pytest.raises(ConfigError, match=f"^{variable}: ") as refusal:
        load()
    assert refusal.value.setting == variable


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_variable_means_the_default(
    clean_environment: pytest.MonkeyPatch, name: str, blank: str
) -> None:
    default = getattr(load(), name)
    clean_environment.setenv(PREFIX + name.upper(), blank)
    assert getattr(load(), name) == default


def test_the_data_directory_follows_the_xdg_data_home(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean_environment.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load().data_dir == tmp_path / "crm_sync"
    clean_environment.delenv("XDG_DATA_HOME")
    clean_environment.setenv("HOME", "/home/ann")
    assert load().data_dir == Path("/home/ann/.local/share/crm_sync")
    clean_environment.setenv("CRM_SYNC_DATA_DIR", "~/elsewhere")
    assert load().data_dir == Path("/home/ann/elsewhere")


def test_reading_the_options_makes_nothing(clean_environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(tmp_path / "data"))
    load()
    assert not list(tmp_path.iterdir())


def test_the_store_is_sqlite_in_the_data_directory_unless_a_database_is_named(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", "/var/lib/crm_sync")
    assert load().sqlalchemy_url == "sqlite:////var/lib/crm_sync/crm_sync.db"
    clean_environment.setenv("CRM_SYNC_DATABASE_URL", "postgresql://db/crm")
    assert load().sqlalchemy_url == "postgresql://db/crm"


def test_chatwoot_reaches_us_at_the_public_url_or_where_we_listen(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    assert load().base_url == "http://127.0.0.1:8000"
    clean_environment.setenv("CRM_SYNC_PUBLIC_URL", "https://sync.example/")
    assert load().base_url == "https://sync.example"


def test_secrets_are_never_shown(clean_environment: pytest.MonkeyPatch) -> None:
    for name, (written, _) in VALUES.items():
        clean_environment.setenv(PREFIX + name.upper(), written)
    shown = {option.variable: option for option in options(load())}
    secret = {variable for variable, option in shown.items() if option.secret}
    assert secret == {
        "CRM_SYNC_DATABASE_URL",
        "CRM_SYNC_REDIS_URL",
        "CRM_SYNC_SECRET_KEYS",
        "CRM_SYNC_ADMIN_PASSWORD",
    }
    assert {shown[variable].value for variable in secret} == {"set"}


@pytest.mark.usefixtures("clean_environment")
def test_what_is_not_set_is_shown_as_not_set() -> None:
    assert {option.value for option in options(load()) if option.secret} == {""}


@pytest.mark.usefixtures("clean_environment")
def test_each_option_explains_itself() -> None:
    for option in options(load()):
        assert option.variable.startswith(PREFIX)
        assert option.help.endswith((".", ").")), option.variable
        assert option.type in {"text", "whole number", "number", "folder", "list", "list of numbers"}


def test_options_show_what_is_in_force_beside_the_default(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setenv("CRM_SYNC_RETRY_DELAYS_S", "1,2.5")
    clean_environment.setenv("CRM_SYNC_CEILING", "4")
    shown = {option.variable: option for option in options(load())}
    assert shown["CRM_SYNC_RETRY_DELAYS_S"].value == "1,2.5"
    assert shown["CRM_SYNC_RETRY_DELAYS_S"].default.startswith("5,30,120,")
    assert (shown["CRM_SYNC_CEILING"].default, shown["CRM_SYNC_CEILING"].value) == ("8", "4")


@pytest.mark.usefixtures("clean_environment")
def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        load().ceiling = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "redis://:hunter2/secret@localhost"),
        ("REDIS_URL", "redis://:hunter2@localhost:port"),
        ("REDIS_URL", "sentinel://:hunter2@localhost:26379"),
        ("REDIS_URL", "localhost:6379"),
        ("DATABASE_URL", "postgresql://crm:hunter2@localhost:543x/crm"),
        ("DATABASE_URL", "postgresql://crm:hunter2/secret@localhost/crm"),
    ],
)
def test_an_address_that_is_none_is_refused_without_a_word_of_it(
    clean_environment: pytest.MonkeyPatch, name: str, url: str
) -> None:
    clean_environment.setenv(f"CRM_SYNC_{name}", url)
    with pytest.raises(ConfigError, match=f"CRM_SYNC_{name}") as caught:
        load()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "rediss://:hunter2%2Fsecret@[::1]:6380/1"),
        ("DATABASE_URL", "postgresql://crm@/crm?host=/var/run/postgresql"),
        ("DATABASE_URL", "sqlite:////var/lib/crm_sync.db"),
    ],
)
def test_an_address_is_taken_as_it_is(clean_environment: pytest.MonkeyPatch, name: str, url: str) -> None:
    clean_environment.setenv(f"CRM_SYNC_{name}", url)
    assert getattr(load(), name.lower()) == url


def test_a_lease_shorter_than_a_call_is_refused(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setenv("CRM_SYNC_LEASE_S", "33")
    with pytest.raises(
        ConfigError, match="CRM_SYNC_LEASE_S must be longer than a call may take, which is 33 s"
    ):
        load()
