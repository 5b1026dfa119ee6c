"""One account with GLPI and Krayin at once: neither waits for the other, and neither wipes what the other shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_sync.config import Config
from crm_sync.engine import hooks
from crm_sync.sandbox.glpi import GlpiSandbox, create_app as glpi_app
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store.models import EventState, HookState
from tests.integration.krayin.desk import Desk, opened


@pytest.fixture
def glpi(config: Config, flavour: str) -> Iterator[tuple[Desk, GlpiSandbox]]:
    """A desk whose account has a hook of GLPI besides that of Krayin."""
    web = glpi_app()
    found: GlpiSandbox = web.extensions["sandbox"]
    with (
        opened(config, flavour, {"enable_activity_sync": "true"}) as desk,
        SandboxServer(web) as server,
    ):
        given = {
            "api_url": f"{server.url}/apirest.php",
            "app_token": found.app_token,
            "user_token": found.user_tokens["super"],
        }
        report = hooks.add(desk.runtime, "glpi", desk.account.id, given)
        assert report.state == HookState.ACTIVE, report.state_reason
        yield desk, found


def test_both_make_their_records_and_show_their_ids(glpi: tuple[Desk, GlpiSandbox]) -> None:
    desk, _ = glpi
    contact, number = desk.begin()
    desk.sync()
    assert {"glpi_user_id", "krayin_person_id", "krayin_lead_id"} <= desk.contact_shows(contact).keys()
    assert {"glpi_ticket_id", "krayin_activity_id"} <= desk.conversation_shows(number).keys()
    desk.chatwoot.set_status(number, "resolved")
    desk.chatwoot.update_contact(contact, name="Ana Lima")
    desk.sync()
    assert {"glpi_user_id", "krayin_person_id", "krayin_lead_id"} <= desk.contact_shows(contact).keys()
    assert {"glpi_ticket_id", "krayin_activity_id"} <= desk.conversation_shows(number).keys()


@pytest.mark.parametrize("down", ["glpi", "krayin"])
def test_one_that_is_down_does_not_hold_up_the_other(glpi: tuple[Desk, GlpiSandbox], down: str) -> None:
    desk, sandbox = glpi
    (sandbox if down == "glpi" else desk.krayin).faults.down = True
    contact, _ = desk.begin()
    desk.take(desk.deliveries())
    desk.drain()
    shown = desk.contact_shows(contact)
    assert ("krayin_person_id" in shown) == (down == "glpi")
    assert ("glpi_user_id" in shown) == (down == "krayin")
    assert desk.events(EventState.PENDING)
    (sandbox if down == "glpi" else desk.krayin).faults.down = False
    desk.clock.forward(600)
    desk.settle()
    assert {"glpi_user_id", "krayin_person_id"} <= desk.contact_shows(contact).keys()
