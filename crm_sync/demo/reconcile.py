"""Compares what is in Chatwoot with what is in GLPI: exactly one record for each, in the right state and order.

A pure function over dumps of the two sandboxes (``/_sandbox/dump``). It counts three kinds of faults: *lost* (a
record, a change or an event that never reached GLPI), *duplicates* (a record that is there more often than it
should be), *out of order* (a message shown before an earlier one of its conversation).
"""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

#: Chatwoot's numbers for messages that people write; activities and templates are not mirrored.
_WRITTEN = frozenset({0, 1})
#: Marks the messages that crm_sync writes itself.
_OWN = "crm_sync"

#: GLPI's state of a ticket for each state of a conversation; "pending" is new (1) while a bot handles it.
_STATUS = {"open": {2}, "pending": {4}, "snoozed": {4}, "resolved": {5}}
_REQUESTER = 1

_MARKER = re.compile(r"crm-sync/[^/\s]+/(\d+)/(conversation|message)/(\d+)/(?:first/(\d+)/)?")
_BREAK = re.compile(r"<br\s*/?>|</(?:p|li|ul|div)>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
#: The marks of markdown that the agents of the sandbox's day use.
_MARKS = re.compile(r"\*\*|^\d+\. ", re.MULTILINE)
_INCOMING = 0

Dump = Mapping[str, Any]
Kind = Literal["lost", "duplicate", "out_of_order"]


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
class Problem:
    """One thing that is not as it should be."""

    kind: Kind
    words: str


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
    glpi: Dump,
    journal: Mapping[str, int],
    expected: Mapping[int, ExpectedConversation],
    *,
    faults: int = 0,
) -> Report:
    """Compare both sides with each other and with what was planned.

    ``journal`` holds ``deliveries`` (all that were sent), ``pending``, ``done``, ``skipped`` and ``failed``, and may
    hold ``unaccounted``: deliveries that were taken and left no trace.
    ``expected`` is what was planned, by the conversation's id in Chatwoot; Chatwoot itself must show just that.
    """
    records = _Glpi(glpi, int(chatwoot["account_id"]))
    comparison = _Comparison(records)
    contacts = {contact["id"]: contact for contact in chatwoot["contacts"]}
    for contact in contacts.values():
        comparison.contact(contact)
    conversations = {conversation["id"]: conversation for conversation in chatwoot["conversations"]}
    for conversation in conversations.values():
        comparison.conversation(conversation)
    comparison.strangers(conversations.keys())
    for number, planned in expected.items():
        comparison.plan(number, conversations.get(number), planned)
    for _ in range(journal.get("unaccounted", 0)):
        comparison.problems.append(Problem("lost", "a delivery was sent that left no trace"))
    counts = {state: journal.get(state, 0) for state in ("pending", "done", "skipped", "failed")}
    return Report(
        deliveries=journal.get("deliveries", 0),
        events=sum(counts.values()),
        faults=faults,
        matched=dict(comparison.matched),
        problems=tuple(comparison.problems),
        **counts,
    )


def identifiable(contact: Mapping[str, Any]) -> bool:
    """Whether a contact can be told from others."""
    return bool(contact.get("email") or contact.get("phone_number"))


