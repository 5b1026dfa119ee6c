"""A service account with GLPI's own profile Technician can do all the work."""

from __future__ import annotations

import pytest

from crm_sync.sandbox.glpi import GlpiSandbox, create_app
from crm_sync.store.models import EventState
from tests.integration.glpi.desk import WEBSITE, Desk


@pytest.fixture
def settings() -> dict[str, str]:
    """The account of a technician, whose token is the same in every sandbox of a seed."""
    sandbox: GlpiSandbox = create_app().extensions["sandbox"]
    return {"user_token": sandbox.user_tokens["tech"]}


def test_a_technician_mirrors_everything(desk: Desk) -> None:
    with desk.glpi.state.lock:
        entity = desk.glpi.state["Entity"].insert(
            {"name": "Shop", "completename": "Root > Shop", "entities_id": 0}
        )["id"]
    desk.set(entity_id=str(entity))
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, "It does not print").id
    desk.chatwoot.add_message(number, "Rude", direction="outgoing", private=True)
    desk.chatwoot.set_priority(number, "high")
    desk.chatwoot.update_contact(contact.id, name="Ana Lima", email="lima@example.com")
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()

    assert desk.events(EventState.FAILED) == []
    [user] = desk.users()
    ticket = desk.row("Ticket")
    assert (user["realname"], desk.emails(user["id"])) == ("Lima", ["lima@example.com"])
    assert (ticket["status"], ticket["urgency"], ticket["entities_id"]) == (5, 4, entity)
    assert desk.requesters(ticket["id"]) == [user["id"]]
    assert desk.texts(ticket["id"]) == ["It does not print", "Rude"]
