"""Every item of the test lists that crm_sync was asked to fulfil for Krayin has tests, and they are there."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
#: How many items each list has, as counted in the document.
LEAST = {"10:": 10, "manual:": 9, "4:": 11, "9.": 3, "phase 2:": 4}


@cache
def _lists() -> dict[str, list[dict[str, Any]]]:
    text = (Path(__file__).parent / "krayin.yml").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("entry", _lists()["items"], ids=lambda entry: entry["item"])
def test_an_item_has_tests_that_are_there(entry: dict[str, Any]) -> None:
    assert entry.keys() <= {"item", "tests", "note"}
    assert entry["tests"]
    for test in entry["tests"]:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), file
        assert name in _tests(file), test


def test_no_item_is_there_twice_or_missing() -> None:
    names = [entry["item"] for entry in (*_lists()["items"], *_lists()["elsewhere"])]
    assert [name for name, number in Counter(names).items() if number > 1] == []
    counted = {prefix: sum(name.startswith(prefix) for name in names) for prefix in LEAST}
    assert {prefix: number for prefix, number in counted.items() if number < LEAST[prefix]} == {}
    assert all(entry["why"] for entry in _lists()["elsewhere"])
