"""What happens in Chatwoot, done in Krayin: contact → Person and Lead, conversation → Activity, message → note.

Each handler brings Krayin to the state the event speaks of, and makes what is missing on the way: person first, then
the lead that is linked to it, then the activity. Repeating any of them changes nothing. A record that Krayin has no
longer is resolved once more; a second time the event fails.
"""

from __future__ import annotations

from collections.abc import Callable

from crm_sync.crms import recency
from crm_sync.crms.base import Link, Port
from crm_sync.crms.krayin import content
from crm_sync.crms.krayin.activities import Activities
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.leads import Leads
from crm_sync.crms.krayin.persons import Persons
from crm_sync.crms.krayin.updates import Updates
from crm_sync.crms.krayin.work import Work
from crm_sync.errors import NotFound, Skip
from crm_sync.events import Contact, Conversation, Direction, Event, EventName, Message, RemoteUpdate


class KrayinProcessor(Work):
    """Handles one event. ``port`` stands for the journal, the links and Chatwoot."""

    def __init__(self, client: KrayinClient, port: Port) -> None:
        super().__init__(client, port)
        self.persons = Persons(client, port)
        self.leads = Leads(client, port)
        self.activities = Activities(client, port)
        self._handlers: dict[EventName, Callable[[Event], list[str]]] = {
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
        done = self._handlers[event.name](event)
        return " ".join(dict.fromkeys([*done, *self.activities.notes]))

    def apply(self, update: RemoteUpdate) -> str:
        """See crms.base.Processor."""
        return Updates(self.client, self.port, self.leads).apply(update)

    # -- handlers ------------------------------------------------------------------------------------------------

    def contact(self, event: Event) -> list[str]:
        """The contact's person and lead are there, and say what the contact says."""
        contact = self._present(event.contact)
        if not self.settings["create_person"] and (
            self.leads.per_conversation or not self.settings["create_lead"]
        ):
            raise Skip("switched_off", "Nothing is made of contacts (create_person, create_lead).")
        told, person = self._person(contact)
        more, lead = self._lead(contact, None, person)
        told += more
        if lead is not None and not lead.created:
            try:
                changed = self.leads.update(lead, contact)
            except NotFound:
                self.port.forget(lead)
                more, _ = self._lead(contact, None, person)
                return [*told, "The lead was gone.", *more]
            told += [f"Lead {lead.remote_id} updated: {', '.join(sorted(changed))}."] if changed else []
        return told

    def conversation(self, event: Event) -> list[str]:
        """The conversation's person, lead and activity are there, and in its state."""
        told, _, lead, activity = self._made(event, _conversation(event))
        conversation = _conversation(event)
        if lead is not None:
            more = self._followed(event, conversation, lead)
            told += more
        if activity is not None and not activity.created:
            try:
                changed = self.activities.follow(activity, conversation)
            except NotFound:
                self.port.forget(activity)
                again, *_ = self._made(event, conversation)
                return [*told, "The activity was gone.", *again]
            told += [f"Activity {activity.remote_id}: {', '.join(changed)}."] if changed else []
        elif activity is not None:
            self.activities.follow(activity, conversation)
        if not told:
            raise Skip("up_to_date", "Krayin shows the conversation as it is.")
        return told

    def message(self, event: Event) -> list[str]:
        """The message can be read in Krayin, once, where messages are mirrored."""
        message, conversation = _message(event), _conversation(event)
        told, person, lead, activity = self._made(event, conversation)
        if activity is not None and activity.agreed.get("first_message") == message.id:
            return [*told, f"The message is the comment of activity {activity.remote_id}."]
        if activity is not None and not activity.created and self.activities.described(activity, message):
            return [*told, f"Activity {activity.remote_id} begins with the message."]
        if not self.settings["enable_message_sync"]:
            if told:
                return told
            raise Skip("switched_off", "Messages are switched off (enable_message_sync).")
        if not content.has_content(message):
            raise Skip("empty", "The message has no content.")
        try:
            note = self.activities.noted(message, conversation, lead, person)
        except NotFound:
            if lead is None:
                raise
            self.port.forget(lead)
            told, person, lead, _ = self._made(event, conversation)
            told.insert(0, "The lead was gone.")
            note = self.activities.noted(message, conversation, lead, person)
        return [*told, f"Note {note.remote_id} {'added' if note.created else 'found'}."]

    def message_updated(self, event: Event) -> list[str]:
        """Krayin shows the message as it is now, if it shows it at all."""
        message, conversation = _message(event), _conversation(event)
        activity = self.activities.known(conversation)
        if activity is not None and activity.agreed.get("first_message") == message.id:
            words = (
                content.comment(message, self.texts) if message.deleted else content.body(message, self.texts)
            )
            self.client.update_activity(activity.remote_id, {"comment": words})
            return [f"The comment of activity {activity.remote_id} updated."]
        if not self.settings["enable_message_sync"]:
            raise Skip("switched_off", "Messages are switched off (enable_message_sync).")
        return [self.activities.rewritten(event, message)]

    # -- parts ---------------------------------------------------------------------------------------------------

    def _present(self, contact: Contact) -> Contact:
        """The contact as it is now, where the delivery may be older than what Krayin shows. Raises Skip."""
        person, lead = self.persons.known(contact), self.leads.known(contact, None)
        if not (person is not None and self.persons.is_outdated(person, contact)) and not (
            lead is not None and self.leads.is_outdated(lead, contact)
        ):
            return contact
        return recency.present(self.port, contact)

    def _made(
        self, event: Event, conversation: Conversation
    ) -> tuple[list[str], Link | None, Link | None, Link | None]:
        """What a conversation is to have in Krayin: what was made, person, lead, activity."""
        contact, told = conversation.contact, []
        assignee = conversation.assignee.id if conversation.assignee else None
        person = self.persons.of(contact, assignee)
        if person is not None and person.created:
            told.append(f"Person {person.remote_id} created.")
        more, lead = self._lead(contact, conversation, person)
        told += more
        try:
            activity = self.activities.of(event, conversation, lead, person)
        except NotFound:
            if lead is None:
                raise
            self.port.forget(lead)
            more, lead = self._lead(contact, conversation, person)
            told += ["The lead was gone.", *more]
            activity = self.activities.of(event, conversation, lead, person)
        if activity is not None and activity.created:
            told.append(f"Activity {activity.remote_id} created.")
        if activity is not None and lead is not None and (activity.created or lead.created):
            self.port.show(activity.local, activity.remote_type, self.leads.in_conversation(lead))
        if person is None and lead is None and activity is None and not told:
            raise Skip("switched_off", "Neither persons nor leads are made (create_person, create_lead).")
        return told, person, lead, activity

    def _person(self, contact: Contact) -> tuple[list[str], Link | None]:
        known = self.persons.known(contact)
        if known is None:
            person = self.persons.of(contact)
            if person is None:
                return [], None
            return [
                f"Person {person.remote_id} {'created' if person.created else 'found and linked'}."
            ], person
        try:
            changed = self.persons.update(known, contact)
        except NotFound:
            self.port.forget(known)
            person = self.persons.of(contact)
            number = person.remote_id if person is not None else ""
            return [f"The person was gone; person {number} takes its place."], person
        if changed:
            return [f"Person {known.remote_id} updated: {', '.join(sorted(changed))}."], known
        return [f"Person {known.remote_id} is up to date."], known

    def _lead(
        self, contact: Contact, conversation: Conversation | None, person: Link | None
    ) -> tuple[list[str], Link | None]:
        before = self.leads.known(contact, conversation)
        try:
            lead = self.leads.of(contact, conversation, person)
        except NotFound:
            if person is None:
                raise
            # It is the person that is not there (contracts: 70g).
            self.port.forget(person)
            lead = self.leads.of(contact, conversation, self.persons.of(contact))
        if lead is None or before is not None:
            return [], lead
        return [f"Lead {lead.remote_id} {'created' if lead.created else 'found and linked'}."], lead

    def _followed(self, event: Event, conversation: Conversation, lead: Link) -> list[str]:
        try:
            changed = self.leads.follow(lead, conversation)
        except NotFound:
            self.port.forget(lead)
            again, *_ = self._made(event, conversation)
            return ["The lead was gone.", *again]
        if changed is None:
            return [f"Lead {lead.remote_id} shows a newer state already."]
        return [f"Lead {lead.remote_id} updated: {', '.join(changed)}."] if changed else []


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
