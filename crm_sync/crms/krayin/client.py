"""Krayin's REST API, a method for each endpoint, and nothing else. What an answer means says answers.py.

Each method knows what is particular to its endpoint, and where the generations differ. What is found is checked by who
asks: filters that Krayin does not know it ignores, and answers everything (contracts: 47, 51g, 54d).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_sync.crms.base import File
from crm_sync.crms.krayin.session import KrayinSession
from crm_sync.errors import NotFound, ServerFault

PERSONS, ORGANIZATIONS, LEADS = "/contacts/persons", "/contacts/organizations", "/leads"
ACTIVITIES, SOURCES, TYPES = "/activities", "/settings/sources", "/settings/types"

#: How many rows a search gives at most. It has no pages.
SEARCH_LIMIT = 50

#: More records than ever carry one marker: races of another program made four.
MARKED_LIMIT = 10

#: What ends a value in a search, or names a field in it (contracts: 54d).
_SYNTAX = (":", ";")


def is_searchable(value: str) -> bool:
    """Whether Krayin's search can look for a value at all."""
    return bool(value) and not any(sign in value for sign in _SYNTAX)


def quarter(wide: timedelta) -> timedelta:
    """A time zone's distance from UTC, which is a whole number of quarter hours."""
    step = timedelta(minutes=15)
    return round(wide / step) * step


