"""A CRM of a few lines, in memory, that can fail at every point: what the engine's promises are tested on.

It keeps a notebook with a page for each contact and a line for each message. Each page and line carries its marker,
so that a lost answer can be looked up. Faults are given in advance, one for each write or read to come. Its calls are
reported as those of a real client are, so that limits hold for them, and it counts how many it had at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from crm_sync.crms import http
from crm_sync.crms.base import (
    App,
    Feed,
    HookView,
    Link,
    LinkKey,
    LinkLookup,
    Local,
    Manifest,
    Port,
    PulledPage,
    PullFrom,
    Remote,
    SetupResult,
)
from crm_sync.errors import Duplicate, OutcomeUnknown, Retriable, ServerFault, Skip, Unauthorized
from crm_sync.events import Event, EventName, RemoteUpdate

Fault = Callable[["Notebook"], None]


class Killed(BaseException):
    """The worker dies here: nothing after this runs, not even what it would do in an ``except Exception``."""


@dataclass
class Notebook:
    """The CRM: records by id, each (kind, marker, text); and the faults it has up its sleeve."""

    records: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    before: deque[BaseException | None] = field(default_factory=deque)
    after: deque[BaseException | None] = field(default_factory=deque)
    on_search: deque[BaseException | None] = field(default_factory=deque)
    on_write: Callable[[], None] | None = None
    writes: int = 0
    searches: int = 0
    updates: list[tuple[str, str]] = field(default_factory=list)
    unique_pages: bool = False
    #: What its feed yields when it is asked next, and from where it was asked.
    feed: deque[PulledPage | BaseException] = field(default_factory=deque)
    asked: list[PullFrom] = field(default_factory=list)
    #: The system its calls are reported as.
    system: str = "Notebook"
    in_flight: int = 0
    most_in_flight: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def create(self, kind: str, marker: str, text: str) -> Remote:
        """Add a record; the next faults of ``before`` and ``after`` hit."""
        with self._call("POST"):
            return self._create(kind, marker, text)

    def _create(self, kind: str, marker: str, text: str) -> Remote:
        self.writes += 1
        if self.on_write is not None:
            self.on_write()
        _raise(self.before)
        if self.unique_pages and self._look_up(kind, marker):
            raise Duplicate("It is there already.")
        with self._guard:
            number = len(self.records) + 1
            self.records[number] = (kind, marker, text)
        _raise(self.after)
        return Remote(str(number), agreed={"text": text})

    def find(self, kind: str, marker: str) -> Remote | None:
        """The record with this marker."""
        with self._call("GET"):
            self.searches += 1
            _raise(self.on_search)
            return self._look_up(kind, marker)

    def _look_up(self, kind: str, marker: str) -> Remote | None:
        for number, (its_kind, its_marker, text) in list(self.records.items()):
            if (its_kind, its_marker) == (kind, marker):
                return Remote(str(number), agreed={"text": text})
        return None

    def update(self, number: str, text: str) -> None:
        """Change a record's text."""
        with self._call("PUT"):
            _raise(self.before)
            self.updates.append((number, text))
            kind, marker, _ = self.records[int(number)]
            self.records[int(number)] = (kind, marker, text)

    def changes(self, start: PullFrom) -> Iterator[PulledPage]:
        """The pages it has up its sleeve."""
        self.asked.append(start)
        while self.feed:
            page = self.feed.popleft()
            if isinstance(page, BaseException):
                raise page
            yield page

    def texts(self, kind: str) -> list[str]:
        """The texts of a kind, in the order they were written."""
        return [text for its_kind, _, text in self.records.values() if its_kind == kind]

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        """Report a call, as crms.http does. A worker that dies in it reports nothing more."""
        observer = http._observer.get()
        if observer is not None:
            observer.before_call(self.system, method)
        with self._guard:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        status = 0
        try:
            yield
            status = 200
        except Killed:
            observer = None
            raise
        finally:
            with self._guard:
                self.in_flight -= 1
            if observer is not None:
                observer.after_call(http.Call(self.system, method, "/", status, 0))


