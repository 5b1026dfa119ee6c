"""GLPI 11's own webhooks: made by the setup where they are wanted, mended and taken away again by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from crm_sync.crms.glpi import notices
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.engine import hooks
from crm_sync.sandbox.glpi import GlpiSandbox, create_app
from crm_sync.sandbox.server import SandboxServer
from tests.integration.glpi.desk import Desk

WANTED = {"enable_bidirectional_sync": "true", "enable_glpi_webhooks": "true"}
URL = "https://sync.example.com/hooks/token/glpi"
RULES = {("Ticket", "update"), ("Ticket", "delete"), ("ITILFollowup", "new"), ("ITILSolution", "new")}


@pytest.fixture
def glpi() -> Iterator[tuple[GlpiSandbox, str]]:
    """A GLPI 11, and where its API is."""
    web = create_app(flavour="11.0.6")
    with SandboxServer(web) as server:
        yield web.extensions["sandbox"], f"{server.url}/apirest.php"


def client(glpi: tuple[GlpiSandbox, str], who: str = "super") -> GlpiClient:
    """Somebody's access."""
    sandbox, url = glpi
    return GlpiClient(url, sandbox.app_token, sandbox.user_tokens[who])


def rules(sandbox: GlpiSandbox) -> list[tuple[str, str]]:
    """The webhooks there are."""
    with sandbox.state.lock:
        return [(row["itemtype"], row["event"]) for row in sandbox.state["Webhook"].all()]


def test_each_kind_of_change_gets_one_webhook_and_a_second_time_none(glpi: tuple[GlpiSandbox, str]) -> None:
    for secret in ("first", "second"):
        assert notices.register(client(glpi), URL, secret) == ()
        with glpi[0].state.lock:
            found = list(glpi[0].state["Webhook"].all())
        assert {(row["itemtype"], row["event"]) for row in found} == RULES
        assert len(found) == len(RULES)
        assert {(row["url"], row["secret"], row["is_active"], row["entities_id"]) for row in found} == {
            (URL, secret, 1, 0)
        }


def test_a_webhook_that_was_switched_off_is_switched_on_and_one_of_others_is_left_alone(
    glpi: tuple[GlpiSandbox, str],
) -> None:
    access = client(glpi)
    other = {"name": "theirs", "itemtype": "Ticket", "event": "update", "url": f"{URL}/other", "is_active": 0}
    access.create("Webhook", other)
    notices.register(access, URL, "secret")
    number = next(row["id"] for row in glpi[0].state["Webhook"].all() if row["url"] == URL)
    access.update("Webhook", number, {"is_active": 0})
    notices.register(access, URL, "secret")
    assert len(rules(glpi[0])) == len(RULES) + 1
    assert [row["is_active"] for row in glpi[0].state["Webhook"].all()] == [0, *[1] * len(RULES)]
    notices.unregister(access, URL)
    assert [row["url"] for row in glpi[0].state["Webhook"].all()] == [f"{URL}/other"]


def test_an_account_that_may_not_is_told_and_the_pulls_go_on(glpi: tuple[GlpiSandbox, str]) -> None:
    (note,) = notices.register(client(glpi, "tech"), URL, "a-secret-nobody-is-to-see")
    assert "could not be set up" in note
    assert "a-secret-nobody-is-to-see" not in note
    assert rules(glpi[0]) == []
    notices.register(client(glpi), URL, "secret")
    notices.unregister(client(glpi, "tech"), URL)
    assert len(rules(glpi[0])) == len(RULES)


def test_an_address_with_a_port_is_told_since_glpi_sends_nothing_there(glpi: tuple[GlpiSandbox, str]) -> None:
    (note,) = notices.register(client(glpi), "https://sync.example.com:8443/hooks/token/glpi", "secret")
    assert "GLPI_SERVERSIDE_URL_ALLOWLIST" in note
    assert len(rules(glpi[0])) == len(RULES)


@pytest.mark.parametrize("settings", [WANTED])
def test_the_setup_makes_them_and_takes_them_away_when_they_are_not_wanted_any_more(desk: Desk) -> None:
    is_11 = desk.glpi.state.flavour.is_11
    found = desk.rows("Webhook") if is_11 else []
    assert {(row["itemtype"], row["event"]) for row in found} == (RULES if is_11 else set())
    assert {row["url"] for row in found} <= {
        f"{desk.runtime.config.base_url}/hooks/{desk.hook().notice_token}/glpi"
    }
    report = hooks.change(desk.runtime, desk.hook_id, {"language": "fr"})
    said = " ".join(report.notes)
    assert ("ALLOWLIST" in said) if is_11 else ("from version 11 on" in said)
    desk.set(enable_glpi_webhooks="false")
    assert desk.rows("Webhook") == []


def test_what_glpi_sends_after_that_is_believed(glpi: tuple[GlpiSandbox, str]) -> None:
    access = client(glpi)
    notices.register(access, URL, "secret")
    number = access.create("Ticket", {"name": "x", "content": "x"})
    access.update("Ticket", number, {"status": 5})
    access.create("ITILFollowup", {"itemtype": "Ticket", "items_id": number, "content": "x"})
    with glpi[0].state.lock:
        sent = [(row["body"], json.loads(row["headers"])) for row in glpi[0].state["QueuedWebhook"].all()]
    assert len(sent) >= 2
    for body, headers in sent:
        named = {name.lower(): str(value) for name, value in headers.items()}
        notices.verify("secret", body.encode(), named, datetime.now(UTC))


@pytest.mark.parametrize("settings", [WANTED])
def test_a_hook_of_before_gets_its_address_with_its_next_setup(desk: Desk) -> None:
    with desk.runtime.store.write() as session:
        row = hooks.get(session, desk.hook_id)
        row.notice_token = row.notice_secret = None
    desk.set(language="fr")
    assert desk.hook().notice_token is not None
