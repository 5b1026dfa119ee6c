"""Whatever is broken in a delivery, it is refused in words or read; nothing else ever happens."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from crm_sync.chatwoot.noise import noise
from crm_sync.chatwoot.payloads import delivery_key, read, scrub
from crm_sync.errors import PayloadError, Skip
from crm_sync.events import Event

BODIES = [
    json.loads(path.read_text())["body"]
    for path in sorted((Path(__file__).parent / "data" / "webhooks").glob("*.json"))
    if not path.stem.startswith(("inbox", "webwidget", "conversation_typing", "automation"))
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a payload."""
    pairs = list(value.items()) if isinstance(value, dict) else []
    pairs += list(enumerate(value)) if isinstance(value, list) else []
    return [(value, key) for key, _ in pairs] + [place for _, item in pairs for place in places(item)]


def outcome(payload: dict[str, Any]) -> tuple[Event | None, str]:
    """The event, or the words it is refused with."""
    try:
        return read(payload), ""
    except (PayloadError, Skip) as error:
        return None, str(error)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_broken_delivery_is_refused_in_words_or_read(data: st.DataObject) -> None:
    payload = copy.deepcopy(data.draw(st.sampled_from(BODIES)))
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(payload)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            container.pop(key, None)
        elif isinstance(container, dict) or key < len(container):
            container[key] = data.draw(JSON)
    event, words = outcome(payload)
    if event is None:
        assert words.endswith(".")
        return
    clean = scrub(payload)
    json.dumps(clean, ensure_ascii=False, allow_nan=False).encode()
    assert "\x00" not in repr(event)
    assert read(clean) == event
    noise(event, own_keys={"a"}, profile_id=90)
    key = delivery_key(event, payload)
    assert key is None or len(key) <= 200
