"""What people write on the command line means what they think, or is refused as wrong usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from crm_sync import clock
from crm_sync.cli.parameters import Moment, Remote, Setting, as_mapping


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T08:30:00Z", datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
        ("2026-11-22T08:30:00+02:00", datetime(2026, 11, 22, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(words: str, moment: datetime) -> None:
    assert Moment().convert(words, None, None) == moment
    assert Moment().convert(moment, None, None) is moment


@pytest.mark.parametrize(
    ("words", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_span_is_so_long_ago(monkeypatch: pytest.MonkeyPatch, words: str, ago: timedelta) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert Moment().convert(words, None, None) == now - ago


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        ("api_url=http://x/?a=b", ("api_url", "http://x/?a=b")),
        ("category_id=", ("category_id", "")),
        (("a", "b"), ("a", "b")),
    ],
)
def test_a_setting_is_cut_at_its_first_equals_sign(words: Any, setting: tuple[str, str]) -> None:
    assert Setting().convert(words, None, None) == setting


@pytest.mark.parametrize(
    ("remote", "parts"),
    [("glpi.ticket:12", ("glpi", "ticket", "12")), ("krayin.Lead:a:1", ("krayin", "Lead", "a:1"))],
)
def test_a_record_is_named_by_app_type_and_id(remote: str, parts: tuple[str, str, str]) -> None:
    found = Remote().convert(remote, None, None)
    assert found == parts
    assert Remote().convert(found, None, None) is found


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Moment(), "yesterday"),
        (Moment(), "2x"),
        (Setting(), "app_token"),
        (Setting(), "=secret"),
        (Remote(), "ticket:12"),
        (Remote(), "glpi.ticket"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(kind: click.ParamType[Any], words: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(words, None, None)


def test_a_malformed_setting_is_not_repeated_because_it_may_be_a_secret() -> None:
    with pytest.raises(click.BadParameter) as refused:
        Setting().convert("hunter2hunter2", None, None)
    assert "hunter2" not in refused.value.message


def test_a_setting_that_is_given_twice_is_wrong_usage() -> None:
    assert as_mapping([("a", "1"), ("b", "2")]) == {"a": "1", "b": "2"}
    with pytest.raises(click.UsageError, match="a is given twice"):
        as_mapping([("a", "1"), ("a", "2")])
