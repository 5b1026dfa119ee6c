"""Takes Chatwoot's own secrets out of a delivery before it is stored or logged.

Some payloads carry whole database rows: the contact's widget session (``pubsub_token``) in every
conversation, a channel with its passwords in inbox events. What the account itself wrote (custom attributes)
is kept, whatever its keys are called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crm_sync.chatwoot.text import check_depth, storable

#: Taken out wherever they stand.
_SECRET_KEYS = frozenset(
    {
        "access_token",
        "account_sid",
        "api_key",
        "api_key_sid",
        "auth_token",
        "hmac_token",
        "password",
        "provider_config",
        "provider_connection",
        "pubsub_token",
        "secret",
        "token",
    }
)
_SECRET_ENDINGS = ("_token", "_secret", "_password", "_api_key", "_private_key", "_credentials")
#: Keys below these are the account's own words, not columns of Chatwoot.
_OWN_WORDS = frozenset({"custom_attributes"})
#: Columns that end like a secret and are none.
_HARMLESS = frozenset({"website_token"})


def scrub(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a delivery without Chatwoot's secrets, at any depth, fit for any database.

    The keys are columns of Chatwoot's channels, webhooks and contact inboxes (contracts:
    inbox_created.api_channel).
    """
    copy: dict[str, Any] = _scrubbed(payload, words=False, depth=0)
    return copy


def _scrubbed(value: Any, *, words: bool, depth: int) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        check_depth(depth)
        return {
            storable(str(key)): _scrubbed(item, words=words or key in _OWN_WORDS, depth=depth + 1)
            for key, item in value.items()
            if not _is_secret(str(key), item, words=words)
        }
    if isinstance(value, list):
        check_depth(depth)
        return [_scrubbed(item, words=words, depth=depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _is_secret(key: str, value: Any, *, words: bool) -> bool:
    if key in ("pubsub_token", "hmac_token", "provider_config"):
        return True
    if words or key in _HARMLESS:
        return False
    # In an inbox event "channel" is the whole row with its credentials; in a conversation it is only a class
    # name.
    return (
        key in _SECRET_KEYS
        or key.endswith(_SECRET_ENDINGS)
        or (key == "channel" and isinstance(value, Mapping))
    )
