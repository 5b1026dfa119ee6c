"""Links claimed together with their event: one commit less, and no promise less."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from crm_sync.crms.base import App, HookView, LinkKey, LinkLookup, Local
from crm_sync.engine import apps, mailbox
from crm_sync.events import Event
from crm_sync.store import Store
from crm_sync.store.models import EventState, LinkState
from tests.integration.engine.conftest import Desk
from tests.integration.engine.test_exactly_once import kill
from tests.notebook import Killed, foreseeing, lost_answer, notebook_app, out_of_order
from tests.payloads import contact_created, message_created
from tests.servers import on_every_database


@pytest.fixture
def foresight(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose notebook foresees its pages and lines."""
    install(monkeypatch, foreseeing(notebook_app(desk.notebook)))
    return desk


def install(monkeypatch: pytest.MonkeyPatch, app: App) -> None:
    monkeypatch.setattr(apps, "installed", lambda: {"notebook": app})


def guessing(*keys: LinkKey) -> Callable[[Event, HookView, LinkLookup], Sequence[LinkKey]]:
    return lambda *_: keys


@contextmanager
def commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """The commits made meanwhile, each by whether it was durable."""
    made: list[bool] = []
    write = Store.write

    @contextmanager
    def counted(self: Store, *, durable: bool = True) -> Iterator[Session]:
        with write(self, durable=durable) as session:
            yield session
        made.append(durable)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", counted)
        yield made


def test_a_foreseen_link_is_claimed_durably_and_without_a_commit_of_its_own(
    foresight: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    foresight.send(contact_created())
    foresight.send(message_created(101))
    seen: list[tuple[Any, ...]] = []
    foresight.notebook.on_write = lambda: seen.extend(
        (link.remote_type, link.state) for link in foresight.links() if link.state == LinkState.CREATING
    )
    monkeypatch.setattr(mailbox.mirror, "write_back", lambda *_: None)
    foresight.runtime.store._together = None
    with commits(monkeypatch) as made:
        foresight.drain()
    assert seen == [("page", LinkState.CREATING), ("line", LinkState.CREATING)]
    assert made == [True, True, False]
    assert [link.state for link in foresight.links()] == [LinkState.LINKED] * 2


@on_every_database
@pytest.mark.parametrize("fault", ["before", "after"])
def test_nothing_is_lost_or_made_twice_when_a_worker_dies_with_a_foreseen_link(
    foresight: Desk, fault: str
) -> None:
    foresight.send(contact_created())
    foresight.send(message_created(101))
    getattr(foresight.notebook, fault).extend([None, Killed()])
    with pytest.raises(Killed):
        foresight.drain()
    assert [link.state for link in foresight.links()] == [LinkState.LINKED, LinkState.CREATING]
    kill(foresight)
    foresight.settle()
    assert foresight.notebook.texts("line") == ["text 101"]
    assert foresight.notebook.searches == 1


def test_a_lost_answer_leaves_the_foreseen_claim_in_doubt(foresight: Desk) -> None:
    foresight.send(contact_created())
    foresight.notebook.after.append(lost_answer())
    foresight.drain()
    assert [link.state for link in foresight.links()] == [LinkState.CREATING]
    foresight.settle()
    assert (len(foresight.notebook.records), foresight.notebook.writes) == (1, 1)


@on_every_database
def test_a_foreseen_link_that_is_not_needed_is_let_go_with_the_outcome(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = notebook_app(desk.notebook)
    install(monkeypatch, replace(app, foresees=guessing((Local("conversation", 99), "line"))))
    desk.send(contact_created())
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.DONE]
    assert [link.remote_type for link in desk.links()] == ["page"]


def test_a_foreseen_link_is_let_go_when_the_event_has_to_wait(foresight: Desk) -> None:
    foresight.send(contact_created())
    foresight.notebook.before.append(out_of_order())
    foresight.drain()
    assert [event.state for event in foresight.events()] == [EventState.PENDING]
    assert foresight.links() == []


def test_a_foreseen_link_is_let_go_when_others_have_their_turn_first(
    foresight: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "TURN", 1)
    foresight.send(contact_created())
    foresight.send(message_created(101))
    monkeypatch.setattr(mailbox._Turn, "due_in", lambda _: None)
    foresight.drain()
    assert [link.remote_type for link in foresight.links()] == ["page"]


def test_what_was_claimed_by_an_earlier_attempt_is_not_claimed_as_new(foresight: Desk) -> None:
    foresight.send(contact_created())
    foresight.notebook.after.append(lost_answer())
    foresight.drain()
    foresight.clock.forward(3600)
    foresight.drain()
    assert (foresight.notebook.searches, foresight.notebook.writes) == (1, 1)


def test_an_event_is_processed_though_its_guess_breaks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Sequence[LinkKey]:
        raise ZeroDivisionError

    install(monkeypatch, replace(notebook_app(desk.notebook), foresees=broken))
    desk.send(contact_created())
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.DONE]


def test_a_claim_tells_when_its_record_was_made_though_its_turn_came_late(foresight: Desk) -> None:
    claimed_at = []

    def late() -> None:
        claimed_at.extend(link.claimed_at for link in foresight.links())

    foresight.notebook.on_write = late
    search = foresight.notebook.find
    foresight.send(contact_created())
    foresight.notebook.after.append(lost_answer())
    foresight.drain()
    # The page is not found, so it is made once more: hours after it was claimed first.
    foresight.notebook.records.clear()
    assert search("page", "contact/1") is None
    foresight.clock.forward(3600)
    foresight.drain()
    assert claimed_at[-1] == foresight.clock()
    assert claimed_at[-1] - claimed_at[0] >= timedelta(hours=1)
