"""A desk whose CRM is GLPI."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from crm_sync.config import Config
from crm_sync.sandbox.glpi import GlpiSandbox, create_app as glpi_app
from crm_sync.sandbox.glpi.text import decode
from tests.integration.clock import MORNING
from tests.integration.desk import EMAIL, WEBSITE, WHATSAPP, Desk as AnyDesk, Row, once
from tests.integration.stage import Stage, stages

__all__ = ["EMAIL", "MORNING", "WEBSITE", "WHATSAPP", "Desk", "Row", "once", "opened", "shown"]

REQUESTER = 1


class Desk(AnyDesk):
    """A support team: what they do in ``chatwoot`` reaches ``glpi``, which lives three hours behind UTC."""

    @property
    def glpi(self) -> GlpiSandbox:
        """The stand-in."""
        found: GlpiSandbox = self.crm
        return found

    # -- GLPI ----------------------------------------------------------------------------------------------------

    def users(self) -> list[Row]:
        """The users that were made for contacts."""
        return [row for row in self.rows("User") if row["name"].startswith("cw-")]

    def emails(self, user_id: int) -> list[str]:
        """A user's addresses."""
        return [row["email"] for row in self.rows("UserEmail", users_id=user_id)]

    def requesters(self, ticket_id: int) -> list[int]:
        """Who asks."""
        return [
            row["users_id"]
            for row in self.rows("Ticket_User", tickets_id=ticket_id)
            if row["type"] == REQUESTER
        ]

    def content(self, row: Row) -> str:
        """A content as it was written."""
        text = str(row["content"])
        return decode(text) if self.glpi.state.flavour.sanitizes else text

    def texts(self, ticket_id: int) -> list[str]:
        """What a ticket shows: its description, then its followups in GLPI's order, tags and headings left out."""
        rows = [self.row("Ticket", id=ticket_id), *self._followups(ticket_id)]
        return [shown(self.content(row)) for row in rows]

    def add_user(self, login: str, *emails: str, **columns: Any) -> int:
        """Somebody who was in GLPI before us."""
        with self.glpi.state.lock:
            state = self.glpi.state
            values = {
                key: state.flavour.stored(value) if isinstance(value, str) else value
                for key, value in columns.items()
            }
            user = state["User"].insert({"name": login, "is_active": 1, "is_deleted": 0, **values})
            for number, email in enumerate(emails):
                state["UserEmail"].insert(
                    {
                        "users_id": user["id"],
                        "email": state.flavour.stored(email),
                        "is_default": int(not number),
                    }
                )
            return int(user["id"])

    def purge(self, itemtype: str, number: int) -> None:
        """Somebody takes a record out of GLPI for good."""
        with self.glpi.state.lock:
            self.glpi.state[itemtype].delete(self.glpi.state[itemtype].rows[number])

    def write(self, itemtype: str, number: int, **columns: Any) -> None:
        """Somebody changes a record in GLPI."""
        with self.glpi.state.lock:
            table = self.glpi.state[itemtype]
            table.update(table.rows[number], columns)

    def calls(self) -> list[str]:
        """The calls to GLPI since the last time, without their ids."""
        return self.calls_below(".php")

    def listen(self) -> list[tuple[str, Row]]:
        """From now on, the path and the fields of every write to GLPI."""
        heard: list[tuple[str, Row]] = []

        def listener(app: Any, environ: Any, start_response: Any) -> Any:
            body = environ["wsgi.input"].read()
            environ["wsgi.input"] = io.BytesIO(body)
            if body:
                heard.append((environ["PATH_INFO"], json.loads(body)["input"]))
            return app(environ, start_response)

        self.strike(listener)
        return heard

    def picture(self) -> dict[str, Any]:
        """What GLPI shows, without what differs between two servers that were told the same."""
        return {
            "users": sorted(str(self._person(row)) for row in self.users()),
            "contacts": sorted(str(self._person(row)) for row in self.rows("Contact")),
            "tickets": sorted(
                (self._ticket(row) for row in self.rows("Ticket")), key=lambda ticket: str(ticket["name"])
            ),
        }

    def _person(self, row: Row) -> tuple[Any, ...]:
        """Who a user or GLPI Contact is, by what people see of him."""
        ours = str(row["name"]).startswith("cw-")
        return (
            None if ours else row["name"],
            *(row.get(key) for key in ("firstname", "realname", "phone", "registration_number")),
            re.sub(r"crm-sync/\S+", "crm-sync/", str(row.get("comment"))),
            *(self.emails(row["id"]) if "realname" in row else [row["email"]]),
        )

    def _ticket(self, ticket: Row) -> Row:
        """A ticket with all that hangs on it."""
        number = ticket["id"]
        people = {row["id"]: self._person(row) for row in self.rows("User")}
        groups = {row["id"]: row["name"] for row in self.rows("Group")}
        names = {row["id"]: row["name"] for row in self.rows("Ticket")}
        followups = self._followups(number)
        columns = ("name", "status", "urgency", "impact", "date", "type", "is_deleted", "time_to_resolve")
        return {
            **{key: ticket.get(key) for key in (*columns, "itilcategories_id", "requesttypes_id")},
            "people": sorted(
                f"{row['type']} {people.get(row['users_id'])} {row.get('alternative_email') or ''}"
                for row in self.rows("Ticket_User", tickets_id=number)
            ),
            "groups": sorted(
                groups[row["groups_id"]] for row in self.rows("Group_Ticket", tickets_id=number)
            ),
            "items": sorted(row["itemtype"] for row in self.rows("Item_Ticket", tickets_id=number)),
            "continues": [
                names[row["tickets_id_2"]] for row in self.rows("Ticket_Ticket", tickets_id_1=number)
            ],
            "solutions": [shown(self.content(row)) for row in self.rows("ITILSolution", items_id=number)],
            "texts": self.texts(number),
            "private": [row["is_private"] for row in followups],
            "authors": [people.get(row["users_id"]) for row in followups],
            "files": sorted(self._files(number, followups)),
        }

    def _files(self, ticket_id: int, followups: list[Row]) -> Iterator[str]:
        """The names of the files attached to a ticket and its followups."""
        records = {("Ticket", ticket_id), *(("ITILFollowup", row["id"]) for row in followups)}
        for row in self.rows("Document_Item"):
            if (row["itemtype"], row["items_id"]) in records:
                name = self.row("Document", id=row["documents_id"])["filename"]
                yield self.content({"content": name})

    def _followups(self, ticket_id: int) -> list[Row]:
        """A ticket's followups in GLPI's order."""
        rows = self.rows("ITILFollowup", items_id=ticket_id)
        return sorted(rows, key=lambda row: (row["date"], row["id"]))


def shown(content: str) -> str:
    """A content as readers see it, roughly: no markers, no headings, no tags."""
    text = re.sub(r"<!--.*?-->|<p><strong>.*?</strong></p>", "", content)
    return re.sub(r"<br>|</p><p>", "\n", text).replace("<p>", "").replace("</p>", "")


@contextmanager
def opened(config: Config, flavour: str, settings: Mapping[str, str]) -> Iterator[Desk]:
    """A desk with a hook that was added as ``crm-sync hooks add`` does it."""

    def build() -> Stage:
        return Stage.build(
            glpi_app(flavour=flavour),
            lambda glpi: [glpi.state, glpi.sessions, glpi.faults, glpi._calls],
            lambda glpi: [it for table in glpi.state.tables.values() for it in (table.columns, table.kinds)],
        )

    with stages.taken(f"glpi {flavour}", build) as stage:
        given = {
            "api_url": f"{stage.crm_server.url}/apirest.php",
            "app_token": stage.crm.app_token,
            "user_token": stage.crm.user_tokens["super"],
            "enable_followup_sync": "true",
            **settings,
        }
        with stage.connected(config, "glpi", given, lambda _: None) as found:
            yield Desk(*found, stage.chatwoot, stage.crm, given["api_url"])
