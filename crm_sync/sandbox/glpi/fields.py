"""Where the value of a search field lives: in the row itself, or in rows joined to it.

A field is a line of the version's table of search options plus, for joined ones, the rule of this module
that finds its rows. Options without a rule are known but have no value (``null``), as on a server where
nothing was entered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crm_sync.sandbox.glpi.flavour import Flavour
from crm_sync.sandbox.glpi.rights import ASSIGNED, OBSERVER, REQUESTER
from crm_sync.sandbox.glpi.schema import Row, table_name
from crm_sync.sandbox.glpi.state import State
from crm_sync.sandbox.glpi.users import display_name

#: The search field of an item's entity, the same for all types.
ENTITY = 80

Finder = Callable[[State, Row], list[Row]]


@dataclass(frozen=True)
class Join:
    """Rows joined to the searched one. A text criterion on a ``narrowed`` join also narrows what is shown."""

    name: str
    rows: Finder
    narrowed: bool = False


@dataclass(frozen=True)
class Field:
    """One searchable field of an item type."""

    number: int
    uid: str
    datatype: str
    column: str
    join: Join | None = None
    #: How joined rows are shown: "column", "id text", "distinct", "newest" or "count".
    shows: str = "column"

    def values(self, state: State, row: Row) -> list[Any]:
        """The field's values for a row, one for each joined row."""
        if self.join is None:
            return [row.get(self.column)]
        return [self.value_of(joined) for joined in self.join.rows(state, row)]

    def value_of(self, joined: Row) -> Any:
        """What one joined row contributes."""
        if self.shows == "id text":
            return str(joined["id"]) if joined.get("id") else None
        return joined.get(self.column)


def _foreign(itemtype: str, column: str) -> Finder:
    def find(state: State, row: Row) -> list[Row]:
        found = state.get(itemtype, row.get(column))
        return [found] if found is not None and (row.get(column) or itemtype == "Entity") else []

    return find


def _actors(role: int) -> Finder:
    nobody: Row = {"id": 0, "name": None}

    def find(state: State, row: Row) -> list[Row]:
        actors = (a for a in state["Ticket_User"].where("tickets_id", row["id"]) if a["type"] == role)
        return [state.get("User", actor["users_id"]) or nobody for actor in actors]

    return find


def _groups(role: int) -> Finder:
    def find(state: State, row: Row) -> list[Row]:
        links = (g for g in state["Group_Ticket"].where("tickets_id", row["id"]) if g["type"] == role)
        return [group for link in links if (group := state.get("Group", link["groups_id"]))]

    return find


def _requester_rows(state: State, row: Row) -> list[Row]:
    return [a for a in state["Ticket_User"].where("tickets_id", row["id"]) if a["type"] == REQUESTER]


def _on_ticket(itemtype: str) -> Finder:
    def find(state: State, row: Row) -> list[Row]:
        return [r for r in state[itemtype].where("items_id", row["id"]) if r["itemtype"] == "Ticket"]

    return find


def _followups_then(itemtype: str, column: str) -> Finder:
    followups, target = _on_ticket("ITILFollowup"), _foreign(itemtype, column)
    return lambda state, row: [found for r in followups(state, row) for found in target(state, r)]


def _children(itemtype: str, column: str) -> Finder:
    return lambda state, row: state[itemtype].where(column, row["id"])


def _profiles_then(itemtype: str, column: str) -> Finder:
    target = _foreign(itemtype, column)

    def find(state: State, row: Row) -> list[Row]:
        return [
            found for r in state["Profile_User"].where("users_id", row["id"]) for found in target(state, r)
        ]

    return find


_FOLLOWUPS = Join("followups", _on_ticket("ITILFollowup"), narrowed=True)
_TASKS = Join("tasks", _children("TicketTask", "tickets_id"), narrowed=True)
_SOLUTIONS = Join("solutions", _on_ticket("ITILSolution"), narrowed=True)
_NOTHING = Join("nothing", lambda *_: [])
_MAIL = Join("requester rows", _requester_rows)

_Rule = tuple[Join, str]


def _fk(itemtype: str, column: str, shows: str = "column") -> _Rule:
    return Join(column, _foreign(itemtype, column)), shows


