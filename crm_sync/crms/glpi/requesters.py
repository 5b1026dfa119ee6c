"""Who asks for a ticket: its requester, found or made, and seen to be taken by GLPI.

A contact's user is the requester itself. A GLPI Contact can be none (its id would name a user who is somebody else):
its e-mail address is the requester then, and the Contact is linked to the ticket as an item. A ticket keeps to the
kind that it was opened with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from crm_sync.crms.base import Link, Port
from crm_sync.crms.glpi import mapping
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.contacts import Contacts
from crm_sync.crms.glpi.counterparts import Counterparts
from crm_sync.crms.glpi.people import People
from crm_sync.crms.glpi.work import CONTACT, TICKET, USER, Work
from crm_sync.errors import Duplicate, NotFound, Rejected
from crm_sync.events import Contact, Conversation

#: The role of a requester among a ticket's users.
REQUESTER = 1

#: A user who was a ticket's requester this recently will be one again. GLPI drops requesters who are gone, and
#: GLPI 11 also those it thinks unfit, without a word; so once in a while it is looked whether it took this one.
REQUESTER_TRUSTED = timedelta(days=1)
#: How many tickets that were opened since the last look are looked after, should GLPI have dropped him meanwhile.
UNSEEN_LIMIT = 20

#: What a ticket's ``agreed`` says of who asks for it: the user's id, or the Contact's and its address.
_USER_KEY, _CONTACT_KEY, _ADDRESS_KEY = "requester", "contact", "requester_email"


def requesters_for(client: GlpiClient, port: Port) -> Requesters:
    """The requesters of the kind that the setting ``use_contact`` wants."""
    if port.hook.settings["use_contact"]:
        return ContactRequesters(client, port, Contacts(client, port))
    return UserRequesters(client, port, People(client, port))


class Requesters(Work, ABC):
    """The requesters of tickets. ``notes`` are sentences for the outcome of the event."""

    #: The key of a ticket's ``agreed`` that names who asks for it, and that of the other kind.
    key: ClassVar[str]
    other_key: ClassVar[str]

    def __init__(self, client: GlpiClient, port: Port, people: Counterparts) -> None:
        super().__init__(client, port)
        self.people = people
        self.notes: list[str] = []

    def of(self, contact: Contact) -> Link:
        """The link of a contact to who asks for it in GLPI, found or made. Raises Skip."""
        return self.people.of(contact)

    @abstractmethod
    def fields(self, requester: Link) -> dict[str, Any]:
        """What a new ticket says of its requester."""

    @abstractmethod
    def agreed(self, requester: Link) -> dict[str, Any]:
        """What is known of a new ticket's requester without asking."""

    def seen_to(self, ticket: Link, conversation: Conversation) -> Link:
        """The ticket after GLPI was seen to name its requester. Costs no call once that is known.

        A conversation whose contact was merged into another one belongs to that one without a word of Chatwoot's
        (facts: the conversation's contact differs from the one stored); its ticket follows.
        """
        known = ticket.agreed.get(self.key)
        if known is None:
            other = ticket.agreed.get(self.other_key) is not None
            return ticket if other else self._named(ticket, conversation)
        contact = conversation.contact
        person = self.people.known(contact)
        if person is not None and person.remote_id == known:
            return ticket
        if (person is None and not mapping.is_identifiable(contact)) or not self._is_with(conversation):
            return ticket
        person = person or self.people.of(contact)
        return ticket if person.remote_id == known else self._handed_over(ticket, conversation, person)

    # -- what the kinds do in their own ways ---------------------------------------------------------------------

    @abstractmethod
    def _named(self, ticket: Link, conversation: Conversation) -> Link:
        """A ticket of which it is not known yet whether GLPI names its requester."""

    @abstractmethod
    def _handed_over(self, ticket: Link, conversation: Conversation, person: Link) -> Link:
        """A ticket that was somebody else's until now."""

    # -- parts ---------------------------------------------------------------------------------------------------

    def _is_with(self, conversation: Conversation) -> bool:
        """Whether the conversation is this contact's at present: a delivery may be older than a merge."""
        try:
            now = self.port.chatwoot.conversation(conversation.id)
        except NotFound:
            return False
        return now.contact.id == conversation.contact.id

    def _users_of(self, ticket: Link) -> list[dict[str, Any]]:
        """The rows of a ticket's requesters."""
        rows = self.client.items(f"{TICKET}/{ticket.remote_id}/Ticket_User")
        return [row for row in rows if row.get("type") == REQUESTER]

    def _create_requester(self, ticket_id: str, requester: Mapping[str, Any]) -> None:
        """Add a requester to a ticket. Raises Duplicate for one that it has."""
        row = {"tickets_id": int(ticket_id), "type": REQUESTER, **requester}
        self.client.create("Ticket_User", self.quietly(row))

    def _take_off(
        self,
        itemtype: str,
        rows: list[dict[str, Any]],
        is_former: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        """Take off whoever asked before. A refusal does no harm: the ticket has its present requester."""
        for row in filter(is_former, rows):
            try:
                self.client.delete(itemtype, row["id"])
            except Rejected as refused:
                self.notes.append(f"Who asked before could not be taken off it: {refused}")


class UserRequesters(Requesters):
    """Users as requesters. A ticket's ``agreed`` holds ``requester`` once it is known, or trusted, that GLPI took it.

    A user's ``agreed`` holds the tickets that were opened on trust since the last look: ``unseen``.
    """

    key, other_key = _USER_KEY, _CONTACT_KEY
    people: People

    def fields(self, requester: Link) -> dict[str, Any]:
        """See Requesters."""
        return {} if self.adds_actors_later else {"_users_id_requester": int(requester.remote_id)}

    def agreed(self, requester: Link) -> dict[str, Any]:
        """See Requesters."""
        known = self._is_trusted(requester) and not self.adds_actors_later
        return {_USER_KEY: requester.remote_id} if known else {}

    def seen_to(self, ticket: Link, conversation: Conversation) -> Link:
        """See Requesters."""
        user = self.people.known(conversation.contact)
        if ticket.created and user is not None and ticket.agreed.get(_USER_KEY) == user.remote_id:
            unseen = [*user.agreed.get("unseen", ()), ticket.remote_id]
            self.port.agree(user, unseen=unseen[-UNSEEN_LIMIT:])
        return super().seen_to(ticket, conversation)

    def _is_trusted(self, user: Link) -> bool:
        seen = user.agreed.get("seen") or {}
        return seen.get("entity") == self.entity and (
            self.port.now - datetime.fromisoformat(seen["at"]) < REQUESTER_TRUSTED
        )

    def _named(self, ticket: Link, conversation: Conversation) -> Link:
        """The ticket after GLPI was seen to name its requester; added where it dropped him."""
        user = self.people.of(conversation.contact)
        if ticket.created and self.adds_actors_later:
            return self._added(ticket, conversation, user)
        if user.remote_id not in {str(row.get("users_id")) for row in self._users_of(ticket)}:
            unseen = user.agreed.get("unseen", ())
            user = self._existing(user, conversation.contact)
            self._add(ticket.remote_id, user)
            self._make_up_for(unseen, user)
        elif ticket.created:
            # Named by GLPI itself, not by an earlier attempt of ours.
            self.port.agree(user, seen=self.people.seen(), unseen=[])
        return self.port.agree(ticket, **{_USER_KEY: user.remote_id})

    def _added(self, ticket: Link, conversation: Conversation, user: Link) -> Link:
        """The ticket with a requester that it was not given when it was opened."""
        if not self._is_trusted(user):
            user = self._existing(user, conversation.contact)
            self.port.agree(user, seen=self.people.seen())
        self._add(ticket.remote_id, user)
        return self.port.agree(ticket, **{_USER_KEY: user.remote_id})

    def _make_up_for(self, unseen: Iterable[str], user: Link) -> None:
        """Name the requester in tickets too that were opened on trust, and that GLPI may have dropped him from."""
        for ticket_id in unseen:
            try:
                self._add(ticket_id, user)
            except Rejected as refused:
                self.notes.append(
                    f"User {user.remote_id} could not be made requester of ticket {ticket_id}: {refused}"
                )
        if unseen:
            self.port.agree(user, unseen=[])

    def _handed_over(self, ticket: Link, conversation: Conversation, person: Link) -> Link:
        user = person if self._is_trusted(person) else self._existing(person, conversation.contact)
        former, rows = str(ticket.agreed[_USER_KEY]), self._users_of(ticket)
        if user.remote_id not in {str(row.get("users_id")) for row in rows}:
            self._add(ticket.remote_id, user)
        self._take_off("Ticket_User", rows, lambda row: str(row.get("users_id")) == former)
        self.notes.append(f"User {user.remote_id} is its requester now, instead of user {former}.")
        return self.port.agree(ticket, **{_USER_KEY: user.remote_id})

    def _add(self, ticket_id: str, user: Link) -> None:
        """Add a user; being the requester already counts as done."""
        try:
            self._create_requester(ticket_id, {"users_id": int(user.remote_id)})
        except Duplicate:
            return

    def _existing(self, user: Link, contact: Contact) -> Link:
        """The contact's user; resolved once more when GLPI has it no longer. One put away stays what he is."""
        try:
            row = self.client.item(USER, user.remote_id)
        except NotFound:
            self.port.forget(user)
            return self.people.of(contact)
        if row.get("is_deleted"):
            self.notes.append(f"Its requester, user {user.remote_id}, is in GLPI's bin.")
        elif row.get("is_active") == 0:
            self.notes.append(f"Its requester, user {user.remote_id}, is switched off in GLPI.")
        return user


class ContactRequesters(Requesters):
    """GLPI Contacts: their address as requester, and themselves as items of the ticket.

    A ticket's ``agreed`` holds ``contact`` once that was seen to, and ``requester_email``.
    """

    key, other_key = _CONTACT_KEY, _USER_KEY

    def of(self, contact: Contact) -> Link:
        """See Requesters. The link says what the contact's ``address`` is now: GLPI may hear of it later."""
        person = super().of(contact)
        return replace(person, agreed={**person.agreed, "address": contact.email or ""})

    def fields(self, requester: Link) -> dict[str, Any]:
        """See Requesters (contracts/glpi: ticket-create-alternative-email)."""
        address = requester.agreed.get("address")
        if not address:
            return {}
        notification = {"use_notification": self._notified, "alternative_email": address}
        return {"_users_id_requester": 0, "_users_id_requester_notif": notification}

    def agreed(self, requester: Link) -> dict[str, Any]:  # noqa: ARG002 - see Requesters
        """See Requesters: nothing, since the Contact is linked once the ticket is there."""
        return {}

    @property
    def _notified(self) -> int:
        return int(self.settings["glpi_notifications"])

    def _named(self, ticket: Link, conversation: Conversation) -> Link:
        contact = self._linked(ticket, conversation.contact, self.people.of(conversation.contact))
        address = conversation.contact.email or ""
        if not address:
            self.notes.append(
                f"GLPI contact {contact.remote_id} has no e-mail address, so the ticket has no requester."
            )
        elif not (ticket.created and contact.agreed.get("accepted") == address):
            self._see_address(ticket, contact, address)
        return self.port.agree(ticket, **{_CONTACT_KEY: contact.remote_id, _ADDRESS_KEY: address})

    def _see_address(self, ticket: Link, contact: Link, address: str) -> None:
        """See that the ticket names the address: GLPI drops one that it does not like, without a word."""
        if self._names(self._users_of(ticket), address):
            self.port.agree(contact, accepted=address)
        else:
            self._add_address(ticket, address)

    def _add_address(self, ticket: Link, address: str) -> None:
        """Add an address that the ticket does not name. GLPI gives no reason for some of its refusals."""
        row = {"users_id": 0, "alternative_email": address, "use_notification": self._notified}
        try:
            self._create_requester(ticket.remote_id, row)
        except (Duplicate, Rejected) as refused:
            why = refused if isinstance(refused, Rejected) else "GLPI gives no reason."
            self.notes.append(f"The ticket has no requester, since {address} cannot be one: {why}")

    @staticmethod
    def _names(rows: list[dict[str, Any]], address: str) -> bool:
        return any(_is_of(row, address) for row in rows)

    def _handed_over(self, ticket: Link, conversation: Conversation, person: Link) -> Link:
        former, before = str(ticket.agreed[_CONTACT_KEY]), str(ticket.agreed.get(_ADDRESS_KEY) or "")
        contact = self._linked(ticket, conversation.contact, person)
        items = self.client.items(f"{TICKET}/{ticket.remote_id}/Item_Ticket")
        self._take_off(
            "Item_Ticket",
            items,
            lambda row: row.get("itemtype") == CONTACT and str(row.get("items_id")) == former,
        )
        # An address is better than none: whoever has none now leaves the former one.
        address = conversation.contact.email or before
        if address.lower() != before.lower():
            rows = self._users_of(ticket)
            if not self._names(rows, address):
                self._add_address(ticket, address)
            if before:
                self._take_off("Ticket_User", rows, lambda row: _is_of(row, before))
        self.notes.append(
            f"It is linked to GLPI contact {contact.remote_id} now, instead of contact {former}."
        )
        return self.port.agree(ticket, **{_CONTACT_KEY: contact.remote_id, _ADDRESS_KEY: address})

    def _linked(self, ticket: Link, contact: Contact, person: Link) -> Link:
        """The contact's GLPI Contact after the ticket was linked to it, where GLPI allows that.

        (contracts/glpi: item-contact-link). One that is gone is resolved once more.
        """
        refused = self._refusal(ticket, person)
        if refused is not None and self._is_gone(person):
            self.port.forget(person)
            person = self.people.of(contact)
            refused = self._refusal(ticket, person)
        if refused is not None and not isinstance(refused, Duplicate):
            self.notes.append(f"The ticket is not linked to GLPI contact {person.remote_id}: {refused}")
        return person

    def _refusal(self, ticket: Link, person: Link) -> Duplicate | Rejected | None:
        """What GLPI has against the link; Duplicate when it is there already."""
        row = {
            "tickets_id": int(ticket.remote_id),
            "itemtype": CONTACT,
            "items_id": int(person.remote_id),
        }
        try:
            self.client.create("Item_Ticket", self.quietly(row))
        except (Duplicate, Rejected) as refused:
            return refused
        return None

    def _is_gone(self, person: Link) -> bool:
        try:
            self.client.item(CONTACT, person.remote_id)
        except NotFound:
            return True
        return False


def _is_of(row: Mapping[str, Any], address: str) -> bool:
    return str(row.get("alternative_email") or "").lower() == address.lower()
