"""Which session may read, create, change and delete which row.

The bits are GLPI's; what they open for each type follows the recorded answers of Super-Admin, Technician,
Observer and Self-Service (cases ``*-no-rights*``, ``selfservice-*``, ``tech-*``).
"""

from __future__ import annotations

from typing import Any

from crm_sync.sandbox.glpi.schema import TICKET_CHILDREN, USER_CHILDREN, Row
from crm_sync.sandbox.glpi.session import SUPER_ADMIN, Session
from crm_sync.sandbox.glpi.state import State

READ, UPDATE, CREATE, DELETE, PURGE = 1, 2, 4, 8, 16
SEE_ALL_TICKETS, SEE_ASSIGNED, CHANGE_PRIORITY = 1024, 4096, 65536
CHANGE_ALL_FOLLOWUPS, ADD_TO_ALL_TICKETS, SEE_PRIVATE = 1024, 4096, 8192

REQUESTER, ASSIGNED, OBSERVER = 1, 2, 3
CLOSED, SOLVED, NEW = 6, 5, 1

_RIGHT = {
    "User": "user",
    "Contact": "contact_enterprise",
    "Supplier": "contact_enterprise",
    "Entity": "entity",
    "ITILCategory": "itilcategory",
    "Profile": "profile",
    "Group": "group",
    "Document": "document",
    "DocumentType": "typedoc",
    "Location": "location",
    "SLM": "slm",
    "SLA": "slm",
    "OLA": "slm",
    "FieldUnicity": "config",
    "APIClient": "config",
    "Webhook": "config",
    "QueuedWebhook": "queuednotification",
    "Ticket": "ticket",
    "Problem": "problem",
    "Change": "change",
    "Computer": "computer",
    "Monitor": "monitor",
    "Phone": "phone",
    "Printer": "printer",
    "Peripheral": "peripheral",
    "Software": "software",
    "NetworkEquipment": "networking",
}
_TICKET_LIKE = {"Ticket", *TICKET_CHILDREN}


