"""Compares what is in Chatwoot with what is in each CRM: exactly one record for each, in the right state and order.

A pure function over dumps of the sandboxes (``/_sandbox/dump``). It counts three kinds of faults: *lost* (a
record, a change or an event that never reached a CRM), *duplicates* (a record that is there more often than it
should be), *out of order* (a message shown before an earlier one of its conversation). What a CRM must hold is said
by its own :class:`~crm_sync.demo.comparison.Comparison`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crm_sync.demo.comparison import Comparison, Dump, Kind, Problem, Row, identifiable, plain, written
from crm_sync.demo.glpi import GlpiComparison
from crm_sync.demo.krayin import KrayinComparison

#: How each CRM is compared, by its app.
COMPARISONS: Mapping[str, type[Comparison]] = {
    "glpi": GlpiComparison,
    "krayin": KrayinComparison,
}


class ExpectedLine(Protocol):
    """A message somebody wrote."""

    @property
    def text(self) -> str | None:
        """What it says."""
        ...


class ExpectedConversation(Protocol):
    """A conversation as it was planned (see sandbox.day)."""

    @property
    def identifiable(self) -> bool:
        """Whether its contact has an address or a number."""
        ...

    @property
    def status(self) -> str:
        """Its last state."""
        ...

    @property
    def lines(self) -> Sequence[ExpectedLine]:
        """Its messages, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What the comparison found. ``matched`` counts the records that are right, by their kind."""

    deliveries: int
    events: int
    done: int
    skipped: int
    failed: int
    pending: int
    faults: int
    matched: Mapping[str, int]
    problems: tuple[Problem, ...]

    @property
    def lost(self) -> int:
        """Records and changes that never arrived, and events that never ended."""
        return self.pending + self._count("lost")

    @property
    def duplicates(self) -> int:
        """Records that are there too often."""
        return self._count("duplicate")

    @property
    def out_of_order(self) -> int:
        """Messages shown before an earlier one."""
        return self._count("out_of_order")

    @property
    def adds_up(self) -> bool:
        """Whether every event ended, and nothing is lost, doubled or misordered."""
        ended = self.done + self.skipped + self.failed
        return self.events == ended and not (self.lost or self.duplicates or self.out_of_order)

    def as_json(self) -> dict[str, int]:
        """The figures, as the demo and the fault run print them last."""
        return {
            "deliveries": self.deliveries,
            "events": self.events,
            "done": self.done,
            "skipped": self.skipped,
            "failed": self.failed,
            "lost": self.lost,
            "duplicates": self.duplicates,
            "out_of_order": self.out_of_order,
            "faults": self.faults,
        }

    def _count(self, kind: Kind) -> int:
        return sum(problem.kind == kind for problem in self.problems)


def reconcile(
    chatwoot: Dump,
    crms: Mapping[str, Dump],
    journal: Mapping[str, int],
    expected: Mapping[int, ExpectedConversation],
    *,
    faults: int = 0,
    files: bool = False,
) -> Report:
    """Compare Chatwoot with each CRM, whose dumps are given by their apps, and with what was planned.

    ``files`` says whether attachments are to be in the CRMs as files.

    ``journal`` holds ``deliveries`` (all that were sent), ``pending``, ``done``, ``skipped`` and ``failed``, and may
    hold ``unaccounted``: deliveries that were taken and left no trace.
    ``expected`` is what was planned, by the conversation's id in Chatwoot; Chatwoot itself must show just that.
    """
    conversations = {conversation["id"]: conversation for conversation in chatwoot["conversations"]}
    problems: list[Problem] = []
    matched: Counter[str] = Counter()
    for app_id, dump in crms.items():
        comparison = COMPARISONS[app_id](dump, int(chatwoot["account_id"]), files=files)
        for contact in chatwoot["contacts"]:
            comparison.contact(contact)
        for conversation in conversations.values():
            comparison.conversation(conversation)
        comparison.strangers(conversations.keys())
        problems += comparison.problems
        matched += comparison.matched
    for number, planned in expected.items():
        problems += _as_planned(number, conversations.get(number), planned)
    for _ in range(journal.get("unaccounted", 0)):
        problems.append(Problem("lost", "a delivery was sent that left no trace"))
    counts = {state: journal.get(state, 0) for state in ("pending", "done", "skipped", "failed")}
    return Report(
        deliveries=journal.get("deliveries", 0),
        events=sum(counts.values()),
        faults=faults,
        matched=dict(matched),
        problems=tuple(problems),
        **counts,
    )


def _as_planned(number: int, conversation: Row | None, planned: ExpectedConversation) -> Iterator[Problem]:
    """What Chatwoot does not show as it was planned."""
    if conversation is None:
        yield Problem("lost", f"conversation {number} was planned and is not in Chatwoot")
        return
    if conversation["status"] != planned.status:
        words = f"is {conversation['status']} in Chatwoot, and was to be {planned.status}"
        yield Problem("lost", f"conversation {number} {words}")
    texts = [plain(message["content"] or "") for message in written(conversation)]
    if texts != [plain(line.text or "") for line in planned.lines]:
        yield Problem("lost", f"conversation {number} holds other messages in Chatwoot than were planned")
    if identifiable(conversation["meta"]["sender"]) != planned.identifiable:
        yield Problem("lost", f"the contact of conversation {number} is not as planned")
