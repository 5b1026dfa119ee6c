"""Chatwoot's recorded words, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture
def delivery() -> Callable[[str], dict[str, Any]]:
    """The payload of a recorded delivery."""
    return lambda name: json.loads((DATA / "webhooks" / f"{name}.json").read_text())["body"]


@pytest.fixture
def recorded() -> Callable[[str], dict[str, Any]]:
    """A recorded delivery with its headers."""
    return lambda name: json.loads((DATA / "webhooks" / f"{name}.json").read_text())


@pytest.fixture
def raw() -> Callable[[str], bytes]:
    """The bytes of a recorded delivery."""
    return lambda name: (DATA / "raw" / f"{name}.body").read_bytes()


@pytest.fixture
def exchange() -> Callable[[str], dict[str, Any]]:
    """A recorded call of the API: its request and response."""
    return lambda name: json.loads((DATA / "api" / f"{name}.json").read_text())


@pytest.fixture
def vectors() -> dict[str, Any]:
    """The test vectors of the signature."""
    found: dict[str, Any] = json.loads((DATA / "signature_vectors.json").read_text())
    return found


@pytest.fixture
def sequences() -> dict[str, list[str]]:
    """What Chatwoot sends, in the order it sends it."""
    found: dict[str, list[str]] = json.loads((DATA / "sequences.json").read_text())
    return found
