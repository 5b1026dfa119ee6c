"""How the demo is shown to a person: bars while it runs, tables when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from crm_sync.demo.reconcile import COMPARISONS
from crm_sync.demo.run import Result
from crm_sync.demo.tally import Ended
from crm_sync.store.models import EventState

#: Most problems listed one by one.
MOST_PROBLEMS = 20
#: Columns that hold words.
_WORDS = frozenset({"CRM", "outcome", "in words"})


class Bars:
    """A progress bar for each thing that moves; where nobody watches, only the sentences are printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._day = self._progress.add_task("The day", total=None)
        self._sent = self._progress.add_task("Deliveries sent", total=None)
        self._ended = self._progress.add_task("Events ended", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, words: str) -> None:
        """See run.Progress."""
        self._console.print(Text(words))

    def played(self, steps: int, total: int) -> None:
        """See run.Progress."""
        self._progress.update(self._day, completed=steps, total=total)

    def counted(self, deliveries: int, ended: int, events: int) -> None:
        """See run.Progress."""
        self._progress.update(self._sent, completed=deliveries)
        self._progress.update(self._ended, completed=ended, total=events)


def show(result: Result, console: Console) -> None:
    """The reconciliation, as tables."""
    found = result.tally
    _incoming(result, console)
    _said(found.by_crm, console)
    _counts("What was ignored, and why", ("reason", "deliveries"), found.ignored, console)
    if found.refused:
        _counts("What was refused, and why", ("reason", "deliveries"), found.refused, console)
    _comparison(result, console)


def _incoming(result: Result, console: Console) -> None:
    found = result.tally
    states = [state.value for state in EventState]
    table = _table("What came in, and how it ended in each CRM", "event", "stored", "CRM", *states)
    totals: dict[str, Counter[str]] = {app_id: Counter() for app_id in found.by_crm}
    for name, stored in sorted(found.stored_by_event.items()):
        counts = {app_id: ended.states.get(name, {}) for app_id, ended in sorted(found.by_crm.items())}
        for app_id, number in counts.items():
            totals[app_id].update(number)
        _rows(table, name, stored, {app_id: number for app_id, number in counts.items() if number}, states)
    table.add_section()
    _rows(table, "all", found.stored + found.pulled, dict(sorted(totals.items())), states)
    console.print(table)
    console.print(
        Text(
            f"{found.sent} deliveries sent = {found.stored} stored + {sum(found.ignored.values())} ignored "
            f"+ {sum(found.refused.values())} refused"
            + (f" + {found.unaccounted} unaccounted for" if found.unaccounted else "")
            + (f"; {found.pulled} changes in the CRMs were pulled" if found.pulled else "")
        )
    )


def _rows(
    table: Table, name: str, stored: int, counts: Mapping[str, Mapping[str, int]], states: Sequence[str]
) -> None:
    """A row for each CRM; what they have in common is said once."""
    first = [name, str(stored)]
    for app_id, number in counts.items() or (("", {}),):
        table.add_row(*first, _name(app_id), *(str(number.get(state, 0)) for state in states))
        first = ["", ""]


def _said(by_crm: Mapping[str, Ended], console: Console) -> None:
    outcomes = _table("What became of them", "CRM", "in words", "events")
    reasons = _table("What did not get to a CRM, and why", "CRM", "outcome", "in words", "events")
    for app_id, ended in sorted(by_crm.items()):
        for outcome, number in sorted(ended.outcomes.items(), key=lambda item: -item[1]):
            outcomes.add_row(_name(app_id), Text(outcome), str(number))
        for (reason, words), number in sorted(ended.reasons.items(), key=lambda item: -item[1]):
            reasons.add_row(_name(app_id), Text(reason), Text(words), str(number))
    for table in (outcomes, reasons):
        if table.rows:
            console.print(table)


def _name(app_id: str) -> str:
    """What people call a CRM."""
    return COMPARISONS[app_id].crm if app_id in COMPARISONS else app_id


def _counts(title: str, columns: Sequence[str], counts: Mapping[str, int], console: Console) -> None:
    table = _table(title, *columns)
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(Text(name), str(number))
    console.print(table)


def _comparison(result: Result, console: Console) -> None:
    report = result.report
    table = _table("Chatwoot compared with its CRMs", "what", "number")
    for comparison in COMPARISONS.values():
        for key, words in comparison.kinds.items():
            table.add_row(f"{comparison.crm}: {words}", str(report.matched.get(key, 0)))
    for words, number in (
        ("lost", report.lost),
        ("duplicates", report.duplicates),
        ("out of order", report.out_of_order),
    ):
        table.add_row(words, Text(str(number), style="green" if number == 0 else "bold red"))
    table.add_row("faults survived", str(report.faults))
    console.print(table)
    for problem in report.problems[:MOST_PROBLEMS]:
        console.print(Text(f"{problem.kind}: {problem.words}", style="red"))
    if len(report.problems) > MOST_PROBLEMS:
        console.print(f"… and {len(report.problems) - MOST_PROBLEMS} more.")
    verdict = "Everything adds up" if report.adds_up else "It does not add up"
    console.print(Text(f"{verdict}, after {result.seconds:.0f} s.", style="bold"))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or column in _WORDS else "right")
    return table
