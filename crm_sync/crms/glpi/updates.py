"""Ticket → conversation: what a technician did in GLPI, done in Chatwoot.

A pull says that a ticket changed; what it is now is read from GLPI once more, under the mailbox's mutex, so that nothing
of ours can come between. What differs from what both sides last agreed on is news of GLPI. Where Chatwoot has news of its
own, the hook's ``conflict_policy`` decides, and the outcome says what lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crm_sync.crms.base import Link, Local, Port
from crm_sync.crms.glpi import content, mapping, returning
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import FOLLOWUP, SOLUTION, TICKET, Work
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Conversation, RemoteUpdate

#: Texts of a ticket looked through for new ones.
TEXTS = 200

#: A ticket's priority (1 to 6) as a conversation's.
PRIORITY = {1: "low", 2: "low", 3: "medium", 4: "high", 5: "urgent", 6: "urgent"}


class Updates(Work):
    """Applies what GLPI says of a ticket to its conversation."""

    def __init__(self, client: GlpiClient, port: Port) -> None:
        super().__init__(client, port)
        self._read: Conversation | None = None

    def apply(self, update: RemoteUpdate) -> str:
        """The outcome in words. Raises Skip, and what the calls raise."""
        local = Local("conversation", update.local_id)
        ticket = self.port.link(local, TICKET)
        if ticket is None or ticket.remote_id != update.remote_id:
            raise Skip("not_linked", f"Ticket {update.remote_id} belongs to no conversation (any more).")
        try:
            row = self.client.item(TICKET, ticket.remote_id)
        except NotFound:
            words = f"Ticket {ticket.remote_id} was purged; what comes next opens a new one."
            raise Skip("purged", words) from None
        if row.get("is_deleted"):
            self.port.agree(ticket, binned=1)
            return f"Ticket {ticket.remote_id} is in GLPI's bin; its conversation stays as it is."
        done = [
            words
            for part in (self._texts, self._status, self._priority)
            for words in part(self._present(ticket), row)
        ]
        self.port.agree(self._present(ticket), binned=None, changed=row.get("date_mod"))
        return " ".join(done) or f"Ticket {ticket.remote_id} holds nothing that Chatwoot does not know."

    def _present(self, ticket: Link) -> Link:
        """The link with all that was agreed on meanwhile."""
        return self.port.link(ticket.local, TICKET) or ticket

    def _conversation(self, ticket: Link) -> Conversation:
        """The conversation as it is; asked once, unless something was written to it."""
        if self._read is None:
            self._read = self.port.chatwoot.conversation(ticket.local.id)
        return self._read

    # -- state ---------------------------------------------------------------------------------------------------

    def _status(self, ticket: Link, row: Mapping[str, Any]) -> Iterator[str]:
        status, before = int(row["status"]), ticket.agreed.get("status")
        if status == before:
            return
        target = mapping.conversation_status(status)
        if target is None:
            yield f"Status {status} is none that Chatwoot has a word for."
            return
        conversation = self._conversation(ticket)
        if mapping.is_same_status(conversation, status):
            self.port.agree(ticket, status=status, conversation_status=conversation.status.value)
            return
        changed_here = conversation.status.value != ticket.agreed.get("conversation_status")
        if changed_here and not self._glpi_wins(conversation, row):
            ours = mapping.status(conversation)
            self.client.update(TICKET, ticket.remote_id, self.quietly({"status": ours}))
            self._agree_on(ticket, conversation, status=ours)
            yield (
                f"Both sides changed: the conversation is {conversation.status.value} and the ticket was "
                f"{mapping.STATUS_NAMES[status]}; the conversation's state was written to the ticket."
            )
            return
        self.port.chatwoot.toggle_status(ticket.local.id, target)
        self._read = None
        self._agree_on(ticket, self._conversation(ticket), status=status)
        lost = f" It was {conversation.status.value}, changed there too." if changed_here else ""
        yield f"The ticket is {mapping.STATUS_NAMES[status]}: conversation {target.value}.{lost}"

    def _priority(self, ticket: Link, row: Mapping[str, Any]) -> Iterator[str]:
        there = {"urgency": int(row["urgency"]), "impact": int(row["impact"])}
        if not self.settings["pull_priority"] or all(
            ticket.agreed.get(key) == value for key, value in there.items()
        ):
            return
        conversation = self._conversation(ticket)
        target = PRIORITY.get(int(row["priority"]))
        same = (conversation.priority or "medium") == target
        changed_here = conversation.priority != ticket.agreed.get("conversation_priority")
        if changed_here and not same and not self._glpi_wins(conversation, row):
            yield (
                f"Both sides changed: the conversation's priority {conversation.priority or 'none'} stays, "
                f"the ticket's is {target}."
            )
            return
        if not same:
            self.port.chatwoot.toggle_priority(ticket.local.id, target)
            self._read = None
            yield f"Priority {target}."
        self._agree_on(ticket, self._conversation(ticket), **there)

    def _glpi_wins(self, conversation: Conversation, row: Mapping[str, Any]) -> bool:
        """Whether GLPI's change counts where both sides changed: by the hook's policy, else the later one."""
        policy = self.settings["conflict_policy"]
        if policy != "latest":
            return bool(policy == "glpi")
        here, there = conversation.updated_at, self.client.moment(row.get("date_mod"))
        return here is None or there is None or there >= here

    def _agree_on(self, ticket: Link, conversation: Conversation, **ours: Any) -> None:
        """Remember what both sides are in now."""
        as_of = conversation.updated_at.isoformat() if conversation.updated_at else None
        self.port.agree(
            self._present(ticket),
            **ours,
            conversation_status=conversation.status.value,
            conversation_priority=conversation.priority,
            **({"as_of": as_of} if as_of else {}),
        )

    # -- words ---------------------------------------------------------------------------------------------------

    def _texts(self, ticket: Link, row: Mapping[str, Any]) -> Iterator[str]:
        """Tell what technicians wrote since the last time: followups, and the text of a solution."""
        if not self.settings["enable_followup_pull"]:
            return
        solved = mapping.is_solved(int(row["status"]))
        found = self._new(ticket, FOLLOWUP) + (self._new(ticket, SOLUTION) if solved else [])
        told = 0
        for kind, text in sorted(
            found, key=lambda item: (str(item[1].get("date_creation")), int(item[1]["id"]))
        ):
            told += self._told(ticket, kind, text)
        if told:
            yield f"{told} texts of GLPI told." if told > 1 else "A text of GLPI told."

    def _new(self, ticket: Link, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
        rows = self.client.items(
            f"{TICKET}/{ticket.remote_id}/{kind}",
            {"sort": "id", "order": "DESC", "expand_dropdowns": "true"},
            limit=TEXTS,
        )
        since = str(self.facts.get("texts_since") or "")
        return [
            (kind, row)
            for row in rows
            if str(row.get("date_creation") or "") >= since
            and not content.is_ours(str(row.get("content") or ""))
            and not self.port.is_told((kind, str(row["id"])))
        ]

    def _told(self, ticket: Link, kind: str, row: Mapping[str, Any]) -> bool:
        text = returning.markdown(str(row.get("content") or ""), mapping.web_url(self.client.api_url))
        files = self._files(kind, row)
        if not text and not files:
            return False
        private = bool(row.get("is_private")) or self.settings["pulled_followups"] == "note"
        author = str(row.get("users_id") or "GLPI") if private else ""
        return self.port.tell(
            ticket.local.id,
            (kind, str(row["id"])),
            returning.message(text, files, author=author, words=self.texts("words.attachments")),
            private=private,
        )

    def _files(self, kind: str, row: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Names and addresses of the documents at a text."""
        rows = self.client.items(f"{kind}/{row['id']}/Document_Item", {"expand_dropdowns": "true"})
        base = mapping.web_url(self.client.api_url)
        return [
            (str(item.get("documents_id")), f"{base}/front/document.send.php?docid={item['id']}")
            for item in rows
        ]


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
