"""A body is a JSON object that can be stored, or it is refused in a sentence; nothing else ever happens."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, strategies as st

from crm_sync.errors import PayloadError
from crm_sync.receiver.body import DEPTH_LIMIT, parse


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    return (f'{{"a":{opening * (levels - 1)}1{closing * (levels - 1)}}}').encode()


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"", "invalid_json", "Expecting value"),
        (b"   ", "invalid_json", "Expecting value"),
        (b"event=contact_created", "invalid_json", "Expecting value at character 0"),
        (b'{"event": "contact_created"', "invalid_json", "at character 27"),
        (b'{"a": 1}{"a": 2}', "invalid_json", "Extra data"),
        (b"{'a': 1}", "invalid_json", "double quotes"),
        (b'{"a": "\xff\xfe"}', "invalid_json", "it is not UTF-8"),
        (b'{"a": "\xc3"}', "invalid_json", "it is not UTF-8"),
        (b'{"a": "raw \x00 NUL"}', "invalid_json", "Invalid control character"),
        (b"\x00\x00\x00\x00", "invalid_json", ""),
        (b'{"a": NaN}', "invalid_json", "NaN is no JSON value"),
        (b'{"a": [Infinity]}', "invalid_json", "Infinity is no JSON value"),
        (b'{"a": -Infinity}', "invalid_json", "-Infinity is no JSON value"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json", "digits"),
        (b"[]", "invalid_payload", "an array"),
        (b'[{"event": "contact_created"}]', "invalid_payload", "an array"),
        (b'"contact_created"', "invalid_payload", "a text"),
        (b"7", "invalid_payload", "a number"),
        (b"7.5", "invalid_payload", "a number"),
        (b"true", "invalid_payload", "true or false"),
        (b"null", "invalid_payload", "null"),
        (b'{"a": "escaped \\u0000 NUL"}', "invalid_payload", "NUL character"),
        (b'{"a": [{"b": ["\\u0000"]}]}', "invalid_payload", "NUL character"),
        (b'{"a\\u0000b": 1}', "invalid_payload", "NUL character"),
        (nested(DEPTH_LIMIT), "invalid_payload", f"more than {DEPTH_LIMIT} levels"),
        (nested(100_000), "invalid_payload", f"more than {DEPTH_LIMIT} levels"),
        (nested(100_000, '{"a":', "}"), "invalid_payload", f"more than {DEPTH_LIMIT} levels"),
        (b'{"a":' + b"[" * 500_000, "invalid_payload", f"more than {DEPTH_LIMIT} levels"),
    ],
)
def test_a_body_is_refused_in_a_sentence_when_it_is_no_object_to_store(
    raw: bytes, code: str, words: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        parse(raw)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b' {"event": "contact_created"}\r\n',
        '{"name": "Ana 🚀 Núñez"}'.encode(),
        b'{"name": "A \\u003cb\\u003e \\u0026 C \\ud83d\\ude80"}',
        nested(DEPTH_LIMIT - 1),
    ],
)
def test_an_object_is_read_as_it_is(raw: bytes) -> None:
    assert parse(raw) == json.loads(raw)


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_do_anything_else(raw: bytes) -> None:
    with contextlib.suppress(PayloadError):
        assert isinstance(parse(raw), dict)
