"""Much at once: a full import, a busy morning, a chatty customer. Counted with real processes, and without a clock.

How long it takes is a matter of ``make bench`` (sync_times).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from crm_sync.engine.runtime import Runtime
from crm_sync.supervisor.up import worker_names
from tests.integration.glpi.desk import WEBSITE, shown
from tests.system import System, counts, running, wait_until_quiet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

QUIET_S = 150.0
CONTACTS, CONVERSATIONS, MESSAGES = 100, 50, 100


@pytest.fixture
def service(flavour: str) -> Iterator[tuple[System, Runtime]]:
    """A connected service with two worker processes; Chatwoot sends eight deliveries at a time, in any order.

    What overtakes another by less than the settling time is put in order again, however busy the machine is.
    """
    with running(
        "web",
        "beat",
        options={"CRM_SYNC_SETTLE_S": "3"},
        glpi_options={"flavour": flavour},
        chatwoot_options={"workers": 8},
    ) as (system, runtime):
        system.connect(runtime)
        system.chatwoot.shuffle = True
        system.start(*worker_names(2))
        yield system, runtime


def settle(service: tuple[System, Runtime]) -> dict[str, list[dict[str, Any]]]:
    """Everything that happened has arrived and has its outcome; what GLPI holds then."""
    system, runtime = service
    assert system.chatwoot.wait_delivered(60)
    assert {delivery.status for delivery in system.chatwoot.deliveries} == {202}
    wait_until_quiet(runtime, QUIET_S)
    assert counts(runtime)["failed"] == 0
    return system.glpi_rows()


def users(rows: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    """How many users of ours have each address."""
    ours = {row["id"] for row in rows["User"] if row["name"].startswith("cw-")}
    return Counter(row["email"] for row in rows["UserEmail"] if row["users_id"] in ours)


def test_a_hundred_contacts_at_once_become_a_hundred_users(service: tuple[System, Runtime]) -> None:
    system, _ = service
    for number in range(CONTACTS):
        contact = system.chatwoot.create_contact(name=f"Person {number}", email=f"p{number}@example.com")
        # Created and updated are told at the same time, in any order, to whichever process is quicker.
        system.chatwoot.update_contact(contact.id, name=f"Person {number} the Great")
    rows = settle(service)

    assert users(rows) == Counter({f"p{number}@example.com": 1 for number in range(CONTACTS)})
    ours = [row for row in rows["User"] if row["name"].startswith("cw-")]
    assert len(ours) == CONTACTS
    assert sorted(row["realname"] for row in ours) == sorted(
        f"{number} the Great" for number in range(CONTACTS)
    )


def test_fifty_conversations_at_once_become_fifty_tickets(service: tuple[System, Runtime]) -> None:
    system, _ = service
    numbers = []
    # Some people begin several: their tickets share a user.
    people = [
        system.chatwoot.create_contact(name=f"Person {number}", email=f"p{number}@example.com").id
        for number in range(CONVERSATIONS // 2)
    ]
    for number in range(CONVERSATIONS):
        contact = people[number % len(people)]
        numbers.append(system.chatwoot.create_conversation(contact, WEBSITE, f"Question {number}").id)
    rows = settle(service)

    names = Counter(row["name"] for row in rows["Ticket"])
    assert names == Counter({f"Conversation #{number}": 1 for number in numbers})
    asking = Counter(row["users_id"] for row in rows["Ticket_User"] if row["type"] == 1)
    assert set(asking.values()) == {2}
    assert len(asking) == len(users(rows)) == len(people)
    assert "ITILFollowup" not in rows


def test_a_hundred_messages_in_a_row_become_followups_in_their_order(service: tuple[System, Runtime]) -> None:
    system, _ = service
    contact = system.chatwoot.create_contact(name="Ana", email="ana@example.com")
    number = system.chatwoot.create_conversation(contact.id, WEBSITE, "Message 0").id
    for message in range(1, MESSAGES):
        system.chatwoot.add_message(number, f"Message {message}")
    rows = settle(service)

    read = system.glpi.state.flavour.read
    [ticket] = rows["Ticket"]
    followups = sorted(rows["ITILFollowup"], key=lambda row: (row["date"], row["id"]))
    texts = [shown(read(row["content"])) for row in [ticket, *followups]]
    assert sorted(texts) == sorted(f"Message {message}" for message in range(MESSAGES))
    assert texts == [f"Message {message}" for message in range(MESSAGES)]
