"""Whatever breaks on the way: nobody and nothing is made twice, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crm_sync.engine import mailbox
from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import EventState, HookState
from tests.integration.krayin.desk import WEBSITE, Desk, once


@pytest.fixture
def settings() -> dict[str, str]:
    """Everything that is made."""
    return {"enable_activity_sync": "true", "enable_message_sync": "true", "sync_to_organization": "true"}


def crash_saved(app: Any, environ: Any, start_response: Any) -> Any:
    """A fault: Krayin does what it was asked, and breaks on the way out."""
    list(app(environ, lambda *_: None))
    headers = [
        ("Content-Type", "application/json"),
        ("X-RateLimit-Limit", "60"),
        ("X-RateLimit-Remaining", "40"),
    ]
    start_response("500 Internal Server Error", headers)
    return [json.dumps({"message": "admin::app.common.internal-server-error"}).encode()]


def play(desk: Desk) -> None:
    """Two contacts of one company write, and one of them goes on."""
    company = {"company_name": "Globex"}
    numbers = []
    for name in ("Ana", "Bob"):
        contact = desk.chatwoot.create_contact(
            name=name, email=f"{name.lower()}@example.com", additional_attributes=company
        )
        numbers.append(desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello").id)
    desk.chatwoot.add_message(numbers[0], "And what of it?")
    desk.settle()
    desk.chatwoot.set_status(numbers[0], "resolved")
    desk.settle()


def assert_once(desk: Desk) -> None:
    assert desk.failed() == []
    assert sorted(row["name"] for row in desk.rows("persons")) == ["Ana", "Bob"]
    assert sorted(row["title"] for row in desk.rows("leads")) == ["Ana", "Bob"]
    assert [row["name"] for row in desk.rows("organizations")] == ["Globex"]
    titles = sorted(row["title"] for row in desk.activities())
    assert len(titles) == 3, titles


@pytest.mark.parametrize("path", ["/persons", "/organizations", "/leads", "/activities"])
@pytest.mark.parametrize("kind", [lose, html_page, refuse, crash_saved])
def test_an_answer_that_is_lost_or_a_500_that_saved_makes_nothing_twice(
    desk: Desk, path: str, kind: Callable[..., Any]
) -> None:
    fault, hit = once(kind, "POST", path)
    desk.strike(fault)
    play(desk)
    assert hit.is_set()
    assert_once(desk)


def test_a_person_that_krayin_broke_at_before_its_marker_is_found_by_its_address(desk: Desk) -> None:
    def without_marker(app: Any, environ: Any, start_response: Any) -> Any:
        answer = crash_saved(app, environ, start_response)
        with desk.krayin.state.lock:
            for row in list(desk.krayin.state["attribute_values"].rows.values()):
                if row["entity_type"] == "persons":
                    desk.krayin.state["attribute_values"].remove(row)
        return answer

    fault, hit = once(without_marker, "POST", "/persons")
    desk.strike(fault)
    play(desk)
    assert hit.is_set()
    assert_once(desk)


def test_faults_at_random_make_nothing_twice(desk: Desk) -> None:
    desk.krayin.faults.kinds, desk.krayin.faults.fail_rate = (lose, html_page, refuse, crash_saved), 0.3
    play(desk)
    assert sum(desk.krayin.faults.hits.values()) > 0
    desk.strike()
    assert_once(desk)


@pytest.mark.parametrize("key", ["email", "phone_number"])
def test_contacts_with_one_address_at_the_same_time_are_one_person(desk: Desk, key: str) -> None:
    desk.krayin.state.settings["race_window_ms"] = 50
    value = {"email": "same@example.com", "phone_number": "+5511988887777"}[key]
    for number in range(6):
        contact = desk.chatwoot.create_contact(name=f"P{number}")
        desk.chatwoot.update_contact(contact.id, **{key: value})
    desk.take(desk.deliveries())
    names = sorted({event.mailbox for event in desk.events(EventState.PENDING)})
    for _ in range(12):
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: mailbox.drain(desk.runtime, name), names))
        desk.clock.forward(5)
    desk.settle()
    assert desk.failed() == []
    assert len(desk.rows("persons")) == 1


def test_a_token_that_stops_working_makes_the_hook_wait_for_a_person(desk: Desk) -> None:
    with desk.krayin.state.lock:
        desk.krayin.state.revoke_tokens()
    desk.begin()
    desk.take(desk.deliveries())
    client = desk.runtime.client(desk.runtime.view(desk.hook(), desk.account), desk.hook().version)
    client._clock = lambda: desk.clock().timestamp()
    for _ in range(6):
        desk.drain()
        desk.clock.forward(400)
    assert desk.hook().state == HookState.NEEDS_ATTENTION
    assert "token" in (desk.hook().state_reason or "")
    assert desk.waiting()
    assert desk.failed() == []