_RULES: dict[str, dict[int, _Rule]] = {
    "Ticket": {
        4: (Join("requesters", _actors(REQUESTER)), "id text"),
        5: (Join("assignees", _actors(ASSIGNED)), "id text"),
        66: (Join("observers", _actors(OBSERVER)), "id text"),
        71: (Join("requester groups", _groups(REQUESTER)), "column"),
        8: (Join("assigned groups", _groups(ASSIGNED)), "column"),
        65: (Join("observer groups", _groups(OBSERVER)), "column"),
        34: (_MAIL, "distinct"),
        35: (_MAIL, "distinct"),
        7: _fk("ITILCategory", "itilcategories_id"),
        9: _fk("RequestType", "requesttypes_id"),
        22: _fk("User", "users_id_recipient"),
        64: _fk("User", "users_id_lastupdater"),
        80: _fk("Entity", "entities_id"),
        83: _fk("Location", "locations_id"),
        30: _fk("SLA", "slas_id_ttr"),
        37: _fk("SLA", "slas_id_tto"),
        25: (_FOLLOWUPS, "column"),
        36: (_FOLLOWUPS, "column"),
        72: (_FOLLOWUPS, "newest"),
        27: (_FOLLOWUPS, "count"),
        91: (_FOLLOWUPS, "column"),
        29: (Join("followup sources", _followups_then("RequestType", "requesttypes_id")), "column"),
        93: (Join("followup writers", _followups_then("User", "users_id")), "column"),
        26: (_TASKS, "column"),
        97: (_TASKS, "column"),
        28: (_TASKS, "count"),
        24: (_SOLUTIONS, "column"),
        38: (_SOLUTIONS, "column"),
        39: (_SOLUTIONS, "newest"),
        74: (_SOLUTIONS, "column"),
        119: (Join("documents", _on_ticket("Document_Item")), "count"),
    },
    "User": {
        5: (Join("emails", _children("UserEmail", "users_id"), narrowed=True), "column"),
        20: (Join("profiles", _profiles_then("Profile", "profiles_id")), "column"),
        80: (Join("profile entities", _profiles_then("Entity", "entities_id")), "column"),
        79: _fk("Profile", "profiles_id"),
        77: _fk("Entity", "entities_id"),
        3: _fk("Location", "locations_id"),
    },
    "Contact": {80: _fk("Entity", "entities_id")},
    "QueuedWebhook": {22: _fk("Webhook", "webhooks_id")},
    "ITILFollowup": {
        2: _fk("RequestType", "requesttypes_id"),
        5: _fk("User", "users_id"),
    },
}

#: For types whose table of options was not recorded: field number → (name, column, datatype).
_COMMON = {
    1: ("Name", "name", "itemlink"),
    2: ("ID", "id", "number"),
    16: ("Comments", "comment", "text"),
    19: ("Last update", "date_mod", "datetime"),
    121: ("Creation date", "date_creation", "datetime"),
}
_SPECIAL: dict[str, dict[int, tuple[str, str, str]]] = {
    "Entity": {
        1: ("Complete name", "completename", "itemlink"),
        2: ("ID", "id", "number"),
        14: ("Name", "name", "itemlink"),
        16: ("Comments", "comment", "text"),
    },
    "ITILCategory": {1: ("Complete name", "completename", "itemlink"), 14: ("Name", "name", "itemlink")},
    "QueuedWebhook": {
        2: ("ID", "id", "number"),
        7: ("URL", "url", "string"),
        16: ("Creation date", "create_time", "datetime"),
        20: ("Item type", "itemtype", "string"),
        21: ("Item ID", "items_id", "number"),
        22: ("Webhook", "name", "dropdown"),
        30: ("Last status code", "last_status_code", "number"),
    },
}


def options(flavour: Flavour, itemtype: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of listSearchOptions: recorded for the types that matter, minimal for the others."""
    recorded: dict[str, Any] | None = flavour.stock["search_options"].get(itemtype)
    if recorded is not None:
        return recorded
    found: dict[str, Any] = {"common": {"name": "Characteristics"}}
    for number, (name, column, datatype) in {**_COMMON, **_SPECIAL.get(itemtype, {})}.items():
        if column in columns or datatype == "dropdown":
            found[str(number)] = _option(name, table_name(itemtype), column, datatype, f"{itemtype}.{column}")
    if "entities_id" in columns and itemtype != "Entity":
        uid = f"{itemtype}.Entity.completename"
        found["80"] = _option("Entity", "glpi_entities", "completename", "dropdown", uid)
    return found


def _option(name: str, table: str, field: str, datatype: str, uid: str) -> dict[str, Any]:
    types = ["contains", "notcontains"]
    if datatype in ("itemlink", "dropdown"):
        types += ["equals", "notequals"]
    if datatype == "datetime":
        types = ["equals", "notequals", "lessthan", "morethan", *types]
    return {
        "name": name,
        "table": table,
        "field": field,
        "datatype": datatype,
        "nosearch": False,
        "nodisplay": False,
        "available_searchtypes": types,
        "uid": uid,
    }


def field_of(flavour: Flavour, itemtype: str, columns: Mapping[str, Any], number: int) -> Field | None:
    """The field of a number, or None for a number the type has not."""
    option = options(flavour, itemtype, columns).get(str(number))
    if not isinstance(option, dict) or "field" not in option:
        return None
    datatype, column, uid = option.get("datatype", ""), option["field"], option["uid"]
    rule = _RULES.get(itemtype, {}).get(number)
    if rule is None and number == ENTITY and option["table"] == "glpi_entities":
        rule = _fk("Entity", "entities_id")
    if rule is not None:
        return Field(number, uid, datatype, column, rule[0], rule[1])
    if option["table"] != table_name(itemtype) or column not in columns:
        return Field(number, uid, datatype, column, _NOTHING)
    return Field(number, uid, datatype, column)


def searched_texts(field: Field, joined: Row) -> list[str | None]:
    """The texts ``contains`` looks through in a joined row; people are found by any part of their name."""
    if field.column == "name" and "realname" in joined:
        return [joined["name"], joined["realname"], joined["firstname"], display_name(joined)]
    value = joined.get(field.column)
    return [None if value is None else str(value)]
