"""What sales people do in Krayin is shown in Chatwoot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from crm_sync.crms.base import PullFrom
from crm_sync.crms.krayin import notices, pull as feed
from crm_sync.engine import apps
from crm_sync.engine.pull import Pulled, pull
from crm_sync.sandbox.server import lose, refuse
from tests.integration.krayin.desk import WEBSITE, Desk, once


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Changes are wanted here."""
    return {
        "enable_bidirectional_sync": "true",
        "enable_activity_sync": "true",
        **getattr(request, "param", {}),
    }


def begun(desk: Desk) -> tuple[int, int, int]:
    """Contact, conversation and lead."""
    contact, number = desk.begin()
    desk.sync()
    lead = int(desk.contact_shows(contact)["krayin_lead_id"])
    desk.clock.forward(60)
    return contact, number, lead


def pulled(desk: Desk) -> Pulled:
    desk.clock.forward(60)
    found = pull(desk.runtime, desk.hook_id)
    desk.drain()
    assert desk.waiting() == []
    return found


def remove(desk: Desk, lead: int) -> None:
    """Somebody deletes a lead in Krayin."""
    with desk.krayin.state.lock:
        row = desk.krayin.state.get("leads", lead)
        assert row is not None
        desk.krayin.state.delete("leads", row)


def told(desk: Desk, number: int) -> list[tuple[str, bool]]:
    """What a conversation was told of Krayin, and whether only agents read it."""
    messages = desk.chatwoot.state.conversations[number].messages
    return [(str(row.content), row.private) for row in messages if "Krayin" in str(row.content)]


def test_what_we_wrote_ourselves_is_no_news(desk: Desk) -> None:
    desk.set(stage_by_status='{"pending":"follow-up"}')
    _, number, _ = begun(desk)
    desk.chatwoot.set_status(number, "pending")
    desk.sync()
    assert pulled(desk).events == 0


def test_stage_value_and_owner_are_shown_by_contact_and_conversation(desk: Desk) -> None:
    contact, number, lead = begun(desk)
    # Somebody whom the setup has not seen.
    owner = desk.add_user("Sales", "sales@example.com")
    desk.write("leads", lead, lead_pipeline_stage_id=4, lead_value="1200.5000", user_id=owner)
    assert pulled(desk).events == 1

    shown = desk.contact_shows(contact)
    assert (shown["krayin_lead_stage"], shown["krayin_lead_value"]) == ("Negotiation", 1200.5)
    assert (shown["krayin_lead_owner"], shown["krayin_lead_status"]) == ("Sales", "Open")
    there = desk.conversation_shows(number)
    assert (there["krayin_lead_stage"], there["krayin_expected_value"]) == ("Negotiation", 1200.5)
    assert pulled(desk).events == 0


def test_won_makes_a_customer_and_lost_says_so(desk: Desk) -> None:
    contact, _, lead = begun(desk)
    desk.write("leads", lead, lead_pipeline_stage_id=6)
    pulled(desk)
    assert desk.contact_shows(contact)["krayin_lead_status"] == "Lost"
    assert desk.contact_shows(contact)["krayin_person_type"] == "Prospect"
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pulled(desk)
    assert desk.contact_shows(contact)["krayin_lead_status"] == "Won"
    assert desk.contact_shows(contact)["krayin_person_type"] == "Customer"


def test_products_and_quote_of_a_lead_are_shown_by_its_conversation(desk: Desk) -> None:
    _, number, lead = begun(desk)
    product = desk.insert("products", sku="PL", name="Plan Pro", price="5.0000", quantity=1)
    desk.insert(
        "lead_products", lead_id=lead, product_id=product, quantity=1, price="5.0000", amount="5.0000"
    )
    person = desk.row("persons")["id"]
    quote = desk.insert("quotes", subject="Q", person_id=person, user_id=1)
    desk.write("leads", lead, lead_value="5.0000")
    pulled(desk)
    shown = desk.conversation_shows(number)
    assert (shown["krayin_products"], shown["krayin_related_quote_id"]) == ("Plan Pro", quote)


@pytest.mark.parametrize(
    "settings", [{"stage_notes": "true", "status_by_stage": '{"won":"resolved"}'}], indirect=True
)
def test_a_stage_is_told_in_a_private_note_once_and_sets_the_status(desk: Desk) -> None:
    _, number, lead = begun(desk)
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pulled(desk)
    pulled(desk)
    assert told(desk, number) == [("Lead in Krayin: New → Won", True)]
    assert desk.chatwoot.state.conversations[number].status == "resolved"


TELLING = {"stage_notes": "true", "status_by_stage": '{"won":"resolved"}'}


