"""A conversation's agent and team, as the ticket's technician and group.

Whoever is assigned in GLPI by hand stays. Taken away is only whom crm_sync assigned itself: each row of actors that it
makes has a link of its own, which tells so whatever broke on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crm_sync.crms.base import Link, Port, Remote
from crm_sync.crms.glpi import choices
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import TICKET, USER, Work
from crm_sync.errors import Rejected
from crm_sync.events import Agent, Conversation, SenderKind

#: The role of who works on a ticket.
ASSIGNED = 2


@dataclass(frozen=True, slots=True)
class _Role:
    """One kind of actor: what the ticket's ``agreed`` calls it, and GLPI's table of such actors."""

    local: str
    remote: str
    table: str
    column: str
    words: str


_AGENT = _Role("assignee", "technician", "Ticket_User", "users_id", "User")
_TEAM = _Role("team", "group", "Group_Ticket", "groups_id", "Group")


class Assignments(Work):
    """Technicians and groups of tickets.

    A ticket's ``agreed`` holds the ``assignee`` and ``team`` of the conversation that were seen to, and the
    ``technician`` and ``group`` that came of it. Who could not be assigned is told in ``notes``.
    """

    def __init__(self, client: GlpiClient, port: Port, notes: list[str]) -> None:
        super().__init__(client, port)
        self.notes = notes

    def due(self, ticket: Link, conversation: Conversation) -> dict[str, Any]:
        """What is to be agreed and is not: the conversation's agent (no bot is one) and its team."""
        wanted: dict[str, Any] = {}
        if self.settings.get("sync_assignee"):
            agent = _agent(conversation)
            wanted["assignee"] = agent.id if agent else None
        if self.settings.get("group_by_team"):
            wanted["team"] = conversation.team.id if conversation.team else None
        return {key: value for key, value in wanted.items() if ticket.agreed.get(key) != value}

    def brought(self, ticket: Link, conversation: Conversation, due: dict[str, Any]) -> dict[str, Any]:
        """Assign whom the conversation has now, and no longer whom it had; returns what is agreed by that.

        Raises NotFound when the ticket is gone.
        """
        agreed = dict(due)
        if _AGENT.local in due:
            agent = _agent(conversation)
            agreed[_AGENT.remote] = self._technician(agent) if agent else None
        if _TEAM.local in due:
            agreed[_TEAM.remote] = choices.group(self.settings, conversation.team)
        for role in (_AGENT, _TEAM):
            now = agreed.get(role.remote, ticket.agreed.get(role.remote))
            if now is None or now == ticket.agreed.get(role.remote):
                continue
            if not self._added(ticket, role, now):
                agreed[role.remote] = None
        gone: int | None = None
        for role in (_AGENT, _TEAM):
            before = ticket.agreed.get(role.remote)
            if before is None or role.remote not in agreed or agreed[role.remote] == before:
                continue
            if self._take_away(ticket, role, before) and role is _AGENT:
                gone = before
        seen = ticket.agreed.get("technicians")
        if seen is not None and _AGENT.remote in agreed:
            # What we do ourselves is no news when it comes back.
            agreed["technicians"] = sorted({*seen, agreed[_AGENT.remote]} - {gone, None})
        return agreed

    def _added(self, ticket: Link, role: _Role, number: int) -> bool:
        """Whether GLPI has assigned somebody or some group."""
        asked = False

        def create() -> Remote:
            nonlocal asked
            asked = True
            row = {"tickets_id": int(ticket.remote_id), role.column: number, "type": ASSIGNED}
            return Remote(str(self.client.create(role.table, self.quietly(row))), agreed={"ours": True})

        def recover() -> Remote | None:
            rows = self.client.items(f"{TICKET}/{ticket.remote_id}/{role.table}")
            for row in rows:
                if row.get(role.column) == number and row.get("type") == ASSIGNED:
                    # There before anything was asked: an earlier attempt's. Else somebody's of GLPI.
                    return Remote(str(row["id"]), agreed={"ours": not asked})
            return None

        try:
            self.port.ensure(ticket.local, _link_type(ticket, role, number), create=create, recover=recover)
        except Rejected as refused:
            # For a ticket that is gone GLPI answers that it is not allowed; asked for the ticket, it tells.
            self.client.item(TICKET, ticket.remote_id)
            self.notes.append(f"{role.words} {number} could not be assigned: {refused}")
            return False
        return True

    def left(self, ticket: Link, technician: int) -> None:
        """Somebody in GLPI took a technician away whom crm_sync had assigned, so that it can be done again."""
        link = self.port.link(ticket.local, _link_type(ticket, _AGENT, technician))
        if link is not None:
            self.port.forget(link)

    def _take_away(self, ticket: Link, role: _Role, number: int) -> bool:
        """Take away whom crm_sync assigned; whether somebody was."""
        link = self.port.link(ticket.local, _link_type(ticket, role, number))
        if link is None:
            return False
        ours = bool(link.agreed.get("ours"))
        if ours:
            self.client.delete(role.table, link.remote_id)
        self.port.forget(link)
        return ours

    # -- whom --------------------------------------------------------------------------------------------------

    def _technician(self, agent: Agent) -> int | None:
        """The one active user with the agent's address."""
        email = agent.email or next(
            (known.email for known in self.port.chatwoot.agents() if known.id == agent.id), None
        )
        name = agent.name or f"agent {agent.id}"
        if not email:
            self.notes.append(f"Nobody was assigned: Chatwoot tells no e-mail address of {name}.")
            return None
        found: list[int] = self.client.lookups.get(
            ("technician", email.casefold()), lambda: self._technicians(email)
        )
        if len(found) == 1:
            return found[0]
        how_many = "several active users" if found else "no active user"
        self.notes.append(f"Nobody was assigned: GLPI has {how_many} with the e-mail address of {name}.")
        return None

    def _technicians(self, email: str) -> list[int]:
        criteria = [{"field": 5, "searchtype": "contains", "value": f"^{email}$"}]
        return choices.technicians(self.client.search(USER, criteria, (2, 5, 8)), email)


def _agent(conversation: Conversation) -> Agent | None:
    agent = conversation.assignee
    return agent if agent is not None and agent.kind is SenderKind.AGENT else None


def _link_type(ticket: Link, role: _Role, number: int) -> str:
    return f"{role.table}.{ticket.remote_id}.{number}"
