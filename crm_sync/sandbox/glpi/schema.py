"""The item types a sandbox knows, their columns and how they hang together.

The columns of the types a synchronisation touches come with the stock data of each version; those named
here fill the gaps with the few columns that matter. A type that is listed nowhere is "not an instance of
CommonDBTM".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]

_NAMED: Row = {"id": 0, "entities_id": 0, "is_recursive": 0, "name": None, "comment": None}
_DATED: Row = {"date_mod": None, "date_creation": None}
_TREE: Row = {**_NAMED, "completename": None, "level": 1, **_DATED}
_ASSET: Row = {
    **_NAMED,
    "serial": None,
    "otherserial": None,
    "contact": None,
    "users_id": 0,
    "groups_id": 0,
    "locations_id": 0,
    "is_deleted": 0,
    "is_template": 0,
    **_DATED,
}
_AGREEMENT: Row = {
    **_NAMED,
    "type": 0,
    "slms_id": 0,
    "number_time": 0,
    "definition_time": None,
    "calendars_id": 0,
    "use_ticket_calendar": 0,
    **_DATED,
}

_PLAIN = (
    "Budget",
    "Calendar",
    "Change",
    "ContactType",
    "Contract",
    "DocumentCategory",
    "Domain",
    "ITILFollowupTemplate",
    "Line",
    "License",
    "Notification",
    "PendingReason",
    "Problem",
    "Project",
    "Reminder",
    "SolutionTemplate",
    "SolutionType",
    "State",
    "Supplier",
    "TaskCategory",
    "TicketTemplate",
    "ChangeTemplate",
    "ProblemTemplate",
    "UserCategory",
    "UserTitle",
    "KnowbaseItem",
    "MailCollector",
    "Rule",
)
_ASSETS = [
    "Computer",
    "Monitor",
    "NetworkEquipment",
    "Peripheral",
    "Phone",
    "Printer",
    "Software",
    "Rack",
    "Enclosure",
    "Database",
]

_EXTRA: dict[str, Row] = {
    **{name: {**_NAMED, **_DATED} for name in _PLAIN},
    **dict.fromkeys(_ASSETS, _ASSET),
    "Group": {**_TREE, "groups_id": 0, "is_requester": 1, "is_watcher": 1, "is_assign": 1, "is_notify": 1},
    "ITILCategory": {
        **_TREE,
        "itilcategories_id": 0,
        "is_helpdeskvisible": 1,
        "is_incident": 1,
        "is_request": 1,
        "code": None,
    },
    "Location": {**_TREE, "locations_id": 0},
    "SLM": _AGREEMENT,
    "SLA": _AGREEMENT,
    "OLA": _AGREEMENT,
    "FieldUnicity": {
        **_NAMED,
        "itemtype": "",
        "fields": None,
        "is_active": 0,
        "action_refuse": 0,
        "action_notify": 0,
        **_DATED,
    },
    "APIClient": {**_NAMED, "is_active": 0, "ipv4_range_start": None, "ipv4_range_end": None, **_DATED},
    "Group_Ticket": {"id": 0, "tickets_id": 0, "groups_id": 0, "type": 1},
    "Supplier_Ticket": {"id": 0, "tickets_id": 0, "suppliers_id": 0, "type": 2, "use_notification": 1},
    "Group_User": {"id": 0, "users_id": 0, "groups_id": 0, "is_dynamic": 0},
    "Problem_Ticket": {"id": 0, "problems_id": 0, "tickets_id": 0},
    "Change_Ticket": {"id": 0, "changes_id": 0, "tickets_id": 0},
    "Ticket_Ticket": {"id": 0, "tickets_id_1": 0, "tickets_id_2": 0, "link": 1},
    "TicketValidation": {"id": 0, "tickets_id": 0, "users_id": 0, "users_id_validate": 0, "status": 2},
    "TicketCost": {"id": 0, "tickets_id": 0, "name": None, "actiontime": 0, "entities_id": 0},
    "TicketTask": {
        "id": 0,
        "tickets_id": 0,
        "taskcategories_id": 0,
        "date": None,
        "users_id": 0,
        "users_id_editor": 0,
        "content": None,
        "is_private": 0,
        "actiontime": 0,
        "begin": None,
        "end": None,
        "state": 1,
        "users_id_tech": 0,
        "groups_id_tech": 0,
        **_DATED,
    },
    "Webhook": {
        **_NAMED,
        "webhookcategories_id": 0,
        "itemtype": None,
        "event": None,
        "payload": None,
        "use_default_payload": 1,
        "custom_headers": None,
        "url": None,
        "secret": None,
        "use_cra_challenge": 0,
        "http_method": "POST",
        "sent_try": 3,
        "expiration": 0,
        "is_active": 0,
        "save_response_body": 0,
        "log_in_item_history": 0,
        **_DATED,
    },
}
_ONLY_11 = {"Webhook", "QueuedWebhook"}

#: Rows of these belong to a ticket and follow its rights: type → column that names the ticket.
TICKET_CHILDREN = {
    "Ticket_User": "tickets_id",
    "Group_Ticket": "tickets_id",
    "Supplier_Ticket": "tickets_id",
    "Item_Ticket": "tickets_id",
    "TicketTask": "tickets_id",
    "TicketCost": "tickets_id",
    "TicketValidation": "tickets_id",
    "Problem_Ticket": "tickets_id",
    "Change_Ticket": "tickets_id",
    "Ticket_Ticket": "tickets_id_1",
    "ITILFollowup": "items_id",
    "ITILSolution": "items_id",
}
USER_CHILDREN = {"UserEmail": "users_id", "Profile_User": "users_id", "Group_User": "users_id"}

#: Types whose rows say ``itemtype`` and ``items_id`` instead of naming one parent type.
POLYMORPHIC = {"ITILFollowup", "ITILSolution", "Document_Item"}

#: Types a document may be attached to: their items carry a link to Document_Item.
DOCUMENTED = {
    "Entity",
    "User",
    "Contact",
    "Ticket",
    "ITILFollowup",
    "ITILSolution",
    "Document",
    "Supplier",
    *_ASSETS,
}

#: Name of the 9.3 type that is still translated (case ``ticketfollowup-legacy``).
LEGACY_FOLLOWUP = "TicketFollowup"

_FOREIGN = re.compile(r"^([a-z]+)_id(?:_[a-z]\w*|)$")
_IRREGULAR = {
    "entities": "Entity",
    "itilcategories": "ITILCategory",
    "requesttypes": "RequestType",
    "slas": "SLA",
    "slms": "SLM",
    "olas": "OLA",
    "tickettemplates": "TicketTemplate",
    "changetemplates": "ChangeTemplate",
    "problemtemplates": "ProblemTemplate",
    "contacttypes": "ContactType",
    "usertitles": "UserTitle",
    "usercategories": "UserCategory",
    "documentcategories": "DocumentCategory",
    "solutiontypes": "SolutionType",
    "taskcategories": "TaskCategory",
}
_REGULAR = [
    "User",
    "Profile",
    "Ticket",
    "Document",
    "Group",
    "Location",
    "Computer",
    "Supplier",
    "Webhook",
    "Problem",
    "Change",
    "Contract",
]
_TYPES = {**{f"{name.lower()}s": name for name in _REGULAR}, **_IRREGULAR}

_DATES = re.compile(r"^date(_|$)|date$|_date$|^time_to_|^internal_time_to_|_time$|^(last_login|begin|end)$")
_NOT_DATES = {"definition_time", "date_format"}
_LONG = {
    "content",
    "comment",
    "fields",
    "body",
    "headers",
    "payload",
    "custom_headers",
    "custom_css_code",
    "url",
}

#: Columns that take an object and keep it as text.
JSON_COLUMNS = {"custom_headers"}


def columns_of(stock: Mapping[str, Row], *, version_11: bool) -> dict[str, Row]:
    """Type name → {column: value of a new row}, stock data before the fillers of this module."""
    filled = {name: dict(columns) for name, columns in _EXTRA.items() if version_11 or name not in _ONLY_11}
    filled.update({name: dict(columns) for name, columns in stock.items()})
    return filled


def kind_of(column: str, default: Any) -> str:
    """``int``, ``datetime``, ``long`` or ``string``: how the database reads what is written to a column."""
    if isinstance(default, int):
        return "int"
    if _DATES.search(column) and column not in _NOT_DATES:
        return "datetime"
    if column in _LONG:
        return "long"
    return "string"


def foreign_type(column: str) -> str | None:
    """The type a ``…s_id…`` column points to, or None."""
    found = _FOREIGN.match(column)
    return _TYPES.get(found.group(1)) if found else None


def parent_column(parent: str, child: str) -> str | None:
    """The column of ``child`` that names its ``parent``; None when the pair is polymorphic or unrelated."""
    if child in POLYMORPHIC:
        return None
    for prefix, name in _TYPES.items():
        if name == parent:
            return f"{prefix}_id_1" if child == "Ticket_Ticket" else f"{prefix}_id"
    return None


def table_name(itemtype: str) -> str:
    """The database's name for a type, as error texts show it."""
    known = {"Entity": "entities", "ITILCategory": "itilcategories", "Ticket_User": "tickets_users"}
    return "glpi_" + known.get(itemtype, itemtype.lower() + "s")