@pytest.mark.parametrize(
    "settings", [{**TELLING, "stage_by_status": '{"pending":"follow-up"}'}], indirect=True
)
@pytest.mark.parametrize("first", ["a new name", "a new state"])
def test_what_chatwoot_says_before_the_next_pull_does_not_keep_a_stage_from_being_told(
    desk: Desk, first: str
) -> None:
    contact, number, lead = begun(desk)
    desk.write("leads", lead, lead_pipeline_stage_id=5, lead_value="12.0000")
    if first == "a new name":
        desk.chatwoot.update_contact(contact, name="Ana Lima")
    else:
        desk.chatwoot.set_status(number, "pending")
    desk.sync()
    pulled(desk)
    assert told(desk, number) == [("Lead in Krayin: New → Won", True)]
    assert desk.chatwoot.state.conversations[number].status == "resolved"
    assert desk.contact_shows(contact)["krayin_lead_value"] == 12
    assert desk.stage(lead) == "won"


@pytest.mark.parametrize("kind", [refuse, lose])
@pytest.mark.parametrize("path", ["/messages", "/toggle_status"])
@pytest.mark.parametrize(
    "settings", [{"stage_notes": "true", "status_by_stage": '{"won":"resolved"}'}], indirect=True
)
def test_a_stage_is_told_and_sets_the_status_though_chatwoot_breaks_over_it(
    desk: Desk, kind: Callable[..., Any], path: str
) -> None:
    _, number, lead = begun(desk)
    fault, hit = once(kind, "POST", path)
    desk.chatwoot.faults.kinds, desk.chatwoot.faults.fail_rate = (fault,), 1.0
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pull(desk.runtime, desk.hook_id)
    desk.settle()
    assert hit.is_set()
    assert told(desk, number) == [("Lead in Krayin: New → Won", True)]
    assert desk.chatwoot.state.conversations[number].status == "resolved"


@pytest.mark.parametrize(
    "settings", [{"stage_notes": "true", "status_by_stage": '{"won":"resolved"}'}], indirect=True
)
def test_a_stage_of_a_conversation_that_was_deleted_is_shown_by_the_contact(desk: Desk) -> None:
    contact, number, lead = begun(desk)
    del desk.chatwoot.state.conversations[number]
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pulled(desk)
    assert desk.contact_shows(contact)["krayin_lead_status"] == "Won"
    assert "Its conversation is no longer in Chatwoot." in desk.outcome()


@pytest.mark.parametrize("settings", [{"stage_notes": "true"}], indirect=True)
def test_a_stage_is_told_in_the_contacts_last_conversation(desk: Desk) -> None:
    contact, first, lead = begun(desk)
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "And another thing").id
    desk.sync()
    desk.write("leads", lead, lead_pipeline_stage_id=3)
    pulled(desk)
    assert (len(told(desk, first)), len(told(desk, second))) == (0, 1)


@pytest.mark.parametrize("settings", [{"lead_per": "conversation"}], indirect=True)
def test_a_lead_of_a_conversation_is_shown_by_it(desk: Desk) -> None:
    _, number = desk.begin()
    desk.sync()
    desk.clock.forward(60)
    desk.write("leads", desk.row("leads")["id"], lead_pipeline_stage_id=3)
    pulled(desk)
    assert desk.conversation_shows(number)["krayin_lead_stage"] == "Prospect"


def test_a_lead_that_was_deleted_is_made_anew_by_what_comes_next(desk: Desk) -> None:
    contact, _, lead = begun(desk)
    remove(desk, lead)
    desk.chatwoot.update_contact(contact, name="Ana Lima")
    desk.sync()
    assert desk.row("leads")["title"] == "Ana Lima"


def test_news_of_a_lead_that_was_deleted_meanwhile_is_skipped(desk: Desk) -> None:
    _, _, lead = begun(desk)
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pull(desk.runtime, desk.hook_id)
    remove(desk, lead)
    desk.drain()
    assert (desk.events()[-1].reason, desk.waiting()) == ("deleted", [])


def test_news_of_a_lead_that_was_replaced_meanwhile_is_skipped(desk: Desk) -> None:
    contact, _, lead = begun(desk)
    desk.chatwoot.update_contact(contact, name="Ana Lima")
    desk.take(desk.deliveries())
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pull(desk.runtime, desk.hook_id)
    remove(desk, lead)
    desk.drain()
    assert (desk.events()[-1].reason, desk.waiting()) == ("not_linked", [])
    assert desk.contact_shows(contact)["krayin_lead_id"] == desk.row("leads")["id"] != lead


def test_news_that_was_shown_already_says_so(desk: Desk) -> None:
    _, number, lead = begun(desk)
    desk.set(stage_by_status='{"resolved":"prospect"}')
    desk.write("leads", lead, lead_value="5.0000")
    pull(desk.runtime, desk.hook_id)
    # Before a worker comes, something else has read the lead.
    desk.write("leads", lead, lead_value="0.0000")
    desk.drain()
    assert "holds nothing that Chatwoot does not know" in desk.outcome()
    assert desk.waiting() == []
    assert "krayin_lead_stage" in desk.conversation_shows(number)


