"""What happens in Chatwoot, done in Krayin: contact → Person and Lead, conversation → Activity, message → note.

Each handler brings Krayin to the state the event speaks of, and makes what is missing on the way: person first, then
the lead that is linked to it, then the activity. Repeating any of them changes nothing. Where a record turns out to be
gone, its link is dropped and the event handled from the beginning, so that what hangs on the record comes along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crm_sync.crms import recency
from crm_sync.crms.base import Link, LinkKey, Port
from crm_sync.crms.history import History
from crm_sync.crms.krayin import content
from crm_sync.crms.krayin.activities import Activities
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.leads import Leads
from crm_sync.crms.krayin.notes import Notes
from crm_sync.crms.krayin.persons import Persons
from crm_sync.crms.krayin.tagged import subject_of
from crm_sync.crms.krayin.updates import Updates
from crm_sync.crms.krayin.work import Gone, Work, relying_on
from crm_sync.errors import Skip
from crm_sync.events import Contact, Conversation, Direction, Event, EventName, Message, RemoteUpdate

MESSAGES_OFF = "Messages are switched off (enable_message_sync)."


class KrayinProcessor(Work):
    """Handles one event. ``port`` stands for the journal, the links and Chatwoot."""

    def __init__(self, client: KrayinClient, port: Port) -> None:
        super().__init__(client, port)
        history = History(port, wants_all=self.settings["enable_message_sync"])
        self.persons = Persons(client, port)
        self.leads = Leads(client, port)
        self.activities = Activities(client, port, history)
        self.notes = Notes(client, port, history)
        self.told: list[str] = []
        self._handlers: dict[EventName, Callable[[Event], None]] = {
            EventName.CONTACT_CREATED: self.contact,
            EventName.CONTACT_UPDATED: self.contact,
            EventName.CONVERSATION_CREATED: self.conversation,
            EventName.CONVERSATION_UPDATED: self.conversation,
            EventName.CONVERSATION_STATUS_CHANGED: self.conversation,
            EventName.MESSAGE_CREATED: self.message,
            EventName.MESSAGE_UPDATED: self.message_updated,
        }

    def handle(self, event: Event) -> str:
        """See crms.base.Processor."""
        self.persons.as_of = self.leads.as_of = event.occurred_at
        try:
            self._resolved(self._handlers[event.name], event)
        except Skip as skip:
            if not self.told:
                raise
            self.told.append(str(skip))
        remarks = (*self.persons.remarks, *self.activities.remarks, *self.notes.remarks)
        return " ".join(dict.fromkeys([*self.told, *remarks]))

    def apply(self, update: RemoteUpdate) -> str:
        """See crms.base.Processor."""
        return Updates(self.client, self.port, self.leads).apply(update)

    def _resolved(self, handler: Callable[[Event], None], event: Event) -> None:
        """Handle an event; where a record turns out to be gone, drop its link and begin again, once for each."""
        gone: set[LinkKey] = set()
        while True:
            try:
                return handler(event)
            except Gone as found:
                key = (found.link.local, found.link.remote_type)
                if key in gone:
                    raise found.error from found
                gone.add(key)
                self.port.forget(found.link)
                self.told.append(f"{found.link.remote_type} {found.link.remote_id} was gone.")

    # -- handlers ------------------------------------------------------------------------------------------------

    def contact(self, event: Event) -> None:
        """The contact's person and lead are there, and say what the contact says."""
        contact = self._present(event.contact)
        if not self.settings["create_person"] and (
            self.leads.per_conversation or not self.settings["create_lead"]
        ):
            raise Skip("switched_off", "Nothing is made of contacts (create_person, create_lead).")
        person = self._person(contact)
        lead = self._lead(contact, None, person)
        if lead is not None and not lead.created:
            with relying_on(lead):
                changed = self.leads.update(lead, contact)
            self._say("Lead", lead, "updated", changed)

    def conversation(self, event: Event) -> None:
        """The conversation's person, lead and activity are there, and in its state."""
        conversation = _conversation(event)
        person, lead, activity = self._made(event, conversation)
        if lead is not None:
            with relying_on(lead):
                changed = self.leads.follow(lead, conversation)
            if changed is None:
                self.told.append(f"Lead {lead.remote_id} shows a newer state already.")
            self._say("Lead", lead, "updated", changed)
        if activity is not None:
            state = self.activities.follow(activity, conversation)
            if state is not None and not activity.created:
                self.told.append(f"Activity {activity.remote_id} is {state}.")
            self._catch_up(activity, conversation, lead, person)
        if not self.told:
            raise Skip("up_to_date", "Krayin shows the conversation as it is.")

    def message(self, event: Event) -> None:
        """The message can be read in Krayin, once, where messages are mirrored."""
        message, conversation = _message(event), _conversation(event)
        person, lead, activity = self._made(event, conversation)
        begun = self.activities.begins_with(activity, message) if activity is not None else None
        subject = subject_of(lead, person)
        if begun is not None and subject is not None:
            self.told.append(f"Activity {begun.remote_id} begins with the message.")
            self.told += self.notes.files.attached(message, begun, subject)
            return
        if not self.settings["enable_message_sync"]:
            raise Skip("switched_off", MESSAGES_OFF)
        if not content.has_content(message):
            raise Skip("empty", "The message has no content.")
        if subject is None:
            raise Skip("nobody", "Neither lead nor person is made, so a note would belong to nobody.")
        if activity is not None:
            self._catch_up(activity, conversation, lead, person, until=message.id)
        note, remarks = self.notes.noted(message, conversation, subject)
        self.told += [f"Note {note.remote_id} {'added' if note.created else 'shows the message'}.", *remarks]

    def message_updated(self, event: Event) -> None:
        """Krayin shows the message as it is now, if it shows it at all."""
        message, conversation = _message(event), _conversation(event)
        activity = self.activities.known(conversation)
        if activity is not None and activity.agreed.get("first_message") == message.id:
            self.activities.rewrite(event, activity, message)
            if message.deleted:
                self.notes.files.purged(activity)
            self.told.append(f"The comment of activity {activity.remote_id} updated.")
            return
        if not self.settings["enable_message_sync"]:
            raise Skip("switched_off", MESSAGES_OFF)
        self.told.append(self.notes.rewritten(event, message))

    # -- parts ---------------------------------------------------------------------------------------------------

    def _present(self, contact: Contact) -> Contact:
        """The contact as it is now, where the delivery may be older than what Krayin shows. Raises Skip."""
        person, lead = self.persons.known(contact), self.leads.known(contact, None)
        if not (person is not None and self.persons.is_outdated(person, contact)) and not (
            lead is not None and self.leads.is_outdated(lead, contact)
        ):
            return contact
        return recency.present(self.port, contact)

    def _made(self, event: Event, conversation: Conversation) -> tuple[Link | None, Link | None, Link | None]:
        """What a conversation is to have in Krayin: person, lead, activity. Raises Skip where it is to have nothing."""
        contact = conversation.contact
        assignee = conversation.assignee.id if conversation.assignee else None
        person = self.persons.of(contact, assignee)
        self._say_made(person)
        lead = self._lead(contact, conversation, person)
        activity = self.activities.of(event, conversation, lead, person)
        self._say_made(activity)
        if activity is not None and lead is not None:
            given = not activity.created and self.activities.given(activity, lead)
            if given:
                self.told.append(f"Activity {activity.remote_id} is of lead {lead.remote_id} now.")
            if given or activity.created:
                self.port.show(activity.local, activity.remote_type, self.leads.in_conversation(lead))
        if person is None and lead is None and activity is None:
            raise Skip("switched_off", "Neither persons nor leads are made (create_person, create_lead).")
        return person, lead, activity

    def _person(self, contact: Contact) -> Link | None:
        known = self.persons.known(contact)
        if known is None:
            person = self.persons.of(contact)
            self._say_made(person, found="found and linked")
            return person
        with relying_on(known):
            changed = self.persons.update(known, contact)
        if changed:
            self._say("Person", known, "updated", changed)
        else:
            self.told.append(f"Person {known.remote_id} is up to date.")
        return known

    def _lead(self, contact: Contact, conversation: Conversation | None, person: Link | None) -> Link | None:
        known = self.leads.known(contact, conversation)
        with relying_on(person):
            lead = self.leads.of(contact, conversation, person)
        if known is None:
            self._say_made(lead, found="found and linked")
        return lead

    def _catch_up(
        self,
        activity: Link,
        conversation: Conversation,
        lead: Link | None,
        person: Link | None,
        *,
        until: int | None = None,
    ) -> None:
        subject = subject_of(lead, person)
        count = self.notes.caught_up(activity, conversation, subject, until=until) if subject else 0
        if count:
            self.told.append(f"Earlier messages added: {count}.")

    def _say_made(self, link: Link | None, *, found: str = "") -> None:
        if link is not None and (link.created or found):
            self.told.append(f"{link.remote_type} {link.remote_id} {'created' if link.created else found}.")

    def _say(self, called: str, link: Link, what: str, changes: Iterable[str] | None) -> None:
        if changes:
            self.told.append(f"{called} {link.remote_id} {what}: {', '.join(sorted(changes))}.")


def _conversation(event: Event) -> Conversation:
    if event.conversation is None:
        raise Skip("no_conversation", "The delivery holds no conversation.")
    return event.conversation


def _message(event: Event) -> Message:
    """The message of an event, if it is one that people wrote to each other. Raises Skip."""
    message = event.message
    if message is None:
        raise Skip("no_message", "The delivery holds no message.")
    if message.direction is Direction.TEMPLATE:
        raise Skip("template", "A template or survey is not an answer, so it is not mirrored.")
    return message
