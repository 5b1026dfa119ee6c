"""The requester's computers, to be linked to a new ticket."""

from __future__ import annotations

from crm_sync.crms.base import Link, Port
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import USER, Work
from crm_sync.errors import Rejected

COMPUTER = "Computer"


class Assets(Work):
    """Finds computers. What could not be seen is told in ``notes``."""

    def __init__(self, client: GlpiClient, port: Port, notes: list[str]) -> None:
        super().__init__(client, port)
        self.notes = notes

    def of(self, requester: Link) -> dict[str, str]:
        """The names of the requester's computers by their ids, without templates and what is in the bin.

        Empty unless ``link_computers`` is on and the requester is a user.
        """
        if not self.settings.get("link_computers") or requester.remote_type != USER:
            return {}
        try:
            rows = self.client.items(COMPUTER, {"searchText[users_id]": f"^{requester.remote_id}$"})
        except Rejected as refused:
            self.notes.append(f"The requester's computers could not be seen: {refused}")
            return {}
        return {
            str(row["id"]): str(row.get("name") or "")
            for row in rows
            if str(row.get("users_id")) == requester.remote_id
            and not row.get("is_deleted")
            and not row.get("is_template")
        }
