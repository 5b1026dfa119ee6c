"""As little as possible is written, and never more than Chatwoot takes."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.chatwoot.attributes import Writing, fit, merged, writing


@pytest.mark.parametrize(
    ("current", "wanted", "changed", "removed"),
    [
        ({}, {"a": 1}, {"a": 1}, ()),
        ({"a": 1}, {"a": 1}, {}, ()),
        ({"a": 1}, {"a": "1"}, {"a": "1"}, ()),
        ({"a": 1, "b": 2}, {"a": None}, {}, ("a",)),
        ({"b": 2}, {"a": None}, {}, ()),
        ({"a": "x" * 1500}, {"a": "x" * 2000}, {}, ()),
        ({}, {"a": False}, {"a": False}, ()),
    ],
)
def test_only_the_difference_is_written(
    current: dict[str, Any], wanted: dict[str, Any], changed: dict[str, Any], removed: tuple[str, ...]
) -> None:
    found = writing(current, wanted)
    assert (found.changed, found.removed) == (changed, removed)
    assert bool(found) == bool(changed or removed)


def test_a_change_is_merged_into_what_is_there() -> None:
    assert merged({"a": 1, "b": 2, "c": 3}, Writing({"a": 9, "d": 4}, ("b",))) == {"a": 9, "c": 3, "d": 4}


@pytest.mark.parametrize(
    ("value", "fitted"),
    [
        ("x" * 1501, "x" * 1500),
        ("a\x00b", "ab"),
        (9_999_999_999, 9_999_999_999),
        (10_000_000_000, "10000000000"),
        (True, True),
        (None, None),
        (1.5, 1.5),
    ],
)
def test_values_are_fitted_into_the_limits(value: Any, fitted: Any) -> None:
    assert fit(value) == fitted
