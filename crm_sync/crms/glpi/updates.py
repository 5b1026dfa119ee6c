"""Ticket → conversation: what a technician did in GLPI, done in Chatwoot.

A pull says that a ticket changed; what it is now is read from GLPI once more, under the mailbox's mutex, so that
nothing of ours can come between. What differs from what both sides last agreed on is news of GLPI. Where Chatwoot has
news of its own, the hook's ``conflict_policy`` decides, and the outcome says what lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crm_sync.crms.base import Link, Local, Port
from crm_sync.crms.glpi import choices, mapping
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.pull import is_fresh
from crm_sync.crms.glpi.reassignments import Reassignments
from crm_sync.crms.glpi.tellings import Tellings
from crm_sync.crms.glpi.tickets import Tickets
from crm_sync.crms.glpi.work import TICKET, Work
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Conversation, RemoteUpdate

#: What of a ticket is known to both sides.
KNOWN = ("status", "urgency", "impact", "type", "itilcategories_id")

_LEVELS = ("urgency", "impact")


class Updates(Work):
    """Applies what GLPI says of a ticket to its conversation."""

    def __init__(self, client: GlpiClient, port: Port, tickets: Tickets) -> None:
        super().__init__(client, port)
        self.tickets = tickets
        self.tellings = Tellings(client, port)
        self.reassignments = Reassignments(client, port, tickets.assignments)
        self._read: Conversation | None = None
        self._wrote = False
        #: What of the ticket the conversation has followed, or was as anyway.
        self._seen: set[str] = set()

    def apply(self, update: RemoteUpdate) -> str:
        """The outcome in words. Raises Skip, and what the calls raise."""
        local = Local("conversation", update.local_id)
        ticket = self.port.link(local, TICKET)
        if ticket is None or ticket.remote_id != update.remote_id:
            raise Skip("not_linked", f"Ticket {update.remote_id} is no conversation's ticket (any more).")
        try:
            row = self.client.item(TICKET, ticket.remote_id)
        except NotFound:
            words = f"Ticket {ticket.remote_id} was purged; what comes next opens a new one."
            raise Skip("purged", words) from None
        try:
            if row.get("is_deleted"):
                standing = self._standing(ticket)
                if standing.remote_id == ticket.remote_id:
                    self.port.agree(ticket, binned=True)
                    return f"Ticket {ticket.remote_id} is in GLPI's bin; its conversation stays as it is."
                ticket, row = standing, self.client.item(TICKET, standing.remote_id)
            done = self._brought(ticket, row)
        except NotFound as gone:
            raise Skip("gone", f"The ticket or its conversation is there no longer: {gone}") from gone
        return " ".join(done) or f"Ticket {ticket.remote_id} holds nothing that Chatwoot does not know."

    def _standing(self, ticket: Link) -> Link:
        """The ticket that stands for one in the bin; what the conversation agreed on was the state of the former."""
        standing = self.tickets.standing_again(ticket)
        if standing.remote_id == ticket.remote_id:
            return standing
        before = {key: ticket.agreed.get(key) for key in ("status", *_LEVELS, "heard")}
        return self.port.agree(standing, **before)

    def _brought(self, ticket: Link, row: dict[str, Any]) -> list[str]:
        done = [
            *self.tellings.told(ticket, row),
            *self._status(ticket, row),
            *self._priority(ticket, row),
            *self._technician(ticket),
        ]
        return [*done, *self._heard(self._agree_on(ticket, row))]

    def _conversation(self, ticket: Link) -> Conversation:
        """The conversation as it is; asked for once, and again after it was written to."""
        if self._read is None:
            self._read = self.port.chatwoot.conversation(ticket.local.id)
        return self._read

    def _written(self) -> None:
        """The conversation was written to: what it is now has to be asked for."""
        self._read, self._wrote = None, True

    # -- state ---------------------------------------------------------------------------------------------------

    def _status(self, ticket: Link, row: Mapping[str, Any]) -> Iterator[str]:
        status = int(row["status"])
        if status == ticket.agreed.get("status"):
            return
        target = mapping.CONVERSATION_STATUS.get(status)
        if target is None:
            yield f"Status {status} is none of GLPI's own, so Chatwoot has no word for it."
            return
        conversation = self._conversation(ticket)
        if mapping.says_the_same(conversation, status):
            self._seen.add("status")
            return
        changed_here = mapping.status(conversation) != choices.heard(ticket.agreed, "status")
        name = mapping.STATUS_NAMES[status]
        if changed_here and not self.tickets.conflicts.glpi_wins(conversation, row):
            # What the conversation wants is written when all of it is seen to.
            yield f"Both sides changed: the ticket was {name}, and is {conversation.status.value} as the conversation."
            return
        self.port.chatwoot.toggle_status(ticket.local.id, target)
        self._written()
        self._seen.add("status")
        yield f"The ticket is {name}: conversation {target.value}."
        if changed_here:
            yield f"It had been changed to {conversation.status.value}, which does not count."

    def _priority(self, ticket: Link, row: Mapping[str, Any]) -> Iterator[str]:
        there = {key: row.get(key) for key in _LEVELS}
        if not self.settings["pull_priority"] or there == {key: ticket.agreed.get(key) for key in _LEVELS}:
            return
        target = mapping.CONVERSATION_PRIORITY.get(int(row["priority"]))
        conversation = self._conversation(ticket)
        if target is None or (conversation.priority or "medium") == target:
            self._seen.update(_LEVELS)
            return
        wanted = choices.state(conversation, self.settings)
        changed_here = any(wanted[key] != choices.heard(ticket.agreed, key) for key in _LEVELS)
        if changed_here and not self.tickets.conflicts.glpi_wins(conversation, row):
            yield (
                f"Both sides changed: the ticket's priority was {target}, and is "
                f"{conversation.priority or 'none'} as the conversation's."
            )
            return
        self.port.chatwoot.toggle_priority(ticket.local.id, target)
        self._written()
        self._seen.update(_LEVELS)
        yield f"Priority {target}."
        if changed_here:
            yield f"It had been changed to {conversation.priority or 'none'}, which does not count."

    def _technician(self, ticket: Link) -> Iterator[str]:
        yield from self.reassignments.brought(ticket, lambda: self._conversation(ticket))
        if self.reassignments.wrote:
            self._written()

    # -- agreeing ------------------------------------------------------------------------------------------------

    def _settled(self, row: Mapping[str, Any]) -> str | None:
        """When the ticket changed, once it can be told from another change of the same second."""
        changed = str(row.get("date_mod") or "")
        if not changed or is_fresh(self.client.utc_date(changed), self.port.now):
            return None
        return changed

    def _agree_on(self, ticket: Link, row: Mapping[str, Any]) -> Link:
        """Remember what both sides are in now, and let the conversation show what the ticket is."""
        agreed = (self.port.link(ticket.local, TICKET) or ticket).agreed
        there = {key: row.get(key) for key in KNOWN if row.get(key) is not None}
        wanted: dict[str, Any] = {}
        if self._seen:
            state = choices.state(self._conversation(ticket), self.settings)
            wanted = {key: state[key] for key in self._seen}
        state = {"binned": False, "changed": self._settled(row)}
        if row.get(choices.DEADLINE):
            state["deadline"] = self.tickets.openings.deadline(str(row[choices.DEADLINE]))
        before = {key: agreed.get(key) for key in (*KNOWN, "deadline")}
        ticket = self.port.agree(ticket, **state, **choices.adopted(agreed, there, wanted))
        if {key: ticket.agreed.get(key) for key in before} != before:
            ticket = self.tickets.shown(ticket)
        return ticket

    def _heard(self, ticket: Link) -> Iterator[str]:
        """What a conversation that was read wants besides is seen to at once: nothing older counts from now on."""
        if self._read is None and not self._wrote:
            return
        conversation = self._conversation(ticket)
        if self.tickets.goes_on_anew(ticket, conversation):
            # Its own event opens another ticket.
            return
        changed = self.tickets.update(ticket, conversation)
        if changed:
            yield f"Ticket {ticket.remote_id} updated: {', '.join(changed)}."
