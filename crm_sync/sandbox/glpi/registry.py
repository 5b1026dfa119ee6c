"""Which kind handles which item type."""

from __future__ import annotations

from functools import cache

from crm_sync.sandbox.glpi.actors import ActorKind
from crm_sync.sandbox.glpi.documents import DocumentItemKind, DocumentKind
from crm_sync.sandbox.glpi.followups import FollowupKind, SolutionKind
from crm_sync.sandbox.glpi.kinds import EntityKind, FieldUnicityKind, ItemKind, SilentKind, TreeKind
from crm_sync.sandbox.glpi.schema import LEGACY_FOLLOWUP
from crm_sync.sandbox.glpi.tickets import ItemTicketKind, TicketKind, TicketTaskKind, TicketTicketKind
from crm_sync.sandbox.glpi.users import ContactKind, UserEmailKind, UserKind
from crm_sync.sandbox.glpi.webhooks import WebhookKind

_KINDS: dict[str, ItemKind] = {
    kind.itemtype: kind
    for kind in (
        EntityKind("Entity", "entities_id"),
        UserKind("User"),
        UserEmailKind("UserEmail"),
        SilentKind("Profile_User"),
        SilentKind("Group_User"),
        ContactKind("Contact"),
        TreeKind("ITILCategory", "itilcategories_id"),
        TreeKind("Location", "locations_id"),
        TreeKind("Group", "groups_id"),
        FieldUnicityKind("FieldUnicity"),
        TicketKind("Ticket"),
        ActorKind("Ticket_User", "users_id"),
        ActorKind("Group_Ticket", "groups_id"),
        ActorKind("Supplier_Ticket", "suppliers_id"),
        ItemTicketKind("Item_Ticket"),
        TicketTaskKind("TicketTask"),
        TicketTicketKind("Ticket_Ticket"),
        FollowupKind("ITILFollowup"),
        SolutionKind("ITILSolution"),
        DocumentKind("Document"),
        DocumentItemKind("Document_Item"),
        WebhookKind("Webhook"),
    )
}


@cache
def kind_for(itemtype: str) -> ItemKind:
    """The kind of a type; a plain one for types without habits of their own."""
    return _KINDS.get(itemtype) or ItemKind(itemtype)


def real_type(itemtype: str) -> str:
    """The type whose table holds the rows: the 9.3 followup lives on under a new name."""
    return "ITILFollowup" if itemtype == LEGACY_FOLLOWUP else itemtype
