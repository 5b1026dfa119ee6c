"""Takes a part out of the engine, so that the fault run can be seen to fail without it.

For the worker processes of a test, and nothing else: a folder with a ``sitecustomize`` that calls :func:`sabotage` is
put on their PYTHONPATH, and :data:`VARIABLE` names the part. Nothing in the product knows of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VARIABLE = "CHAOS_SABOTAGE"
#: The folder whose ``sitecustomize`` every Python process of the service runs first.
FOLDER = Path(__file__).with_name("sabotage")


def environment(part: str) -> Mapping[str, str]:
    """What to give to the processes whose engine is to miss a part: one of :data:`SABOTEURS`, or none."""
    if not part:
        return {}
    if part not in SABOTEURS:
        raise ValueError(f"There is no saboteur called {part!r}.")
    paths = (str(FOLDER), str(Path(__file__).parents[2]))
    return {VARIABLE: part, "PYTHONPATH": os.pathsep.join(paths)}


def sabotage() -> None:
    """Take out the part that the environment names. Called by ``sabotage/sitecustomize.py``."""
    part = os.environ.get(VARIABLE)
    if part:
        SABOTEURS[part]()


def _without_claim() -> None:
    """Every event can be taken at any time, and nobody notices that somebody else has it."""
    from sqlalchemy import update

    from crm_sync.store import journal
    from crm_sync.store.models import Event, EventState

    def claim(session: Any, row: Any, token: str, until: Any) -> bool:
        session.execute(
            update(Event)
            .where(Event.id == row.id)
            .values(claim=token, claimed_until=until, tries=Event.tries + 1),
            execution_options={"synchronize_session": False},
        )
        return True

    def finish(session: Any, event_id: int, _token: str, **how: Any) -> None:
        ended = {"state": how["state"], "reason": how["reason"], "outcome": how["outcome"]}
        session.execute(
            update(Event)
            .where(Event.id == event_id, Event.state == EventState.PENDING)
            .values(**ended, finished_at=how["now"], claim=None, claimed_until=None),
            execution_options={"synchronize_session": False},
        )

    pending = journal.pending

    def unclaimed(session: Any, mailbox: str) -> list[Any]:
        from dataclasses import replace

        return [replace(row, claim=None, claimed_until=None) for row in pending(session, mailbox)]

    journal.claim = claim
    journal.finish = finish
    journal.pending = unclaimed
    journal.renew = lambda *_: None
    journal.is_held = lambda *_: False


def _without_search() -> None:
    """What an earlier attempt may have created is never looked for."""
    from crm_sync.engine.ensure import JournalPort

    ensure = JournalPort.ensure

    def hasty(self: JournalPort, *record: Any, **how: Any) -> Any:
        return ensure(self, *record, **{**how, "recover": lambda: None})

    JournalPort.ensure = hasty  # type: ignore[method-assign]


def _without_sweep() -> None:
    """Nobody looks for what was forgotten."""
    from crm_sync.engine import sweep

    sweep.sweep = lambda _runtime: 0


SABOTEURS: Mapping[str, Callable[[], None]] = {
    "claim": _without_claim,
    "search": _without_search,
    "sweep": _without_sweep,
}