class Rights:
    """Answers for one session; cheap to make for every call."""

    def __init__(self, state: State, session: Session) -> None:
        self._state = state
        self._session = session

    def bits(self, itemtype: str) -> int:
        """What the profile holds for a type; children answer with their parent's right."""
        if itemtype in USER_CHILDREN:
            return self._session.right("user")
        if itemtype == "ITILFollowup":
            return self._session.right("followup")
        if itemtype == "TicketTask":
            return self._session.right("task")
        if itemtype in TICKET_CHILDREN:
            return self._session.right("ticket")
        if itemtype == "Document_Item":
            return self._session.right("document")
        return self._session.right(_RIGHT.get(itemtype, "dropdown"))

    def sees_type(self, itemtype: str) -> bool:
        """Whether a list or a search of the type is answered at all."""
        bits = self.bits(itemtype)
        if itemtype in _TICKET_LIKE:
            return bool(bits & (READ | SEE_ALL_TICKETS | SEE_ASSIGNED))
        return bool(bits & READ)

    def sees_all(self, itemtype: str) -> bool:
        """Whether no row of the type needs a look: the profile sees all and every entity is active."""
        everywhere = len(self._session.entities) == len(self._state["Entity"].rows)
        if not everywhere or (itemtype == "User" and not self._sees_all_users()):
            return False
        if itemtype in _TICKET_LIKE:
            private = self._session.right("followup") & SEE_PRIVATE
            return bool(self._session.right("ticket") & SEE_ALL_TICKETS and private)
        return True

    def sees(self, itemtype: str, row: Row) -> bool:
        """Whether the session may read this row."""
        if not self.sees_type(itemtype):
            return False
        if itemtype == "Ticket":
            return self.sees_ticket(row)
        if itemtype in TICKET_CHILDREN:
            return self._sees_ticket_child(itemtype, row)
        if itemtype == "User":
            return self._sees_all_users() or self._shares_entity(row["id"])
        if itemtype == "Entity":
            return row["id"] in self._session.entities
        return self.reaches(row)

    def sees_ticket(self, ticket: Row) -> bool:
        """All tickets, the assigned ones or only one's own, inside the active entities."""
        if ticket["entities_id"] not in self._session.entities:
            return False
        bits = self._session.right("ticket")
        if bits & SEE_ALL_TICKETS:
            return True
        if bits & READ and self.is_own(ticket):
            return True
        return bool(bits & SEE_ASSIGNED and self.acts_as(ticket, ASSIGNED))

    def is_own(self, ticket: Row) -> bool:
        """Written by the session's user, or with it as requester or observer."""
        mine = ticket["users_id_recipient"] == self._session.user_id
        return mine or self.acts_as(ticket, REQUESTER) or self.acts_as(ticket, OBSERVER)

    def acts_as(self, ticket: Row, role: int) -> bool:
        """Whether the session's user is an actor of the ticket in that role."""
        return any(
            actor["users_id"] == self._session.user_id and actor["type"] == role
            for actor in self._state["Ticket_User"].where("tickets_id", ticket["id"])
        )

    def reaches(self, row: Row) -> bool:
        """Whether a row lies in the active entities, or in one above them and is passed down."""
        if "entities_id" not in row:
            return True
        if row["entities_id"] in self._session.entities:
            return True
        return bool(row.get("is_recursive")) and row["entities_id"] in self._above()

    def may_create(self, itemtype: str, values: dict[str, Any]) -> bool:
        """No right, a missing parent and an entity out of reach all look the same."""
        if itemtype in TICKET_CHILDREN:
            return self._may_add_to_ticket(itemtype, values)
        if itemtype == "Document_Item":
            return self._may_attach(values)
        bits = self.bits(itemtype)
        if itemtype in USER_CHILDREN:
            return (
                bool(bits & (UPDATE | CREATE)) and self._state.get("User", values.get("users_id")) is not None
            )
        if not bits & (UPDATE if _RIGHT.get(itemtype) == "config" else CREATE):
            return False
        entity = values.get("entities_id", self._session.active_entity)
        if "entities_id" not in self._state[itemtype].columns or itemtype == "User":
            return True
        return entity in self._session.entities

    def may_update(self, itemtype: str, row: Row) -> bool:
        """Whether a PUT of this row is taken."""
        if itemtype == "User" and row["id"] == self._session.user_id:
            return True
        if not self.sees(itemtype, row):
            return False
        bits = self.bits(itemtype)
        if itemtype == "Ticket":
            return bool(bits & UPDATE) or (self.is_own(row) and row["status"] == NEW)
        if itemtype == "ITILFollowup":
            own = row["users_id"] == self._session.user_id
            return bool(bits & CHANGE_ALL_FOLLOWUPS or (bits & UPDATE and own))
        if itemtype == "User":
            return bool(bits & UPDATE) and not self._outranks(row["id"])
        return bool(bits & UPDATE)

    def may_delete(self, itemtype: str, row: Row, *, purge: bool) -> bool:
        """Whether a DELETE of this row is taken, to the bin or for good."""
        if not self.sees(itemtype, row):
            return False
        if itemtype in TICKET_CHILDREN and itemtype != "ITILFollowup":
            return bool(self._session.right("ticket") & UPDATE)
        if itemtype in USER_CHILDREN:
            return bool(self.bits(itemtype) & UPDATE)
        if _RIGHT.get(itemtype) == "config":
            return bool(self.bits(itemtype) & UPDATE)
        return bool(self.bits(itemtype) & (PURGE if purge else DELETE))

    def _sees_all_users(self) -> bool:
        return 0 in self._session.entities and bool(self._session.recursive)

    def _shares_entity(self, user_id: int) -> bool:
        return any(self.reaches(row) for row in self._state["Profile_User"].where("users_id", user_id))

    def _outranks(self, user_id: int) -> bool:
        if self._session.profile_id == SUPER_ADMIN:
            return False
        rows = self._state["Profile_User"].where("users_id", user_id)
        return any(row["profiles_id"] == SUPER_ADMIN for row in rows)

    def _above(self) -> set[int]:
        found: set[int] = set()
        parent = self._state.get("Entity", self._session.active_entity)
        while parent is not None:
            found.add(parent["id"])
            parent = self._state.get("Entity", parent["entities_id"])
        return found

    def _sees_ticket_child(self, itemtype: str, row: Row) -> bool:
        ticket = self._state.get("Ticket", row[TICKET_CHILDREN[itemtype]])
        if ticket is None or not self.sees_ticket(ticket):
            return ticket is None and bool(self._session.right("ticket") & SEE_ALL_TICKETS)
        if row.get("is_private") and row["users_id"] != self._session.user_id:
            return bool(self.bits(itemtype) & SEE_PRIVATE)
        return True

    def _may_add_to_ticket(self, itemtype: str, values: dict[str, Any]) -> bool:
        polymorphic = TICKET_CHILDREN[itemtype] == "items_id"
        if polymorphic and values.get("itemtype") != "Ticket":
            return False
        ticket = self._state.get("Ticket", values.get(TICKET_CHILDREN[itemtype]))
        if ticket is None:
            central = self._session.central and itemtype == "ITILSolution"
            return central and bool(self._session.right("ticket") & UPDATE)
        if itemtype in ("ITILFollowup", "TicketTask"):
            bits = self.bits(itemtype)
            allowed = bool(bits & ADD_TO_ALL_TICKETS or (bits & CREATE and self.is_own(ticket)))
        else:
            allowed = bool(self._session.right("ticket") & UPDATE)
        if itemtype == "ITILSolution" and ticket["status"] == CLOSED:
            return False
        return allowed and self.sees_ticket(ticket)

    def _may_attach(self, values: dict[str, Any]) -> bool:
        document = self._state.get("Document", values.get("documents_id"))
        item = self._state.get(str(values.get("itemtype")), values.get("items_id"))
        if document is None or item is None or not self.reaches(document):
            return False
        holder: Row | None = item
        if "tickets_id" in item or "itemtype" in item:
            holder = self._state.get("Ticket", item.get("tickets_id", item.get("items_id")))
        if holder is None or "entities_id" not in holder:
            return holder is not None
        same = document["entities_id"] == holder["entities_id"]
        return same or bool(document["is_recursive"])
