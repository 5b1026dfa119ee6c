"""What a GLPI must hold for what is in Chatwoot, read from a dump of its sandbox."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from crm_sync.demo.comparison import Comparison, Dump, attached, identifiable, said, visible, written

#: GLPI's state of a ticket for each state of a conversation; "pending" is new (1) while a bot handles it.
_STATUS = {"open": {2}, "pending": {4}, "snoozed": {4}, "resolved": {5}}
_REQUESTER = 1

_MARKER = re.compile(r"crm-sync/[^/\s]+/(\d+)/(conversation|message)/(\d+)/(?:first/(\d+)/)?")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message is shown: in a ticket, as its description or as a followup."""

    ticket: int
    message: int
    text: str
    #: Sorts the places of a ticket as GLPI shows them: the description, then followups by date.
    position: tuple[int, str, int]

    @property
    def record(self) -> tuple[str, int]:
        """What shows it: a ticket or a followup."""
        return ("ITILFollowup", self.position[2]) if self.position[0] else ("Ticket", self.ticket)


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
        self.documents = {row["id"] for row in _rows(dump, "Document")}
        #: The documents of each ticket or followup.
        self.attached: dict[tuple[str, int], list[int]] = defaultdict(list)
        for row in _rows(dump, "Document_Item"):
            self.attached[row["itemtype"], row["items_id"]].append(row["documents_id"])

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


class GlpiComparison(Comparison):
    """Exactly one user for each contact, one ticket for each conversation, one place for each message."""

    crm = "GLPI"
    kinds: ClassVar[Mapping[str, str]] = {
        "users": "contacts that are exactly one user",
        "tickets": "conversations that are exactly one ticket",
        "places": "messages that are there exactly once",
        "documents": "attachments that are exactly one document",
    }

    def __init__(self, dump: Dump, account_id: int, *, files: bool = False) -> None:
        super().__init__(dump, account_id, files=files)
        self.glpi = _Glpi(dump, account_id)
        self._placed: set[int] = set()
        self._attached: set[int] = set()

    def contact(self, contact: Mapping[str, Any]) -> None:
        """An identifiable contact is one user, any other none."""
        users = self.glpi.users_of(contact)
        self.number(f"contact {contact['id']}", "users", len(users), wanted=int(identifiable(contact)))
        if identifiable(contact):
            self.shows(f"contact {contact['id']}", contact, "glpi_user_id", users)

    def conversation(self, conversation: Mapping[str, Any]) -> None:
        """A conversation of an identifiable contact is one ticket in its state; its messages are in it, in order."""
        number = int(conversation["id"])
        contact = conversation["meta"]["sender"]
        tickets = self.glpi.tickets.get(number, [])
        self.number(f"conversation {number}", "tickets", len(tickets), wanted=int(identifiable(contact)))
        self.shows(f"conversation {number}", conversation, "glpi_ticket_id", {row["id"] for row in tickets})
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
            self.found("duplicate", f"there is a ticket for conversation {number}, which is not in Chatwoot")
        for number in sorted(self.glpi.places.keys() - self._placed):
            self.found("duplicate", f"message {number} is in GLPI, but is not to be there")
        for number in self.glpi.strangers:
            self.found("duplicate", f"followup {number} belongs to no message")
        for number in sorted(self.glpi.documents - self._attached):
            self.found("duplicate", f"document {number} belongs to no message")

    def _ticket(self, conversation: Mapping[str, Any], ticket: Mapping[str, Any]) -> None:
        number, status = conversation["id"], conversation["status"]
        wanted = _STATUS[status]
        if status == "pending" and conversation["meta"].get("assignee_type") == "AgentBot":
            wanted = {1}
        if ticket["status"] not in wanted:
            words = (
                f"conversation {number} is {status}, its ticket {ticket['id']} is in state {ticket['status']}"
            )
            self.found("lost", words)
        users = self.glpi.users_of(conversation["meta"]["sender"])
        if not users & self.glpi.requesters(ticket):
            self.found("lost", f"ticket {ticket['id']} does not name the contact of conversation {number}")
        public = [message["id"] for message in written(conversation) if not message["private"]]
        described = [
            place.message
            for message in public
            for place in self.glpi.places.get(message, ())
            if place.ticket == ticket["id"] and place.position[0] == 0
        ]
        if described and described[0] != public[0]:
            words = f"ticket {ticket['id']} begins with message {described[0]} instead of {public[0]}"
            self.found("out_of_order", words)

    def _message(self, conversation: int, message: Mapping[str, Any]) -> None:
        number = int(message["id"])
        self._placed.add(number)
        places = self.glpi.places.get(number, [])
        own = {ticket["id"] for ticket in self.glpi.tickets.get(conversation, [])}
        self.number(f"message {number} of conversation {conversation}", "places", len(places), wanted=1)
        for place in places:
            if place.ticket not in own:
                self.found("duplicate", f"message {number} is in ticket {place.ticket}, which is not its own")
            if said(message) not in place.text:
                self.found("lost", f"the text of message {number} is not what ticket {place.ticket} shows")
            if self.files:
                documents = self.glpi.attached.get(place.record, [])
                self._attached |= set(documents)
                wanted = len(attached(message))
                self.number(f"message {number}", "documents", len(documents), wanted=wanted)

    def _order(self, conversation: int, ticket: int) -> None:
        # That the wrong message stands above all others is told once, elsewhere.
        followups = [place for place in self.glpi.shown[ticket] if place.position[0] > 0]
        self.order(
            conversation, [place.message for place in sorted(followups, key=lambda place: place.position)]
        )


def _rows(dump: Dump, itemtype: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a type that are not in the bin."""
    return (row for row in dump.get(itemtype, ()) if not row.get("is_deleted"))


def _content(row: Mapping[str, Any]) -> str:
    """A content as it was written; GLPI 10 keeps the three special characters encoded."""
    text = str(row.get("content") or "")
    if "<" in text:
        return text
    return text.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
