"""The promise with real processes: workers that die or end, wake-ups that get lost, and a beat too many."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time

import pytest
import requests
from sqlalchemy import func, select

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.store.models import Attempt, Hook
from crm_sync.supervisor import children
from tests.servers import wait_for
from tests.system import System, counts, running, wait_until_quiet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

QUIET_S = 60.0
WIDGET = 4


def write(system: System, messages: int = 1, people: int = 1) -> None:
    """People write; every delivery is answered with 202."""
    for number in range(people):
        contact = system.chatwoot.create_contact(name=f"Person {number}", email=f"person{number}@example.com")
        conversation = system.chatwoot.create_conversation(contact.id, WIDGET, "My order did not arrive.")
        for following in range(1, messages):
            system.chatwoot.add_message(conversation.id, f"And another thing, the {following}th.")
    assert system.chatwoot.wait_delivered(30)
    assert {delivery.status for delivery in system.chatwoot.deliveries} == {202}


def records(system: System) -> tuple[int, int]:
    """How many tickets and followups there are."""
    rows = system.glpi_rows()
    return len(rows.get("Ticket", ())), len(rows.get("ITILFollowup", ()))


def test_the_beat_heals_a_wake_up_that_was_lost_right_after_the_answer() -> None:
    with running("web") as (system, runtime):
        system.connect(runtime)
        write(system, messages=3)
        system.flush_redis()
        system.start("worker", "beat")
        wait_until_quiet(runtime, QUIET_S)
        assert records(system) == (1, 2)


def test_what_technicians_do_comes_back_by_itself_and_at_once_when_glpi_tells() -> None:
    with running("web", "worker", "bulk", "beat", glpi_options={"flavour": "11.0.6"}) as (system, runtime):
        hook = system.connect(runtime, enable_bidirectional_sync="true")
        write(system)
        wait_until_quiet(runtime, QUIET_S)
        (number,) = system.chatwoot.state.conversations
        technician = GlpiClient(
            f"{system.glpi_url}/apirest.php", system.glpi.app_token, system.glpi.user_tokens["tech"]
        )

        def is_resolved() -> bool:
            return bool(system.chatwoot.state.conversations[number].status == "resolved")

        technician.update("Ticket", 1, {"status": 5})
        wait_for(is_resolved, 100.0, "the beat has the hook pulled")
        technician.update("Ticket", 1, {"status": 2})
        with runtime.store.read() as session:
            row = session.get_one(Hook, hook)
        secret = runtime.store.keyring.decrypt(row.notice_secret or "")
        stamp = str(int(time.time()))
        signature = hmac.new(secret.encode(), f"{{}}{stamp}".encode(), hashlib.sha256).hexdigest()
        headers = {"X-GLPI-signature": signature, "X-GLPI-timestamp": stamp}
        answer = requests.post(
            f"{system.url}/hooks/{row.notice_token}/glpi", data=b"{}", headers=headers, timeout=10
        )
        assert answer.status_code == 202
        wait_for(lambda: not is_resolved(), 30.0, "the notice has the hook pulled")
        wait_until_quiet(runtime, QUIET_S)
        assert records(system) == (1, 0)


def test_a_worker_killed_in_the_middle_of_a_call_makes_no_second_ticket() -> None:
    with running("web", "worker", "beat") as (system, runtime):
        system.connect(runtime)
        arrived, killed = threading.Event(), threading.Event()

        def slowly(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/Ticket") and not arrived.is_set():
                arrived.set()
                killed.wait(30)

        system.gate.before = slowly
        write(system, messages=2)
        assert arrived.wait(30)
        system.kill("worker")
        # GLPI goes on with a request whose sender is gone, as it does in real life.
        killed.set()
        system.start("worker")
        wait_until_quiet(runtime, QUIET_S)
        assert records(system) == (1, 1)
        assert counts(runtime)["failed"] == 0


def test_a_worker_that_is_asked_to_end_finishes_what_it_has_in_hand() -> None:
    with running("web", "worker") as (system, runtime):
        system.connect(runtime)
        arrived, asked = threading.Event(), threading.Event()

        def slowly(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/Ticket"):
                arrived.set()
                asked.wait(3)

        system.gate.before = slowly
        write(system)
        assert arrived.wait(30)
        worker = system.processes["worker"]
        children.terminate(worker)
        asked.set()
        assert children.wait(system.processes.pop("worker"), 60) == 0
        # Its outcome is written: the worker that comes next finds nothing in doubt.
        with runtime.store.read() as session:
            assert session.scalar(select(func.count()).where(Attempt.outcome != "done")) == 0
        assert records(system) == (1, 0)
        before = len(system.glpi.requests)
        system.start("worker", "beat")
        wait_until_quiet(runtime, QUIET_S)
        assert records(system) == (1, 0)
        searches = [call for call in system.glpi.requests[before:] if "/search/Ticket" in call[1]]
        assert searches == []


def test_two_beats_and_two_workers_make_everything_once() -> None:
    with running("web", "worker", "worker-2", "beat") as (system, runtime):
        system.connect(runtime)
        first = system.processes.pop("beat")
        system.start("beat")
        try:
            write(system, messages=3, people=8)
            system.flush_redis()
            wait_until_quiet(runtime, QUIET_S)
        finally:
            children.stop(first, 20)
        assert records(system) == (8, 16)
        assert counts(runtime)["done"] == sum(counts(runtime).values())


def test_the_answer_is_202_and_everything_is_done_later_while_redis_is_dead() -> None:
    with running("web", "worker", "beat") as (system, runtime):
        system.connect(runtime)
        system.kill("redis")
        write(system, messages=2)
        system.start_redis()
        for name in ("worker", "beat"):
            if system.processes[name].poll() is not None:
                system.start(name)
        wait_for(lambda: records(system) == (1, 1), QUIET_S, "the ticket is there")
        wait_until_quiet(runtime, QUIET_S)
        assert records(system) == (1, 1)
