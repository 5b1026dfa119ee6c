"""Whatever breaks on the way, GLPI ends up as if nothing had."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from crm_sync.engine import mailbox
from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import EventState, HookState
from tests.integration.glpi.desk import WEBSITE, WHATSAPP, Desk, once

#: What happens one after another in a story, so that something can break in between.
Step = Callable[[Desk], Any]


def _ana_writes(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print")


def _they_talk(desk: Desk) -> None:
    desk.chatwoot.add_message(812, "Is it on?", direction="outgoing", sender_id=31)
    desk.chatwoot.add_message(812, "Yes")
    desk.chatwoot.add_message(812, "She is rude", direction="outgoing", sender_id=31, private=True)


def _ana_changes_her_address(desk: Desk) -> None:
    desk.chatwoot.update_contact(2101, name="Ana Lima", email="lima@example.com")


def _it_is_solved(desk: Desk) -> None:
    desk.chatwoot.set_priority(812, "high")
    desk.chatwoot.set_status(812, "resolved")


def _ana_and_bia_come_again(desk: Desk) -> None:
    desk.chatwoot.create_conversation(2101, WEBSITE, "Now it smokes")
    contact = desk.chatwoot.create_contact(name="Bia", phone_number="+5511912345678")
    desk.chatwoot.create_conversation(contact.id, WHATSAPP, "Hi")


STORY: tuple[Step, ...] = (
    _ana_writes,
    _they_talk,
    _ana_changes_her_address,
    _it_is_solved,
    _ana_and_bia_come_again,
)


def play(desk: Desk, *, before: Step | None = None) -> dict[str, Any]:
    """The story, with something going wrong before each of its steps; returns what GLPI shows in the end."""
    for step in STORY:
        step(desk)
        if before is not None:
            before(desk)
        desk.settle()
    assert desk.events(EventState.FAILED) == []
    return desk.picture()


def deadlock(app: Any, environ: Any, start_response: Any) -> Any:
    """The record is written, then the database complains of something else: GLPI 11 calls that a refusal."""
    run_wsgi_app(app, environ, buffered=True)
    words = "MySQL query error: Deadlock found when trying to get lock; try restarting transaction (1213) in SQL query"
    code = {"POST": "ERROR_GLPI_ADD", "PUT": "ERROR_GLPI_UPDATE", "DELETE": "ERROR_GLPI_DELETE"}
    body = json.dumps([code[environ["REQUEST_METHOD"]], f'{words} "INSERT INTO `glpi_logs`".'])
    return Response(body, 400, mimetype="application/json")(environ, start_response)


@pytest.fixture
def quiet(another_desk: Callable[[], Desk]) -> dict[str, Any]:
    """What GLPI shows when nothing goes wrong."""
    found = play(another_desk())
    assert len(found["tickets"]) == 3
    assert found["tickets"][0]["texts"] == ["It does not print", "Is it on?", "Yes", "She is rude"]
    return found


def test_sessions_that_expire_all_the_time_do_no_harm(desk: Desk, quiet: dict[str, Any]) -> None:
    def expire(desk: Desk) -> None:
        with desk.glpi.state.lock:
            desk.glpi.sessions.expire_all()

    assert play(desk, before=expire) == quiet


@pytest.mark.parametrize(
    "write",
    [
        "POST /User",
        "POST /Ticket",
        "POST /ITILFollowup",
        r"PUT /User/\d+",
        r"PUT /Ticket/\d+",
        r"DELETE /UserEmail/\d+",
    ],
)
@pytest.mark.parametrize("kind", [lose, html_page, refuse, deadlock])
def test_an_answer_that_is_lost_or_no_answer_changes_nothing_in_the_end(
    desk: Desk, quiet: dict[str, Any], write: str, kind: Callable[..., Any]
) -> None:
    method, path = write.split(" ")
    fault, hit = once(kind, method, path)
    desk.strike(fault)

    assert play(desk) == quiet
    assert hit.is_set()


def test_a_glpi_that_is_down_for_a_while_delays_everything_and_loses_nothing(
    desk: Desk, quiet: dict[str, Any]
) -> None:
    def down_for_a_while(desk: Desk) -> None:
        desk.glpi.faults.down = True
        desk.take(desk.deliveries())
        for _ in range(3):
            desk.drain()
            desk.clock.forward(600)
        assert desk.waiting()
        desk.glpi.faults.down = False
        desk.clock.forward(3600)

    assert play(desk, before=down_for_a_while) == quiet


def test_a_glpi_that_does_not_answer_in_time_is_asked_again_later_and_makes_nothing_twice(
    desk: Desk, quiet: dict[str, Any]
) -> None:
    assert desk.runtime.config.read_timeout_s == 30
    desk.runtime.config = replace(desk.runtime.config, read_timeout_s=0.3)
    over, told = threading.Event(), []

    def silence(app: Any, environ: Any, start_response: Any) -> Any:
        list(app(environ, start_response))
        over.wait(30)
        raise ConnectionAbortedError("the answer came too late")

    fault, hit = once(silence, "POST", "/Ticket")
    desk.strike(fault)

    def wait(desk: Desk) -> None:
        desk.take(desk.deliveries())
        desk.drain()
        told.extend(desk.waiting())

    try:
        assert play(desk, before=wait) == quiet
    finally:
        over.set()
    assert hit.is_set()
    assert any("GLPI did not answer in time." in words for words in told)


@pytest.mark.parametrize("kind", [html_page, refuse])
def test_people_in_chatwoot_see_nothing_of_what_went_wrong(desk: Desk, kind: Callable[..., Any]) -> None:
    fault, hit = once(kind, "POST", "/Ticket", times=1000)
    desk.strike(fault)
    _ana_writes(desk)
    desk.take(desk.deliveries())
    for _ in range(3):
        desk.drain()
        desk.clock.forward(3600)

    assert hit.is_set()
    contact, conversation = desk.chatwoot.state.contacts[2101], desk.chatwoot.state.conversations[812]
    assert contact.custom_attributes.keys() == {
        "glpi_user_id",
        "glpi_entity_id",
        "glpi_sync_enabled",
        "glpi_last_sync_at",
    }
    assert conversation.custom_attributes == {}
    assert [message.content for message in conversation.messages] == ["It does not print"]
    said = " ".join(desk.waiting())
    assert said
    assert not any(word in said for word in ("Traceback", "Exception", "SQL", "http:", "Session-Token"))


def test_faults_at_random_change_nothing_in_the_end(desk: Desk, quiet: dict[str, Any]) -> None:
    desk.glpi.faults.kinds, desk.glpi.faults.fail_rate = (lose, html_page, refuse), 0.4

    assert play(desk) == quiet
    assert sum(desk.glpi.faults.hits.values()) > 0


def test_maintenance_delays_everything(desk: Desk, quiet: dict[str, Any]) -> None:
    def maintenance(desk: Desk) -> None:
        desk.glpi.state.settings["maintenance"] = True
        desk.take(desk.deliveries())
        desk.drain()
        desk.glpi.state.settings["maintenance"] = False
        assert "it may be in maintenance" in desk.waiting()[0]

    assert play(desk, before=maintenance) == quiet


def test_a_ticket_whose_requester_could_not_be_seen_to_is_not_opened_twice(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com")
    fault, hit = once(refuse, "GET", "/Ticket_User")
    desk.strike(fault)
    _ana_writes(desk)
    desk.settle()

    assert hit.is_set() == desk.glpi.state.flavour.is_11, "only GLPI 11 chooses among requesters"
    assert desk.requesters(desk.row("Ticket")["id"]) == [there]


def test_a_ticket_found_again_gets_the_requester_it_lacks(desk: Desk) -> None:
    there = desk.add_user("someone-else", "ana@example.com")
    fault, hit = once(lose, "POST", "/Ticket")
    desk.strike(fault)
    _ana_writes(desk)
    desk.settle()

    assert hit.is_set()
    assert desk.requesters(desk.row("Ticket")["id"]) == [there]


def test_a_ticket_is_found_again_even_in_the_bin(desk: Desk) -> None:
    fault, hit = once(lose, "POST", "/Ticket")
    desk.strike(fault)
    _ana_writes(desk)
    desk.take(desk.deliveries())
    desk.drain()
    assert hit.is_set()
    desk.write("Ticket", desk.row("Ticket")["id"], is_deleted=1)
    desk.settle()

    assert len(desk.rows("Ticket")) == 1


def test_a_state_whose_answer_was_lost_is_put_right_though_the_conversation_is_back_where_it_was(
    desk: Desk,
) -> None:
    _ana_writes(desk)
    desk.settle()
    fault, hit = once(lose, "PUT", r"/Ticket/\d+")
    desk.strike(fault)
    desk.chatwoot.set_status(812, "pending")
    desk.take(desk.deliveries())
    desk.drain()
    assert (hit.is_set(), desk.row("Ticket")["status"]) == (True, 4)
    desk.chatwoot.set_status(812, "open")
    desk.settle()

    assert desk.row("Ticket")["status"] == 2


def test_credentials_that_stop_working_make_the_hook_wait_for_a_person(desk: Desk) -> None:
    _ana_writes(desk)
    desk.settle()
    with desk.glpi.state.lock:
        desk.glpi.sessions.expire_all()
        desk.glpi.sessions.renew_token(2)
    _they_talk(desk)
    desk.take(desk.deliveries())
    desk.drain()

    hook = desk.hook()
    assert hook.state == HookState.NEEDS_ATTENTION
    assert hook.state_reason == (
        "GLPI does not know this API token, or its user is switched off. Copy the user's API token anew."
    )
    assert desk.waiting()


def test_an_api_that_is_switched_off_makes_the_hook_wait_for_a_person(desk: Desk) -> None:
    _ana_writes(desk)
    desk.settle()
    desk.glpi.state.settings["api_enabled"] = False
    _they_talk(desk)
    desk.take(desk.deliveries())
    desk.drain()

    assert desk.hook().state == HookState.NEEDS_ATTENTION
    assert "GLPI's API is switched off (Setup > General > API)." in (desk.hook().state_reason or "")


def test_contacts_at_the_same_time_need_one_login(desk: Desk) -> None:
    for number in range(8):
        contact = desk.chatwoot.create_contact(name=f"Person {number}", email=f"p{number}@example.com")
        desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
    desk.take(desk.deliveries())
    barrier = threading.Barrier(8)

    def work(name: str) -> None:
        barrier.wait(30)
        mailbox.drain(desk.runtime, name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sorted({event.mailbox for event in desk.events(EventState.PENDING)})))
    desk.settle()

    assert desk.calls().count("GET /initSession") == 1
    assert (len(desk.users()), len(desk.rows("Ticket"))) == (8, 8)
