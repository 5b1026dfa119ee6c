"""GLPI's REST API, a method for each endpoint, and nothing else. What an answer means says answers.py.

Each method knows what is particular to its endpoint: what GLPI needs to be told, what it leaves out, what it takes for
success. Facts without a name are measured on 10.0.19 and 11.0.6 (contracts/glpi).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_sync.crms.glpi.answers import for_people
from crm_sync.crms.glpi.records import GlpiRecords
from crm_sync.errors import Duplicate, NotFound

#: How long a file's name may be, in bytes: GLPI puts 23 in front of it, and file systems take 255.
FILE_NAME_LIMIT = 200

#: The roles of a ticket's users.
REQUESTER, ASSIGNED, OBSERVER = 1, 2, 3

#: How lists are asked for whose ends matter; ids only grow.
NEWEST_FIRST = {"sort": "id", "order": "DESC"}

#: More users and assets than any ticket has.
LINKS_LIMIT = 500

#: The field that /search/Contact knows the e-mail address by.
_CONTACT_EMAIL = 6


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A document made of a file. Where GLPI ``refused`` the file the document is there all the same, empty."""

    id: int
    refused: str | None


class GlpiClient(GlpiRecords):
    """The endpoints. All of them raise the error tree; dates go in as GLPI takes them (see ``local_date``)."""

    # -- the account and the server ------------------------------------------------------------------------------

    def active_profile(self) -> dict[str, Any]:
        """The profile of the service account with its rights, numbers made of bits (GET /getActiveProfile)."""
        return self.part(self.get("/getActiveProfile"), "active_profile")

    def my_profiles(self) -> list[dict[str, Any]]:
        """The profiles the account may take, each with its entities (GET /getMyProfiles)."""
        return self.rows_of(self.get("/getMyProfiles"), "myprofiles")

    def my_entities(self, *, recursive: bool = True) -> list[dict[str, Any]]:
        """The entities of the account's profile, and those below them (GET /getMyEntities). Needs no right."""
        return self.rows_of(self.get("/getMyEntities", is_recursive=str(recursive).lower()), "myentities")

    def active_entities(self) -> dict[str, Any]:
        """The entity the session stands in, ``id``, and all that it reaches (GET /getActiveEntities).

        Frozen at the login: on GLPI 10.0.6 and 11 an entity made later is not among them.
        """
        return self.part(self.get("/getActiveEntities"), "active_entity")

    def change_active_entities(self, entity_id: int, *, recursive: bool = True) -> None:
        """Let the session stand in another entity, or see new ones below the same (POST /changeActiveEntities).

        For everybody who shares the session: what is created without an entity, and what is found, follows.
        Raises Rejected or NotFound for an entity out of reach.
        """
        self.call("POST", "/changeActiveEntities", body={"entities_id": entity_id, "is_recursive": recursive})

    def config(self) -> dict[str, Any]:
        """GLPI's configuration, its ``version`` included (GET /getGlpiConfig). Every account may read it."""
        return self.part(self.get("/getGlpiConfig"), "cfg_glpi")

    # -- people --------------------------------------------------------------------------------------------------

    def users(self, **columns: str) -> list[dict[str, Any]]:
        """Users with these columns (GET /User), by id; switched off ones too, those in the bin not."""
        return self.matching("User", columns)

    def user(self, user_id: int | str) -> dict[str, Any]:
        """A user (GET /User/id), without e-mail addresses: those are rows of their own. Raises NotFound."""
        return self.item("User", user_id)

    def users_by_email(self, email: str) -> list[int]:
        """The ids of the users with an address (GET /UserEmail): /search/User never finds one by ``equals``."""
        rows = self.matching("UserEmail", {"email": email})
        return list(dict.fromkeys(int(row["users_id"]) for row in rows))

    def search_users(
        self, criteria: Sequence[Mapping[str, Any]], display: Sequence[int], *, binned: bool = False
    ) -> list[dict[str, Any]]:
        """Users found (GET /search/User). Addresses and ids are found by ``contains``, anchored only where text."""
        return self.search("User", criteria, display, binned=binned)

    def create_user(self, login: str, fields: Mapping[str, Any], emails: Sequence[str] = ()) -> int:
        """Make a user (POST /User). The login is the one thing that GLPI lets nobody have twice."""
        return self.create("User", {"name": login, **fields, **_addresses(emails)})

    def update_user(self, user_id: int | str, fields: Mapping[str, Any], emails: Sequence[str] = ()) -> None:
        """Change a user (PUT /User/id). Addresses are added; those there are stay."""
        self.update("User", user_id, {**fields, **_addresses(emails)})

    def contacts(self, **columns: str) -> list[dict[str, Any]]:
        """Contacts with these columns (GET /Contact), by id. ``name`` is the last name."""
        return self.matching("Contact", columns)

    def contact(self, contact_id: int | str) -> dict[str, Any]:
        """A contact (GET /Contact/id), with its address. Raises NotFound."""
        return self.item("Contact", contact_id)

    def search_contacts(self, email: str, display: Sequence[int] = (1, 2, 6)) -> list[dict[str, Any]]:
        """Contacts with an address (GET /search/Contact); of a contact ``equals`` finds it."""
        criterion = {"field": _CONTACT_EMAIL, "searchtype": "equals", "value": email}
        return self.search("Contact", [criterion], display)

    def create_contact(self, fields: Mapping[str, Any], *, entity_id: int) -> int:
        """Make a contact (POST /Contact). Nothing about it is unique: look before."""
        return self.create("Contact", {**fields, "entities_id": entity_id})

    def update_contact(self, contact_id: int | str, fields: Mapping[str, Any]) -> None:
        """Change a contact (PUT /Contact/id). Raises NotFound, and Rejected in GLPI's words."""
        self.update("Contact", contact_id, fields)

    # -- tickets -------------------------------------------------------------------------------------------------

    def tickets(self, *, limit: int = 50) -> list[dict[str, Any]]:
        """The tickets that changed last (GET /Ticket), the newest change first."""
        return self.items("Ticket", {"sort": "date_mod", "order": "DESC"}, limit=limit)

    def ticket(self, ticket_id: int | str) -> dict[str, Any]:
        """A ticket (GET /Ticket/id), be it in the bin. Who asks for it tell its users."""
        return self.item("Ticket", ticket_id)

    def create_ticket(self, fields: Mapping[str, Any], *, entity_id: int) -> int:
        """Open a ticket (POST /Ticket). Left out, its entity would be where the session stands.

        GLPI checks neither category nor request source nor status, and drops actors it thinks unfit without a word.
        """
        return self.create("Ticket", {**fields, "entities_id": entity_id})

    def update_ticket(self, ticket_id: int | str, fields: Mapping[str, Any]) -> None:
        """Change a ticket (PUT /Ticket/id). Actors that are given are added. Raises NotFound."""
        self.update("Ticket", ticket_id, fields)

    def ticket_users(self, ticket_id: int | str) -> list[dict[str, Any]]:
        """Who asks for, works at and observes a ticket, by ``type`` (GET /Ticket/id/Ticket_User)."""
        return self.items(f"Ticket/{ticket_id}/Ticket_User", limit=LINKS_LIMIT)

    def add_ticket_user(self, ticket_id: int, user_id: int, role: int, **fields: Any) -> None:
        """See that a user has a role in a ticket (POST /Ticket_User).

        Even on GLPI 11 nobody is left out here. Whoever is assigned moves a new ticket to being processed.
        """
        self._once("Ticket_User", {"tickets_id": ticket_id, "users_id": user_id, "type": role, **fields})

    def add_ticket_item(self, ticket_id: int, itemtype: str, item_id: int) -> None:
        """See that a ticket is linked to an asset or a contact (POST /Item_Ticket)."""
        self._once("Item_Ticket", {"tickets_id": ticket_id, "itemtype": itemtype, "items_id": item_id})

    def ticket_items(self, ticket_id: int | str) -> list[dict[str, Any]]:
        """What a ticket is linked to, by ``itemtype`` and ``items_id`` (GET /Ticket/id/Item_Ticket)."""
        return self.items(f"Ticket/{ticket_id}/Item_Ticket", limit=LINKS_LIMIT)

    # -- what is written to tickets ------------------------------------------------------------------------------

    def followups(self, ticket_id: int | str, *, limit: int = 200) -> list[dict[str, Any]]:
        """A ticket's newest followups, the newest first (GET /Ticket/id/ITILFollowup)."""
        return self.items(f"Ticket/{ticket_id}/ITILFollowup", NEWEST_FIRST, limit=limit)

    def newest_followups(self, *, limit: int = 50) -> list[dict[str, Any]]:
        """The newest followups of all tickets (GET /ITILFollowup); a search would not tell whose they are."""
        return self.items("ITILFollowup", NEWEST_FIRST, limit=limit)

    def create_followup(self, ticket_id: int, content: str, *, is_private: bool, **fields: Any) -> int:
        """Write a followup (POST /ITILFollowup). GLPI shows it to the requester unless it is told not to."""
        return self.create("ITILFollowup", _on_ticket(ticket_id, content, is_private=is_private) | fields)

    def update_followup(self, followup_id: int | str, content: str) -> None:
        """Rewrite a followup (PUT /ITILFollowup/id), without effect on its ticket's status. Raises NotFound."""
        self.update("ITILFollowup", followup_id, {"content": content})

    def tasks(self, ticket_id: int | str, *, limit: int = 200) -> list[dict[str, Any]]:
        """A ticket's newest tasks, the newest first (GET /Ticket/id/TicketTask)."""
        return self.items(f"Ticket/{ticket_id}/TicketTask", NEWEST_FIRST, limit=limit)

    def create_task(self, ticket_id: int, content: str, *, is_private: bool, **fields: Any) -> int:
        """Write a task (POST /TicketTask). It names its ticket by a column of its own, unlike a followup."""
        known = {"tickets_id": ticket_id, "content": content, "is_private": int(is_private)}
        return self.create("TicketTask", known | fields)

    def solutions(self, ticket_id: int | str) -> list[dict[str, Any]]:
        """A ticket's solutions, refused ones too, the newest first (GET /Ticket/id/ITILSolution)."""
        return self.items(f"Ticket/{ticket_id}/ITILSolution", NEWEST_FIRST)

    def create_solution(self, ticket_id: int, content: str, **fields: Any) -> int:
        """Solve a ticket with an answer (POST /ITILSolution). Raises Rejected when it is solved or closed already.

        Of a ticket that is gone GLPI 11 gives no reason (it raises NotFound then), and GLPI 10 makes a solution of
        nothing: see that the ticket is there.
        """
        known = {"itemtype": "Ticket", "items_id": ticket_id, "content": content}
        try:
            return self.create("ITILSolution", known | fields)
        except Duplicate as error:
            raise NotFound("GLPI has no such ticket (any more).", code=error.code, path=error.path) from error

    # -- what settings name --------------------------------------------------------------------------------------

    def entities(self) -> Iterator[dict[str, Any]]:
        """All entities the session reaches (GET /Entity); ``completename`` tells where each stands."""
        return self.all_items("Entity")

    def categories(self) -> Iterator[dict[str, Any]]:
        """All ITIL categories (GET /ITILCategory); ``completename`` joins those above with ``>``."""
        return self.all_items("ITILCategory")

    def request_types(self) -> Iterator[dict[str, Any]]:
        """All request sources (GET /RequestType)."""
        return self.all_items("RequestType")

    def groups(self) -> Iterator[dict[str, Any]]:
        """All groups that may be assigned to tickets (GET /Group)."""
        return (row for row in self.all_items("Group") if row.get("is_assign"))

    # -- documents -----------------------------------------------------------------------------------------------

    def upload_document(
        self,
        name: str,
        content: bytes,
        mime: str,
        *,
        entity_id: int,
        itemtype: str | None = None,
        item_id: int | None = None,
    ) -> Uploaded:
        """Make a document of a file (POST /Document), attached to the record that is named, if one is.

        ``entity_id`` must be that of the record: a document of another entity cannot be attached to it. A file whose
        type or size GLPI refuses makes an empty document, and GLPI calls it success (contracts/glpi:
        document-upload-bad-extension); ``delete`` it with ``purge``. Raises Rejected for what is too large to be sent
        at all (status 413, or ERROR_UPLOAD_FILE_TOO_BIG_POST_MAX_SIZE).
        """
        name = _shortened(name)
        record: dict[str, Any] = {"name": name, "entities_id": entity_id, "_filename": [name]}
        if itemtype is not None:
            record |= {"itemtype": itemtype, "items_id": item_id}
        manifest = json.dumps({"input": record})
        parts = [
            ("uploadManifest", (None, manifest, "application/json")),
            ("filename[0]", (name, content, mime)),
        ]
        body = self.exchange("POST", "/Document", files=parts)[1]
        return Uploaded(self.made(body, "Document"), _refused(body))

    def add_document(
        self, ticket_id: int, name: str, content: bytes, mime: str, *, entity_id: int
    ) -> Uploaded:
        """Attach a file to a ticket, whose entity is ``entity_id`` (see ``upload_document``)."""
        return self.upload_document(
            name, content, mime, entity_id=entity_id, itemtype="Ticket", item_id=ticket_id
        )

    def attach_document(self, document_id: int, itemtype: str, item_id: int) -> None:
        """See that a document is attached to a record (POST /Document_Item). Raises Rejected across entities."""
        self._once("Document_Item", {"documents_id": document_id, "itemtype": itemtype, "items_id": item_id})

    def document_types(self) -> Iterator[dict[str, Any]]:
        """The types of files that GLPI takes, by extension, ``ext`` (GET /DocumentType)."""
        return (row for row in self.all_items("DocumentType") if row.get("is_uploadable"))

    def _once(self, itemtype: str, row: Mapping[str, Any]) -> None:
        """Create a row that may be there already; GLPI refuses a second one, and gives no reason."""
        try:
            self.create(itemtype, row)
        except Duplicate:
            return


