"""What operators do with the journal reaches exactly the events meant, and is safe beside a working worker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update

from crm_sync.engine import operate
from crm_sync.engine.operate import Filter
from crm_sync.errors import ClaimLost, CrmSyncError, Rejected
from crm_sync.store import journal
from crm_sync.store.models import Account, Event, EventState, Hook, HookState
from crm_sync.store.secrets import Keyring
from tests.integration.engine.conftest import Desk
from tests.payloads import contact_created, message_created
from tests.servers import on_every_database


def failed(desk: Desk, contact_id: int = 1) -> int:
    """An event that the CRM refused."""
    (event_id,) = desk.send(contact_created(contact_id)).events
    desk.notebook.before.append(Rejected("The name is too long."))
    desk.drain(contact_id)
    assert state(desk, event_id) == EventState.FAILED
    return event_id


def state(desk: Desk, event_id: int) -> str:
    return one(desk, event_id).state


def one(desk: Desk, event_id: int) -> Event:
    return next(event for event in desk.events() if event.id == event_id)


@on_every_database
def test_a_failed_event_starts_anew_and_is_done_when_it_is_retried(desk: Desk) -> None:
    event_id = failed(desk)
    assert operate.retry(desk.runtime, [event_id, event_id]) == [event_id]
    assert desk.alarm.woken[-1] == (f"{desk.hook_id}:1", 0.0)
    event = one(desk, event_id)
    assert (event.state, event.tries, event.reason, event.finished_at) == (EventState.PENDING, 0, None, None)
    desk.drain()
    assert state(desk, event_id) == EventState.DONE


def test_a_pending_event_waits_no_longer_when_it_is_retried(desk: Desk) -> None:
    (event_id,) = desk.send(contact_created(), settle=timedelta(hours=1)).events
    desk.drain()
    assert state(desk, event_id) == EventState.PENDING
    operate.retry(desk.runtime, [event_id])
    desk.drain()
    assert state(desk, event_id) == EventState.DONE


def test_nothing_is_changed_when_one_of_the_events_to_retry_is_done(desk: Desk) -> None:
    event_id = failed(desk)
    (done,) = desk.send(contact_created(2)).events
    desk.drain(2)
    with pytest.raises(CrmSyncError, match=rf"Event {done} is done already"):
        operate.retry(desk.runtime, [event_id, done])
    assert state(desk, event_id) == EventState.FAILED


@pytest.mark.parametrize("act", [operate.retry, lambda runtime, ids: operate.skip(runtime, ids[0], "x")])
def test_an_event_that_is_not_there_is_named(desk: Desk, act: object) -> None:
    with pytest.raises(CrmSyncError, match=r"There is no event 99"):
        act(desk.runtime, [99])  # type: ignore[operator]


@on_every_database
def test_only_the_failed_events_of_the_hook_are_retried_when_all_failed_ones_are_meant(desk: Desk) -> None:
    first, second = failed(desk, 1), failed(desk, 2)
    desk.send(contact_created(3))
    wanted = Filter(EventState.FAILED, desk.hook_id)
    assert operate.would_retry(desk.runtime.store, wanted) == [first, second]
    assert state(desk, first) == EventState.FAILED
    assert operate.retry_all(desk.runtime, Filter(EventState.FAILED, desk.hook_id + 1)) == []
    assert operate.retry_all(desk.runtime, wanted) == [first, second]
    assert {state(desk, first), state(desk, second)} == {EventState.PENDING}


@on_every_database
def test_a_skipped_event_says_who_and_why_and_lets_the_next_one_go_on(desk: Desk) -> None:
    (first,) = desk.send(message_created(101), settle=timedelta(hours=1)).events
    (second,) = desk.send(message_created(102)).events
    shown = operate.skip(desk.runtime, first, "Sent twice by mistake.")
    assert (shown["state"], shown["reason"], shown["outcome"]) == (
        "skipped",
        "operator",
        "Sent twice by mistake.",
    )
    assert desk.alarm.woken[-1] == (f"{desk.hook_id}:1", 0.0)
    desk.drain()
    assert state(desk, second) == EventState.DONE
    assert desk.notebook.texts("line") == ["text 102"]


@on_every_database
def test_a_worker_writes_nothing_more_when_its_event_is_skipped_under_its_hands(desk: Desk) -> None:
    (event_id,) = desk.send(contact_created()).events
    until = desk.clock() + timedelta(minutes=1)
    with desk.runtime.store.write() as session:
        (row,) = journal.pending(session, f"{desk.hook_id}:1")
        assert journal.claim(session, row, "a-worker", until)
    operate.skip(desk.runtime, event_id, "No more.")
    with pytest.raises(ClaimLost), desk.runtime.store.write() as session:
        journal.renew(session, event_id, "a-worker", until)
    assert state(desk, event_id) == EventState.SKIPPED


def test_an_event_that_has_ended_cannot_be_skipped(desk: Desk) -> None:
    (event_id,) = desk.send(contact_created()).events
    desk.drain()
    with pytest.raises(CrmSyncError, match=r"is done already"):
        operate.skip(desk.runtime, event_id, "Too late.")


@on_every_database
def test_events_are_found_by_state_hook_mailbox_and_time(desk: Desk) -> None:
    first = failed(desk)
    desk.clock.forward(3600)
    (second,) = desk.send(contact_created(2)).events
    store = desk.runtime.store

    def found(newest: int | None = None, **wanted: object) -> list[int]:
        return [event["id"] for event in operate.events(store, Filter(**wanted), newest=newest)]  # type: ignore[arg-type]

    assert found() == [first, second]
    assert found(newest=1) == [second]
    assert found(state=EventState.FAILED) == [first]
    assert found(mailbox=f"{desk.hook_id}:2") == [second]
    assert found(hook=desk.hook_id + 1) == []
    assert found(since=desk.clock() - timedelta(minutes=1)) == [second]
    assert operate.count(store, Filter(state=EventState.FAILED)) == 1


def test_an_event_is_shown_with_its_attempts_and_without_what_was_said(desk: Desk) -> None:
    (event_id,) = desk.send(message_created(101, "my card number is 4111")).events
    desk.drain()
    shown = operate.event(desk.runtime.store, event_id)
    assert shown["message_id"] == 101
    assert shown["delivery"]["event_name"] == "message_created"
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["done"]
    assert "4111" not in str(shown)


@on_every_database
def test_a_link_is_found_from_both_of_its_sides(desk: Desk) -> None:
    desk.send(contact_created(7))
    desk.drain(7)
    (link,) = operate.links(desk.runtime.store, local=("contact", 7))
    app, kind, number = "notebook", link["remote_type"].upper(), link["remote_id"]
    assert operate.links(desk.runtime.store, remote=(app, kind, number)) == [link]
    assert operate.links(desk.runtime.store, remote=("glpi", kind, number)) == []


@on_every_database
def test_the_figures_count_every_event_once_and_tell_how_old_the_oldest_is(desk: Desk) -> None:
    failed(desk)
    desk.send(contact_created(2))
    desk.drain(2)
    desk.send(contact_created(3))
    desk.clock.forward(90)
    found = operate.stats(desk.runtime)
    assert found["events"] == {"pending": 1, "done": 1, "skipped": 0, "failed": 1}
    assert found["oldest_pending_s"] == 90.0
    (hook,) = found["hooks"]
    assert (hook["hook"], hook["pending"], hook["failed"], hook["breaker"]) == (desk.hook_id, 1, 1, "closed")
    assert found["write_backs_waiting"] >= 0


def test_a_breaker_is_open_while_it_rests_and_half_open_afterwards(desk: Desk) -> None:
    now = desk.clock()
    hook = desk.hook()
    hook.breaker_until = now + timedelta(seconds=1)
    assert operate.breaker_state(hook, now) == "open"
    assert operate.breaker_state(hook, now + timedelta(seconds=1)) == "half_open"


def test_it_is_said_when_events_wait_because_their_hook_is_paused(desk: Desk) -> None:
    event_id = failed(desk)
    hooks = operate.hooks_of(desk.runtime.store, [event_id])
    assert operate.not_flowing(desk.runtime, hooks) == []
    with desk.runtime.store.write() as session:
        session.execute(update(Hook).values(state=HookState.PAUSED, state_reason="Paused by an operator."))
    assert operate.not_flowing(desk.runtime, hooks) == [
        f"Hook {desk.hook_id} is paused, so its events wait. Paused by an operator."
    ]


@on_every_database
def test_every_stored_secret_is_readable_with_the_new_key_alone_after_a_rotation(desk: Desk) -> None:
    store = desk.runtime.store
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with store.write() as session:
        account = session.get_one(Account, desk.account.id)
        account.api_token_secret = Keyring([old]).encrypt("token")
        account.signing_secret = Keyring([old]).encrypt("signing")
        session.get_one(Hook, desk.hook_id).settings_secret = Keyring([old]).encrypt_json({"app_token": "x"})
    store.keyring = Keyring([new, old])
    assert operate.rotate_secrets(store) == 3
    with store.read() as session:
        account = session.get_one(Account, desk.account.id)
        only_new = Keyring([new])
        assert only_new.decrypt(account.api_token_secret) == "token"
        assert only_new.decrypt(account.signing_secret or "") == "signing"
        assert only_new.decrypt_json(session.get_one(Hook, desk.hook_id).settings_secret) == {
            "app_token": "x"
        }
