"""What a pull brings, as a delivery of the journal and back: events of CRM records go the way of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.events import RemoteUpdate

#: The key under which a delivery of ours holds the record; no delivery of Chatwoot has it.
_KEY = "crm_record"


def payload_of(update: RemoteUpdate) -> dict[str, Any]:
    """The payload of a delivery that holds this update."""
    return {
        "event": update.name,
        _KEY: {
            "remote_type": update.remote_type,
            "remote_id": update.remote_id,
            "local_type": update.local_type,
            "local_id": update.local_id,
            "state": dict(update.state),
        },
    }


def is_remote(payload: Mapping[str, Any]) -> bool:
    """Whether a stored payload holds a record of a CRM rather than a delivery of Chatwoot."""
    return _KEY in payload


def read(payload: Mapping[str, Any]) -> RemoteUpdate:
    """The update that a delivery of ours holds."""
    return RemoteUpdate(name=payload["event"], **payload[_KEY])
