"""What a Krayin must hold for what is in Chatwoot, read from a dump of its sandbox."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from crm_sync.demo.comparison import Comparison, Dump, Row, attached, identifiable, said, visible, written

_MARKER = re.compile(r"-(\d+)-(conversation|message|attachment)-(\d+)$")
#: Krayin's type of what is only to be read, and so is always done.
_NOTE = "note"
#: Krayin's type of what it writes down itself.
_LOG = "system"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message is shown: as the comment of its conversation's activity, or as a note."""

    activity: int
    message: int
    text: str
    #: Whether it is the comment of the conversation's activity.
    begins: bool


class KrayinComparison(Comparison):
    """Exactly one person and one lead for each contact, one activity for each conversation, one place for each message.

    For a hook that makes a lead of each contact, and has organizations, activities and messages switched on.
    """

    crm = "Krayin"
    kinds: ClassVar[Mapping[str, str]] = {
        "persons": "contacts that are exactly one person",
        "leads": "contacts that are exactly one lead",
        "organizations": "companies that are exactly one organization",
        "activities": "conversations that are exactly one activity",
        "messages": "messages that are there exactly once",
        "files": "attachments that are exactly one file",
    }

    def __init__(self, dump: Dump, account_id: int, *, files: bool = False) -> None:
        super().__init__(dump, account_id, files=files)
        self._persons: dict[str, set[int]] = defaultdict(set)
        self._people: dict[int, Row] = {}
        self._organizations: dict[str, set[int]] = defaultdict(set)
        self._companies: set[str] = set()
        self._leads: dict[int | None, set[int]] = defaultdict(set)
        self._lead_of: dict[int, int] = {
            row["activity_id"]: row["lead_id"] for row in dump["lead_activities"]
        }
        self._activities: dict[int, list[Row]] = defaultdict(list)
        self._places: dict[int, list[_Place]] = defaultdict(list)
        self._placed: set[int] = set()
        self._uploads: dict[int, list[int]] = defaultdict(list)
        self._attached: set[int] = set()
        self._met: set[int] = set()
        self._unmarked: list[int] = []
        for row in dump["organizations"]:
            self._organizations[row["name"].casefold()].add(row["id"])
        for row in dump["persons"]:
            self._people[row["id"]] = row
            for value in _values(row):
                self._persons[value].add(row["id"])
        for row in dump["leads"]:
            self._leads[row["person_id"]].add(row["id"])
        for row in dump["activities"]:
            self._activity(row)

    def contact(self, contact: Row) -> None:
        """An identifiable contact is one person with one lead, any other none."""
        what, wanted = f"contact {contact['id']}", int(identifiable(contact))
        persons = self._persons_of(contact)
        leads = self._leads_of(persons)
        self._met |= persons
        self.number(what, "persons", len(persons), wanted=wanted)
        self.number(what, "leads", len(leads), wanted=wanted)
        self.shows(what, contact, "krayin_person_id", persons)
        self.shows(what, contact, "krayin_lead_id", leads)
        for person in persons:
            if self._people[person]["name"] != contact["name"]:
                self.found("lost", f"person {person} is not called like {what}")
        self._company(what, contact, persons)

    def conversation(self, conversation: Row) -> None:
        """A conversation of an identifiable contact is one activity of its lead; its messages are there, in order."""
        number, contact = int(conversation["id"]), conversation["meta"]["sender"]
        activities = self._activities.get(number, [])
        what, wanted = f"conversation {number}", int(identifiable(contact))
        self.number(what, "activities", len(activities), wanted=wanted)
        self.shows(what, conversation, "krayin_activity_id", {row["id"] for row in activities})
        leads = self._leads_of(self._persons_of(contact))
        for row in activities[:1]:
            self._belongs(row["id"], leads, what)
            if row["type"] != _NOTE and bool(row["is_done"]) != (conversation["status"] == "resolved"):
                self.found(
                    "lost", f"{what} is {conversation['status']}, which activity {row['id']} does not show"
                )
        messages = written(conversation) if wanted else []
        for message in messages:
            self._message(number, message, leads)
        self._order(conversation, messages)

    def strangers(self, conversations: Iterable[int]) -> None:
        """Nothing is in Krayin that is not in Chatwoot: nobody else worked there while the day was played."""
        for person in sorted(self._people.keys() - self._met):
            self.found("duplicate", f"person {person} is no contact of Chatwoot")
        for nobody in sorted(self._leads.keys() - self._people.keys(), key=str):
            self.found("duplicate", f"leads {sorted(self._leads[nobody])} belong to no person")
        for activity in self._unmarked:
            self.found("duplicate", f"activity {activity} belongs to no conversation and no message")
        for number in sorted(self._activities.keys() - set(conversations)):
            self.found(
                "duplicate", f"there is an activity for conversation {number}, which is not in Chatwoot"
            )
        for number in sorted(self._places.keys() - self._placed):
            self.found("duplicate", f"message {number} is in Krayin, but is not to be there")
        for number in sorted(self._uploads.keys() - self._attached):
            self.found("duplicate", f"attachment {number} is in Krayin, but is not to be there")

    # -- parts -----------------------------------------------------------------------------------------------------

    def _activity(self, row: Row) -> None:
        additional = row["additional"]
        told = additional if isinstance(additional, Mapping) else {}
        marked = _MARKER.search(str(told.get("crm_sync") or ""))
        if marked is None or int(marked[1]) != self.account_id:
            if row["type"] != _LOG:
                self._unmarked.append(row["id"])
            return
        number, text = int(marked[3]), visible(row["comment"] or "")
        if marked[2] == "attachment":
            self._uploads[number].append(row["id"])
            return
        if marked[2] == "message":
            self._places[number].append(_Place(row["id"], number, text, begins=False))
            return
        self._activities[number].append(row)
        if told.get("first_message"):
            first = int(told["first_message"])
            self._places[first].append(_Place(row["id"], first, text, begins=True))

    def _company(self, what: str, contact: Row, persons: Iterable[int]) -> None:
        """A contact's company is one organization, however many share it, and its person belongs to that."""
        attributes = contact.get("additional_attributes") or {}
        company = str(attributes.get("company_name") or "")
        if not company or not identifiable(contact):
            return
        organizations = self._organizations.get(company.casefold(), set())
        if company.casefold() not in self._companies:
            self._companies.add(company.casefold())
            self.number(f"the company {company}", "organizations", len(organizations), wanted=1)
        for person in persons:
            if self._people[person]["organization_id"] not in organizations:
                self.found("lost", f"person {person} does not belong to the company of {what}")

    def _persons_of(self, contact: Row) -> set[int]:
        """The persons with the contact's address or number."""
        known = (str(contact.get(key) or "").lower() for key in ("email", "phone_number"))
        return {person for value in known if value for person in self._persons.get(value, ())}

    def _leads_of(self, persons: Iterable[int]) -> set[int]:
        return {lead for person in persons for lead in self._leads.get(person, ())}

    def _belongs(self, activity: int, leads: set[int], what: str) -> None:
        if self._lead_of.get(activity) not in leads:
            self.found("lost", f"activity {activity} of {what} is not its contact's lead's")

    def _message(self, conversation: int, message: Row, leads: set[int]) -> None:
        number = int(message["id"])
        self._placed.add(number)
        places = self._places.get(number, [])
        what = f"message {number} of conversation {conversation}"
        self.number(what, "messages", len(places), wanted=1)
        for place in places:
            self._belongs(place.activity, leads, what)
            if said(message) not in place.text:
                self.found(
                    "lost", f"the text of message {number} is not what activity {place.activity} shows"
                )
        for attachment in attached(message) if self.files else ():
            uploads = self._uploads.get(attachment, [])
            self._attached.add(attachment)
            self.number(f"attachment {attachment} of {what}", "files", len(uploads), wanted=1)
            for activity in uploads:
                self._belongs(activity, leads, what)

    def _order(self, conversation: Row, messages: Iterable[Row]) -> None:
        shown = [place for message in messages for place in self._places.get(int(message["id"]), ())]
        public = [int(message["id"]) for message in messages if not message["private"]]
        for place in shown:
            if place.begins and place.message != public[0]:
                words = (
                    f"activity {place.activity} begins with message {place.message} instead of {public[0]}"
                )
                self.found("out_of_order", words)
        notes = sorted((place for place in shown if not place.begins), key=lambda place: place.activity)
        self.order(int(conversation["id"]), [place.message for place in notes])


def _values(row: Mapping[str, Any]) -> Iterator[str]:
    """A person's addresses and numbers, in lower case."""
    for column in ("emails", "contact_numbers"):
        for item in row[column] or ():
            yield str(item["value"]).lower()
