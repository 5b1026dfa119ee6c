"""What is accepted is stored once for every hook that takes it, and somebody is woken for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event as listening

from crm_sync.engine import apps
from crm_sync.events import EventName
from crm_sync.store.models import Account, Hook, SignatureMode
from tests.deliveries import MOMENT, ignored, signed
from tests.notebook import Notebook, notebook_app
from tests.payloads import (
    contact_created,
    contact_updated,
    conversation_created,
    conversation_status_changed,
    message_created,
)
from tests.servers import on_every_database

OLD_SECRET = "the-secret-of-yesterday"


# -- once --------------------------------------------------------------------------------------------------------


@on_every_database
def test_a_delivery_becomes_one_event_for_each_hook_that_takes_it(office: Any) -> None:
    contacts, diary, album = (office.add_hook(name) for name in ("contacts", "diary", "album"))
    notebook = office.hooks["notebook"]
    assert office.deliver(contact_created(7))["accepted"] == 4
    answer = office.deliver(message_created(1, contact_id=7))
    assert (answer["accepted"], answer["ignored"]) == (3, None)
    events = office.events()
    assert sorted(event.hook_id for event in events[:4]) == sorted([notebook, contacts, diary, album])
    assert sorted(event.hook_id for event in events[4:]) == sorted([notebook, diary, album])
    assert answer["events"] == [event.id for event in events[4:]]
    assert {event.mailbox for event in events} == {f"{hook}:7" for hook in office.hooks.values()}
    assert len({event.delivery_id for event in events}) == 2
    assert office.woken() == 4  # one wake-up for each mailbox, although two deliveries came


@on_every_database
@pytest.mark.parametrize(
    "payload", [contact_created(), contact_updated(), conversation_created(), message_created(5)]
)
def test_a_doubled_delivery_is_stored_once(office: Any, payload: dict[str, Any]) -> None:
    first = office.deliver(payload, delivery_id="6205cf15-8b29-5280-8a5f-9a5065261815")
    same_id = office.deliver(payload, delivery_id="6205cf15-8b29-5280-8a5f-9a5065261815")
    new_id = office.deliver(payload, delivery_id="11111111-8b29-5280-8a5f-9a5065261815")
    assert (first["accepted"], first["ignored"]) == (1, None)
    assert same_id == new_id == {"accepted": 0, "events": [], "ignored": "repeat"}
    assert len(office.events()) == 1
    assert office.woken() == 1


@on_every_database
def test_of_the_same_delivery_arriving_many_times_at_once_one_is_stored(office: Any) -> None:
    answers: list[dict[str, Any]] = []
    together = threading.Barrier(6)

    def deliver() -> None:
        together.wait()
        answers.append(office.deliver(contact_created(7)))

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["accepted"] for answer in answers) == [0, 0, 0, 0, 0, 1]
    assert len(office.events()) == 1


@on_every_database
def test_a_conversation_that_is_resolved_twice_is_two_events(office: Any) -> None:
    for minute in (10, 20):
        assert office.deliver(conversation_status_changed(minute=minute))["accepted"] == 1
        assert office.deliver(conversation_status_changed(minute=minute))["ignored"] == "repeat"
    assert [event.name for event in office.events()] == ["conversation_status_changed"] * 2


def test_two_updates_of_a_message_are_two_events_as_nothing_tells_them_apart(office: Any) -> None:
    payload = message_created(5) | {"event": "message_updated"}
    assert [office.deliver(payload)["accepted"] for _ in range(2)] == [1, 1]


def test_the_same_update_of_a_message_is_known_by_its_delivery_id(office: Any) -> None:
    payload = message_created(5) | {"event": "message_updated"}
    answers = [office.deliver(payload, delivery_id="one-id") for _ in range(2)]
    assert [answer["ignored"] for answer in answers] == [None, "repeat"]


@pytest.mark.parametrize("odd", ["x" * 101, "", "tab\there", "\x7f"])
def test_a_delivery_id_that_is_nobodys_counts_as_none(office: Any, odd: str) -> None:
    for message in (1, 2):
        # Two that have the first hundred characters in common are still two.
        given = odd + str(message) if len(odd) > 100 else odd
        assert office.deliver(message_created(message), delivery_id=given or " ")["accepted"] == 1


def test_a_delivery_without_an_id_is_stored(office: Any) -> None:
    raw = json.dumps(contact_created()).encode()
    office.change_account(signature=SignatureMode.OFF)
    assert office.post(raw, {"Content-Type": "application/json"}).status_code == 202
    assert office.deliveries()[0].delivery_id is None


# -- what is not for us --------------------------------------------------------------------------------------------


def test_what_no_hook_takes_is_said_counted_and_not_stored(office: Any) -> None:
    with office.runtime.store.write() as session:
        session.delete(session.get_one(Hook, office.hooks["notebook"]))
    before = ignored().get("no_hook", 0)
    assert office.deliver(contact_created())["ignored"] == "no_hook"
    office.add_hook("contacts")
    assert office.deliver(message_created(5))["ignored"] == "no_hook"
    assert ignored()["no_hook"] == before + 2
    assert office.stored() == office.woken() == 0


def test_what_only_a_feature_takes_that_is_off_is_said_counted_and_not_stored(office: Any) -> None:
    office.change_account(features_off=["crm_integration"])
    before = ignored().get("feature_off", 0)
    assert office.deliver(contact_created())["ignored"] == "feature_off"
    assert ignored()["feature_off"] == before + 1
    assert office.stored() == office.woken() == 0


def test_a_hook_of_another_feature_takes_what_the_feature_that_is_off_does_not(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = notebook_app(Notebook())
    telling = replace(telling, manifest=replace(telling.manifest, feature_flag="telling"))
    monkeypatch.setattr(apps, "installed", lambda: {"notebook": notebook_app(Notebook()), "teller": telling})
    teller = office.add_hook("teller")
    office.change_account(features_off=["crm_integration"])
    assert office.deliver(contact_created())["accepted"] == 1
    assert [event.hook_id for event in office.events()] == [teller]


def test_a_hook_whose_app_is_not_installed_keeps_its_events(office: Any) -> None:
    office.add_hook("from_a_plugin")
    assert office.deliver(contact_created())["accepted"] == 2


# -- hooks that come and go ------------------------------------------------------------------------------------------


@on_every_database
def test_a_hook_that_is_removed_meanwhile_costs_the_others_no_event(office: Any) -> None:
    diary = office.add_hook("diary")
    _at_the_look_for_hooks(office, lambda session: session.delete(session.get_one(Hook, diary)))
    assert office.deliver(contact_created())["accepted"] == 1
    assert [event.hook_id for event in office.events()] == [office.hooks["notebook"]]


@on_every_database
def test_a_delivery_to_an_account_that_is_removed_meanwhile_is_ignored_and_breaks_nothing(
    office: Any,
) -> None:
    _at_the_look_for_hooks(office, lambda session: session.delete(session.get_one(Account, 1)))
    assert office.deliver(contact_created())["ignored"] == "no_hook"
    assert office.stored() == 0


def _at_the_look_for_hooks(office: Any, change: Callable[[Any], None]) -> None:
    """Between the look for hooks and the storing of their events, once, somebody changes something."""
    done: list[bool] = []

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not done and statement.startswith("SELECT hooks."):
            done.append(True)
            with office.runtime.store.write() as session:
                change(session)

    listening.listen(office.runtime.store.engine, "after_cursor_execute", after)


# -- signatures ------------------------------------------------------------------------------------------------------


def test_the_secret_that_was_replaced_is_accepted_too(office: Any) -> None:
    office.change_account(previous_signing_secret=office.encrypted(OLD_SECRET))
    for number, secret in enumerate((OLD_SECRET, None), start=1):
        raw = json.dumps(contact_created(number)).encode()
        headers = signed(raw, secret=secret) if secret else signed(raw)
        assert office.post(raw, headers).status_code == 202


@pytest.mark.parametrize(
    ("mode", "secret_known", "signature", "status"),
    [
        ("required", True, "right", 202),
        ("required", True, "wrong", 401),
        ("required", True, "none", 401),
        ("required", False, "right", 401),
        ("optional", True, "right", 202),
        ("optional", True, "wrong", 401),
        ("optional", True, "none", 202),
        (
            "optional",
            False,
            "right",
            202,
        ),  # Chatwoot was updated, and signs since; nobody knows the secret yet
        ("optional", False, "none", 202),
        ("off", True, "wrong", 202),
        ("off", False, "none", 202),
    ],
)
def test_the_mode_decides_which_signatures_are_needed(
    office: Any, mode: str, signature: str, status: int, *, secret_known: bool
) -> None:
    office.change_account(signature=SignatureMode(mode))
    if not secret_known:
        office.change_account(signing_secret=None)
    raw = json.dumps(contact_created()).encode()
    headers = signed(raw) if signature == "right" else signed(raw, secret="another-secret")
    if signature == "none":
        headers = {name: value for name, value in headers.items() if not name.startswith("X-Chatwoot-S")}
    assert office.post(raw, headers).status_code == status


@pytest.mark.parametrize(("offset_s", "status"), [(-300, 202), (300, 202), (-301, 401), (301, 401)])
def test_the_window_is_that_of_the_configuration_by_the_clock_of_the_service(
    office: Any, offset_s: int, status: int
) -> None:
    office.runtime.now = lambda: MOMENT + timedelta(seconds=offset_s)
    assert office.post(json.dumps(contact_created()).encode()).status_code == status


# -- what is stored with it --------------------------------------------------------------------------------------------


@on_every_database
def test_an_event_carries_its_records_its_place_and_its_time(office: Any) -> None:
    office.deliver(message_created(5, conversation_id=12, contact_id=7))
    (event,) = office.events()
    assert event.name == EventName.MESSAGE_CREATED
    assert (event.conversation_id, event.message_id, event.mailbox) == (12, 5, f"{event.hook_id}:7")
    assert (event.state, event.tries, event.claim, event.finished_at) == ("pending", 0, None, None)
    settle = timedelta(seconds=office.runtime.config.settle_s)
    assert event.next_attempt_at == event.created_at + settle
    assert event.created_at == office.runtime.now()


@on_every_database
def test_any_characters_of_any_language_are_kept(office: Any) -> None:
    name = "Ana 🚀 Núñez <b> & \u2028 ﷽ e\u0308 名前"
    office.deliver(contact_created(name=name, custom_attributes={"キー": "値", "half": "\ud83d"}))
    payload = office.deliveries()[0].payload
    assert payload["name"] == name
    assert payload["custom_attributes"] == {"キー": "値", "half": "\ufffd"}


@on_every_database
@pytest.mark.parametrize("number", [2**63 - 1, "9223372036854775807"])
def test_the_largest_id_of_a_database_is_kept(office: Any, number: Any) -> None:
    assert office.deliver(contact_created(number))["accepted"] == 1
    assert office.events()[0].mailbox.endswith(":9223372036854775807")
