"""The journal in figures: what came in, what became of it, what was skipped and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from crm_sync.engine import operate
from crm_sync.engine.runtime import Runtime
from crm_sync.store.models import Delivery, Event, EventState, Hook

_NUMBER = re.compile(r"\b\d+\b")


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one CRM's events: their states by the event's name, and what was said of them."""

    states: Mapping[str, Mapping[str, int]]
    outcomes: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Tally:
    """Figures of one run. Each mapping counts deliveries or events by what its name says.

    ``stored`` counts what was delivered, ``stored_by_event`` what pulls brought as well. What was delivered became an
    event for each CRM; ``by_crm`` counts these.
    """

    sent: int
    stored: int
    ignored: Mapping[str, int]
    refused: Mapping[str, int]
    stored_by_event: Mapping[str, int]
    states: Mapping[str, int]
    by_crm: Mapping[str, Ended]

    @property
    def pulled(self) -> int:
        """Changes in the CRM that pulls brought: nobody sent them."""
        return sum(self.stored_by_event.values()) - self.stored

    @property
    def unaccounted(self) -> int:
        """Deliveries that were sent and are neither stored nor ignored nor refused."""
        return self.sent - self.stored - sum(self.ignored.values()) - sum(self.refused.values())

    def as_journal(self) -> dict[str, int]:
        """What the reconciliation wants to know."""
        return {"deliveries": self.sent, "unaccounted": self.unaccounted, **self.states}


def tally(runtime: Runtime, *, sent: int) -> Tally:
    """Count; ``sent`` is how many deliveries Chatwoot says it sent."""
    counted = operate.stats(runtime)
    with runtime.store.read() as session:
        names = select(Delivery.event_name, func.count()).group_by(Delivery.event_name)
        stored_by_event = {row[0]: row[1] for row in session.execute(names)}
        said = (Hook.app_id, Event.name, Event.state, Event.reason, Event.outcome)
        rows = session.execute(
            select(*said, func.count()).join(Hook, Event.hook_id == Hook.id).group_by(*said)
        ).all()
    return Tally(
        sent=sent,
        stored=counted["deliveries"]["stored"],
        ignored=counted["deliveries"]["ignored"],
        refused=counted["deliveries"]["refused"],
        stored_by_event=stored_by_event,
        states=counted["events"],
        by_crm={
            app_id: _ended(row[1:] for row in rows if row[0] == app_id) for app_id in {row[0] for row in rows}
        },
    )


def _ended(rows: Iterable[Sequence[Any]]) -> Ended:
    states: dict[str, Counter[str]] = {}
    outcomes: Counter[str] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    for name, state, reason, outcome, number in rows:
        states.setdefault(name, Counter())[state] += number
        if state == EventState.DONE:
            outcomes[alike(outcome or "")] += number
        else:
            reasons[f"{state}: {reason or 'waiting'}", alike(outcome or "")] += number
    return Ended(states, outcomes, reasons)


def alike(outcome: str) -> str:
    """An outcome without the ids in it, so that equal ones can be counted."""
    return _NUMBER.sub("…", outcome)
