"""What changes in the CRM becomes events: once, in one commit with the watermark, and only where somebody knows it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from crm_sync import keys, owner
from crm_sync.crms.base import PulledPage, PulledRecord
from crm_sync.engine import apps, features, housekeeping, operate, pull as pulling
from crm_sync.engine.pull import Pulled, attend, due, pull
from crm_sync.errors import ConfigError, ServerFault
from crm_sync.locks import Busy
from crm_sync.store import open_store
from crm_sync.store.models import Delivery, EventState, Hook, HookState, Link
from tests.integration.engine.conftest import START, Desk
from tests.notebook import Killed, refused_credentials
from tests.payloads import contact_created
from tests.servers import on_every_database


def page(number: int | str, version: str = "v1", **state: Any) -> PulledRecord:
    """A page of the notebook that changed."""
    return PulledRecord("page", str(number), version, state)


def brought(*records: PulledRecord, until: int = 1) -> PulledPage:
    """What the feed yields."""
    return PulledPage(records, START + timedelta(minutes=until))


def known(desk: Desk, *contacts: int) -> None:
    """These contacts have a page each, numbered as they are."""
    for contact in contacts:
        desk.send(contact_created(contact, f"Person {contact}"))
        desk.drain(contact)


def outcomes(desk: Desk) -> list[str | None]:
    """What became of what was pulled."""
    return [event.outcome for event in desk.events() if event.name == "page.updated"]


@on_every_database
def test_a_change_becomes_an_event_in_the_mailbox_of_its_contact_and_is_applied(desk: Desk) -> None:
    known(desk, 1, 2)
    desk.notebook.feed.append(brought(page(2, text="Changed there")))
    assert pull(desk.runtime, desk.hook_id) == Pulled(seen=1, linked=1, events=1)
    event = desk.events(EventState.PENDING)[0]
    assert (event.name, event.mailbox) == ("page.updated", f"{desk.hook_id}:2")
    assert event.subject == "page 2 (contact 2)"
    assert event.mailbox in [name for name, _ in desk.alarm.woken]
    desk.drain(2)
    assert outcomes(desk) == ["page 2 agreed"]
    assert [link.agreed["text"] for link in desk.links()] == ["Person 1", "Changed there"]


def test_a_record_nobody_knows_makes_no_event(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(77, text="x"), PulledRecord("line", "1", "v1", {"text": "x"})))
    assert pull(desk.runtime, desk.hook_id) == Pulled(seen=2)
    assert desk.events(EventState.PENDING) == []


def test_a_record_of_several_makes_an_event_for_each_once(desk: Desk) -> None:
    known(desk, 1, 2)
    with desk.runtime.store.write() as session:
        session.execute(update(Link).values(remote_id="1"))
    for _ in range(2):
        desk.notebook.feed.append(brought(page(1, text="New")))
        pull(desk.runtime, desk.hook_id)
    assert [event.mailbox for event in desk.events(EventState.PENDING)] == [
        f"{desk.hook_id}:1",
        f"{desk.hook_id}:2",
    ]


def test_what_both_sides_agreed_on_is_no_news(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(1, text="Person 1", colour=None)))
    assert pull(desk.runtime, desk.hook_id) == Pulled(seen=1, linked=1)


@on_every_database
def test_what_is_pulled_twice_makes_one_event(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(1, text="New"), page(1, text="New")))
    assert pull(desk.runtime, desk.hook_id) == Pulled(seen=2, linked=2, events=1, repeated=1)
    desk.notebook.feed.append(brought(page(1, text="New"), page(1, text="New")))
    assert pull(desk.runtime, desk.hook_id) == Pulled(seen=2, linked=2, repeated=2)
    assert len(desk.events(EventState.PENDING)) == 1


def test_two_changes_of_one_moment_are_two_events_and_the_last_one_is_applied(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(1, text="First"), page(1, text="Second")))
    assert pull(desk.runtime, desk.hook_id).events == 2
    desk.drain(1)
    assert outcomes(desk)[1:] == ["page 1 agreed"]
    assert "Merged" in (outcomes(desk)[0] or "")
    assert desk.links()[0].agreed["text"] == "Second"


@on_every_database
def test_the_watermark_moves_with_the_page_and_not_before(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.extend([brought(page(1, text="New"), until=5), ServerFault("It broke.")])
    with pytest.raises(ServerFault):
        pull(desk.runtime, desk.hook_id)
    assert desk.hook().pull_watermark == START + timedelta(minutes=5)
    assert desk.hook().pulled_at is None
    assert len(desk.events(EventState.PENDING)) == 1
    pull(desk.runtime, desk.hook_id)
    assert desk.notebook.asked[-1].watermark == START + timedelta(minutes=5)
    assert desk.hook().pulled_at == START


def test_a_worker_that_dies_within_a_page_leaves_neither_events_nor_watermark(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(desk, 1, 2)

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        written = pulling._insert
        patched.setattr(
            pulling, "_insert", lambda *given: dies() if given[2].remote_id == "2" else written(*given)
        )
        desk.notebook.feed.append(brought(page(1, text="New"), page(2, text="New")))
        with pytest.raises(Killed):
            pull(desk.runtime, desk.hook_id)
    assert desk.events(EventState.PENDING) == []
    assert desk.hook().pull_watermark is None
    desk.notebook.feed.append(brought(page(1, text="New"), page(2, text="New")))
    assert pull(desk.runtime, desk.hook_id).events == 2


def test_a_pull_leaves_the_hook_to_another_one_that_is_at_it(desk: Desk) -> None:
    held = desk.runtime.mutexes.hold(keys.pull_lock(desk.hook_id), owner.new_claim())
    with held, pytest.raises(Busy):
        pull(desk.runtime, desk.hook_id)
    attend(desk.runtime, desk.hook_id)
    assert len(desk.notebook.asked) == 1


def test_a_pull_whose_mutex_was_lost_stops_and_what_it_wrote_stays(desk: Desk) -> None:
    known(desk, 1)

    def feed(_start: Any) -> Any:
        desk.runtime.redis.delete(f"lock:{keys.pull_lock(desk.hook_id)}")
        yield brought(page(1, text="New"))
        raise AssertionError("nothing more is asked for")

    desk.notebook.changes = feed  # type: ignore[method-assign]
    with pytest.raises(Busy):
        pull(desk.runtime, desk.hook_id)
    assert len(desk.events(EventState.PENDING)) == 1


def test_a_hook_is_due_an_interval_after_its_last_pull_began_whatever_happened_between(desk: Desk) -> None:
    assert due(desk.runtime) == [desk.hook_id]
    pull(desk.runtime, desk.hook_id)
    assert due(desk.runtime) == []
    desk.clock.forward(299)
    assert due(desk.runtime) == []
    desk.clock.forward(1)
    assert due(desk.runtime) == [desk.hook_id]


@pytest.mark.parametrize(
    "values",
    [
        {"state": HookState.PAUSED},
        {"state": HookState.NEEDS_ATTENTION},
        {"breaker_until": START + timedelta(hours=1)},
        {"settings": {"feed": False}},
        {"app_id": "unknown"},
    ],
)
def test_a_hook_that_rests_waits_or_does_not_want_it_is_not_due(desk: Desk, values: dict[str, Any]) -> None:
    with desk.runtime.store.write() as session:
        session.execute(update(Hook).values(**values))
    assert due(desk.runtime) == []


def test_a_hook_whose_feature_is_switched_off_is_neither_due_nor_pulled(desk: Desk) -> None:
    flag = apps.find("notebook").manifest.feature_flag
    features.switch(desk.runtime, desk.account.id, flag, on=False)
    assert due(desk.runtime) == []
    with pytest.raises(ConfigError, match=flag):
        pull(desk.runtime, desk.hook_id)
    assert desk.notebook.asked == []
    features.switch(desk.runtime, desk.account.id, flag, on=True)
    assert due(desk.runtime) == [desk.hook_id]


def test_a_service_that_was_down_pulls_once_for_all_it_missed_and_is_due_an_interval_later(
    desk: Desk,
) -> None:
    pull(desk.runtime, desk.hook_id)
    desk.clock.forward(3600 * 30)
    with closing(open_store(desk.runtime.config)) as store:
        assert due(replace(desk.runtime, store=store)) == [desk.hook_id]
    pull(desk.runtime, desk.hook_id)
    assert desk.notebook.asked[-1].last == START
    assert due(desk.runtime) == []


def test_what_was_forgotten_is_news_again_only_where_nobody_agreed_on_it(desk: Desk) -> None:
    known(desk, 1, 2)
    desk.notebook.feed.append(brought(page(1, text="New"), page(2, text="New")))
    pull(desk.runtime, desk.hook_id)
    desk.drain(1)
    desk.clock.forward(86_400 * 400)
    assert housekeeping.tidy(desk.runtime) > 0
    desk.notebook.feed.append(brought(page(1, text="New"), page(2, text="New")))
    # The second one is still waiting, and was not forgotten for that.
    assert pull(desk.runtime, desk.hook_id) == Pulled(seen=2, linked=2, repeated=1)


def test_an_update_that_fails_is_seen_tried_again_and_can_be_replayed(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(1, say="Hello", **{"in": "nowhere", "line": 5})))
    pull(desk.runtime, desk.hook_id)
    desk.settle(1)
    (event,) = desk.events(EventState.FAILED)
    assert event.name == "page.updated"
    told = operate.retry(desk.runtime, [event.id])
    assert told
    assert [found.id for found in desk.events(EventState.PENDING)] == [event.id]


def test_an_update_is_skipped_by_hand_like_any_other_event(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(1, text="New")))
    pull(desk.runtime, desk.hook_id)
    (event,) = desk.events(EventState.PENDING)
    operate.skip(desk.runtime, event.id, "Known and not wanted.")
    (skipped,) = desk.events(EventState.SKIPPED)
    assert (skipped.id, skipped.name) == (event.id, "page.updated")
    assert desk.links()[0].agreed["text"] == "Person 1"


def test_a_hook_that_rested_is_due_again_when_its_rest_is_over(desk: Desk) -> None:
    with desk.runtime.store.write() as session:
        session.execute(update(Hook).values(breaker_until=START + timedelta(hours=1)))
    desk.clock.forward(3600)
    assert due(desk.runtime) == [desk.hook_id]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": HookState.PAUSED, "state_reason": "Paused by an operator."}, "Paused by an operator"),
        ({"settings": {"feed": False}}, "enable_bidirectional_sync"),
    ],
)
def test_why_a_hook_is_not_pulled_is_said(desk: Desk, values: dict[str, Any], words: str) -> None:
    with desk.runtime.store.write() as session:
        session.execute(update(Hook).values(**values))
    with pytest.raises(ConfigError, match=words):
        pull(desk.runtime, desk.hook_id)


def test_a_hook_that_is_not_there_is_named(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="no hook 99"):
        pull(desk.runtime, 99)


def test_refused_credentials_make_the_hook_wait_for_a_person(desk: Desk) -> None:
    desk.notebook.feed.append(refused_credentials())
    attend(desk.runtime, desk.hook_id)
    assert (desk.hook().state, desk.hook().state_reason) == (
        HookState.NEEDS_ATTENTION,
        "The notebook does not know us any more.",
    )


def test_what_the_crm_says_is_told_in_chatwoot_once_whatever_breaks(desk: Desk, chatwoot_server: Any) -> None:
    sandbox = chatwoot_server[1]
    known(desk, 1)
    contact = sandbox.create_contact(name="Ana", email=f"ana{desk.hook_id}@example.com")
    conversation = sandbox.create_conversation(contact.id, next(iter(sandbox.state.inboxes)))
    said = {"say": "Done.", "in": conversation.id, "line": 5}
    desk.notebook.feed.append(brought(page(1, "v1", text="a", **said)))
    pull(desk.runtime, desk.hook_id)
    desk.drain(1)
    desk.notebook.feed.append(brought(page(1, "v2", text="b", **said)))
    pull(desk.runtime, desk.hook_id)
    desk.drain(1)
    assert outcomes(desk) == ["page 1 told", "page 1 told before"]
    notes = [message.content for message in sandbox.state.conversations[conversation.id].messages]
    assert notes == ["Done."]


def test_deliveries_of_a_pull_hold_no_more_than_the_record(desk: Desk) -> None:
    known(desk, 1)
    desk.notebook.feed.append(brought(page(1, text="New")))
    pull(desk.runtime, desk.hook_id)
    with desk.runtime.store.read() as session:
        found = session.scalars(select(Delivery).where(Delivery.source == "pull")).one()
    assert found.payload == {
        "event": "page.updated",
        "crm_record": {
            "remote_type": "page",
            "remote_id": "1",
            "local_type": "contact",
            "local_id": 1,
            "state": {"text": "New"},
        },
    }
