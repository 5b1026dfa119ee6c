"""contact → User: found by login, e-mail or telephone, or made; changed only as far as the contact changed.

The addresses of a user who was there before us stay as they are: an address is what GLPI sends a new password to.
"""

from __future__ import annotations

from typing import Any

from crm_sync.crms.base import Link, Remote
from crm_sync.crms.glpi import mapping, matching
from crm_sync.crms.glpi.counterparts import Counterparts, Fields
from crm_sync.crms.glpi.work import USER
from crm_sync.errors import Rejected
from crm_sync.events import Contact


class People(Counterparts):
    """The users of contacts.

    ``agreed`` holds also ``seen``: when and in which entity GLPI was known to take the user as a requester.
    """

    itemtype = USER
    called = "User"

    def seen(self) -> dict[str, Any]:
        """That GLPI takes a user as a requester here and now."""
        return {"entity": self.entity, "at": self.port.now.isoformat()}

    # -- finding and making --------------------------------------------------------------------------------------

    def _fields(self, contact: Contact) -> Fields:
        return mapping.user_fields(contact, self.region)

    def _login(self, contact: Contact) -> str:
        return mapping.login(self.port.hook.chatwoot_url, self.port.hook.chatwoot_account_id, contact.id)

    def _rows(self, contact: Contact) -> list[dict[str, Any]]:
        return matching.searched(
            lambda criteria: self.client.search(USER, criteria, matching.USER_DISPLAY, limit=matching.MANY),
            lambda contact: matching.user_criteria(contact, self._login(contact), self.region),
            contact,
        )

    def _found(self, contact: Contact, fields: Fields) -> Remote | None:
        return self._chosen(self._rows(contact), contact, fields)

    def _recovered(self, contact: Contact, fields: Fields) -> Remote | None:
        return self._found(contact, fields)

    def _chosen(self, rows: list[dict[str, Any]], contact: Contact, fields: Fields) -> Remote | None:
        login, never = self._login(contact), self.facts.get("user_id")
        found = matching.choose_user(rows, contact, login, region=self.region, never=never)
        details = self._details(found) if found else None
        if found is None or details is None:
            return None
        agreed = {**fields, "own": found.own, "details": details}
        return self._remote(found.id, agreed if self.picks_requesters else {**agreed, "seen": self.seen()})

    def _created(self, contact: Contact, fields: Fields) -> Remote:
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
        if any(matching.has_login(row, login) for row in rows):
            return f"its user {login}, made for this contact, is switched off. Switch the user on again."
        criterion = {"field": 1, "searchtype": "contains", "value": f"^{login}$"}
        if self.client.search(USER, [criterion], (2,), binned=True):
            return f"its user {login}, made for this contact, is in the bin. Restore or purge the user."
        return None

    # -- changing ------------------------------------------------------------------------------------------------

    def _write(self, link: Link, contact: Contact, fields: Fields) -> None:  # noqa: ARG002 - see Counterparts
        email = str(fields.get("email") or "")
        body = mapping.user_input(fields)
        if body:
            try:
                self.client.update(USER, link.remote_id, body)
            except Rejected:
                # GLPI 11 takes no address twice, be it of an attempt whose answer was lost.
                if not email or not self._is_default(link, email):
                    raise
                # Whether that was the reason, the rest alone tells.
                rest = mapping.user_input({**fields, "email": ""})
                if rest:
                    self.client.update(USER, link.remote_id, rest)
        if "email" in fields:
            self._take_away(link, str(link.agreed.get("email") or ""), email)

    def _is_default(self, user: Link, email: str) -> bool:
        """See that an address of a user is his default one; whether he has it at all."""
        for row in self.client.items(f"{USER}/{user.remote_id}/UserEmail"):
            if str(row.get("email", "")).lower() == email.lower():
                if not row.get("is_default"):
                    self.client.update("UserEmail", row["id"], {"is_default": 1})
                return True
        return False

    def _take_away(self, user: Link, before: str, now: str) -> None:
        """Take the former address away, unless it is the present one, or GLPI did not take that."""
        if not before or before.lower() == now.lower():
            return
        rows = self.client.items(f"{USER}/{user.remote_id}/UserEmail")
        held = {str(row.get("email", "")).lower(): row["id"] for row in rows}
        if before.lower() in held and (not now or now.lower() in held):
            self.client.delete("UserEmail", held[before.lower()])
