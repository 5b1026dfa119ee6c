"""GLPI and Chatwoot as sandboxes, and the real engine between them: a real database, a real Redis, a clock to turn."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from crm_sync import keys
from crm_sync.config import Config
from crm_sync.engine import hooks, mailbox
from crm_sync.engine.ingest import Arrival, ingest
from crm_sync.engine.limits import Ceiling, Places
from crm_sync.engine.runtime import Runtime
from crm_sync.locks import Mutexes
from crm_sync.sandbox.chatwoot import create_app as chatwoot_app, shapes
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.glpi import GlpiSandbox, create_app as glpi_app
from crm_sync.sandbox.glpi.text import decode
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import migrate, open_store
from crm_sync.store.models import Account, Event, EventState, Hook, HookState, Link, SignatureMode

#: When people begin to write, in Chatwoot; the GLPI sandbox lives three hours behind UTC.
MORNING = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
WEBSITE, EMAIL, WHATSAPP = 4, 7, 12
REQUESTER = 1

Row = dict[str, Any]


class Alarm:
    """Nobody is woken: the tests say when a worker comes."""

    def wake(self, mailboxes: Iterable[str], *, delay_s: float = 0.0) -> None:
        """See Runtime's Alarm."""

    def disarm(self, mailbox: str) -> None:
        """See Runtime's Alarm."""

    def hold(self, mailboxes: Iterable[str]) -> None:
        """See Runtime's Alarm."""

    def pull(self, hook_id: int) -> None:
        """See Runtime's Alarm."""


@dataclass
class Clock:
    """The time, as the test wants it."""

    moment: datetime = MORNING

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class Desk:
    """A support team: what they do in ``chatwoot`` reaches ``glpi`` once a worker came."""

    runtime: Runtime
    clock: Clock
    account: Account
    hook_id: int
    chatwoot: ChatwootSandbox
    glpi: GlpiSandbox
    api_url: str
    _told: int = 0

    # -- what comes in -------------------------------------------------------------------------------------------

    def deliveries(self) -> list[Row]:
        """What Chatwoot sent since the last time."""
        sent = self.chatwoot.deliveries
        new, self._told = sent[self._told :], len(sent)
        return [json.loads(delivery.body) for delivery in new]

    def take(self, payloads: Iterable[Mapping[str, Any]]) -> None:
        """Deliveries come in, in this order."""
        for payload in payloads:
            ingest(self.runtime.store, self.account, payload, Arrival(), self.clock())

    def drain(self) -> None:
        """A worker takes every mailbox that has something."""
        for contact_id in sorted({event.mailbox for event in self.events(EventState.PENDING)}):
            mailbox.drain(self.runtime, contact_id)

    def sync(self) -> None:
        """What happened in Chatwoot arrives, and a worker comes once; everything is to be done by then."""
        self.take(self.deliveries())
        self.drain()
        assert self.waiting() == []

    def settle(self, rounds: int = 40) -> None:
        """What happened in Chatwoot arrives; time passes and workers come until nothing is waiting any more."""
        self.take(self.deliveries())
        for _ in range(rounds):
            self.drain()
            if not self.waiting():
                return
            self.clock.forward(3600)
        pytest.fail(f"still waiting: {self.waiting()}")

    def waiting(self) -> list[str]:
        """The events that are not done, with what was said of them last."""
        return [f"{event.name}: {event.outcome}" for event in self.events(EventState.PENDING)]

    def told_again(self, contact_id: int) -> Row:
        """A contact_updated of a contact that says nothing new."""
        with self.chatwoot.state.lock:
            row = self.chatwoot.state.contacts[contact_id]
            changed = shapes.changed_attributes({"blocked": (True, False)})
            return shapes.contact(self.chatwoot.state, row) | {
                "event": "contact_updated",
                "changed_attributes": changed,
            }

    # -- the journal ---------------------------------------------------------------------------------------------

    def events(self, state: EventState | None = None) -> list[Event]:
        """The events of the journal."""
        statement = select(Event).order_by(Event.id)
        with self.runtime.store.read() as session:
            return list(
                session.scalars(statement if state is None else statement.where(Event.state == state))
            )

    def outcome(self) -> str:
        """What was said of the last event."""
        return self.events()[-1].outcome or ""

    def outcomes(self) -> list[str]:
        """What was said of the events."""
        return [event.outcome or "" for event in self.events()]

    def links(self) -> list[Link]:
        """The links."""
        with self.runtime.store.read() as session:
            return list(session.scalars(select(Link).order_by(Link.id)))

    def hook(self) -> Hook:
        """The hook."""
        with self.runtime.store.read() as session:
            return session.get_one(Hook, self.hook_id)

    def set(self, **settings: str) -> None:
        """Change settings of the hook, as ``crm-sync hooks set`` does."""
        report = hooks.change(self.runtime, self.hook_id, settings)
        assert report.state == HookState.ACTIVE, report.state_reason

    # -- GLPI ----------------------------------------------------------------------------------------------------

    def rows(self, itemtype: str, **wanted: Any) -> list[Row]:
        """Rows of GLPI's database with these values."""
        with self.glpi.state.lock:
            found = self.glpi.state.dump().get(itemtype, [])
        return [row for row in found if all(row[key] == value for key, value in wanted.items())]

    def row(self, itemtype: str, **wanted: Any) -> Row:
        """The one row with these values."""
        found = self.rows(itemtype, **wanted)
        assert len(found) == 1, found
        return found[0]

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
        made = [
            f"{method} {re.sub(r'/[0-9]+', '', path.partition('.php')[2])}"
            for method, path, _ in self.glpi.requests
        ]
        self.glpi.reset_requests()
        return made

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

    def strike(self, *faults: Callable[..., Any]) -> None:
        """From now on GLPI has these faults, one after another to choose from; none heals it."""
        self.glpi.faults.kinds, self.glpi.faults.fail_rate = faults, float(bool(faults))

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