class KrayinClient(KrayinSession):
    """The endpoints. All of them raise the error tree."""

    # -- the account ---------------------------------------------------------------------------------------------

    def login(self, email: str, password: str) -> str:
        """Log in, which ends all other sessions of the user (contracts: 01, 11); the token."""
        body = {"email": email, "password": password, "device_name": "crm_sync"}
        token = self.call("POST", "/login", body=body, anonymous=True).get("token")
        if not isinstance(token, str) or not token:
            raise ServerFault("Krayin answered a login without a token.", path="/login")
        return token

    def account(self) -> dict[str, Any]:
        """The user whose token it is (GET /get)."""
        return self.row("GET", "/get")

    def pipelines(self) -> list[dict[str, Any]]:
        """All pipelines with their stages in order (GET /settings/pipelines)."""
        return self.rows("/settings/pipelines", pagination=0)

    def users(self) -> list[dict[str, Any]]:
        """All users (GET /settings/users)."""
        return self.rows("/settings/users", pagination=0)

    def attributes(self) -> list[dict[str, Any]]:
        """All attributes of all entities: they cannot be asked for by entity (contracts: 26)."""
        return self.rows("/settings/attributes", pagination=0)

    def create_attribute(self, code: str, name: str, entity: str) -> None:
        """Make a text attribute whose values are unique (contracts: 80). Raises Duplicate."""
        body = {"code": code, "name": name, "type": "text", "entity_type": entity}
        self.call(
            "POST", "/settings/attributes", body={**body, "is_required": 0, "is_unique": 1, "quick_add": 1}
        )

    def make_optional(self, attribute: Mapping[str, Any]) -> None:
        """See that an attribute need not be filled (contracts: 130)."""
        kept = {
            key: attribute[key] for key in ("code", "name", "type", "entity_type", "is_unique", "quick_add")
        }
        self.call("PUT", f"/settings/attributes/{attribute['id']}", body={**kept, "is_required": 0})

    def sources(self) -> list[dict[str, Any]]:
        """All lead sources."""
        return self.rows(SOURCES, pagination=0)

    def create_source(self, name: str) -> int:
        """Make a lead source. Raises Duplicate."""
        return int(self.row("POST", SOURCES, {"name": name})["id"])

    def types(self) -> list[dict[str, Any]]:
        """All lead types."""
        return self.rows(TYPES, pagination=0)

    # -- what carries a marker -----------------------------------------------------------------------------------

    def marked(self, path: str, code: str, value: str) -> list[dict[str, Any]]:
        """The persons or leads whose unique attribute has this value (contracts: 81c, 81f).

        Up to 2.1 the attribute is not among what is answered, so the answer has to be believed; one that holds too
        much was not filtered.
        """
        params = {"search": value, "searchFields": "attribute_values.text_value:=", "limit": MARKED_LIMIT}
        rows = self.rows(f"{path}/search", **params)
        if len(rows) >= MARKED_LIMIT:
            raise ServerFault("Krayin did not filter by a custom attribute.", path=f"{path}/search")
        return [row for row in rows if row.get(code, value) == value]

    # -- persons and organizations -------------------------------------------------------------------------------

    def search_persons(self, conditions: Mapping[str, str]) -> list[dict[str, Any]]:
        """Persons of whom any of these columns holds a text (contracts: 53, 59r). ``_`` and ``%`` are wildcards."""
        if not conditions:
            return []
        searched = ";".join(f"{column}:{value}" for column, value in conditions.items())
        fields = ";".join(f"{column}:like" for column in conditions)
        return self.rows(f"{PERSONS}/search", search=searched, searchFields=fields, limit=SEARCH_LIMIT)

    def person(self, person_id: str) -> dict[str, Any]:
        """A person. Asked for by a filter: up to 2.1 one that is gone is a 500 otherwise (contracts: 58, 59n)."""
        return self._one(PERSONS, person_id)

    def create_person(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a person. Raises Duplicate for an address or number that somebody has."""
        return self.row("POST", PERSONS, body)

    def update_person(self, person_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change a person; the body has to be complete (contracts: 163, 59). Raises NotFound."""
        return self.row("PUT", f"{PERSONS}/{person_id}", body)

    def organizations_named(self, name: str) -> list[dict[str, Any]]:
        """The organizations of this name. A comma would split it (contracts: 65c), so that all are looked through."""
        wanted = {"pagination": 0} if "," in name else {"name": name}
        rows = self.rows(ORGANIZATIONS, **wanted)
        return [row for row in rows if str(row.get("name") or "").casefold() == name.casefold()]

    def create_organization(self, name: str, address: Mapping[str, str] | None) -> int:
        """Make an organization. Raises Duplicate."""
        body = {"name": name, **({"address": dict(address)} if address else {})}
        return int(self.row("POST", ORGANIZATIONS, body)["id"])

    # -- leads ---------------------------------------------------------------------------------------------------

    def lead(self, lead_id: str) -> dict[str, Any]:
        """A lead. Raises NotFound."""
        return self.row("GET", f"{LEADS}/{lead_id}")

    def leads_of(self, person_id: str) -> list[dict[str, Any]]:
        """A person's leads, the newest first."""
        rows = self.rows(LEADS, person_id=person_id, limit=SEARCH_LIMIT, sort="id", order="desc")
        return [row for row in rows if str((row.get("person") or {}).get("id")) == str(person_id)]

    def create_lead(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a lead. Its person must be there already (contracts: 70d)."""
        return self.row("POST", LEADS, body)

    def edit_lead(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of a lead that was just read, and nothing else of it.

        The one way that keeps products, and the close date if it is said again (contracts: 173, 77g, 96d).
        """
        told = row.get("expected_close_date")
        body = {**fields, "expected_close_date": close_date(told, self.ahead)}
        return self.row("PUT", f"{LEADS}/attributes/edit/{row['id']}", body)

    def changed_leads(self, page: int, limit: int) -> list[dict[str, Any]]:
        """Leads, the last changed first (contracts: 162)."""
        return self.rows(LEADS, sort="updated_at", order="desc", limit=limit, page=page)

    def quotes_of(self, person_id: str) -> list[dict[str, Any]]:
        """The quotes of a person, the newest first."""
        rows = self.rows("/quotes", person_id=person_id, limit=SEARCH_LIMIT, sort="id", order="desc")
        return [row for row in rows if str((row.get("person") or {}).get("id")) == str(person_id)]

    # -- activities ----------------------------------------------------------------------------------------------

    def activities(self, title: str, kind: str) -> list[dict[str, Any]]:
        """The activities of this title and type (contracts: 91i). A title with a comma finds nothing."""
        rows = self.rows(ACTIVITIES, title=title, type=kind, limit=SEARCH_LIMIT)
        return [row for row in rows if row.get("title") == title and row.get("type") == kind]

    def lead_activities(self, lead_id: str) -> set[str]:
        """The ids of a lead's activities; none where there is no such lead (contracts: 91d, 91h)."""
        return {str(row.get("id")) for row in self.rows(f"{LEADS}/{lead_id}/activities")}

    def person_activities(self, person_id: str) -> set[str]:
        """The ids of a person's activities; none where there is no such person (facts)."""
        return {str(row.get("id")) for row in self.rows(f"{PERSONS}/{person_id}/activities")}

    def create_activity(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an activity. Raises Overlap for a meeting that Krayin thinks to be one too many."""
        return self.row("POST", ACTIVITIES, body)

    def update_activity(self, activity_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of an activity (contracts: 93). Raises NotFound."""
        return self.row("PUT", f"{ACTIVITIES}/{activity_id}", fields)

    def upload(self, fields: Mapping[str, str | int], file: File) -> dict[str, Any]:
        """Make an activity of type file (contracts: 95). Raises Rejected for a file that is too large."""
        parts: list[tuple[str, Any]] = [(name, (None, str(value))) for name, value in fields.items()]
        parts.append(("file", (file.name, file.content, file.mime)))
        return self.row("POST", ACTIVITIES, files=parts)

    def delete_activity(self, activity_id: str) -> None:
        """Take an activity away (contracts: 94b); one that is gone stays so."""
        with contextlib.suppress(NotFound):
            self.call("DELETE", f"{ACTIVITIES}/{activity_id}")

    # -- telling of changes --------------------------------------------------------------------------------------

    def ensure_row(self, path: str, name: str, body: Mapping[str, Any]) -> int:
        """The webhook or workflow of this name, made or brought to this body."""
        found = [row for row in self.rows(path, pagination=0) if row.get("name") == name]
        given = {"name": name, **body}
        if found:
            return int(self.row("PUT", f"{path}/{found[0]['id']}", given)["id"])
        return int(self.row("POST", path, given)["id"])

    def remove_named(self, path: str, name: str) -> None:
        """Take the webhook or workflow of this name away."""
        for row in self.rows(path, pagination=0):
            if row.get("name") == name:
                self.call("DELETE", f"{path}/{row['id']}")

    def _one(self, path: str, number: str) -> dict[str, Any]:
        found = [row for row in self.rows(path, id=number) if str(row.get("id")) == str(number)]
        if not found:
            raise NotFound("Krayin has no such record (any more).", path=path)
        return found[0]


def close_date(told: Any, ahead: timedelta = timedelta(0)) -> str | None:
    """The day of a close date, which comes back as midnight of the server's zone in UTC (contracts: 172).

    ``ahead`` is how far the zone is known to be ahead of UTC; it matters only beyond twelve hours.
    """
    if not told:
        return None
    moment = datetime.fromisoformat(str(told)).astimezone(UTC)
    return f"{moment + max(ahead, timedelta(hours=12)):%Y-%m-%d}"
