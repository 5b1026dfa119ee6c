"""Lead → contact and conversation: what sales people did in Krayin, shown in Chatwoot.

A pull says that a lead changed; what it is now is read once more, under the mailbox's mutex, so that nothing of ours
can come between. What differs from what both sides last agreed on is news of Krayin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm_sync.crms.base import Link, Local, Port
from crm_sync.crms.krayin import mapping, stages
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.leads import Leads
from crm_sync.crms.krayin.stages import Stage
from crm_sync.crms.krayin.work import LEAD, Work
from crm_sync.errors import NotFound, Rejected, ServerFault, Skip
from crm_sync.events import RemoteUpdate, Status

#: What of a lead Chatwoot shows.
SHOWN = ("stage", "value", "owner", "products")


class Updates(Work):
    """Applies what Krayin says of a lead to its contact and conversations."""

    def __init__(self, client: KrayinClient, port: Port, leads: Leads) -> None:
        super().__init__(client, port)
        self.leads = leads
        self.notes: list[str] = []

    def apply(self, update: RemoteUpdate) -> str:
        """The outcome in words. Raises Skip, and what the calls raise."""
        lead = self.port.link(_local(update), LEAD)
        if lead is None or lead.remote_id != update.remote_id:
            raise Skip("not_linked", f"Lead {update.remote_id} is nobody's lead (any more).")
        try:
            row = self.client.lead(lead.remote_id)
        except NotFound:
            words = f"Lead {lead.remote_id} was deleted; what comes next makes a new one."
            raise Skip("deleted", words) from None
        there, quote = mapping.lead_state(row), self._quote(row)
        changed = [key for key in SHOWN if lead.agreed.get(key) != there[key]]
        done = [
            f"Lead {lead.remote_id} changed in Krayin: {', '.join(changed)}."
            if changed
            else f"Lead {lead.remote_id} holds nothing that Chatwoot does not know."
        ]
        if "stage" in changed:
            try:
                done += self._moved(lead, row)
            except NotFound:
                done.append("Its conversation is no longer in Chatwoot.")
        # At last: what breaks on the way is to find the same news again.
        self.leads.adopt(lead, row, **quote)
        return " ".join([*done, *self.notes])

    def _moved(self, lead: Link, row: Any) -> Iterator[str]:
        before = self.stage(lead.agreed.get("stage"))
        after = self.stage(int(row["lead_pipeline_stage_id"]))
        number = self._conversation(lead)
        if number is None or after is None:
            return
        if self.settings["stage_notes"]:
            text = self.texts("words.stage_changed", before=before.name if before else "–", after=after.name)
            source = ("Stage", f"{lead.remote_id}:{after.id}:{row.get('updated_at')}")
            if self.port.tell(number, source, text, private=True):
                yield f"Told in conversation {number}."
        wanted = self._status(after)
        if wanted is not None and self.port.chatwoot.conversation(number).status is not wanted:
            self.port.chatwoot.toggle_status(number, wanted)
            yield f"Conversation {number} {wanted.value}."

    def _status(self, stage: Stage) -> Status | None:
        for name, status in (self.settings.get("status_by_stage") or {}).items():
            if stages.is_named(stage, name):
                return Status(status)
        return None

    @staticmethod
    def _conversation(lead: Link) -> int | None:
        """The conversation that a lead's news belongs to: its own, or the contact's latest."""
        if lead.local.type == "conversation":
            return lead.local.id
        numbers = [int(number) for number in lead.agreed.get("conversations") or {}]
        return numbers[-1] if numbers else None

    def _quote(self, row: Any) -> dict[str, Any]:
        """The newest quote of the lead's person, which Krayin tells by person only."""
        person = row.get("person") or {}
        if not person.get("id"):
            return {}
        try:
            quotes = self.client.quotes_of(str(person["id"]))
        except (NotFound, Rejected, ServerFault) as error:
            # The lead's news is not held up by that.
            self.notes.append(f"Its quotes could not be read: {error}")
            return {}
        return {"quote": int(quotes[0]["id"])} if quotes else {}


def _local(update: RemoteUpdate) -> Local:
    return Local("conversation" if update.local_type == "conversation" else "contact", update.local_id)