def _on_ticket(ticket_id: int, content: str, *, is_private: bool) -> dict[str, Any]:
    """A followup's own fields: the ticket as an item of a type, since ``tickets_id`` alone is refused."""
    return {
        "itemtype": "Ticket",
        "items_id": ticket_id,
        "content": content,
        "is_private": int(is_private),
    }


def _addresses(emails: Sequence[str]) -> dict[str, Any]:
    """How addresses are added to a user, the first one as the default.

    Under negative keys: any other is the number of an address in use, anybody's (user-emails-array-stored).
    """
    if not emails:
        return {}
    keyed = {str(-number): email for number, email in enumerate(emails, start=1)}
    return {"_useremails": keyed, "_default_email": -1}


def _shortened(name: str) -> str:
    """A file's name as file systems take it; its extension stays, by which GLPI knows the type."""
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > FILE_NAME_LIMIT // 4:
        stem, dot, extension = name, "", ""
    room = FILE_NAME_LIMIT - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension


def _refused(body: Mapping[str, Any]) -> str | None:
    """Why GLPI did not take the file of a document, in its words; None when it did."""
    results = body.get("upload_result")
    files = results.get("filename") if isinstance(results, dict) else None
    if not isinstance(files, list) or not files:
        return "GLPI took no file."
    error = files[0].get("error") if isinstance(files[0], dict) else "GLPI says nothing of the file."
    return None if error is None else for_people(str(error)) or "GLPI gives no reason."
