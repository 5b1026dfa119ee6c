"""What people who work in a CRM do when the day is over, and what must come of it in Chatwoot."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from crm_sync.demo.comparison import Problem
from crm_sync.demo.stage import Stage, Stopped
from crm_sync.engine import pull as pulling
from crm_sync.locks import Busy

#: How many records get each treatment.
EACH = 3
#: How often a pull is tried while the beat's own is under way, and how long each waits for it, in seconds.
_TRIES, _WAIT_S = 40, 0.25


@dataclass(frozen=True, slots=True)
class Visit:
    """What was done, in words; the states conversations are to be in now; and what is wrong with what came back."""

    words: str
    problems: tuple[Problem, ...]
    statuses: Mapping[int, str] = field(default_factory=dict)


def pull(stage: Stage, app_id: str, stopping: threading.Event) -> None:
    """Have the changes of a CRM come back now. Raises Stopped when ``stopping`` is set meanwhile."""
    for _ in range(_TRIES):
        try:
            pulling.pull(stage.runtime, stage.hook_ids[app_id])
        except Busy:
            if stopping.wait(_WAIT_S):
                raise Stopped from None
        else:
            return
