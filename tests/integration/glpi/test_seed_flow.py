"""The whole way, as somebody who sets crm_sync up goes it: commands, processes, and real deliveries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_sync.engine.runtime import Runtime
from tests.commands import asked, crm_sync
from tests.integration.glpi.desk import WEBSITE, shown
from tests.system import System, counts, running, wait_until_quiet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

QUIET_S = 60.0


@pytest.fixture
def service(flavour: str) -> Iterator[tuple[System, Runtime]]:
    """A running service that nobody has connected yet."""
    with running("web", "worker", "beat", glpi_options={"flavour": flavour}) as found:
        yield found


def settings(system: System, **changes: str) -> list[str]:
    """What is typed to connect the GLPI."""
    given = {
        "api_url": f"{system.glpi_url}/apirest.php",
        "app_token": system.glpi.app_token,
        "user_token": system.glpi.user_tokens["super"],
        "enable_followup_sync": "true",
        **changes,
    }
    return [word for key, value in given.items() for word in ("--set", f"{key}={value}")]


def connected(system: System) -> int:
    """The number of the account that was connected."""
    where = ["--chatwoot-url", system.chatwoot_url, "--account-id", system.chatwoot.account_id]
    account: int = asked("accounts", "connect", *where, "--api-token", system.chatwoot.api_token)["account"]
    return account


def settle(service: tuple[System, Runtime]) -> dict[str, list[dict[str, object]]]:
    """Everything that happened has arrived and has its outcome; what GLPI holds then."""
    system, runtime = service
    assert system.chatwoot.wait_delivered(30)
    assert {delivery.status for delivery in system.chatwoot.deliveries} == {202}
    wait_until_quiet(runtime, QUIET_S)
    assert counts(runtime)["failed"] == 0
    return system.glpi_rows()


@pytest.mark.parametrize("use_contact", ["false", "true"])
def test_a_conversation_goes_the_whole_way_from_connecting_to_being_solved(
    service: tuple[System, Runtime], use_contact: str
) -> None:
    system, _ = service
    read = system.glpi.state.flavour.read
    # 1 to 3: the integration is created with GLPI's credentials, and that runs the setup.
    account = connected(system)
    added = asked("hooks", "add", "glpi", "--account", account, *settings(system, use_contact=use_contact))
    assert (added["state"], added["state_reason"]) == ("active", None)
    assert asked("hooks", "show", added["hook"])["facts"]["version"] == system.glpi.state.flavour.version

    # 4 and 5: a contact becomes a person of GLPI.
    contact = system.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    rows = settle(service)
    if use_contact == "true":
        [person] = rows["Contact"]
        assert (person["email"], read(str(person["name"]))) == ("ana@example.com", "Ana Souza")
    else:
        [person] = [row for row in rows["User"] if str(row["name"]).startswith("cw-")]
        assert [row["email"] for row in rows["UserEmail"] if row["users_id"] == person["id"]] == [
            "ana@example.com"
        ]

    # 6 and 7: a conversation becomes a ticket.
    number = system.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    rows = settle(service)
    [ticket] = rows["Ticket"]
    assert (ticket["name"], ticket["status"]) == (f"Conversation #{number}", 2)
    assert "It does not print" in read(str(ticket["content"]))
    [requester] = [row for row in rows["Ticket_User"] if row["type"] == 1]
    if use_contact == "true":
        assert requester["alternative_email"] == "ana@example.com"
    else:
        assert requester["users_id"] == person["id"]

    # 8 and 9: a message becomes a followup.
    system.chatwoot.add_message(number, "Is it on?", direction="outgoing", sender_id=31)
    [followup] = settle(service)["ITILFollowup"]
    assert (shown(read(str(followup["content"]))), followup["items_id"]) == ("Is it on?", ticket["id"])

    # 10 and 11: once it is resolved, the ticket is solved.
    system.chatwoot.set_status(number, "resolved")
    [ticket] = settle(service)["Ticket"]
    assert ticket["status"] == 5


def test_wrong_credentials_are_refused_in_a_sentence_for_people_and_nothing_is_stored(
    service: tuple[System, Runtime],
) -> None:
    system, _ = service
    account = connected(system)
    for wrong, code in (
        ({"app_token": "wrong"}, "invalid_credentials"),
        ({"user_token": "wrong"}, "invalid_credentials"),
        ({"entity_id": "4711"}, "entity_not_found"),
    ):
        refused = crm_sync("hooks", "add", "glpi", "--account", account, *settings(system, **wrong), "--json")
        assert (refused.status, refused.object["code"]) == (1, code)
        people = crm_sync("hooks", "add", "glpi", "--account", account, *settings(system, **wrong))
        said = people.stdout + people.stderr
        assert not any(
            word in said for word in ("Traceback", "ERROR_", "HTTP", "Exception", system.glpi.app_token)
        )
    assert crm_sync("hooks", "list", "--json").stdout == ""