@pytest.mark.parametrize(
    "settings", [{"stage_notes": "true", "status_by_stage": '{"won":"resolved"}'}], indirect=True
)
def test_a_stage_of_a_contact_without_a_conversation_is_shown_and_told_nobody(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.sync()
    desk.clock.forward(60)
    desk.write("leads", desk.row("leads")["id"], lead_pipeline_stage_id=5)
    pulled(desk)
    assert desk.contact_shows(contact.id)["krayin_lead_status"] == "Won"
    assert desk.failed() == []


@pytest.mark.parametrize("settings", [{"status_by_stage": '{"won":"resolved","lost":"open"}'}], indirect=True)
def test_a_stage_without_a_status_and_a_status_that_is_there_change_nothing(desk: Desk) -> None:
    _, number, lead = begun(desk)
    for stage in (3, 6):
        desk.write("leads", lead, lead_pipeline_stage_id=stage)
        pulled(desk)
        assert desk.chatwoot.state.conversations[number].status == "open"
    assert "conversation_status_changed" not in {delivery["event"] for delivery in desk.deliveries()}


def test_quotes_that_cannot_be_read_do_not_hold_up_a_leads_news(desk: Desk) -> None:
    contact, _, lead = begun(desk)
    fault, hit = once(refuse, "GET", "/quotes", times=9)
    desk.strike(fault)
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    pulled(desk)
    assert hit.is_set()
    assert desk.contact_shows(contact)["krayin_lead_status"] == "Won"
    assert "Its quotes could not be read: " in desk.outcome()


def test_leads_nobody_here_knows_make_no_event(desk: Desk) -> None:
    begun(desk)
    desk.insert("leads", title="Other", lead_pipeline_id=1, lead_pipeline_stage_id=1, status=1)
    found = pulled(desk)
    assert (found.seen, found.events) == (2, 0)


def test_nothing_changed_costs_one_request(desk: Desk) -> None:
    begun(desk)
    desk.calls()
    pulled(desk)
    assert desk.calls() == ["GET /leads"]


def test_many_leads_of_several_pages_are_all_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "FIRST", 5)
    monkeypatch.setattr(feed, "PAGE", 10)
    made = {
        str(desk.insert("leads", title=f"L{n}", lead_pipeline_id=1, lead_pipeline_stage_id=1, status=1))
        for n in range(35)
    }
    view = desk.runtime.view(desk.hook(), desk.account)
    client = desk.runtime.client(view, desk.hook().version)
    start = PullFrom(None, desk.clock(), None, desk.clock())
    pages = list(feed.changes(client, view, start))
    assert {record.remote_id for page in pages for record in page.records} == made
    watermarks = [page.watermark for page in pages]
    assert watermarks == sorted(watermarks)


@pytest.mark.parametrize("settings", [{"enable_krayin_webhooks": "true"}], indirect=True)
def test_krayin_tells_of_changes_with_our_secret_and_nothing_else(desk: Desk) -> None:
    _, _, lead = begun(desk)
    with desk.krayin.state.lock:
        (webhook,) = desk.krayin.state["webhooks"].rows.values()
        view = desk.runtime.view(desk.hook(), desk.account)
        workflows = desk.krayin.state["workflows"].rows.values()
        (workflow,) = [row for row in workflows if row["name"] == notices.name_of(view)]
    assert webhook["end_point"] == view.notice_url
    assert urlsplit(webhook["end_point"]).path.endswith("/krayin")
    assert workflow["event"] == "lead.update.after"
    client = desk.runtime.client(view, desk.hook().version)
    client.edit_lead(client.lead(str(lead)), {"lead_value": 7})
    (sent,) = desk.krayin.state.deliveries
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    found = apps.find("krayin").notices
    assert found is not None
    assert view.notice_secret is not None
    found.verify(view.notice_secret, sent["body"].encode(), headers, desk.clock())
    assert sent["body"].startswith("lead=cw-")


@pytest.mark.parametrize("settings", [{"enable_krayin_webhooks": "true"}], indirect=True)
def test_the_webhook_is_made_once_and_taken_away_again(desk: Desk) -> None:
    desk.set(default_lead_value="2")
    assert len(desk.rows("webhooks")) == 1
    desk.set(enable_krayin_webhooks="false")
    assert desk.rows("webhooks") == []
    assert not [row for row in desk.rows("workflows") if row["name"].startswith(notices.NAME)]


@pytest.mark.parametrize("settings", [{"enable_krayin_webhooks": "true"}], indirect=True)
def test_two_accounts_that_share_a_krayin_are_both_told(desk: Desk) -> None:
    view = desk.runtime.view(desk.hook(), desk.account)
    other = notices.name_of(replace(view, chatwoot_account_id=4))
    notices.register(desk.client(), other, "https://sync.example.com/hooks/x/krayin", "another-secret")
    assert len({row["end_point"] for row in desk.rows("webhooks")}) == 2
    desk.set(enable_krayin_webhooks="false")
    assert [row["name"] for row in desk.rows("webhooks")] == [other]
    notices.unregister(desk.client(), other)
    assert desk.rows("webhooks") == []
