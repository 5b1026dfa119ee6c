"""A feature that an account has switched off keeps everything of its hooks back, in plain sight; on is the default."""

from __future__ import annotations

import pytest

from crm_sync.engine import features
from crm_sync.errors import ConfigError
from crm_sync.store.models import Account, EventState
from tests.integration.engine.conftest import Desk
from tests.payloads import contact_created
from tests.servers import on_every_database

FLAG = "crm_integration"


def switch(desk: Desk, *, on: bool) -> None:
    """Somebody switches the flag, and the receiver reads the account anew."""
    features.switch(desk.runtime, desk.account.id, FLAG, on=on)
    with desk.runtime.store.read() as session:
        desk.account = session.get_one(Account, desk.account.id)


@on_every_database
def test_new_events_are_ignored_for_a_feature_that_is_off_and_taken_again_once_it_is_on(desk: Desk) -> None:
    switch(desk, on=False)
    arrived = desk.send(contact_created(1))
    assert (arrived.events, arrived.ignored) == ((), "feature_off")
    assert arrived.words.endswith(".")
    assert desk.events() == []
    switch(desk, on=True)
    desk.send(contact_created(1))
    desk.drain()
    assert [event.state for event in desk.events()] == [EventState.DONE]


@on_every_database
def test_what_was_journaled_before_ends_as_skipped_without_a_call_to_the_crm(desk: Desk) -> None:
    desk.send(contact_created(1))
    switch(desk, on=False)
    desk.drain()
    (event,) = desk.events()
    assert (event.state, event.reason) == (EventState.SKIPPED, "feature_off")
    assert event.outcome == "The account has crm_integration switched off."
    assert desk.notebook.texts("person") == []
    assert desk.attempts()[0].calls == []


def test_workers_see_a_switch_as_they_see_changed_settings(desk: Desk) -> None:
    before = desk.hook().version
    switch(desk, on=False)
    assert desk.hook().version == before + 1


def test_a_feature_may_be_switched_twice_and_one_nobody_knows_is_refused(desk: Desk) -> None:
    switch(desk, on=False)
    switch(desk, on=False)
    assert features.all_of(desk.account) == {FLAG: False}
    switch(desk, on=True)
    switch(desk, on=True)
    assert desk.account.features_off == []
    with pytest.raises(ConfigError, match=r"no feature called crm_intergration\. There are: crm_integ"):
        features.switch(desk.runtime, desk.account.id, "crm_intergration", on=False)
    with pytest.raises(ConfigError, match="no account 99"):
        features.switch(desk.runtime, 99, FLAG, on=False)
