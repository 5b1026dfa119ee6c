"""ITIL categories: which one a new ticket has, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.crms.base import Port
from crm_sync.crms.glpi import choices
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.work import Work
from crm_sync.errors import NotFound, Rejected
from crm_sync.events import Conversation

CATEGORY = "ITILCategory"


class Categories(Work):
    """Categories; what was looked up is kept for a while, what may not be seen is told in ``notes``."""

    def __init__(self, client: GlpiClient, port: Port, notes: list[str]) -> None:
        super().__init__(client, port)
        self.notes = notes

    def of(self, conversation: Conversation, inbox: str | None) -> int | None:
        """The category of a new ticket: its inbox's by the settings, or by its name, else the usual one."""
        chosen = choices.category_by_inbox(self.settings, conversation.inbox_id, inbox)
        if chosen is None and inbox and self.settings.get("category_named_like_inbox"):
            chosen = self._named_like(inbox)
        return chosen if chosen is not None else self.settings.get("category_id")

    def name(self, number: int | None) -> str | None:
        """What a category is called, from the setup's list, else looked up."""
        if not number:
            return None
        named: str | None = (self.facts.get("category_names") or {}).get(str(number))
        if named is None:
            named = self.client.lookups.get((CATEGORY, number), lambda: self._category_name(number))
        return named

    def _named_like(self, inbox: str) -> int | None:
        try:
            found: int | None = self.client.lookups.get(
                (CATEGORY, inbox), lambda: self._category_called(inbox)
            )
        except Rejected as refused:
            self.notes.append(f"The category called {inbox} could not be looked for: {refused}")
            return None
        return found

    def _category_called(self, name: str) -> int | None:
        rows = self.client.items(CATEGORY, {"searchText[name]": f"^{choices.pattern(name)}$"})
        chosen = choices.category_named(rows, name, self.entity)
        full = next((_full_name(row) for row in rows if row["id"] == chosen), None)
        if chosen is not None:
            self.client.lookups.get((CATEGORY, chosen), lambda: full)
        return chosen

    def _category_name(self, number: int) -> str | None:
        try:
            return _full_name(self.client.item(CATEGORY, number))
        except (NotFound, Rejected):
            return None


def _full_name(row: Mapping[str, Any]) -> str | None:
    return str(row.get("completename") or row.get("name") or "") or None
