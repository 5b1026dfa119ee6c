"""Connecting a GLPI, changing settings and resuming: the setup runs each time, and its facts are those in use."""

from __future__ import annotations

import pytest

from crm_sync.engine import hooks
from crm_sync.errors import ConfigError
from crm_sync.store.models import HookState
from tests.integration.glpi.desk import WEBSITE, Desk

NINE_AS_THE_SERVER_TELLS_IT = "2026-11-02 06:00:00"


def begin(desk: Desk, name: str) -> None:
    """Somebody new writes."""
    contact = desk.chatwoot.create_contact(name=name, email=f"{name}@example.com".lower())
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")
    desk.sync()


def test_what_setup_found_out_is_kept_with_the_hook(desk: Desk) -> None:
    facts = desk.hook().facts

    assert facts["version"] == desk.glpi.state.flavour.version
    assert (facts["profile"], facts["entity_id"], facts["user_id"]) == ("Super-Admin", 0, 2)
    assert (facts["default_profile_id"], facts["has_sla"], facts["category_names"]) == (1, False, {})
    assert facts["user_count"] == len(desk.rows("User"))


def test_facts_follow_a_change_of_settings(desk: Desk) -> None:
    with desk.glpi.state.lock:
        number = desk.glpi.state["ITILCategory"].insert({"name": "Printer", "completename": "Printer"})["id"]
        desk.glpi.state["SLA"].insert({"name": "Gold", "type": 0})
    desk.set(category_id=str(number))
    assert desk.hook().facts["category_names"] == {str(number): "Printer"}
    assert desk.hook().facts["has_sla"] is True

    desk.set(category_id="")
    assert desk.hook().facts["category_names"] == {}


def test_a_change_that_names_what_glpi_has_not_is_refused_and_nothing_changes(desk: Desk) -> None:
    before = desk.hook()
    with pytest.raises(ConfigError, match=r"category_id: GLPI has no ITIL category 4711\."):
        hooks.change(desk.runtime, desk.hook_id, {"category_id": "4711"})

    assert (desk.hook().settings, desk.hook().state) == (before.settings, HookState.ACTIVE)


def test_a_hook_is_resumed_only_once_its_account_may_do_the_work_again(desk: Desk) -> None:
    hooks.pause(desk.runtime, desk.hook_id)
    with desk.glpi.state.lock:
        table = desk.glpi.state["Profile_User"]
        [row] = table.where("users_id", 2)
        table.update(row, {"profiles_id": 1})
    report = hooks.resume(desk.runtime, desk.hook_id)
    assert (report.state, "lacks rights" in str(report.state_reason)) == (HookState.NEEDS_ATTENTION, True)

    with desk.glpi.state.lock:
        table.update(row, {"profiles_id": 4})
    assert hooks.resume(desk.runtime, desk.hook_id).state == HookState.ACTIVE


def test_dates_are_right_whatever_zone_the_account_lives_in(desk: Desk) -> None:
    """GLPI 10 follows the account's zone as long as its database has time zones; GLPI 11 never does."""
    begin(desk, "Ana")
    desk.glpi.state.settings["database_timezones"] = False
    desk.set(ticket_type="2")
    begin(desk, "Rui")
    desk.glpi.state.settings["database_timezones"] = True
    desk.glpi.sessions.expire_all()
    begin(desk, "Eva")

    assert [row["date"] for row in desk.rows("Ticket")] == [NINE_AS_THE_SERVER_TELLS_IT] * 3
