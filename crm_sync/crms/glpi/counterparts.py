"""What stands for a contact in GLPI, of whichever kind: found or made, changed only as far as the contact changed.

Who chats can claim any address. So somebody who was there before us is linked, and his name and numbers follow the
contact's changes, but his addresses stay as they are, and so does his comment, which people wrote.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from crm_sync.crms import recency
from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.glpi import attributes, mapping
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.matching import Found
from crm_sync.crms.glpi.person_fields import person_fields
from crm_sync.crms.glpi.work import Work
from crm_sync.errors import NotFound, Rejected, Skip
from crm_sync.events import Contact

Fields = dict[str, Any]

#: What stays as it is of somebody who was there before us.
KEPT = frozenset({"email", "comment"})


class Counterparts(Work, ABC):
    """The users, or the GLPI Contacts, of contacts.

    A link's ``agreed`` holds what the contact said, and ``as_of``: how new that is at least; ``own``: whether the
    record was made for it; ``details``: what it showed when it was found. ``notes`` are sentences for the outcome of
    the event, whose time is ``as_of``.
    """

    #: GLPI's word for the kind, and how people are told of it.
    itemtype: ClassVar[str]
    called: ClassVar[str]

    def __init__(self, client: GlpiClient, port: Port) -> None:
        super().__init__(client, port)
        self.notes: list[str] = []
        self.as_of: datetime | None = None

    def known(self, contact: Contact) -> Link | None:
        """The link of a contact, if it has one. Costs no call."""
        return self.port.link(Local("contact", contact.id), self.itemtype)

    def of(self, contact: Contact) -> Link:
        """The link of a contact to its record, found or made. Raises Skip when nothing identifies the contact."""
        known = self.known(contact)
        if known is not None:
            return known
        if not mapping.is_identifiable(contact):
            raise Skip(
                "not_identifiable",
                f"Contact {contact.id} has neither an e-mail address nor a telephone number to know it by.",
            )
        local, fields = Local("contact", contact.id), self._said(contact)
        link = self.port.ensure(
            local,
            self.itemtype,
            find=lambda: self._found(contact, fields),
            create=lambda: self._created(contact, fields),
            recover=lambda: self._recovered(contact, fields),
        )
        own = {"glpi_entity_id": self.entity} if link.agreed.get("own") else {}
        shown = attributes.linked(
            self.itemtype, link.remote_id, contact, own | link.agreed.get("details", {})
        )
        if link.created:
            shown |= attributes.written(self.port.now)
        self.port.show(local, self.itemtype, shown)
        return recency.dated(self.port, link, self.as_of)

    def is_outdated(self, link: Link, contact: Contact) -> bool:
        """Whether a contact says something else than its record, and may be older: as it was made, or was told late."""
        return recency.may_be_older(link, self.as_of) and bool(
            mapping.changes(link.agreed, self._said(contact))
        )

    def update(self, link: Link, contact: Contact) -> set[str]:
        """Bring a record to what its contact says; returns what changed. Raises NotFound when it is gone."""
        fields = self._said(contact)
        changes = mapping.changes(link.agreed, fields)
        link = recency.dated(self.port, link, self.as_of)
        if not changes:
            return set()
        written = {key: value for key, value in changes.items() if key not in KEPT or link.agreed.get("own")}
        if written:
            self._write(link, contact, written)
            self.port.show(link.local, self.itemtype, attributes.written(self.port.now))
        self.port.agree(link, **fields)
        return set(written)

    # -- what the kinds do in their own ways ---------------------------------------------------------------------

    @abstractmethod
    def _fields(self, contact: Contact) -> Fields:
        """What the contact says, in the fields of this kind."""

    @abstractmethod
    def _found(self, contact: Contact, fields: Fields) -> Remote | None:
        """The record that is there already."""

    @abstractmethod
    def _created(self, contact: Contact, fields: Fields) -> Remote:
        """A record made for the contact."""

    @abstractmethod
    def _recovered(self, contact: Contact, fields: Fields) -> Remote | None:
        """The record that an earlier attempt may have made."""

    @abstractmethod
    def _write(self, link: Link, contact: Contact, fields: Fields) -> None:
        """Write these fields."""

    # -- parts ---------------------------------------------------------------------------------------------------

    def _said(self, contact: Contact) -> Fields:
        further = person_fields(contact.custom_attributes, self.settings.get("person_fields") or {})
        self.notes += [sentence for sentence in further.wrong if sentence not in self.notes]
        return self._fields(contact) | dict(further.values)

    def _details(self, found: Found) -> dict[str, Any] | None:
        """What somebody who was there before us shows; None when he is gone by now."""
        if found.own:
            return {}
        try:
            return attributes.details(self.client.item(self.itemtype, found.id, names=True))
        except NotFound:
            return None
        except Rejected as refused:
            self.notes.append(f"GLPI does not show {self.called.lower()} {found.id}: {refused}")
            return {}

    def _remote(self, person_id: int, agreed: Mapping[str, Any]) -> Remote:
        url = mapping.person_url(self.client.api_url, self.itemtype, str(person_id))
        return Remote(str(person_id), url, agreed)
