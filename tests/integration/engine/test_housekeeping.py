"""What has ended long ago is forgotten; what waits, and every link, is kept."""

from __future__ import annotations

import pytest

from crm_sync.engine import housekeeping
from crm_sync.store.models import EventState
from tests.integration.engine.conftest import Desk
from tests.payloads import contact_created, message_created
from tests.servers import on_every_database

DAY_S = 86_400


@on_every_database
def test_old_deliveries_go_with_their_events_and_attempts_and_links_stay(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.drain()
    desk.clock.forward(desk.runtime.config.keep_days * DAY_S + 1)
    desk.send(contact_created(2))
    desk.drain(2)
    assert housekeeping.tidy(desk.runtime) == 1
    assert [event.name for event in desk.events()] == ["contact_created"]
    assert len(desk.attempts()) == 1
    assert {link.local_type for link in desk.links()} == {"contact", "message"}


@on_every_database
def test_what_still_waits_is_kept_however_old_it_is(desk: Desk) -> None:
    desk.send(contact_created())
    desk.clock.forward(desk.runtime.config.keep_days * DAY_S * 2)
    assert housekeeping.tidy(desk.runtime) == 0
    assert len(desk.events(EventState.PENDING)) == 1


def test_nothing_goes_before_its_time(desk: Desk) -> None:
    desk.send(contact_created())
    desk.drain()
    desk.clock.forward(desk.runtime.config.keep_days * DAY_S - 1)
    assert housekeeping.tidy(desk.runtime) == 0


def test_all_of_it_goes_though_it_takes_several_batches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    for contact_id in range(1, 6):
        desk.send(contact_created(contact_id))
        desk.drain(contact_id)
    desk.clock.forward(desk.runtime.config.keep_days * DAY_S + 1)
    assert housekeeping.tidy(desk.runtime) == 5
    assert desk.events() == []


def test_a_message_that_comes_again_after_it_was_forgotten_is_not_written_again(desk: Desk) -> None:
    desk.send(message_created(101))
    desk.drain()
    desk.clock.forward(desk.runtime.config.keep_days * DAY_S + 1)
    housekeeping.tidy(desk.runtime)
    desk.send(message_created(101))
    desk.drain()
    assert desk.notebook.texts("line") == ["text 101"]
