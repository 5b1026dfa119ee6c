"""Chatwoot's own order within a mailbox, whatever the order of arrival.

Messages of one conversation go by their ids; everything else by the time Chatwoot gives it. A contact's creation
has no time in its payload and comes first. Updates of one message go by their arrival: most have no time either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from crm_sync.events import Event, EventName

#: What comes first when two events carry the same time (conversations only know full seconds).
_RANK = {
    EventName.CONTACT_CREATED: 0,
    EventName.CONTACT_UPDATED: 1,
    EventName.CONVERSATION_CREATED: 2,
    EventName.MESSAGE_CREATED: 3,
    EventName.MESSAGE_UPDATED: 4,
    EventName.CONVERSATION_UPDATED: 5,
    EventName.CONVERSATION_STATUS_CHANGED: 6,
}

_MESSAGE_EVENTS = frozenset({EventName.MESSAGE_CREATED, EventName.MESSAGE_UPDATED})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending event, as far as its turn is concerned."""

    id: int
    position: str
    name: str
    conversation_id: int | None
    message_id: int | None


def position(event: Event, received_at: datetime) -> str:
    """The sort key of an event in its mailbox; texts of equal length, so that any database sorts them alike."""
    first = event.name is EventName.CONTACT_CREATED
    moment = _EPOCH if first else event.occurred_at or received_at
    micros = max(0, int((moment - _EPOCH).total_seconds() * 1_000_000))
    record = event.message.id if event.message else 0
    return f"{micros:018d}.{_RANK[event.name]}.{record:019d}"


def remote_position(seen_at: datetime) -> str:
    """The sort key of an event that a pull brought: after everything Chatwoot told of the same second."""
    micros = int((seen_at - _EPOCH).total_seconds() * 1_000_000)
    return f"{micros:018d}.9.{0:019d}"


def in_order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """The events of a mailbox in the order they are to be processed.

    Sorted by position; then the created messages of each conversation take, among the places they occupy, the
    order of their ids (clocks of several Chatwoot processes differ by more than messages follow each other), and so
    the updates of each message the order of their arrival (only that of the conversation's last message has a time).
    """
    rows = sorted(waiting, key=lambda row: (row.position, row.id))
    places: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        group = row.conversation_id if row.name == EventName.MESSAGE_CREATED else row.message_id
        if row.name in _MESSAGE_EVENTS and group is not None:
            places[row.name, group].append(index)
    for (name, _), indexes in places.items():
        created = name == EventName.MESSAGE_CREATED
        messages = sorted(
            (rows[index] for index in indexes),
            key=lambda row: ((row.message_id or 0) if created else 0, row.id),
        )
        for index, row in zip(indexes, messages, strict=True):
            rows[index] = row
    return rows


#: Events that only bring a record to a recent state: of several in a row, the last one is enough.
_STATE_EVENTS = frozenset(
    {EventName.CONTACT_UPDATED, EventName.CONVERSATION_UPDATED, EventName.CONVERSATION_STATUS_CHANGED}
)


def superseding(rows: list[Waiting]) -> Waiting | None:
    """The event that makes the first one needless: the next in line says the same of the same record, anew."""
    if len(rows) < 2:
        return None
    head, following = rows[0], rows[1]
    if _is_remote(head) and head.name == following.name and head.conversation_id == following.conversation_id:
        return following
    same = (
        head.name in _STATE_EVENTS
        and following.name in _STATE_EVENTS
        and (head.name == EventName.CONTACT_UPDATED) == (following.name == EventName.CONTACT_UPDATED)
        and head.conversation_id == following.conversation_id
    )
    return following if same else None


def _is_remote(row: Waiting) -> bool:
    """Whether an event came from a CRM: only those have a dot in their names."""
    return "." in row.name
