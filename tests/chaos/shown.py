"""What each CRM shows of Chatwoot's messages, in its own order, read from the dumps of the sandboxes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Dump = Mapping[str, Sequence[Mapping[str, Any]]]

_IN_GLPI = re.compile(r"crm-sync/[^/\s]+/\d+/(conversation|message)/(\d+)/(?:first/(\d+)/)?")
_IN_KRAYIN = re.compile(r"-(conversation|message)-(\d+)$")


@dataclass
class Shown:
    """The messages of each ticket or conversation from top to bottom, and what begins with which.

    A beginning is a record, the conversation it is of, and the message it begins with; 0 where nothing had been said.
    """

    threads: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    beginnings: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def messages(self) -> set[int]:
        """All messages that are there."""
        begun = {first for _, _, first in self.beginnings if first}
        return begun.union(*self.threads.values())


def in_glpi(dump: Dump) -> Shown:
    """A ticket begins with its description; its followups are sorted by date."""
    shown = Shown()
    for row in dump.get("Ticket", ()):
        marked = _IN_GLPI.search(str(row["content"]))
        if marked is not None and marked[3] is not None:
            shown.beginnings.append((f"ticket {row['id']}", int(marked[2]), int(marked[3])))
    for row in sorted(dump.get("ITILFollowup", ()), key=lambda row: (str(row["date"]), row["id"])):
        marked = _IN_GLPI.search(str(row["content"]))
        if marked is not None:
            shown.threads[f"ticket {row['items_id']}"].append(int(marked[2]))
    return shown


def in_krayin(dump: Dump, conversation_of: Mapping[int, int]) -> Shown:
    """An activity's comment begins a conversation; notes stand in the order they were made in."""
    shown = Shown()
    for row in sorted(dump.get("activities", ()), key=lambda row: int(row["id"])):
        told = row["additional"] if isinstance(row["additional"], Mapping) else {}
        marked = _IN_KRAYIN.search(str(told.get("crm_sync")))
        if marked is None:
            continue
        number = int(marked[2])
        if marked[1] == "conversation":
            shown.beginnings.append((f"activity {row['id']}", number, int(told.get("first_message") or 0)))
        else:
            shown.threads[f"conversation {conversation_of.get(number)}"].append(number)
    return shown
