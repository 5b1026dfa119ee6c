"""contact → Person: found by marker, address or telephone number, or made; changed as far as the contact changed.

Who chats can claim any address. So somebody who was in Krayin before us is linked, and his name and job title follow
the contact's changes, but his addresses and numbers stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from crm_sync.crms import recency
from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.krayin import mapping, matching
from crm_sync.crms.krayin.client import PERSONS, KrayinClient
from crm_sync.crms.krayin.mapping import PERSON_MARKER, Fields
from crm_sync.crms.krayin.organizations import Organizations
from crm_sync.crms.krayin.work import PERSON, Work, shared
from crm_sync.errors import Duplicate, Rejected, Skip
from crm_sync.events import Contact


class Persons(Work):
    """The persons of contacts.

    A link's ``agreed`` holds what the contact said, its ``organization``, and whether the person was made for it
    (``own``); ``shown_title`` is the job title of somebody who was there.
    """

    def __init__(self, client: KrayinClient, port: Port) -> None:
        super().__init__(client, port)
        self.organizations = Organizations(client, port)

    def known(self, contact: Contact) -> Link | None:
        """The link of a contact, if it has one. Costs no call."""
        return self.port.link(Local("contact", contact.id), PERSON)

    def of(self, contact: Contact, assignee_id: int | None = None) -> Link | None:
        """The link of a contact to its person, found or made; None while persons are switched off.

        Raises Skip when nothing identifies the contact.
        """
        known = self.known(contact)
        if known is not None or not self.settings["create_person"]:
            return known
        self._demand_identity(contact)
        organization = self.organizations.of(contact)
        fields = self._said(contact, organization)
        local = Local("contact", contact.id)
        with self._alone(fields):
            try:
                link = self.port.ensure(
                    local,
                    PERSON,
                    find=lambda: self._found(contact, fields),
                    create=lambda: self._created(contact, fields, assignee_id),
                    recover=lambda: self._recovered(contact, fields),
                )
            except Duplicate as taken:
                # Krayin refuses an address that is part of somebody's, and one that is none, like one that is taken.
                if not contact.email or not str(taken.code).startswith("emails"):
                    raise Rejected(
                        str(taken), field=taken.code, status=taken.status, path=taken.path
                    ) from taken
                self.remarks.append(f"The person has no address: {taken}")
                unknown = {**fields, "email": ""}
                link = self.port.ensure(
                    local,
                    PERSON,
                    create=lambda: self._created(contact, unknown, assignee_id),
                    recover=lambda: self._recovered(contact, unknown),
                )
        shown = {"krayin_person_id": int(link.remote_id), **_shown(link.agreed)}
        if not contact.custom_attributes.get("krayin_person_type"):
            shown["krayin_person_type"] = "Prospect"
        self.port.show(local, PERSON, shown)
        return recency.dated(self.port, link, self.as_of)

    def is_outdated(self, link: Link, contact: Contact) -> bool:
        """Whether a contact says something else than its person, and may be older than that."""
        return recency.may_be_older(link, self.as_of) and bool(
            mapping.changes(link.agreed, self._said(contact, None))
        )

    def update(self, link: Link, contact: Contact) -> set[str]:
        """Bring a person to what its contact says; returns what changed. Raises NotFound when it is gone."""
        fields = self._said(contact, self.organizations.of(contact))
        if not fields["email"] and not fields["phone"]:
            # Krayin wants an address of everybody, and there is nothing to make one of.
            fields["email"] = link.agreed.get("email") or ""
        changes = mapping.changes(link.agreed, fields)
        if not link.agreed.get("own"):
            changes = {key: value for key, value in changes.items() if key not in {"email", "phone"}}
        link = recency.dated(self.port, link, self.as_of)
        if not changes:
            return set()
        kept = {} if link.agreed.get("own") else _addresses(link.agreed)
        row = self.client.person(link.remote_id)
        with self._alone(changes):
            try:
                self.client.update_person(link.remote_id, self._complete(row, link.agreed, fields, changes))
            except Duplicate as taken:
                if not changes.keys() & {"email", "phone"}:
                    raise
                # Somebody else has it, or Krayin takes it for none; the rest goes on.
                self.remarks.append(f"Address and number stay as they were: {taken}")
                kept = _addresses(link.agreed)
                changes = {key: value for key, value in changes.items() if key not in kept}
                if changes:
                    self.client.update_person(
                        link.remote_id, self._complete(row, link.agreed, fields, changes)
                    )
        link = self.port.agree(link, **{**fields, **kept})
        if "job_title" in changes:
            self.port.show(link.local, PERSON, _shown(link.agreed))
        return set(changes)

    # -- finding and making --------------------------------------------------------------------------------------

    def _demand_identity(self, contact: Contact) -> None:
        if not mapping.is_identifiable(contact):
            raise Skip(
                "not_identifiable",
                f"Contact {contact.id} has neither an e-mail address nor a telephone number to know it by.",
            )
        if not contact.email and self.settings["phone_only"] == "skip":
            raise Skip(
                "phone_only", f"Contact {contact.id} has no e-mail address, which Krayin wants (phone_only)."
            )

    def _said(self, contact: Contact, organization: Link | None) -> Fields:
        fields = mapping.person_fields(contact, self.region)
        fields["custom"] = mapping.custom(contact.custom_attributes, self.settings.get("person_fields"))
        if organization is not None:
            fields["organization"] = int(organization.remote_id)
        return fields

    @contextmanager
    def _alone(self, fields: Fields) -> Iterator[None]:
        """Nobody else makes or changes a person with this address or number: Krayin would let both (facts)."""
        with ExitStack() as stack:
            for kind in ("email", "phone"):
                if fields.get(kind):
                    stack.enter_context(self.port.mutex(shared(kind, str(fields[kind]))))
            yield

    def _found(self, contact: Contact, fields: Fields) -> Remote | None:
        mark = self.marker("contact", contact.id)
        email, phone = fields["email"], fields["phone"]
        if not email and phone and self.settings["phone_only"] == "placeholder":
            email = mapping.placeholder(phone)
        spellings = dict.fromkeys([email, (contact.email or "").strip() or email])
        for spelling in spellings:
            # The search tells upper from lower case; the second spelling is asked for only where there is one.
            rows = self.client.search_persons(matching.conditions(spelling, phone, self.region))
            chosen = matching.choose(rows, email, phone, mark, self.region)
            if chosen is not None:
                return self._remote(chosen, fields, own=chosen.get(PERSON_MARKER) == mark)
        return None

    def _recovered(self, contact: Contact, fields: Fields) -> Remote | None:
        """The person an earlier attempt may have made. One that Krayin broke at may lack its marker."""
        rows = self.client.marked(PERSONS, PERSON_MARKER, self.marker("contact", contact.id))
        if rows:
            return self._remote(min(rows, key=lambda row: int(row["id"])), fields, own=True)
        return self._found(contact, fields)

    def _created(self, contact: Contact, fields: Fields, assignee_id: int | None) -> Remote:
        owner = self.owner(assignee_id)
        body: Fields = {
            "name": fields["name"],
            "emails": mapping.emails(fields, self.settings["phone_only"]) or self._stand_in(contact),
            "contact_numbers": mapping.numbers(fields["phone"]),
            **fields["custom"],
            PERSON_MARKER: self.marker("contact", contact.id),
        }
        if fields["job_title"]:
            body["job_title"] = fields["job_title"]
        if owner is not None:
            body["user_id"] = owner
        if fields.get("organization"):
            body["organization_id"] = fields["organization"]
        return self._remote(self.client.create_person(body), fields, own=True)

    def _stand_in(self, contact: Contact) -> list[dict[str, str]]:
        """An address for somebody whose own Krayin does not take, unless it wants none."""
        if not contact.email or self.settings["phone_only"] == "optional":
            return []
        return [mapping.labelled(mapping.stand_in(self.marker("contact", contact.id)))]

    def _remote(self, row: Any, fields: Fields, *, own: bool) -> Remote:
        number = str(row["id"])
        agreed: Fields = {**fields, "own": own}
        if not own:
            # Somebody who was there before us keeps job title and organization until the contact says others.
            agreed["shown_title"] = row.get("job_title")
            if not row.get("organization"):
                agreed["organization"] = None
        return Remote(number, mapping.person_url(self.client.api_url, number), agreed)

    def _complete(self, row: Any, agreed: Any, fields: Fields, changes: Fields) -> Fields:
        """The whole body of an update: what is left out Krayin takes away, the owner first of all (contracts: 163)."""
        before, now = str(agreed.get("email") or ""), str(changes.get("email", agreed.get("email") or ""))
        if self.settings["phone_only"] == "placeholder":
            former = mapping.placeholder(str(agreed.get("phone") or ""))
            before, now = before or former, now or mapping.placeholder(fields["phone"])
        emails = row.get("emails")
        if agreed.get("own"):
            emails = mapping.real(mapping.replaced(emails, before, now))
        phone = str(changes.get("phone", agreed.get("phone") or ""))
        phones = (
            mapping.replaced(row.get("contact_numbers"), str(agreed.get("phone") or ""), phone)
            if agreed.get("own")
            else mapping.replaced(row.get("contact_numbers"), "", "")
        )
        booleans = self.facts.get("person_booleans") or ()
        organization = (row.get("organization") or {}).get("id")
        return {
            **{code: row[code] for code in booleans if row.get(code) is not None},
            "name": changes.get("name", row.get("name") or fields["name"]),
            "emails": emails or mapping.replaced(row.get("emails"), "", ""),
            "contact_numbers": phones or mapping.numbers(""),
            "job_title": changes.get("job_title", row.get("job_title")),
            "user_id": mapping.owner_of(row),
            "organization_id": changes.get("organization", organization),
            **changes.get("custom", {}),
        }


def _addresses(agreed: Any) -> Fields:
    return {key: agreed.get(key) for key in ("email", "phone")}


def _shown(agreed: Any) -> dict[str, Any]:
    title = agreed.get("job_title") or agreed.get("shown_title")
    return {"krayin_job_title": title} if title else {}
