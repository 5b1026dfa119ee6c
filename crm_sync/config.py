"""Every option of the service, declared once: environment variable, type, default and help.

``crm-sync config`` prints this list and the documentation's table is made from it. Reading it has no side
effects; making the data directory or a key is :mod:`crm_sync.store.secrets`' and the supervisor's business.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import Env, EnvError, validate

from crm_sync.errors import ConfigError

PREFIX = "CRM_SYNC_"

#: The addresses that both Celery and the locks understand.
_REDIS_SCHEMES = frozenset({"redis", "rediss"})


def _option(default: Any, help: str, *, secret: bool = False, check: Any = None) -> Any:
    return field(default=default, metadata={"help": help, "secret": secret, "check": check})


@dataclass(frozen=True, slots=True)
class Config:
    """The options in force. Field ``redis_url`` is read from ``CRM_SYNC_REDIS_URL``, and so on."""

    database_url: str = _option(
        "", "Database as an SQLAlchemy URL. Empty: SQLite in the data directory.", secret=True
    )
    redis_url: str = _option(
        "", "Broker and locks. Empty: an embedded Redis kept in the data directory.", secret=True
    )
    data_dir: Path = _option(
        Path("~/.local/share/crm_sync"), "Where the embedded parts keep their files (default: XDG data home)."
    )
    secret_keys: list[str] = _option(
        (),
        "Fernet keys, comma-separated; the first one writes. Empty: made once, kept in the data directory.",
        secret=True,
    )
    public_url: str = _option("", "How Chatwoot reaches this service. Empty: http:// and the bind address.")
    bind: str = _option("127.0.0.1:8000", "Address and port the web process listens on.")
    admin_password: str = _option(
        "", "Password of the operators' pages. Empty: made once and printed once.", secret=True
    )
    log_format: str = _option("console", "console or json.", check=validate.OneOf(["console", "json"]))
    log_level: str = _option(
        "INFO",
        "Least severe level that is logged.",
        check=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]),
    )
    max_body_bytes: int = _option(1024 * 1024, "Largest delivery accepted.", check=validate.Range(min=1024))
    signature_window_s: int = _option(
        300, "How far a delivery's timestamp may be from our clock, in seconds.", check=validate.Range(min=1)
    )
    settle_s: float = _option(
        1.0, "How long a new event waits for an earlier one to overtake it.", check=validate.Range(min=0)
    )
    lease_s: float = _option(
        60.0,
        "How long a claim on an event holds without sign of life; longer than one CRM call may take.",
        check=validate.Range(min=1),
    )
    unknown_settle_s: float = _option(
        10.0,
        "How long after a write of unknown outcome the CRM may still be carrying it out.",
        check=validate.Range(min=0),
    )
    connect_timeout_s: float = _option(3.0, "Connecting to Chatwoot or a CRM.", check=validate.Range(min=0.1))
    read_timeout_s: float = _option(30.0, "Waiting for an answer.", check=validate.Range(min=0.1))
    ceiling: int = _option(
        8, "Calls to the CRM of one hook in flight at a time, over all workers.", check=validate.Range(min=1)
    )
    workers: int = _option(
        2, "Processes that work on events; one keeps about one core busy.", check=validate.Range(min=1)
    )
    concurrency: int = _option(12, "Threads of each such process.", check=validate.Range(min=1))
    sweep_interval_s: float = _option(
        10.0, "How often forgotten and due events are looked for.", check=validate.Range(min=0.2)
    )
    breaker_rest_s: float = _option(
        30.0, "How long a hook rests before one event tries again.", check=validate.Range(min=0.1)
    )
    retry_delays_s: list[float] = _option(
        (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0),
        "Waits between the attempts of an event, in seconds, before jitter; after the last one it is given up.",
    )
    language: str = _option(
        "en",
        "Language in which people are told what is wrong with settings: en, fr or pt_BR.",
        check=validate.OneOf(["en", "fr", "pt_BR"]),
    )
    keep_days: int = _option(
        90, "How long finished events and their deliveries are kept.", check=validate.Range(min=1)
    )

    @property
    def sqlalchemy_url(self) -> str:
        """Where the store is: the option, or SQLite in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'crm_sync.db'}"

    @property
    def base_url(self) -> str:
        """What Chatwoot is told to call, without a trailing slash."""
        return (self.public_url or f"http://{self.bind}").rstrip("/")


