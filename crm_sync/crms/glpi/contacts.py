"""contact → GLPI Contact (setting ``use_contact``): found by marker, e-mail or telephone, or made.

GLPI's contacts are those of suppliers. Nothing of one is unique and it has no login, so what tells whom it was made
for is a marker in a line of its comment.
"""

from __future__ import annotations

from crm_sync.crms.base import Link, Remote
from crm_sync.crms.glpi import mapping, matching
from crm_sync.crms.glpi.counterparts import Counterparts, Fields
from crm_sync.crms.glpi.matching import Found
from crm_sync.crms.glpi.work import CONTACT
from crm_sync.events import Contact


class Contacts(Counterparts):
    """The GLPI Contacts of contacts.

    ``agreed`` holds also ``accepted``: the address that GLPI was seen to take as a ticket's requester.
    """

    itemtype = CONTACT
    called = "GLPI contact"

    def _fields(self, contact: Contact) -> Fields:
        return mapping.contact_fields(contact, self.region)

    def _mark(self, contact: Contact) -> str:
        return self.marker("contact", contact.id)

    def _found(self, contact: Contact, fields: Fields) -> Remote | None:
        mark = self._mark(contact)
        rows = matching.searched(
            lambda criteria: self.client.search(
                CONTACT, criteria, matching.CONTACT_DISPLAY, limit=matching.MANY
            ),
            lambda contact: matching.contact_criteria(contact, mark, self.region),
            contact,
        )
        return self._linked(matching.choose_contact(rows, contact, mark, region=self.region), fields)

    def _recovered(self, contact: Contact, fields: Fields) -> Remote | None:
        """The contact that an earlier attempt made, be it in the bin by now; else whoever is there."""
        found = self._found(contact, fields)
        if found is not None:
            return found
        mark = self._mark(contact)
        rows = self.client.search(
            CONTACT, matching.mark_criteria(mark), matching.CONTACT_DISPLAY, binned=True
        )
        binned = matching.choose_contact(rows, contact, mark, region=self.region)
        return self._linked(binned if binned and binned.own else None, fields)

    def _created(self, contact: Contact, fields: Fields) -> Remote:
        said = {key: value for key, value in fields.items() if value or key == "comment"}
        body = mapping.contact_input(said, self._mark(contact)) | {"entities_id": self.entity}
        return self._remote(self.client.create(CONTACT, body), {**fields, "own": True})

    def _write(self, link: Link, contact: Contact, fields: Fields) -> None:
        mark = self._mark(contact) if link.agreed.get("own") else None
        self.client.update(CONTACT, link.remote_id, mapping.contact_input(fields, mark))

    def _linked(self, found: Found | None, fields: Fields) -> Remote | None:
        details = self._details(found) if found else None
        if found is None or details is None:
            return None
        return self._remote(found.id, {**fields, "own": found.own, "details": details})
