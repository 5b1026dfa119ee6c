"""What a conversation shows of its ticket. A pure function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.crms.base import Link
from crm_sync.crms.glpi.choices import LEVELS, TYPES


def ticket_attributes(ticket: Link, category: str | None) -> dict[str, Any]:
    """The custom attributes of a conversation with this ticket; None for what is not known of it."""
    agreed = ticket.agreed
    return {
        "glpi_ticket_id": int(ticket.remote_id),
        "glpi_ticket_url": ticket.url,
        "glpi_ticket_type": TYPES.get(agreed.get("type") or 0),
        "glpi_category": category,
        "glpi_urgency": LEVELS.get(agreed.get("urgency") or 0),
        "glpi_impact": LEVELS.get(agreed.get("impact") or 0),
        "glpi_sla_ttr": agreed.get("deadline"),
        "glpi_linked_assets": _assets(agreed.get("assets") or {}),
    }


def _assets(assets: Mapping[str, str]) -> str | None:
    return ", ".join(f"{name} ({number})" if name else number for number, name in assets.items()) or None
