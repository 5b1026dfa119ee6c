"""The sandbox writes the very bytes Rails writes, and signs them as Chatwoot does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm_sync.sandbox.chatwoot.outbox import rails_json, signature

NAMES = sorted(path.stem for path in (Path(__file__).parent / "data" / "raw").glob("*.body"))


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_those_of_rails(raw: Callable[[str], bytes], name: str) -> None:
    body = raw(name)
    assert rails_json(json.loads(body)) == body


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_that_of_the_recording(
    raw: Callable[[str], bytes], recorded: Callable[[str], dict[str, Any]], name: str
) -> None:
    found = recorded(name)
    signed = found["headers"].get("X-Chatwoot-Signature")
    if signed is not None:
        timestamp = found["headers"]["X-Chatwoot-Timestamp"]
        assert signature(found["_fixture"]["secret"], timestamp, raw(name)) == signed


def test_the_vectors_hold(vectors: dict[str, Any]) -> None:
    for vector in vectors["vectors"]:
        body = bytes.fromhex(vector["raw_body_hex"])
        assert signature(vector["secret"], vector["timestamp"], body) == vector["signature"]


def test_what_is_signed_otherwise_does_not_match(vectors: dict[str, Any]) -> None:
    secret = vectors["vectors"][0]["secret"]
    for vector in vectors["negative"]:
        body = vector["raw_body_utf8"].encode()
        assert signature(secret, vector["timestamp"], body) != vector["signature"]