def written(conversation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The messages of a conversation that a CRM should show, oldest first."""
    found = [message for message in conversation["messages"] if _is_written(message)]
    return sorted(found, key=lambda message: int(message["id"]))


def visible(content: str) -> str:
    """What a reader sees of an HTML content, its white space made one."""
    return _plain(html.unescape(_TAG.sub("", _BREAK.sub(" ", content))))


def _said(message: Mapping[str, Any]) -> str:
    """What a reader is to see of a message: an agent's text is markdown, of which the marks are not seen."""
    text = message["content"] or ""
    return _plain(text if message["message_type"] == _INCOMING else _MARKS.sub("", text))


def _is_written(message: Mapping[str, Any]) -> bool:
    attributes = message.get("content_attributes") or {}
    return (
        message["message_type"] in _WRITTEN
        and bool(message.get("content") or message.get("attachments"))
        and not attributes.get("deleted")
        and not attributes.get(_OWN)
    )


def _plain(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message is shown: in a ticket, as its description or as a followup."""

    ticket: int
    message: int
    text: str
    #: Sorts the places of a ticket as GLPI shows them: the description, then followups by date.
    position: tuple[int, str, int]


class _Glpi:
    """A dump of GLPI, by what its records belong to."""

    def __init__(self, dump: Dump, account_id: int) -> None:
        self._account_id = account_id
        self.users = list(_rows(dump, "User"))
        self.tickets: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        self.places: dict[int, list[_Place]] = defaultdict(list)
        self.shown: dict[int, list[_Place]] = defaultdict(list)
        self.strangers: list[int] = []
        self._emails: dict[str, set[int]] = defaultdict(set)
        self._requesters: dict[int, set[int]] = defaultdict(set)
        for row in _rows(dump, "UserEmail"):
            self._emails[str(row["email"]).lower()].add(row["users_id"])
        for row in _rows(dump, "Ticket_User"):
            if row["type"] == _REQUESTER:
                self._requesters[row["tickets_id"]].add(row["users_id"])
        for row in _rows(dump, "Ticket"):
            self._ticket(row)
        for row in _rows(dump, "ITILFollowup"):
            self._followup(row)

    def users_of(self, contact: Mapping[str, Any]) -> set[int]:
        """The users that are this contact: by the login made for it, or by its address."""
        login = f"cw-{self._account_id}-{contact['id']}@"
        found = {user["id"] for user in self.users if str(user["name"]).startswith(login)}
        email = str(contact.get("email") or "").lower()
        return found | self._emails[email] if email else found

    def requesters(self, ticket: Mapping[str, Any]) -> set[int]:
        """Who asks, in a ticket."""
        return self._requesters[ticket["id"]]

    def _ticket(self, row: Mapping[str, Any]) -> None:
        content = _content(row)
        found = self._mark(content, "conversation")
        if found is None:
            return
        self.tickets[int(found[3])].append(row)
        if found[4] and int(found[4]):
            self._place(_Place(row["id"], int(found[4]), visible(content), (0, "", 0)))

    def _followup(self, row: Mapping[str, Any]) -> None:
        content = _content(row)
        found = self._mark(content, "message")
        if found is None:
            if row["itemtype"] == "Ticket" and row["items_id"] in self._known_tickets():
                self.strangers.append(row["id"])
            return
        position = (1, str(row["date"]), int(row["id"]))
        self._place(_Place(row["items_id"], int(found[3]), visible(content), position))

    def _place(self, place: _Place) -> None:
        self.places[place.message].append(place)
        self.shown[place.ticket].append(place)

    def _mark(self, content: str, kind: str) -> re.Match[str] | None:
        found = _MARKER.search(content)
        if found is None or found[2] != kind or int(found[1]) != self._account_id:
            return None
        return found

    def _known_tickets(self) -> set[int]:
        return {row["id"] for rows in self.tickets.values() for row in rows}


class _Comparison:
    """Collects what is right and what is not."""

    def __init__(self, records: _Glpi) -> None:
        self.glpi = records
        self.problems: list[Problem] = []
        self.matched: Counter[str] = Counter()
        self._placed: set[int] = set()

    def contact(self, contact: Mapping[str, Any]) -> None:
        """An identifiable contact is one user, any other none."""
        users = self.glpi.users_of(contact)
        self._number(f"contact {contact['id']}", "users", len(users), wanted=int(identifiable(contact)))
        if identifiable(contact):
            self._shows(f"contact {contact['id']}", contact, "glpi_user_id", users)

    def conversation(self, conversation: Mapping[str, Any]) -> None:
        """A conversation of an identifiable contact is one ticket in its state; its messages are in it, in order."""
        number = int(conversation["id"])
        contact = conversation["meta"]["sender"]
        tickets = self.glpi.tickets.get(number, [])
        self._number(f"conversation {number}", "tickets", len(tickets), wanted=int(identifiable(contact)))
        self._shows(f"conversation {number}", conversation, "glpi_ticket_id", {row["id"] for row in tickets})
        messages = written(conversation) if identifiable(contact) else []
        for ticket in tickets[:1]:
            self._ticket(conversation, ticket)
        for message in messages:
            self._message(number, message)
        for ticket in tickets:
            self._order(number, ticket["id"])

    def strangers(self, conversations: Iterable[int]) -> None:
        """Nothing is in GLPI that is not in Chatwoot."""
        for number in sorted(self.glpi.tickets.keys() - set(conversations)):
            self._found("duplicate", f"there is a ticket for conversation {number}, which is not in Chatwoot")
        for number in sorted(self.glpi.places.keys() - self._placed):
            self._found("duplicate", f"message {number} is in GLPI, but is not to be there")
        for number in self.glpi.strangers:
            self._found("duplicate", f"followup {number} belongs to no message")

    def plan(
        self, number: int, conversation: Mapping[str, Any] | None, planned: ExpectedConversation
    ) -> None:
        """Chatwoot shows what was planned."""
        if conversation is None:
            self._found("lost", f"conversation {number} was planned and is not in Chatwoot")
            return
        if conversation["status"] != planned.status:
            words = f"is {conversation['status']} in Chatwoot, and was to be {planned.status}"
            self._found("lost", f"conversation {number} {words}")
        texts = [_plain(message["content"] or "") for message in written(conversation)]
        if texts != [_plain(line.text or "") for line in planned.lines]:
            self._found("lost", f"conversation {number} holds other messages in Chatwoot than were planned")
        if identifiable(conversation["meta"]["sender"]) != planned.identifiable:
            self._found("lost", f"the contact of conversation {number} is not as planned")

    def _ticket(self, conversation: Mapping[str, Any], ticket: Mapping[str, Any]) -> None:
        number, status = conversation["id"], conversation["status"]
        wanted = _STATUS[status]
        if status == "pending" and conversation["meta"].get("assignee_type") == "AgentBot":
            wanted = {1}
        if ticket["status"] not in wanted:
            words = (
                f"conversation {number} is {status}, its ticket {ticket['id']} is in state {ticket['status']}"
            )
            self._found("lost", words)
        users = self.glpi.users_of(conversation["meta"]["sender"])
        if not users & self.glpi.requesters(ticket):
            self._found("lost", f"ticket {ticket['id']} does not name the contact of conversation {number}")
        public = [message["id"] for message in written(conversation) if not message["private"]]
        described = [
            place.message
            for message in public
            for place in self.glpi.places.get(message, ())
            if place.ticket == ticket["id"] and place.position[0] == 0
        ]
        if described and described[0] != public[0]:
            words = f"ticket {ticket['id']} begins with message {described[0]} instead of {public[0]}"
            self._found("out_of_order", words)

    def _shows(self, what: str, record: Mapping[str, Any], key: str, wanted: set[int]) -> None:
        """The record in Chatwoot names its counterpart."""
        shown = (record.get("custom_attributes") or {}).get(key)
        if wanted and shown not in wanted:
            self._found("lost", f"{what} does not show its {key} in Chatwoot")

    def _message(self, conversation: int, message: Mapping[str, Any]) -> None:
        number = int(message["id"])
        self._placed.add(number)
        places = self.glpi.places.get(number, [])
        own = {ticket["id"] for ticket in self.glpi.tickets.get(conversation, [])}
        self._number(f"message {number} of conversation {conversation}", "places", len(places), wanted=1)
        for place in places:
            if place.ticket not in own:
                self._found(
                    "duplicate", f"message {number} is in ticket {place.ticket}, which is not its own"
                )
            if _said(message) not in place.text:
                self._found("lost", f"the text of message {number} is not what ticket {place.ticket} shows")

    def _order(self, conversation: int, ticket: int) -> None:
        # That the wrong message stands above all others is told once, elsewhere.
        followups = [place for place in self.glpi.shown[ticket] if place.position[0] > 0]
        highest = 0
        for place in sorted(followups, key=lambda place: place.position):
            if place.message < highest:
                words = f"message {place.message} of conversation {conversation} is shown after {highest}"
                self._found("out_of_order", words)
            highest = max(highest, place.message)

    def _number(self, what: str, kind: str, found: int, *, wanted: int) -> None:
        if found == wanted:
            self.matched[kind] += wanted
        elif found < wanted:
            self._found("lost", f"{what} has no counterpart in GLPI ({kind})")
        else:
            for _ in range(found - wanted):
                self._found("duplicate", f"{what} has {found} {kind} in GLPI instead of {wanted}")

    def _found(self, kind: Kind, words: str) -> None:
        self.problems.append(Problem(kind, words))


def _rows(dump: Dump, itemtype: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a type that are not in the bin."""
    return (row for row in dump.get(itemtype, ()) if not row.get("is_deleted"))


def _content(row: Mapping[str, Any]) -> str:
    """A content as it was written; GLPI 10 keeps the three special characters encoded."""
    text = str(row.get("content") or "")
    if "<" in text:
        return text
    return text.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
