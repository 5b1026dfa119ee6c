"""A resolved conversation → ITILSolution: one for each time it is resolved, with the last answer of an agent."""

from __future__ import annotations

from crm_sync.crms import markup
from crm_sync.crms.base import Link, Port, Remote
from crm_sync.crms.glpi import choices, content
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import SOLUTION, TICKET, Work
from crm_sync.errors import Duplicate, Rejected
from crm_sync.events import Conversation


class Solutions(Work):
    """The solutions of tickets. A ticket's ``agreed`` counts them (``solutions``).

    What turned out otherwise is told in ``notes``.
    """

    def __init__(self, client: GlpiClient, port: Port, notes: list[str]) -> None:
        super().__init__(client, port)
        self.notes = notes

    def solved(self, ticket: Link, conversation: Conversation) -> Link:
        """See that a solution of ours solves the ticket, unless it is solved. Raises NotFound."""
        number = int(ticket.agreed.get("solutions") or 0) + 1
        mark = self.marker("solution", f"{conversation.id}.{number}")
        try:
            self.port.ensure(
                ticket.local,
                f"{SOLUTION}.{number}",
                create=lambda: self._created(ticket, conversation, mark),
                recover=lambda: self._recovered(ticket, mark),
            )
        except Duplicate:
            self.notes.append("GLPI has it solved already, so no solution was added.")
            return ticket
        return self.port.agree(ticket, solutions=number)

    def _created(self, ticket: Link, conversation: Conversation, mark: str) -> Remote:
        # For a ticket that is gone GLPI 10 makes a solution that belongs to nothing (facts), so it is asked first.
        self._see_unsolved(ticket)
        fields = {
            "itemtype": TICKET,
            "items_id": int(ticket.remote_id),
            "content": self._words(conversation) + content.hidden(mark),
        }
        try:
            return Remote(str(self.client.create(SOLUTION, self.quietly(fields))), ticket.url)
        except Rejected:
            self._see_unsolved(ticket)
            raise

    def _see_unsolved(self, ticket: Link) -> None:
        row = self.client.item(TICKET, ticket.remote_id)
        if choices.is_solved(row.get("status")):
            raise Duplicate("GLPI has this ticket solved already.")

    def _words(self, conversation: Conversation) -> str:
        """The last answer of an agent; Chatwoot is asked when the journal knows none."""
        known = [*self.port.journaled_messages(conversation.id), *conversation.messages]
        answer = choices.last_answer(known)
        if answer is None:
            answer = choices.last_answer(self.port.chatwoot.latest_messages(conversation.id))
        body = content.message_body(answer, self.texts) if answer is not None else ""
        return body or markup.paragraph(self.texts("words.solved"))

    def _recovered(self, ticket: Link, mark: str) -> Remote | None:
        """The solution that an earlier attempt wrote."""
        rows = self.client.items(f"{TICKET}/{ticket.remote_id}/{SOLUTION}", {"sort": "id", "order": "DESC"})
        found = [row for row in rows if content.is_marked(str(row.get("content") or ""), mark)]
        return Remote(str(found[-1]["id"]), ticket.url) if found else None