@dataclass(frozen=True, slots=True)
class Option:
    """One option as documentation: its variable, type, default, help, and whether it is secret."""

    variable: str
    type: str
    default: str
    help: str
    secret: bool
    value: str


def load() -> Config:
    """Read the options from the environment; raises ConfigError naming the variable that is wrong."""
    env = Env(prefix=PREFIX)
    config = Config(**{option.name: _read(env, option) for option in fields(Config)})
    longest_call_s = config.connect_timeout_s + config.read_timeout_s
    if config.lease_s <= longest_call_s:
        raise ConfigError(
            f"{PREFIX}LEASE_S must be longer than a call may take, which is {longest_call_s:g} s "
            f"({PREFIX}CONNECT_TIMEOUT_S and {PREFIX}READ_TIMEOUT_S): otherwise two workers could do the same work.",
            setting=f"{PREFIX}LEASE_S",
        )
    _check_address("REDIS_URL", config.redis_url, _REDIS_SCHEMES)
    _check_address("DATABASE_URL", config.database_url)
    return config


def _check_address(name: str, url: str, schemes: frozenset[str] | None = None) -> None:
    """Raise ConfigError for an address that cannot be one, without a word of it: it may hold a password."""
    try:
        parts = urlsplit(url)
        is_one = parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ConfigError(
            f"{PREFIX}{name} is not an address: signs such as / : @ # within a password must be written in percent "
            "form (%2F for /), and a port is a number.",
            setting=f"{PREFIX}{name}",
        )
    if url and schemes is not None and parts.scheme not in schemes:
        raise ConfigError(
            f"{PREFIX}{name} must begin with one of {', '.join(f'{scheme}://' for scheme in sorted(schemes))}.",
            setting=f"{PREFIX}{name}",
        )


def options(config: Config) -> list[Option]:
    """The declared options with the values in force; secret values are masked."""
    found = []
    for option in fields(Config):
        secret = bool(option.metadata["secret"])
        value = getattr(config, option.name)
        found.append(
            Option(
                variable=f"{PREFIX}{option.name.upper()}",
                type=_TYPES[str(option.type)].words,
                default=_text(option.default),
                help=option.metadata["help"],
                secret=secret,
                value=("set" if value else "") if secret else _text(value),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Type:
    """How an option of a Python type is read from a variable, and what its type is called for people."""

    words: str
    reader: str
    item: type | None = None


_TYPES = {
    "str": _Type("text", "str"),
    "int": _Type("whole number", "int"),
    "float": _Type("number", "float"),
    "Path": _Type("folder", "path"),
    "list[str]": _Type("list", "list", str),
    "list[float]": _Type("list of numbers", "list", float),
}


def _read(env: Env, option: Any) -> Any:
    kind = _TYPES[str(option.type)]
    default = _default_data_dir() if option.name == "data_dir" else option.default
    arguments: dict[str, Any] = {"validate": option.metadata["check"]}
    if kind.item is not None:
        arguments["subcast"] = kind.item
    variable = option.name.upper()
    if not os.environ.get(PREFIX + variable, "").strip():
        return list(option.default) if kind.item else default
    try:
        value = getattr(env, kind.reader)(variable, **arguments)
    except (EnvError, ValueError) as error:
        words = "; ".join(str(word) for word in error.args)
        if option.metadata["secret"]:
            words = "is not valid"
        raise ConfigError(f"{PREFIX}{variable}: {words}", setting=PREFIX + variable) from None
    return value.expanduser() if isinstance(value, Path) else value


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "crm_sync"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
