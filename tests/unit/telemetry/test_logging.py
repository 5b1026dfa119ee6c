"""No secret leaves the process in a log, whoever logs it and wherever it stands."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import assume, given, strategies as st

from crm_sync.config import load
from crm_sync.telemetry import logging as subject
from crm_sync.telemetry.logging import MASK, configure, redact, redact_text, register_secret

SECRET = "s3cr3t-0f-Th1s-Test"

#: Words a secret may stand between; none of them is itself redacted.
words = st.text(st.characters(categories=["L", "Nd"], include_characters=" .,"), max_size=10)
secrets = st.text(
    st.characters(codec="ascii", categories=["L", "Nd"], include_characters="-_"), min_size=12, max_size=40
)
telling_keys = st.sampled_from(
    [
        "token",
        "api_token",
        "App-Token",
        "session_token",
        "password",
        "PASSWD",
        "client_secret",
        "secret_keys",
        "Authorization",
        "api_key",
        "X-Api-Key",
        "access_key",
        "Set-Cookie",
        "credentials",
    ]
)


@pytest.fixture(autouse=True)
def _as_it_was(clean_environment: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    clean_environment.setattr(subject, "_registered", frozenset())


def _logged(clean_environment: pytest.MonkeyPatch, log_format: str = "json", **env: str) -> io.StringIO:
    clean_environment.setenv("CRM_SYNC_LOG_FORMAT", log_format)
    for name, value in env.items():
        clean_environment.setenv(name, value)
    stream = io.StringIO()
    configure(load(), stream)
    return stream


def _nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), words)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(st.one_of(plain, inner), max_size=3).flatmap(
                lambda found: st.tuples(st.just(found), inner)
            ),
            st.dictionaries(words, st.one_of(plain, inner), max_size=3).flatmap(
                lambda found: inner.map(lambda item: {**found, "more": item})
            ),
        ),
        max_leaves=8,
    )


@given(st.data(), secrets)
def test_a_value_under_a_telling_key_is_masked_at_any_depth(data: st.DataObject, secret: str) -> None:
    event = data.draw(_nested(st.builds(lambda key: {key: secret}, telling_keys)))
    assert secret not in json.dumps(redact(event), ensure_ascii=False)


@given(st.data(), secrets)
def test_a_registered_value_is_masked_wherever_it_stands(data: st.DataObject, secret: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(subject, "_registered", frozenset())
        register_secret(secret)
        event = data.draw(_nested(st.builds(lambda before, after: f"{before}{secret}{after}", words, words)))
        assert secret not in json.dumps(redact(event), ensure_ascii=False)


@given(
    words,
    st.text(min_size=6, max_size=30).filter(lambda text: MASK not in text and len(set(text)) > 3),
)
def test_a_registered_value_is_masked_however_it_is_spelled(before: str, secret: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(subject, "_registered", frozenset())
        register_secret(secret)
        assert redact_text(f"<{secret}>") == f"<{MASK}>"
        assert json.dumps(secret)[1:-1] not in redact_text(json.dumps({"said": f"{before}{secret}"}))


@given(words, secrets)
def test_credentials_in_a_text_are_masked(before: str, secret: str) -> None:
    for text in (
        f"Authorization: user_token {secret}",
        f"authorization: Bearer {secret}",
        f"Basic {secret}aaaa==",
        f"redis://:{secret}@127.0.0.1:6379/0",
        f"postgresql://crm:{secret}@db.example/crm",
        f"POST /webhooks/chatwoot/{secret} 202",
        f"https://sync.example/panel/{secret}?x=1",
        f"https://sync.example/hooks/{secret}/krayin",
        f"https://glpi.example/apirest.php?session_token={secret}&range=0-1",
        f"App-Token: {secret}",
        f'{{"password": "{secret} {secret}", "login": "x"}}',
        f"{{'api_key': '{secret}'}}",
        json.dumps({"body": json.dumps({"user_token": secret})}),
    ):
        assume(
            text.count(secret) == text.count(f"{secret} {secret}") + 1
        )  # a word of the text itself may stay
        assert secret not in redact_text(f"{before}; {text}"), text


@pytest.mark.parametrize(
    "text",
    [
        "The token is refused; make a new one in GLPI.",
        "signature missing",
        "GET https://glpi.example/apirest.php/Ticket/12?range=0-1 -> 200",
        "mail of ann@example.com about http://example.com/a",
        "Basic auth is off",
        "12 events pending, 3 done",
    ],
)
def test_innocent_words_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_that_a_secret_is_not_set_can_be_seen() -> None:
    event = {"token": None, "password": "", "secret": False, "api_key": "x"}
    assert redact(event) == {"token": None, "password": "", "secret": False, "api_key": MASK}


def test_a_short_value_makes_no_holes_in_innocent_words() -> None:
    register_secret("ann")
    assert redact_text("planning") == "planning"


def test_what_is_no_json_is_masked_as_text() -> None:
    class Request:
        def __str__(self) -> str:
            return f"<Request token={SECRET}>"

    deep: Any = f"password={SECRET}"
    for _ in range(20):
        deep = [deep]
    found = json.dumps(redact({"request": Request(), "raw": b"secret=" + SECRET.encode(), "deep": deep}))
    assert SECRET not in found


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "name", ["celery.worker", "gunicorn.error", "urllib3.connectionpool", "sqlalchemy.engine", "crm_sync.x"]
)
def test_a_librarys_message_is_masked_with_its_arguments(
    clean_environment: pytest.MonkeyPatch, log_format: str, name: str
) -> None:
    stream = _logged(clean_environment, log_format)
    logging.getLogger(name).warning("Connected to %s", f"redis://:{SECRET}@127.0.0.1:6379/0")
    assert SECRET not in stream.getvalue()
    assert f"redis://{MASK}@127.0.0.1:6379/0" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_masked(clean_environment: pytest.MonkeyPatch, log_format: str) -> None:
    stream = _logged(clean_environment, log_format)
    for log in (logging.getLogger("celery.app"), structlog.get_logger("crm_sync.engine")):
        try:
            int(f"api_key={SECRET}")
        except ValueError:
            log.exception("failed")
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("Traceback (most recent call last)") == 2
    assert stream.getvalue().count(f"api_key={MASK}") >= 2


def test_a_line_of_json_is_one_object_with_its_context(clean_environment: pytest.MonkeyPatch) -> None:
    stream = _logged(clean_environment)
    with structlog.contextvars.bound_contextvars(hook=3):
        structlog.get_logger("crm_sync.engine").info("event_done", event_id=7, api_token=SECRET)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "event_done",
        "event_id": 7,
        "api_token": MASK,
        "hook": 3,
        "level": "info",
        "logger": "crm_sync.engine",
    }


def test_the_extra_fields_of_a_library_are_masked_too(clean_environment: pytest.MonkeyPatch) -> None:
    stream = _logged(clean_environment)
    logging.getLogger("celery.task").info(
        "received", extra={"headers": {"Authorization": SECRET}, "count": 2}
    )
    line = json.loads(stream.getvalue())
    assert line["headers"] == {"Authorization": MASK}
    assert line["count"] == 2


def test_what_is_less_severe_than_configured_is_not_logged(clean_environment: pytest.MonkeyPatch) -> None:
    stream = _logged(clean_environment, CRM_SYNC_LOG_LEVEL="WARNING")
    structlog.get_logger("crm_sync").info("quiet")
    logging.getLogger("celery").info("quiet")
    structlog.get_logger("crm_sync").warning("loud")
    assert re.findall("quiet|loud", stream.getvalue()) == ["loud"]


@pytest.mark.parametrize(("level", "lines"), [("INFO", 1), ("DEBUG", 2)])
def test_two_lines_for_each_task_are_for_debugging_only(
    clean_environment: pytest.MonkeyPatch, level: str, lines: int
) -> None:
    stream = _logged(clean_environment, CRM_SYNC_LOG_LEVEL=level)
    logging.getLogger("celery.app.trace").info("Task crm_sync.wake succeeded")
    logging.getLogger("celery.app.trace").error("Task crm_sync.wake raised")
    assert len(stream.getvalue().splitlines()) == lines


def test_the_secrets_of_the_configuration_are_masked(clean_environment: pytest.MonkeyPatch) -> None:
    stream = _logged(
        clean_environment,
        CRM_SYNC_ADMIN_PASSWORD="hunter2-hunter2",
        CRM_SYNC_DATABASE_URL="postgresql://crm:data%2Fbase-pw@db/crm",
        CRM_SYNC_REDIS_URL="redis://:redis-pw-redis@localhost/0",
        CRM_SYNC_SECRET_KEYS="key-one-key-one,key-two-key-two",
    )
    values = [
        "hunter2-hunter2",
        "data%2Fbase-pw",
        "data/base-pw",
        "redis-pw-redis",
        "key-one-key-one",
        "key-two-key-two",
    ]
    structlog.get_logger().info("they are: " + " | ".join(values))
    assert json.loads(stream.getvalue())["event"] == "they are: " + " | ".join([MASK] * len(values))


def test_without_a_stream_it_is_standard_error(
    clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(load())
    structlog.get_logger("crm_sync").info("hello")
    assert "hello" in capsys.readouterr().err
    assert clean_environment