def once(
    kind: Callable[..., Any], method: str, path: str, *, times: int = 1
) -> tuple[Callable[..., Any], threading.Event]:
    """A fault that hits a call with this method whose path ends like this, and an event that says that it did."""
    hit, left, guard = threading.Event(), [times], threading.Lock()

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        with guard:
            due = (
                left[0] > 0
                and environ["REQUEST_METHOD"] == method
                and re.search(f"{path}$", environ["PATH_INFO"]) is not None
            )
            left[0] -= due
        if not due:
            return app(environ, start_response)
        hit.set()
        return kind(app, environ, start_response)

    return fault, hit


@contextmanager
def opened(config: Config, flavour: str, settings: Mapping[str, str]) -> Iterator[Desk]:
    """A desk with a hook that was added as ``crm-sync hooks add`` does it."""
    migrate(config)
    with ExitStack() as stack:
        redis = stack.enter_context(keys.connect(config.redis_url))
        chatwoot_web, glpi_web = chatwoot_app(deliver=False), glpi_app(flavour=flavour)
        chatwoot: ChatwootSandbox = chatwoot_web.extensions["sandbox"]
        glpi: GlpiSandbox = glpi_web.extensions["sandbox"]
        chatwoot.state._now = lambda: MORNING
        chatwoot_server = stack.enter_context(SandboxServer(chatwoot_web))
        glpi_server = stack.enter_context(SandboxServer(glpi_web))
        clock = Clock()
        store = open_store(config)
        stack.callback(store.close)
        runtime = Runtime(
            config=config,
            store=store,
            redis=redis,
            mutexes=Mutexes(redis, config.lease_s),
            places=Places(redis, ceiling=config.ceiling, hold_s=config.lease_s),
            ceiling=Ceiling(redis, size=config.ceiling, call_s=config.lease_s),
            alarm=Alarm(),
            now=clock,
        )
        with store.write() as session:
            account = Account(
                chatwoot_url=chatwoot_server.url,
                chatwoot_account_id=chatwoot.account_id,
                api_token_secret=store.keyring.encrypt(chatwoot.api_token),
                webhook_token="webhook-token",
                signature=SignatureMode.OFF,
                created_at=clock(),
            )
            session.add(account)
        given = {
            "api_url": f"{glpi_server.url}/apirest.php",
            "app_token": glpi.app_token,
            "user_token": glpi.user_tokens["super"],
            "enable_followup_sync": "true",
            **settings,
        }
        report = hooks.add(runtime, "glpi", account.id, given)
        assert report.state == HookState.ACTIVE, report.state_reason
        chatwoot.add_webhook("http://nobody.example.com/", SUBSCRIPTIONS)
        glpi.reset_requests()
        chatwoot.calls.clear()
        yield Desk(runtime, clock, account, report.hook, chatwoot, glpi, given["api_url"])


SUBSCRIPTIONS = (
    "contact_created",
    "contact_updated",
    "conversation_created",
    "conversation_updated",
    "conversation_status_changed",
    "message_created",
    "message_updated",
)
