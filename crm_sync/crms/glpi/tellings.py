"""Followups and solutions of technicians → messages of Chatwoot: each told once, private ones never to the customer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crm_sync.crms.base import Link
from crm_sync.crms.glpi import choices, content, mapping, returning
from crm_sync.crms.glpi.work import FOLLOWUP, SOLUTION, TICKET, Work

#: How many of a ticket's newest texts are looked through for those that were not told yet.
RECENT = 200


class Tellings(Work):
    """Tells in a conversation what was written at its ticket since ``texts_since``.

    That is a fact of the setup, and agreed on for a ticket into which another one was merged.
    """

    def told(self, ticket: Link, row: Mapping[str, Any]) -> Iterator[str]:
        """Tell what is new; says how much that was.

        Costs a call, and one more for each text that is told, two where agents are told who wrote it.
        """
        if not self.settings["enable_followup_pull"]:
            return
        found = [(FOLLOWUP, text) for text in self._new(ticket, FOLLOWUP)]
        if choices.is_solved(row.get("status")):
            found += [(SOLUTION, text) for text in self._new(ticket, SOLUTION)]
        found.sort(key=lambda item: (str(item[1].get("date_creation") or ""), int(item[1]["id"])))
        count = sum(self._tell(ticket, kind, text) for kind, text in found)
        if count:
            yield f"{count} {'text' if count == 1 else 'texts'} told."

    def _new(self, ticket: Link, kind: str) -> list[dict[str, Any]]:
        rows = self.client.items(
            f"{TICKET}/{ticket.remote_id}/{kind}", {"sort": "id", "order": "DESC"}, limit=RECENT
        )
        ours = self._solutions(ticket)
        return [
            row
            for row in rows
            if self._is_recent(ticket, row)
            and not content.is_ours(str(row.get("content") or ""))
            # What GLPI copied from a ticket that was merged.
            and not row.get("sourceitems_id")
            and not (kind == SOLUTION and str(row["id"]) in ours)
            and not self.port.is_told((kind, str(row["id"])))
        ]

    def _solutions(self, ticket: Link) -> set[str]:
        """The solutions that we wrote, whatever became of them."""
        numbers = range(1, int(ticket.agreed.get("solutions") or 0) + 1)
        links = (self.port.link(ticket.local, f"{SOLUTION}.{number}") for number in numbers)
        return {link.remote_id for link in links if link is not None}

    def _is_recent(self, ticket: Link, row: Mapping[str, Any]) -> bool:
        written = row.get("date_creation")
        since = [told for told in (self.facts.get("texts_since"), ticket.agreed.get("texts_since")) if told]
        if not since or not written:
            return True
        return self.client.utc_date(str(written)) >= max(map(datetime.fromisoformat, since)).replace(
            microsecond=0
        )

    def _tell(self, ticket: Link, kind: str, row: Mapping[str, Any]) -> bool:
        base = mapping.web_url(self.client.api_url)
        text = returning.markdown(str(row.get("content") or ""), base)
        files = self._files(kind, str(row["id"]), base)
        if not text and not files:
            return False
        private = (
            bool(row.get("is_private"))
            or self.settings["pulled_followups"] == "note"
            # The customer's own words, written in GLPI: agents are to read them, he knows them.
            or str(row.get("users_id")) == ticket.agreed.get("requester")
        )
        author = self._author(kind, row) if private else None
        words = returning.message(text, files, author=author, heading=self.texts("words.attachments"))
        return self.port.tell(ticket.local.id, (kind, str(row["id"])), words, private=private)

    def _author(self, kind: str, row: Mapping[str, Any]) -> str:
        """Who wrote a text, by the name GLPI gives him.

        Asked for by itself: among names, GLPI empties the numbers of what has none (API::parseDropdowns), and with them
        the mark of what it copied from a merged ticket.
        """
        if not row.get("users_id"):
            return "GLPI"
        return str(self.client.item(kind, row["id"], names=True).get("users_id") or "GLPI")

    def _files(self, kind: str, number: str, base: str) -> list[tuple[str, str]]:
        """Names and addresses of the documents at a text. Only who is logged in to GLPI can open them."""
        rows = self.client.items(f"{kind}/{number}/Document_Item")
        found = dict.fromkeys(str(row["documents_id"]) for row in rows if row.get("documents_id"))
        return [(f"Document {item}", f"{base}/front/document.send.php?docid={item}") for item in found]
