"""A contact's company → Organization: found by its name, or made with its address. Many contacts share one."""

from __future__ import annotations

from crm_sync.crms.base import Link, Local, Remote
from crm_sync.crms.krayin import mapping
from crm_sync.crms.krayin.work import ORGANIZATION, Work, shared
from crm_sync.events import Contact


class Organizations(Work):
    """The organizations of contacts. A link's ``agreed`` holds the ``name`` it was found by."""

    def of(self, contact: Contact) -> Link | None:
        """The organization of a contact; None where it has no company, or they are switched off."""
        name = mapping.company(contact)
        if not name or not self.settings["sync_to_organization"]:
            return None
        local = Local("contact", contact.id)
        known = self.port.link(local, ORGANIZATION)
        if known is not None:
            if known.agreed.get("name") == name:
                return known
            self.port.forget(known)
        with self.port.mutex(shared("organization", name)):
            link = self.port.ensure(
                local,
                ORGANIZATION,
                find=lambda: self._found(name),
                create=lambda: self._created(contact, name),
                recover=lambda: self._found(name),
            )
        self.port.show(local, ORGANIZATION, {"krayin_organization_id": int(link.remote_id)})
        return link

    def _found(self, name: str) -> Remote | None:
        rows = sorted(self.client.organizations_named(name), key=lambda row: int(row["id"]))
        return Remote(str(rows[0]["id"]), agreed={"name": name}) if rows else None

    def _created(self, contact: Contact, name: str) -> Remote:
        number = self.client.create_organization(name, mapping.address(contact))
        return Remote(str(number), agreed={"name": name})
