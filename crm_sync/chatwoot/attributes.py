"""Custom attributes: what may be written, and how little has to be. Pure functions, for the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_sync.chatwoot.text import storable_json

#: Limits of one value (app/models/jsonb_attributes_length_validator.rb); beyond them Chatwoot answers 422.
MAX_TEXT = 1500
MAX_NUMBER = 9_999_999_999


@dataclass(frozen=True, slots=True)
class Writing:
    """What has to be written so that a record shows what it should."""

    changed: Mapping[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


def writing(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> Writing:
    """The difference between what is there and what should be; ``None`` takes a key away."""
    fitted = {key: fit(value) for key, value in wanted.items()}
    return Writing(
        changed={
            key: value
            for key, value in fitted.items()
            if value is not None and (key not in current or current[key] != value)
        },
        removed=tuple(key for key, value in fitted.items() if value is None and key in current),
    )


def merged(current: Mapping[str, Any], change: Writing) -> dict[str, Any]:
    """The whole hash after the change."""
    rest = {key: value for key, value in current.items() if key not in change.removed}
    return rest | dict(change.changed)


def fit(value: Any) -> Any:
    """The value within Chatwoot's limits: long texts are cut, large numbers become text."""
    value = storable_json(value)
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_NUMBER:
        return str(value)
    return value
