"""Logs for people (console) and machines (json), from which no secret can be read.

Guarantees: whatever is logged by us or by a library (celery, gunicorn, requests, sqlalchemy, ...), in the message, in
a field at any depth or in a traceback, leaves this process only after redaction: values under a telling key, values
that were registered, credentials in headers and URLs, and the tokens in our own webhook paths become ``[redacted]``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import quote, unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from crm_sync.config import Config

MASK = "[redacted]"

#: Shorter values are not looked for in texts: they would make holes in innocent words.
SHORTEST_SECRET = 6

#: How deep a field is searched; what lies deeper is shown as text, and searched as such.
DEPTH = 8

#: Who repeats at INFO what the journal and the metrics tell: two lines for each task, one for each tick, and one for
#: each look at the schema's version.
_TALKATIVE = (
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
    "alembic.runtime.migration",
    "redis_lock.acquire",
    "redis_lock.release",
    "redis_lock.extend",
)

_TELLING = r"(?:token|secret|passw(?:or)?d|authorization|api[_-]?key|access[_-]?key|credential|cookie)"
_TELLING_KEY = re.compile(_TELLING, re.IGNORECASE)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host
    (re.compile(r"(?<=://)[^/\s'\"]+@"), f"{MASK}@"),
    # The tokens in our own paths.
    (re.compile(r"(/(?:webhooks/chatwoot|panel|hooks)/)[^/\s?#'\"]+"), rf"\1{MASK}"),
    # Authorization: user_token xxx, Bearer xxx, Basic xxx
    (re.compile(r"\b(user_token|bearer)\s+[^\s,;'\"]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(basic)\s+[A-Za-z0-9+/_-]{8,}=*", re.IGNORECASE), rf"\1 {MASK}"),
    # "app_token": "xxx", api_key=xxx, Session-Token: xxx
    (
        re.compile(
            rf"""([\w-]*{_TELLING}[\w-]*\\?["']?\s*[=:]\s*)"""
            rf"""(?!(?:user_token|bearer|basic)\s)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s&,;}}\])]+)""",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)

_registered: frozenset[str] = frozenset()


def register_secret(value: str) -> None:
    """Have a value masked wherever it is logged, as it is, in JSON and in a URL."""
    global _registered  # noqa: PLW0603 - replaced as a whole, so that readers need no lock
    if value in _registered:
        return
    spellings = {value, json.dumps(value)[1:-1], quote(value), quote(value, safe="")}
    _registered |= {spelling for spelling in spellings if len(spelling) >= SHORTEST_SECRET}


def redact_text(text: str) -> str:
    """The text without the secrets that can be recognised in it."""
    for secret in sorted(_registered, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, masked in _PATTERNS:
        text = pattern.sub(masked, text)
    return text


def redact(value: Any, depth: int = DEPTH) -> Any:
    """The same JSON value without secrets; what is no JSON becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > 0 and isinstance(value, Mapping):
        return {
            redact_text(str(key)): MASK
            if _TELLING_KEY.search(str(key)) and _tells(item)
            else redact(item, depth - 1)
            for key, item in value.items()
        }
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth - 1) for item in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return redact_text(value if isinstance(value, str) else str(value))


def configure(config: Config, stream: TextIO | None = None) -> None:
    """Send everything that this process logs to ``stream`` (standard error), in the configured format."""
    for secret in _secrets_of(config):
        register_secret(secret)
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                _renderer(config.log_format, stream),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config.log_level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET if config.log_level == "DEBUG" else logging.WARNING)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _redact_event(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    found: EventDict = redact(event)
    return found


def _renderer(log_format: str, stream: TextIO) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    # Tracebacks are text by now: the renderer must not format them again, unredacted.
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _tells(value: Any) -> bool:
    """Whether there is something to hide; that a secret is not set may be seen."""
    return value is not None and not isinstance(value, bool) and value not in ("", b"", [], {}, ())


def _secrets_of(config: Config) -> Iterable[str]:
    yield from config.secret_keys
    yield config.admin_password
    for url in (config.database_url, config.redis_url):
        if password := urlsplit(url).password:
            yield password
            yield unquote(password)
