"""A ticket's technician → the conversation's agent, by e-mail address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from crm_sync.crms.base import Link, Port
from crm_sync.crms.glpi.assignments import ASSIGNED, Assignments
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import TICKET, USER, Work
from crm_sync.events import Agent, Conversation, SenderKind


class Reassignments(Work):
    """Brings changes of the technician back. A ticket's ``agreed`` holds what assignments wrote; see there."""

    def __init__(self, client: GlpiClient, port: Port, assignments: Assignments) -> None:
        super().__init__(client, port)
        self.assignments = assignments
        #: Whether the conversation was given to somebody else.
        self.wrote = False

    def brought(self, ticket: Link, conversation: Callable[[], Conversation]) -> Iterator[str]:
        """Give the conversation to whom GLPI gave the ticket; the outcome in words. Costs a call when switched on."""
        if not self.settings["pull_assignee"]:
            return
        rows = self.client.items(f"{TICKET}/{ticket.remote_id}/Ticket_User")
        there = sorted(
            int(row["users_id"]) for row in rows if row.get("type") == ASSIGNED and row["users_id"]
        )
        ours, before = ticket.agreed.get("technician"), ticket.agreed.get("technicians")
        if there == before or (before is None and (ours in there or (not there and ours is None))):
            if before != there:
                self.port.agree(ticket, technicians=there)
            return
        if ours is not None and ours not in there:
            self.assignments.left(ticket, ours)
        others = [number for number in there if number != ours]
        agents = [agent for agent in map(self._agent, others) if agent is not None]
        now = conversation()
        present = now.assignee if now.assignee and now.assignee.kind is SenderKind.AGENT else None
        if present is not None and present.id != ticket.agreed.get("assignee"):
            yield f"The technician changed, but so did the agent: {present.name or present.id} stays."
        elif ours in there:
            # Somebody else was added beside; the conversation has room for one.
            pass
        elif agents:
            self.port.chatwoot.assign(ticket.local.id, assignee_id=agents[-1].id)
            self.wrote = True
            self.port.agree(ticket, assignee=agents[-1].id, technician=None)
            yield f"Given to {agents[-1].name or agents[-1].id}, as in GLPI."
        elif not there and present is not None:
            self.port.chatwoot.assign(ticket.local.id)
            self.wrote = True
            self.port.agree(ticket, assignee=None, technician=None)
            yield "Taken from its agent, as in GLPI."
        elif others:
            yield "No agent has the e-mail address of the ticket's technician."
        self.port.agree(ticket, technicians=there)

    def _agent(self, user_id: int) -> Agent | None:
        """The agent with an address of a user."""
        addresses: list[str] = self.client.lookups.get(
            ("addresses", user_id), lambda: self._addresses(user_id)
        )
        for agent in self.port.chatwoot.agents():
            if agent.email and agent.email.casefold() in addresses:
                return agent
        return None

    def _addresses(self, user_id: int) -> list[str]:
        rows: list[dict[str, Any]] = self.client.items(f"{USER}/{user_id}/UserEmail")
        return [str(row.get("email") or "").casefold() for row in rows]