def _raise(faults: deque[BaseException | None]) -> None:
    fault = faults.popleft() if faults else None
    if fault is not None:
        raise fault


class NotebookProcessor:
    """contact → page, message → line."""

    def __init__(self, notebook: Notebook, port: Port) -> None:
        self.notebook = notebook
        self.port = port

    def handle(self, event: Event) -> str:
        """See crms.base.Processor."""
        if event.contact.name == "skip me":
            raise Skip("asked_to", "The contact asked for it.")
        page = self._page(event)
        if event.message is not None:
            line = self._ensure(Local("message", event.message.id), "line", event.message.content or "")
            return f"line {line.remote_id} on page {page.remote_id}"
        text = event.contact.name or ""
        if page.agreed.get("text") != text:
            self.notebook.update(page.remote_id, text)
            self.port.agree(page, text=text)
            return f"page {page.remote_id} changed"
        return f"page {page.remote_id}"

    def apply(self, update: RemoteUpdate) -> str:
        """See crms.base.Processor: what the notebook says of a page is told in Chatwoot."""
        page = self.port.link(Local("contact", update.local_id), "page")
        if page is None:
            raise Skip("not_linked", "Nobody knows this page.")
        self.port.agree(page, **update.state)
        words = update.state.get("say")
        if words is None:
            return f"page {page.remote_id} agreed"
        told = self.port.tell(
            int(update.state["in"]), ("line", str(update.state["line"])), words, private=True
        )
        return f"page {page.remote_id} {'told' if told else 'told before'}"

    def _page(self, event: Event) -> Link:
        page = self._ensure(Local("contact", event.contact.id), "page", event.contact.name or "")
        if page.created:
            self.port.show(page.local, "page", {"notebook_page": int(page.remote_id)})
        return page

    def _ensure(self, local: Local, kind: str, text: str) -> Link:
        marker = f"{local.type}/{local.id}"
        return self.port.ensure(
            local,
            kind,
            create=lambda: self.notebook.create(kind, marker, text),
            recover=lambda: self.notebook.find(kind, marker),
        )


def interval_s(settings: Mapping[str, Any]) -> float | None:
    """The notebook is asked every five minutes, unless it is switched off."""
    return None if settings.get("feed") is False else 300.0


def notebook_app(notebook: Notebook, events: frozenset[EventName] = frozenset(EventName)) -> App:
    """The app around a notebook."""
    manifest = Manifest(
        app_id="notebook",
        name="Notebook",
        feature_flag="crm_integration",
        events=events,
        settings_schema={"type": "object", "additionalProperties": False, "properties": {}},
        form=(),
        visible=frozenset(),
        secret=frozenset(),
        aliases={},
        attributes=(),
    )

    def changes(_client: Any, _hook: HookView, start: PullFrom) -> Iterable[PulledPage]:
        return notebook.changes(start)

    def nothing_to_do(_client: Any, _hook: HookView) -> SetupResult:
        return SetupResult()

    return App(
        manifest=manifest,
        connect=lambda _hook: notebook,
        processor=NotebookProcessor,
        check=nothing_to_do,
        setup=nothing_to_do,
        feed=Feed(changes, interval_s),
    )


def lost_answer() -> OutcomeUnknown:
    """The write happened, or not; nobody said."""
    return OutcomeUnknown("The notebook did not answer in time.")


def out_of_order() -> Retriable:
    """Nothing happened; it may work later."""
    return ServerFault("The notebook is out of order.")


def refused_credentials() -> Unauthorized:
    """Somebody changed the password."""
    return Unauthorized("The notebook does not know us any more.")


def foreseeing(app: App) -> App:
    """The app, telling beforehand which page or line an event will make."""

    def foresees(event: Event, _hook: HookView, link: LinkLookup) -> Sequence[LinkKey]:
        page = Local("contact", event.contact.id)
        if link(page, "page") is None:
            return ((page, "page"),)
        return ((Local("message", event.message.id), "line"),) if event.message is not None else ()

    return replace(app, foresees=foresees)
