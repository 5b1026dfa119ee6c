"""Every item of the test lists that crm_sync was asked to fulfil has tests, and they are there."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
#: How many items each list of an app has, as counted in the documents.
LEAST = {
    "glpi": {
        "both 10": 8,
        "both, examples": 4,
        "both, manual": 8,
        "plan 1": 20,
        "plan 2": 14,
        "plan 3": 19,
        "plan 5.2, step": 11,
        "plan 5.2:": 14,
        "plan 5.3": 5,
        "plan 5.4": 11,
    },
    "krayin": {"10:": 10, "manual:": 9, "4:": 11, "9.": 3, "phase 2:": 4},
}


@cache
def _lists(app: str) -> dict[str, list[dict[str, Any]]]:
    text = (Path(__file__).parent / f"{app}.yml").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    return found


@cache
def _tests(file: str) -> frozenset[str]:
    """The tests of a file, by what is written in it."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize(
    "entry",
    [pytest.param(entry, id=f"{app}: {entry['item']}") for app in LEAST for entry in _lists(app)["items"]],
)
def test_an_item_has_tests_that_are_there(entry: dict[str, Any]) -> None:
    assert entry.keys() <= {"item", "tests", "note"}
    assert entry["tests"]
    for test in entry["tests"]:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), file
        assert name in _tests(file), test


@pytest.mark.parametrize("app", LEAST)
def test_no_item_is_there_twice_or_missing(app: str) -> None:
    elsewhere = _lists(app).get("elsewhere", [])
    assert all(entry["why"] for entry in elsewhere)
    names = [entry["item"] for entry in (*_lists(app)["items"], *elsewhere)]
    assert [name for name, number in Counter(names).items() if number > 1] == []
    least = LEAST[app]
    counted = {prefix: sum(name.startswith(prefix) for name in names) for prefix in least}
    assert {prefix: number for prefix, number in counted.items() if number < least[prefix]} == {}
