"""conversation → Ticket: opened once, with its requester, and kept in the conversation's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crm_sync.crms.base import Link, Local, Port
from crm_sync.crms.glpi import choices, mapping, versions
from crm_sync.crms.glpi.assignments import Assignments
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.conflicts import Conflicts
from crm_sync.crms.glpi.descriptions import generation_of
from crm_sync.crms.glpi.documents import Documents
from crm_sync.crms.glpi.openings import Openings
from crm_sync.crms.glpi.requesters import Requesters
from crm_sync.crms.glpi.solutions import Solutions
from crm_sync.crms.glpi.standing import Standing
from crm_sync.crms.glpi.ticket_attributes import ticket_attributes
from crm_sync.crms.glpi.work import TICKET, Work
from crm_sync.crms.history import History
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Conversation, Direction, Event, Message, Status

#: What of a ticket is shown in its conversation.
SHOWN = frozenset({"type", "itilcategories_id", "urgency", "impact", "deadline"})


class Tickets(Work):
    """The tickets of conversations.

    ``notes`` are sentences that belong to the outcome: what was left out, and what was found in GLPI. A link's
    ``agreed`` holds whether the ticket is ``shown`` as it is, and what its ``description`` shows (see versions); what
    else it holds say the classes that write it: openings, assignments, solutions, standing, requesters, followups.
    """

    def __init__(
        self,
        client: GlpiClient,
        port: Port,
        requesters: Requesters,
        history: History,
        documents: Documents,
    ) -> None:
        super().__init__(client, port)
        self.notes: list[str] = []
        self.requesters = requesters
        self.documents = documents
        self.standing = Standing(client, port, self.notes)
        self.openings = Openings(client, port, requesters, history, self.standing, self.notes)
        self.assignments = Assignments(client, port, self.notes)
        self.solutions = Solutions(client, port, self.notes)
        self.conflicts = Conflicts(client, port, self.notes)

    def ticket(self, event: Event, conversation: Conversation) -> Link:
        """The link of a conversation to its ticket, opened if there is none. Raises Skip when it is not to be.

        A conversation that is opened again has a new one, if that is wanted (``on_reopen``).
        """
        ticket = self.port.link(Local("conversation", conversation.id), TICKET)
        if ticket is None:
            return self._begun(self.openings.opened(event, conversation), conversation)
        if self._begins_again(ticket, event, conversation):
            if choices.is_solved(mapping.status(conversation)):
                conversation = replace(conversation, status=Status.OPEN)
            return self._begun(self.openings.continued(event, conversation, ticket), conversation)
        try:
            return self._completed(ticket, conversation)
        except NotFound:
            return self.anew(event, conversation, ticket)

    def anew(self, event: Event, conversation: Conversation, gone: Link) -> Link:
        """The ticket that takes the place of one that GLPI has no longer."""
        return self._begun(self.openings.anew(event, conversation, gone), conversation)

    def standing_one(self, ticket: Link) -> Link:
        """The ticket to write to: another one where GLPI merged it. Raises NotFound when it is gone."""
        found = self.standing.of(ticket)
        return found if found.remote_id == ticket.remote_id else self.shown(found, everything=True)

    def standing_again(self, ticket: Link) -> Link:
        """As ``standing_one``, of a ticket that is known to lie in the bin by now."""
        return self.standing_one(self.port.agree(ticket, stood_at=None))

    def update(self, ticket: Link, conversation: Conversation) -> list[str] | None:
        """Bring a ticket to its conversation's state; returns what changed, None for a state that is older.

        Raises NotFound when the ticket is gone.
        """
        as_of = _as_of(conversation)
        if as_of and as_of < str(ticket.agreed.get("as_of") or ""):
            return None
        wanted = self._wanted(conversation)
        if choices.changes(ticket.agreed, wanted) or self.assignments.due(ticket, conversation):
            ticket = self.standing_one(ticket)
        changes = self.conflicts.settled(ticket, conversation, choices.changes(ticket.agreed, wanted))
        wanted = {key: value for key, value in wanted.items() if key not in self.conflicts.lost}
        assigned = self.assignments.due(ticket, conversation)
        if assigned:
            assigned = self.assignments.brought(ticket, conversation, assigned)
            if (
                _may_be_new_again(ticket, assigned)
                and not choices.is_solved(wanted.get("status"))
                and self._is_new(ticket)
            ):
                changes["status"] = mapping.status(conversation)
        if changes:
            ticket = self._written(ticket, conversation, changes)
        known = {**choices.news(ticket.agreed, wanted, changes), **assigned}
        if as_of:
            known["as_of"] = as_of
        self._agreed(ticket, known, changes)
        return sorted({*changes, *(key for key in ("assignee", "team") if key in assigned)})

    def goes_on_anew(self, ticket: Link, conversation: Conversation) -> bool:
        """Whether a conversation was opened again whose ticket is solved, and another ticket is to go on."""
        return (
            self.settings.get("on_reopen") == "new_ticket"
            and choices.is_solved(ticket.agreed.get("status"))
            and not choices.is_solved(mapping.status(conversation))
        )

    def described(self, event: Event, ticket: Link, conversation: Conversation, message: Message) -> str:
        """See that the description shows its message as it is now. Raises Skip where there is nothing to do."""
        known = ticket.agreed.get("description")
        if not known:
            words = f"Ticket {ticket.remote_id} was merged; what stands in it for the message is GLPI's."
            raise Skip("ticket_merged", words)
        version, remembered = versions.due(known, event, message, self.port.now)
        remarks = self.documents.purged(ticket) if version.deleted_at is not None else ""
        made = self.openings.content(conversation, generation_of(ticket), message, version)
        try:
            self.client.update(TICKET, ticket.remote_id, self.quietly({"content": made}))
        except NotFound as gone:
            words = (
                f"Ticket {ticket.remote_id} is no longer in GLPI; it is opened anew with the next message."
            )
            raise Skip("ticket_gone", words) from gone
        self.port.agree(ticket, description={**known, **remembered})
        return f"The description of ticket {ticket.remote_id} updated.{remarks}"

    # -- parts ---------------------------------------------------------------------------------------------------

    def _begun(self, ticket: Link, conversation: Conversation) -> Link:
        """A ticket that is the conversation's from now on, with what only a ticket that is there can have."""
        begun = self._completed(ticket, conversation)
        self.update(begun, conversation)
        return replace(self.port.link(ticket.local, TICKET) or begun, created=ticket.created)

    def _completed(self, ticket: Link, conversation: Conversation) -> Link:
        """The ticket after it is shown, and GLPI was seen to have taken what it was opened with."""
        if not ticket.agreed.get("shown"):
            ticket = self.shown(ticket, everything="former" in ticket.agreed)
        ticket = self.requesters.seen_to(ticket, conversation)
        completed = self.openings.completed(ticket)
        return completed if completed is ticket else self.shown(completed)

    def _begins_again(self, ticket: Link, event: Event, conversation: Conversation) -> bool:
        """Whether a conversation whose ticket is solved goes on in a new one.

        A customer's message opens a conversation, and may be told with its state from before that. Apart from that
        a message tells nothing of a state that is not newer than the one agreed on: it may be a late one.
        """
        if self.settings.get("on_reopen") != "new_ticket" or not choices.is_solved(
            ticket.agreed.get("status")
        ):
            return False
        agreed, message = str(ticket.agreed.get("as_of") or ""), event.message
        as_of = _as_of(conversation) or ""
        solved = choices.is_solved(mapping.status(conversation))
        if message is None:
            return not solved and as_of >= agreed
        by_customer = message.direction is Direction.INCOMING and not conversation.contact.blocked
        newer = message.created_at.isoformat() > agreed
        return (by_customer and newer) or (not solved and as_of > agreed)

    def _wanted(self, conversation: Conversation) -> dict[str, Any]:
        given = choices.fields(self.settings, conversation.custom_attributes)
        self.notes.extend(f"Left out: {words}." for words in given.wrong)
        return {**choices.state(conversation, self.settings), **given.values}

    def _written(self, ticket: Link, conversation: Conversation, changes: dict[str, Any]) -> Link:
        by_solution = (
            self.settings.get("resolve_with") == "solution" and changes.get("status") == mapping.SOLVED
        )
        fields = {key: value for key, value in changes.items() if key != "status" or not by_solution}
        if fields:
            self.client.update(TICKET, ticket.remote_id, self.quietly(self.openings.sent(fields)))
        return self.solutions.solved(ticket, conversation) if by_solution else ticket

    def _is_new(self, ticket: Link) -> bool:
        """Whether GLPI made a ticket new; asked for only where what a technician did meanwhile counts."""
        if not self.settings.get("enable_bidirectional_sync"):
            return True
        return bool(self.client.item(TICKET, ticket.remote_id).get("status") == mapping.NEW)

    def _agreed(self, ticket: Link, known: dict[str, Any], changes: Mapping[str, Any]) -> None:
        """Remember what is agreed on now; the conversation shows it where that is news."""
        if choices.DEADLINE in changes:
            known["deadline"] = self.openings.deadline(changes[choices.DEADLINE])
        news = {key: value for key, value in known.items() if ticket.agreed.get(key) != value}
        if news.keys() & SHOWN:
            self.shown(self.port.agree(ticket, **news, shown=False))
        elif news:
            self.port.agree(ticket, **news)

    def shown(self, ticket: Link, *, everything: bool = False) -> Link:
        """The ticket as its conversation shows it; ``everything`` takes away what it showed of another one."""
        category = self.openings.categories.name(ticket.agreed.get("itilcategories_id"))
        shown = ticket_attributes(ticket, category)
        if not everything:
            shown = {key: value for key, value in shown.items() if value is not None}
        self.port.show(ticket.local, TICKET, shown)
        return self.port.agree(ticket, shown=True)


def _as_of(conversation: Conversation) -> str | None:
    return conversation.updated_at.isoformat() if conversation.updated_at else None


def _may_be_new_again(ticket: Link, assigned: dict[str, Any]) -> bool:
    """Whether the last whom crm_sync assigned was taken away: GLPI makes a ticket new that nobody works on."""
    before = {role: ticket.agreed.get(role) for role in ("technician", "group")}
    now = before | {role: assigned[role] for role in before if role in assigned}
    return before != now and not any(now.values())
