"""contact → User: found by login, e-mail or telephone, or made; changed only as far as the contact changed.

Who chats can claim any address. So a user who was there before us is linked, and his name, numbers and comment follow
the contact's changes, but his addresses stay as they are: an address is what GLPI sends a new password to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.crms.base import Link, Local, Remote
from crm_sync.crms.glpi import mapping
from crm_sync.crms.glpi.work import USER, Work
from crm_sync.errors import Rejected, Skip
from crm_sync.events import Contact


class People(Work):
    """The users of contacts.

    ``agreed`` holds what the contact said; ``own``: whether the user was made for it; and ``seen``: when and in which
    entity GLPI was known to take the user as a requester.
    """

    def user(self, contact: Contact) -> Link:
        """The link of a contact to its user, found or made. Raises Skip when nothing identifies the contact."""
        local = Local("contact", contact.id)
        known = self.port.link(local, USER)
        if known is not None:
            return known
        if not mapping.is_identifiable(contact):
            raise Skip(
                "not_identifiable",
                f"Contact {contact.id} has neither an e-mail address nor a telephone number to know it by.",
            )
        fields = mapping.user_fields(contact, self.region)
        user = self.port.ensure(
            local,
            USER,
            find=lambda: self._found(contact, fields),
            create=lambda: self._created(contact, fields),
            recover=lambda: self._found(contact, fields),
        )
        self.port.show(local, USER, {"glpi_user_id": int(user.remote_id), "glpi_entity_id": self.entity})
        return user

    def update(self, user: Link, contact: Contact) -> set[str]:
        """Bring a user to what its contact says; returns what changed. Raises NotFound when the user is gone."""
        fields = mapping.user_fields(contact, self.region)
        changes = {key: value for key, value in fields.items() if user.agreed.get(key) != value}
        if not changes:
            return set()
        written = {key: value for key, value in changes.items() if key != "email" or user.agreed.get("own")}
        body = mapping.user_input(written)
        if body:
            self.client.update(USER, user.remote_id, body)
        if "email" in written:
            self._take_away(user, str(user.agreed.get("email") or ""), str(fields["email"]))
        self.port.agree(user, **fields)
        return set(written)

    def seen(self) -> dict[str, Any]:
        """That GLPI takes a user as a requester here and now."""
        return {"entity": self.entity, "at": self.port.now.isoformat()}

    def _take_away(self, user: Link, before: str, now: str) -> None:
        """Take the former address away, unless it is the present one, or GLPI did not take that."""
        if not before or before.lower() == now.lower():
            return
        rows = self.client.items(f"{USER}/{user.remote_id}/UserEmail")
        held = {str(row.get("email", "")).lower(): row["id"] for row in rows}
        if before.lower() in held and (not now or now.lower() in held):
            self.client.delete("UserEmail", held[before.lower()])

    # -- finding and making --------------------------------------------------------------------------------------

    def _login(self, contact: Contact) -> str:
        return mapping.login(self.port.hook.chatwoot_url, self.port.hook.chatwoot_account_id, contact.id)

    def _rows(self, contact: Contact) -> list[dict[str, Any]]:
        criteria = mapping.user_criteria(contact, self._login(contact), self.region)
        return self.client.search(USER, criteria, mapping.USER_DISPLAY)

    def _found(self, contact: Contact, fields: Mapping[str, Any]) -> Remote | None:
        return self._chosen(self._rows(contact), contact, fields)

    def _chosen(
        self, rows: list[dict[str, Any]], contact: Contact, fields: Mapping[str, Any]
    ) -> Remote | None:
        login, never = self._login(contact), self.facts.get("user_id")
        found = mapping.choose_user(rows, contact, login, region=self.region, never=never)
        if found is None:
            return None
        agreed = {**fields, "own": found.own}
        return self._remote(found.id, agreed if self.picks_requesters else {**agreed, "seen": self.seen()})

    def _created(self, contact: Contact, fields: Mapping[str, Any]) -> Remote:
        login = self._login(contact)
        body = {"name": login, **mapping.user_input({key: value for key, value in fields.items() if value})}
        agreed = {**fields, "own": True}
        profile = self.facts.get("default_profile_id")
        if profile:
            # Without a profile that reaches the ticket's entity GLPI 11 drops a requester, and says nothing.
            body |= {"_profiles_id": profile, "_entities_id": self.entity, "_is_recursive": 1}
        if profile or not self.picks_requesters:
            agreed["seen"] = self.seen()
        try:
            return self._remote(self.client.create(USER, body), agreed)
        except Rejected as refused:
            if refused.code != "ERROR_GLPI_ADD":
                raise
            # That a login is taken GLPI says in the words of its own language only.
            rows = self._rows(contact)
            taken = self._chosen(rows, contact, fields)
            if taken is not None:
                return taken
            why = self._why_not(login, rows)
            if why is None:
                raise
            raise Rejected(f"GLPI refused: {why}", code=refused.code, path=refused.path) from refused

    def _why_not(self, login: str, rows: list[dict[str, Any]]) -> str | None:
        """Why the user of this login can be neither made nor taken, if that is the reason."""
        if any(mapping.has_login(row, login) for row in rows):
            return f"its user {login}, made for this contact, is switched off. Switch the user on again."
        criterion = {"field": 1, "searchtype": "contains", "value": f"^{login}$"}
        if self.client.search(USER, [criterion], (2,), binned=True):
            return f"its user {login}, made for this contact, is in the bin. Restore or purge the user."
        return None

    def _remote(self, user_id: int, agreed: Mapping[str, Any]) -> Remote:
        return Remote(str(user_id), mapping.user_url(self.client.api_url, str(user_id)), agreed)
