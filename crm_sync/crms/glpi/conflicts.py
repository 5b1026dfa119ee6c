"""When a conversation and its ticket were both changed: whose change counts, by the hook's ``conflict_policy``.

Only where changes of GLPI come back is there anything to decide; elsewhere the conversation counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crm_sync.crms.base import Link, Port
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import TICKET, Work
from crm_sync.events import Conversation

#: What both sides can change.
CONTESTED = frozenset({"status", "urgency", "impact"})


class Conflicts(Work):
    """Decides conflicts. ``lost`` are the fields whose change in Chatwoot does not count; ``notes`` tell of them."""

    def __init__(self, client: GlpiClient, port: Port, notes: list[str]) -> None:
        super().__init__(client, port)
        self.notes = notes
        self.lost: frozenset[str] = frozenset()

    def settled(self, ticket: Link, conversation: Conversation, changes: dict[str, Any]) -> dict[str, Any]:
        """The changes of a conversation that are to be written: without those that GLPI's own changes beat.

        What is left out is not agreed on: the next pull brings GLPI's side. Costs a call where something that both
        can change is to be written and GLPI's changes come back.
        """
        contested = CONTESTED & changes.keys()
        if not contested or not self.settings.get("enable_bidirectional_sync"):
            return changes
        row = self.client.item(TICKET, ticket.remote_id)
        both = {key for key in contested if row.get(key) not in {ticket.agreed.get(key), changes[key]}}
        if not self.settings["pull_priority"]:
            both &= {"status"}
        if not both:
            return changes
        if not self.glpi_wins(conversation, row):
            self.notes.append(f"GLPI had changed {_names(both)} as well; the conversation's change counts.")
            return changes
        self.lost = frozenset(both)
        self.notes.append(f"GLPI has changed {_names(both)} as well, and that counts.")
        return {key: value for key, value in changes.items() if key not in both}

    def glpi_wins(self, conversation: Conversation, row: Mapping[str, Any]) -> bool:
        """Whether the ticket's change counts where both sides changed: by the policy, or because it is the later."""
        policy = self.settings["conflict_policy"]
        if policy != "latest":
            return bool(policy == "glpi")
        here, there = conversation.updated_at, self._changed(row)
        return here is None or there is None or there >= here

    def _changed(self, row: Mapping[str, Any]) -> datetime | None:
        told = row.get("date_mod")
        return self.client.utc_date(str(told)) if told else None


def _names(fields: set[str]) -> str:
    return ", ".join(sorted(fields))
