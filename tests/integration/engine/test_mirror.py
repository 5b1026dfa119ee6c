"""What is written back to Chatwoot is written by itself: tried again alone, in one go, and never over others' words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from crm_sync import keys, owner
from crm_sync.crms.base import Local
from crm_sync.engine import mirror
from crm_sync.engine.sweep import sweep
from crm_sync.sandbox.chatwoot.records import ContactRow
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import links
from crm_sync.store.models import Account, EventState, Hook, HookState, Link
from tests.integration.engine.conftest import Desk
from tests.payloads import contact_created, contact_updated


@pytest.fixture
def chatwoot(chatwoot_server: tuple[SandboxServer, ChatwootSandbox]) -> Iterator[ChatwootSandbox]:
    sandbox = chatwoot_server[1]
    yield sandbox
    sandbox.faults.change({"fail_rate": 0.0, "down": False})


@pytest.fixture
def person(chatwoot: ChatwootSandbox) -> ContactRow:
    """A contact of the Chatwoot, with an attribute of another app."""
    return chatwoot.create_contact(
        name="Ana Souza", email="ana@example.com", custom_attributes={"other_app": "keeps this"}
    )


def writes(chatwoot: ChatwootSandbox) -> int:
    """Calls that were made to change something."""
    return sum(method in {"PUT", "POST", "PATCH"} for method, _, _ in chatwoot.requests)


def due(desk: Desk, contact_id: int, **attributes: object) -> None:
    """These attributes are to be shown by a contact that is linked."""
    with desk.runtime.store.write() as session:
        (link,) = links.load(session, desk.hook_id, [("contact", contact_id)])
        links.want(session, link.id, dict(attributes), desk.clock())


def linked(desk: Desk, person: ContactRow) -> None:
    desk.send(contact_created(person.id))
    desk.drain(person.id)


def test_one_hook_at_a_time_writes_to_a_record_and_the_other_comes_again(
    desk: Desk, person: ContactRow
) -> None:
    first = desk.hook()
    with desk.runtime.store.write() as session:
        columns = (
            "account_id",
            "settings",
            "settings_secret",
            "facts",
            "version",
            "created_at",
            "updated_at",
        )
        given = {name: getattr(first, name) for name in columns}
        session.add(Hook(app_id="another", state=HookState.PAUSED, **given))
    lock = keys.record_lock(desk.account.id, ("contact", person.id))
    with desk.runtime.mutexes.hold(lock, owner.new_claim()):
        linked(desk, person)
        assert "notebook_page" not in person.custom_attributes
    mailbox = f"{desk.hook_id}:{person.id}"
    assert (mailbox, mirror.BUSY_WAIT_S) in desk.alarm.woken
    desk.drain(person.id)
    assert person.custom_attributes["notebook_page"] == 1


def test_the_number_of_the_page_is_shown_beside_what_other_apps_have_written(
    desk: Desk, person: ContactRow
) -> None:
    linked(desk, person)
    assert person.custom_attributes == {"other_app": "keeps this", "notebook_page": 1}
    (link,) = desk.links()
    assert (link.shown, link.mirror_at, link.mirror_error) == ({"notebook_page": 1}, None, None)


def test_attributes_of_a_conversation_survive_too_though_chatwoot_replaces_them(
    desk: Desk, chatwoot: ChatwootSandbox, person: ContactRow
) -> None:
    chatwoot.version = "4.16.0"
    conversation = chatwoot.create_conversation(person.id, 4, custom_attributes={"other_app": 1})
    linked(desk, person)
    with desk.runtime.store.write() as session:
        token = links.claim(
            session, hook_id=desk.hook_id, mailbox=f"{desk.hook_id}:{person.id}",
            record=("conversation", conversation.id), remote_type="page", token="x", now=desk.clock(),
        )  # fmt: skip
        links.want(session, token, {"notebook_page": 9}, desk.clock())
    desk.drain(person.id)
    assert conversation.custom_attributes == {"other_app": 1, "notebook_page": 9}


def test_a_failed_write_back_is_tried_again_without_a_call_to_the_crm(
    desk: Desk, chatwoot: ChatwootSandbox, person: ContactRow
) -> None:
    chatwoot.faults.change({"down": True})
    linked(desk, person)
    assert [event.state for event in desk.events()] == [EventState.DONE], "the event itself has ended"
    (link,) = desk.links()
    assert (link.mirror_tries, link.shown) == (1, {})
    assert link.mirror_error
    assert link.mirror_at is not None
    before = (desk.notebook.writes, desk.notebook.searches, len(desk.attempts()))
    desk.drain(person.id)
    assert desk.links()[0].mirror_tries == 1, "its time has not come"
    chatwoot.faults.change({"down": False})
    desk.clock.forward(60)
    assert sweep(desk.runtime) == 1
    desk.drain(person.id)
    assert person.custom_attributes["notebook_page"] == 1
    assert (desk.notebook.writes, desk.notebook.searches, len(desk.attempts())) == before
    (link,) = desk.links()
    assert (link.mirror_at, link.mirror_error, link.mirror_tries) == (None, None, 0)


def test_a_write_back_goes_on_by_itself_once_the_token_is_renewed(desk: Desk, person: ContactRow) -> None:
    keyring, account = desk.runtime.store.keyring, desk.account
    good = account.api_token_secret
    with desk.runtime.store.write() as session:
        session.get_one(Account, account.id).api_token_secret = keyring.encrypt("revoked")
    linked(desk, person)
    assert [event.state for event in desk.events()] == [EventState.DONE]
    (link,) = desk.links()
    assert link.mirror_error
    for _ in range(30):
        desk.clock.forward(3600)
        desk.drain(person.id)
    assert desk.links()[0].mirror_at is not None, "it waits for a person, however long that takes"
    with desk.runtime.store.write() as session:
        session.get_one(Account, account.id).api_token_secret = good
    desk.clock.forward(3600)
    assert sweep(desk.runtime) == 1
    desk.drain(person.id)
    assert person.custom_attributes["notebook_page"] == 1
    assert desk.links()[0].mirror_error is None


def test_a_write_back_is_given_up_in_plain_sight_after_the_last_try(
    desk: Desk, chatwoot: ChatwootSandbox, person: ContactRow
) -> None:
    chatwoot.faults.change({"down": True})
    linked(desk, person)
    for _ in desk.runtime.config.retry_delays_s:
        desk.clock.forward(50_000)
        desk.drain(person.id)
    (link,) = desk.links()
    assert link.mirror_at is None
    assert link.mirror_error
    with desk.runtime.store.read() as session:
        assert mirror.count_waiting(session) == 0


def test_everything_a_record_is_to_show_is_written_in_one_call(
    desk: Desk, chatwoot: ChatwootSandbox, person: ContactRow
) -> None:
    linked(desk, person)
    for number in range(5):
        due(desk, person.id, first=number, second=f"text {number}")
    before = writes(chatwoot)
    desk.drain(person.id)
    assert writes(chatwoot) == before + 1
    assert {key: person.custom_attributes[key] for key in ("first", "second")} == {
        "first": 4,
        "second": "text 4",
    }


def test_nothing_is_written_that_is_shown_already(
    desk: Desk, chatwoot: ChatwootSandbox, person: ContactRow
) -> None:
    linked(desk, person)
    before = writes(chatwoot)
    due(desk, person.id, notebook_page=1)
    desk.send(contact_updated(person.id))
    desk.drain(person.id)
    assert writes(chatwoot) == before


def test_an_attribute_is_taken_away_and_the_others_stay(desk: Desk, person: ContactRow) -> None:
    linked(desk, person)
    due(desk, person.id, notebook_page=None)
    desk.drain(person.id)
    assert person.custom_attributes == {"other_app": "keeps this"}


def test_a_contact_that_is_gone_ends_its_write_back_and_says_so(
    desk: Desk, chatwoot: ChatwootSandbox, person: ContactRow
) -> None:
    desk.send(contact_created(person.id))
    chatwoot.delete_contact(person.id)
    desk.drain(person.id)
    (link,) = desk.links()
    assert link.mirror_at is None
    assert link.mirror_error
    assert [event.state for event in desk.events()] == [EventState.DONE]


def test_what_changed_while_it_was_written_is_written_next(desk: Desk, person: ContactRow) -> None:
    linked(desk, person)
    due(desk, person.id, first=1)
    with desk.runtime.store.read() as session:
        stale = session.get_one(Link, desk.links()[0].id)
    due(desk, person.id, first=2)
    with desk.runtime.store.write() as session:
        mirror._note(desk.runtime, session, stale, None)
    assert desk.links()[0].mirror_at is not None
    desk.drain(person.id)
    assert person.custom_attributes["first"] == 2


def test_a_link_that_is_gone_meanwhile_is_no_trouble(desk: Desk, person: ContactRow) -> None:
    linked(desk, person)
    (link,) = desk.links()
    with desk.runtime.store.write() as session:
        links.release(session, link.id)
        mirror._note(desk.runtime, session, link, None)
    assert Local("contact", person.id).id == link.local_id


def test_a_paused_hook_still_shows_what_it_has_done(desk: Desk, person: ContactRow) -> None:
    linked(desk, person)
    due(desk, person.id, first=1)
    with desk.runtime.store.write() as session:
        session.execute(update(Link).values(mirror_tries=3))
    desk.drain(person.id)
    assert desk.links()[0].mirror_tries == 0
