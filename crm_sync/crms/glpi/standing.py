"""Whether a ticket still stands in GLPI: looked at once a day before something is written to it.

A ticket in the bin takes changes as any other, and nobody sees them. One that was merged into another is followed:
GLPI writes the merged ticket into the other as a followup that names its source (Ticket::merge), and bins it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crm_sync.crms.base import Link, Port, Remote
from crm_sync.crms.glpi import mapping
from crm_sync.crms.glpi.choices import DEADLINE
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import FOLLOWUP, TICKET, Work
from crm_sync.errors import NotFound, Rejected

#: A ticket that stood this recently is trusted to stand.
TRUSTED = timedelta(days=1)

#: What was agreed of the ticket itself, and is not true of another one that it was merged into.
OF_THE_TICKET = frozenset(
    {
        "assignee",
        "team",
        "technician",
        "group",
        "assets",
        "deadline",
        "open",
        "shown",
        "locations_id",
        "description",
        "documents",
        DEADLINE,
    }
)


class Standing(Work):
    """Looks at tickets. A ticket's ``agreed`` holds when it was (``stood_at``), and whether it lay in the bin.

    What was found is told in ``notes``.
    """

    def __init__(self, client: GlpiClient, port: Port, notes: list[str]) -> None:
        super().__init__(client, port)
        self.notes = notes

    def since_now(self) -> dict[str, Any]:
        """That a ticket stands at this moment."""
        return {"stood_at": self.port.now.isoformat(), "binned": False}

    def of(self, ticket: Link) -> Link:
        """The ticket to write to: this one, or that which it was merged into. Raises NotFound when it is gone."""
        if self._is_trusted(ticket):
            binned = bool(ticket.agreed.get("binned"))
        else:
            row = self.client.item(TICKET, ticket.remote_id)
            binned = bool(row.get("is_deleted"))
            merged = self._merged_into(ticket.remote_id) if binned else None
            if merged is not None:
                return self._moved(ticket, merged)
            ticket = self.port.agree(ticket, **self.since_now() | {"binned": binned})
        if binned:
            self.notes.append(f"Ticket {ticket.remote_id} is in GLPI's bin.")
        return ticket

    def _is_trusted(self, ticket: Link) -> bool:
        stood: str | None = ticket.agreed.get("stood_at")
        return stood is not None and self.port.now - datetime.fromisoformat(stood) < TRUSTED

    def _merged_into(self, number: str) -> dict[str, Any] | None:
        """The ticket that stands at the end of the merges that began with this one."""
        seen = {number}
        while True:
            rows = self.client.items(
                FOLLOWUP, {"searchText[sourceitems_id]": f"^{number}$", "sort": "id", "order": "DESC"}
            )
            number = next(
                (
                    str(row["items_id"])
                    for row in rows
                    if str(row.get("sourceitems_id")) == number and row.get("itemtype") == TICKET
                ),
                "",
            )
            if not number or number in seen:
                return None
            seen.add(number)
            try:
                row = self.client.item(TICKET, number)
            except (NotFound, Rejected):
                return None
            if not row.get("is_deleted"):
                return row

    def _moved(self, ticket: Link, row: dict[str, Any]) -> Link:
        number = str(row["id"])
        agreed = {key: value for key, value in ticket.agreed.items() if key not in OF_THE_TICKET}
        agreed |= {key: row.get(key) for key in ("status", "urgency", "impact", "type", "itilcategories_id")}
        agreed["entity"] = row.get("entities_id")
        # What was written there before is of others.
        agreed["texts_since"] = self.port.now.isoformat()
        agreed["formers"] = [*ticket.agreed.get("formers", ()), ticket.remote_id]
        self.notes.append(f"Ticket {ticket.remote_id} was merged into ticket {number}.")
        url = mapping.ticket_url(self.client.api_url, number)
        return self.port.move(ticket, Remote(number, url, agreed | self.since_now()))
