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
        """Tell what is new; says how much that was. Costs a call, and one more for each text that is told."""
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
            f"{TICKET}/{ticket.remote_id}/{kind}",
            # Names instead of ids: who wrote it is told to agents.
            {"sort": "id", "order": "DESC", "expand_dropdowns": "true"},
            limit=RECENT,
        )
        return [
            row
            for row in rows
            if self._is_recent(ticket, row)
            and not content.is_ours(str(row.get("content") or ""))
            # What GLPI copied from a ticket that was merged.
            and not row.get("sourceitems_id")
            and not self.port.is_told((kind, str(row["id"])))
        ]

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
        private = bool(row.get("is_private")) or self.settings["pulled_followups"] == "note"
        author = str(row.get("users_id") or "GLPI") if private else None
        words = returning.message(text, files, author=author, heading=self.texts("words.attachments"))
        return self.port.tell(ticket.local.id, (kind, str(row["id"])), words, private=private)

    def _files(self, kind: str, number: str, base: str) -> list[tuple[str, str]]:
        """Names and addresses of the documents at a text. Only who is logged in to GLPI can open them."""
        rows = self.client.items(f"{kind}/{number}/Document_Item")
        found = dict.fromkeys(str(row["documents_id"]) for row in rows if row.get("documents_id"))
        return [(f"Document {item}", f"{base}/front/document.send.php?docid={item}") for item in found]
