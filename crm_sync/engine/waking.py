"""Wakes many mailboxes without making as many workers come to find that there is no place for them.

After an outage thousands may wait for one hook. As many as it has places for are woken; the others line up at once,
where each is woken by whoever leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crm_sync.engine.runtime import Runtime


def hook_of(mailbox: str) -> int:
    """The hook a mailbox belongs to."""
    return int(mailbox.partition(":")[0])


def wake_all(runtime: Runtime, mailboxes: Iterable[str]) -> None:
    """Have these mailboxes drained, for each hook in this order. Never raises for a Redis that is away."""
    by_hook: dict[int, list[str]] = defaultdict(list)
    for mailbox in mailboxes:
        by_hook[hook_of(mailbox)].append(mailbox)
    size = runtime.places.size
    for hook_id, waiting in by_hook.items():
        later = waiting[size:]
        if later:
            # Before they stand in the line, from where they may be woken at once.
            runtime.alarm.hold(later)
            runtime.places.line_up(hook_id, later)
        runtime.alarm.wake(waiting[:size])
