"""Conversations become activities and move their lead; messages become notes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_sync.engine import mailbox
from crm_sync.store.models import EventState
from tests.integration.krayin.desk import WEBSITE, Desk

EMAIL = 7


def deal(desk: Desk, contact_id: int) -> dict[str, Any]:
    """The lead of a contact."""
    return desk.row("leads", id=desk.contact_shows(contact_id)["krayin_lead_id"])


# -- activities ----------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Activities are wanted here."""
    return {"enable_activity_sync": "true", **getattr(request, "param", {})}


def test_a_conversation_becomes_an_activity_of_its_lead(desk: Desk) -> None:
    contact, number = desk.begin("How much\nis it?")
    desk.sync()

    (activity,) = desk.activities()
    assert (activity["title"], activity["type"]) == (f"Conversation #{number}", "note")
    assert activity["comment"] == "<p>How much<br>is it?</p>"
    (link,) = desk.rows("lead_activities", activity_id=activity["id"])
    assert link["lead_id"] == desk.contact_shows(contact)["krayin_lead_id"]
    base = desk.api_url.removesuffix("/api/v1")
    shown = desk.conversation_shows(number)
    assert shown["krayin_activity_id"] == activity["id"]
    assert shown["krayin_activity_url"] == f"{base}/admin/activities/edit/{activity['id']}"
    assert shown["krayin_activity_type"] == "Chat"
    assert shown["krayin_lead_url"] == f"{base}/admin/leads/view/{link['lead_id']}"
    assert shown["krayin_lead_stage"] == "New"


@pytest.mark.parametrize("settings", [{"activity_type": "call"}], indirect=True)
def test_an_activity_lasts_as_long_as_the_conversation_by_krayins_clock(desk: Desk) -> None:
    _, number = desk.begin()
    desk.sync()

    (activity,) = desk.activities()
    # Krayin's wall clock is five and a half hours ahead of UTC.
    assert activity["schedule_from"] == "2026-11-02 14:30:00"
    assert activity["schedule_to"] >= "2026-11-02 14:31:00"
    assert not activity["is_done"]
    assert desk.conversation_shows(number)["krayin_is_done"] is False


@pytest.mark.parametrize("settings", [{"activity_type": "call"}], indirect=True)
def test_krayins_clock_is_asked_for_once(desk: Desk) -> None:
    desk.begin()
    desk.sync()
    assert desk.calls().count("PUT /activities") == 1
    contact = desk.chatwoot.create_contact(name="Bob", email="bob@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
    desk.sync()
    assert desk.calls().count("PUT /activities") == 0
    assert {row["schedule_from"][:13] for row in desk.activities()} == {"2026-11-02 14"}


@pytest.mark.parametrize("settings", [{"activity_type": "call"}, {"activity_type": "lunch"}], indirect=True)
def test_resolving_a_conversation_marks_its_activity_as_done_and_reopening_does_not(desk: Desk) -> None:
    _, number = desk.begin()
    desk.sync()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    (activity,) = desk.activities()
    assert activity["is_done"]
    assert activity["comment"]
    assert desk.conversation_shows(number)["krayin_is_done"] is True
    desk.chatwoot.set_status(number, "open")
    desk.sync()
    assert not desk.activities()[0]["is_done"]


@pytest.mark.parametrize(
    "settings", [{"activity_type": "call"}, {"activity_type": "call", "create_lead": "false"}], indirect=True
)
def test_a_state_that_is_told_late_does_not_undo_a_newer_one(desk: Desk) -> None:
    _, number = desk.begin()
    desk.sync()
    told = []
    for status in ("resolved", "open", "resolved"):
        desk.chatwoot.set_status(number, status)
        told.append(desk.deliveries())
    for payloads in (told[0], told[2], told[1]):
        desk.take(payloads)
        desk.drain()
    assert desk.activities()[0]["is_done"]
    assert desk.conversation_shows(number)["krayin_is_done"] is True


@pytest.mark.parametrize("settings", [{"activity_type": "meeting"}], indirect=True)
def test_meetings_that_krayin_refuses_become_calls(desk: Desk) -> None:
    desk.begin()
    contact = desk.chatwoot.create_contact(name="Bob", email="bob@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
    desk.sync()
    assert desk.failed() == []
    assert len(desk.activities()) == 2
    assert {row["type"] for row in desk.activities()} <= {"meeting", "call"}


@pytest.mark.parametrize("settings", [{"activity_type": "call"}], indirect=True)
def test_customers_take_part_only_where_that_is_wanted(desk: Desk) -> None:
    desk.begin()
    desk.sync()
    assert desk.rows("activity_participants", user_id=None) == []
    desk.set(person_participates="true")
    contact = desk.chatwoot.create_contact(name="Bob", email="bob@example.com")
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
    desk.sync()
    person = desk.row("persons", name="Bob")["id"]
    assert [row["person_id"] for row in desk.rows("activity_participants", user_id=None)] == [person]


def test_an_email_conversation_becomes_an_email_activity_with_its_subject(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    conversation = desk.chatwoot.create_conversation(contact.id, EMAIL, "Please quote", subject="Offer")
    desk.sync()
    (activity,) = desk.activities()
    assert (activity["type"], activity["title"]) == ("email", "Offer")
    assert "Please quote" in activity["comment"]
    # Krayin's page of the lead reads these of every e-mail.
    kept = activity["additional"]
    kept = json.loads(kept) if isinstance(kept, str) else kept
    assert (kept["to"], kept["folders"]) == ([], ["inbox"])
    assert desk.conversation_shows(conversation.id)["krayin_activity_type"] == "Email"


def test_a_conversation_without_a_message_begins_with_the_first_one(desk: Desk) -> None:
    _, number = desk.begin(None)
    desk.sync()
    assert desk.activities()[0]["comment"] == "<p>New conversation from Ana Souza</p>"
    desk.chatwoot.add_message(number, "Hello")
    desk.sync()
    assert [row["comment"] for row in desk.activities()] == ["<p>Hello</p>"]


@pytest.mark.parametrize("settings", [{"create_lead": "false"}], indirect=True)
def test_without_leads_an_activity_belongs_to_the_person(desk: Desk) -> None:
    desk.begin()
    desk.sync()
    (link,) = desk.rows("person_activities", activity_id=desk.activities()[0]["id"])
    assert link["person_id"] == desk.row("persons")["id"]


def test_several_conversations_of_a_contact_are_several_activities_of_one_lead(desk: Desk) -> None:
    contact, first = desk.begin()
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "And another thing").id
    desk.sync()
    lead = deal(desk, contact)
    assert len(desk.rows("persons")) == len(desk.rows("leads")) == 1
    linked = {row["activity_id"] for row in desk.rows("lead_activities", lead_id=lead["id"])}
    shown = {desk.conversation_shows(number)["krayin_activity_id"] for number in (first, second)}
    assert len(shown) == 2
    assert shown <= linked


@pytest.mark.parametrize("settings", [{"lead_per": "conversation"}], indirect=True)
def test_a_lead_for_each_conversation_where_that_is_wanted(desk: Desk) -> None:
    contact, first = desk.begin()
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "And another thing").id
    desk.sync()
    assert sorted(row["title"] for row in desk.rows("leads")) == [
        f"Ana Souza (#{n})" for n in sorted((first, second))
    ]
    assert len(desk.rows("persons")) == 1
    urls = {desk.conversation_shows(number)["krayin_lead_url"] for number in (first, second)}
    assert len(urls) == 2


def test_an_activity_that_was_deleted_is_made_anew(desk: Desk) -> None:
    desk.set(activity_type="call")
    _, number = desk.begin()
    desk.sync()
    with desk.krayin.state.lock:
        state = desk.krayin.state
        (row,) = [row for row in state["activities"].rows.values() if row["type"] == "call"]
        state.delete("activities", row)
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.failed() == []
    assert desk.conversation_shows(number)["krayin_activity_id"] == desk.activities()[0]["id"]


@pytest.mark.parametrize("gone", [("leads",), ("leads", "persons")])
def test_a_lead_that_was_deleted_is_made_anew_for_the_next_conversation(
    desk: Desk, gone: tuple[str, ...]
) -> None:
    contact, _ = desk.begin()
    desk.sync()
    with desk.krayin.state.lock:
        for table in gone:
            for row in list(desk.krayin.state[table].rows.values()):
                desk.krayin.state.delete(table, row)
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "And another thing").id
    desk.settle()
    assert desk.failed() == []
    lead = desk.row("leads")
    assert lead["person_id"] == desk.row("persons")["id"]
    shown = desk.conversation_shows(second)["krayin_activity_id"]
    assert [row["lead_id"] for row in desk.rows("lead_activities", activity_id=shown)] == [lead["id"]]
    assert len(desk.activities(title=f"Conversation #{second}")) == 1


def test_a_conversation_of_an_unknown_contact_makes_all_three_in_one_event(desk: Desk) -> None:
    contact = desk.chatwoot.create_contact(name="Ana", email="ana@example.com")
    desk.deliveries()
    desk.chatwoot.create_conversation(contact.id, WEBSITE, "Hello")
    desk.sync()
    assert desk.calls() == [
        "GET /contacts/persons/search",
        "POST /contacts/persons",
        "POST /leads",
        "POST /activities",
        "PUT /activities",
    ]


# -- stages --------------------------------------------------------------------------------------------------------


TABLE = {
    "stage_by_status": '{"open":"new","pending":"follow-up","resolved":"negotiation"}',
    "enable_activity_sync": "",
}


@pytest.mark.parametrize("settings", [TABLE], indirect=True)
def test_a_lead_follows_its_conversation_by_the_table(desk: Desk) -> None:
    contact, number = desk.begin()
    desk.sync()
    lead = deal(desk, contact)["id"]
    for status, stage in (("pending", "follow-up"), ("open", "new"), ("resolved", "negotiation")):
        desk.chatwoot.set_status(number, status)
        desk.sync()
        assert desk.stage(lead) == stage
    assert desk.contact_shows(contact)["krayin_lead_stage"] == "Negotiation"


@pytest.mark.parametrize("settings", [TABLE], indirect=True)
def test_ten_stage_changes_keep_products_and_close_date(desk: Desk) -> None:
    contact, number = desk.begin()
    desk.sync()
    lead = deal(desk, contact)["id"]
    product = desk.insert("products", sku="PL", name="Plan Pro", price="5.0000", quantity=1)
    desk.insert(
        "lead_products", lead_id=lead, product_id=product, quantity=1, price="5.0000", amount="5.0000"
    )
    desk.write("leads", lead, expected_close_date="2027-01-15")
    for turn in range(10):
        desk.chatwoot.set_status(number, "open" if turn % 2 else "pending")
        desk.sync()
        assert desk.stage(lead) == ("new" if turn % 2 else "follow-up")
    assert desk.row("leads", id=lead)["expected_close_date"] == "2027-01-15"
    assert len(desk.rows("lead_products", lead_id=lead)) == 1


@pytest.mark.parametrize("settings", [TABLE], indirect=True)
def test_a_lead_that_people_moved_stays_where_it_is(desk: Desk) -> None:
    contact, number = desk.begin()
    desk.sync()
    lead = deal(desk, contact)["id"]
    desk.write("leads", lead, lead_pipeline_stage_id=3)
    for status in ("pending", "open", "resolved"):
        desk.chatwoot.set_status(number, status)
        desk.sync()
        assert desk.stage(lead) == "prospect"


@pytest.mark.parametrize("settings", [{**TABLE, "auto_qualify_on_resolved": "true"}], indirect=True)
@pytest.mark.parametrize("stage", [5, 6])
def test_a_lead_never_leaves_won_or_lost(desk: Desk, stage: int) -> None:
    contact, number = desk.begin()
    desk.sync()
    lead = deal(desk, contact)["id"]
    desk.write("leads", lead, lead_pipeline_stage_id=stage)
    for status in ("pending", "resolved", "open"):
        desk.chatwoot.set_status(number, status)
        desk.sync()
    assert desk.row("leads", id=lead)["lead_pipeline_stage_id"] == stage


@pytest.mark.parametrize("settings", [{**TABLE, "reopen_closed_leads": "true"}], indirect=True)
def test_a_lead_leaves_won_where_that_is_asked_for(desk: Desk) -> None:
    contact, number = desk.begin()
    desk.sync()
    lead = deal(desk, contact)["id"]
    desk.write("leads", lead, lead_pipeline_stage_id=5)
    desk.chatwoot.set_status(number, "pending")
    desk.sync()
    assert desk.stage(lead) == "follow-up"


@pytest.mark.parametrize(
    "settings", [{"auto_qualify_on_resolved": "true", "enable_activity_sync": ""}], indirect=True
)
def test_resolving_a_conversation_qualifies_its_lead(desk: Desk) -> None:
    contact, number = desk.begin()
    desk.sync()
    desk.calls()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.stage(deal(desk, contact)["id"]) == "prospect"
    assert desk.calls() == ["GET /leads", "PUT /leads/attributes/edit"]


@pytest.mark.parametrize("settings", [{"enable_activity_sync": ""}], indirect=True)
def test_resolving_a_conversation_costs_nothing_where_nothing_is_wanted(desk: Desk) -> None:
    _, number = desk.begin()
    desk.sync()
    desk.calls()
    desk.chatwoot.set_status(number, "resolved")
    desk.sync()
    assert desk.calls() == []
    assert desk.failed() == []


@pytest.mark.parametrize("settings", [TABLE], indirect=True)
def test_an_older_state_moves_nothing(desk: Desk) -> None:
    contact, number = desk.begin()
    desk.chatwoot.set_status(number, "pending")
    late = desk.deliveries()
    desk.chatwoot.set_status(number, "resolved")
    newest = desk.deliveries()
    desk.take([late[0], late[1], *newest])
    desk.settle()
    desk.take(late[2:])
    desk.settle()
    assert desk.stage(deal(desk, contact)["id"]) == "negotiation"


@pytest.mark.parametrize("settings", [{"lead_per": "conversation", **TABLE}], indirect=True)
def test_each_conversations_lead_follows_its_own_status(desk: Desk) -> None:
    contact, first = desk.begin()
    second = desk.chatwoot.create_conversation(contact, WEBSITE, "And another thing").id
    desk.sync()
    desk.chatwoot.set_status(second, "pending")
    desk.sync()
    stages = {row["title"]: desk.stage(row["id"]) for row in desk.rows("leads")}
    assert stages == {f"Ana Souza (#{first})": "new", f"Ana Souza (#{second})": "follow-up"}


# -- owners and attributes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"owner_by_assignee": "true"}], indirect=True)
def test_a_lead_belongs_to_the_user_with_the_agents_address(desk: Desk) -> None:
    agent = next(iter(desk.chatwoot.state.users.values()))
    owner = desk.add_user("Sales", agent.email)
    contact, number = desk.begin()
    desk.sync()
    assert deal(desk, contact)["user_id"] is None
    desk.chatwoot.assign(number, assignee_id=agent.id)
    desk.sync()
    assert deal(desk, contact)["user_id"] == owner


@pytest.mark.parametrize("settings", [{"owner_by_assignee": "true", "default_owner_id": "1"}], indirect=True)
def test_a_lead_that_was_there_keeps_its_owner_where_the_agent_is_no_user_of_krayin(desk: Desk) -> None:
    agent = next(iter(desk.chatwoot.state.users.values()))
    owner = desk.add_user("Sales", "sales@example.com")
    contact, number = desk.begin()
    person = desk.add_person("Ana", desk.chatwoot.state.contacts[contact].email)
    common = {"person_id": person, "lead_pipeline_id": 1, "lead_pipeline_stage_id": 1, "status": 1}
    lead = desk.insert("leads", title="Big deal", user_id=owner, **common)
    desk.sync()
    desk.chatwoot.assign(number, assignee_id=agent.id)
    desk.sync()
    assert desk.contact_shows(contact)["krayin_lead_id"] == lead
    assert deal(desk, contact)["user_id"] == owner


def test_a_lead_belongs_to_the_default_owner_where_one_is_named(desk: Desk) -> None:
    owner = desk.add_user("Sales", "sales@example.com")
    desk.set(default_owner_id=str(owner))
    contact, _ = desk.begin()
    desk.sync()
    assert deal(desk, contact)["user_id"] == owner
    assert desk.row("persons")["user_id"] == owner


def test_attributes_of_conversations_fill_attributes_of_leads(desk: Desk) -> None:
    desk.insert("attributes", code="campaign", name="Campaign", type="text", entity_type="leads")
    desk.set(lead_fields='{"campaign":"campaign"}')
    contact, number = desk.begin()
    desk.sync()
    desk.chatwoot.set_custom_attributes(number, {"campaign": "Spring"}, merge=True)
    desk.sync()
    (value,) = desk.rows("attribute_values", text_value="Spring")
    assert value["entity_id"] == deal(desk, contact)["id"]


# -- messages ------------------------------------------------------------------------------------------------------


MESSAGES = {"enable_message_sync": "true"}


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
def test_messages_become_notes_in_order_and_once(desk: Desk) -> None:
    _, number = desk.begin("First")
    for text in ("Second", "Third"):
        desk.chatwoot.add_message(number, text)
    again = desk.deliveries()
    desk.take([*again, *again])
    desk.drain()
    assert desk.waiting() == []
    comments = [row["comment"] for row in sorted(desk.activities(), key=lambda row: row["id"])]
    assert comments[0] == "<p>First</p>"
    assert [text.rsplit("<p>", 1)[1] for text in comments[1:]] == ["Second</p>", "Third</p>"]


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
def test_a_message_to_a_lead_that_was_deleted_is_a_note_of_a_new_one(desk: Desk) -> None:
    _, number = desk.begin("First")
    desk.sync()
    with desk.krayin.state.lock:
        for row in list(desk.krayin.state["leads"].rows.values()):
            desk.krayin.state.delete("leads", row)
    message = desk.chatwoot.add_message(number, "Second")
    desk.settle()
    assert desk.failed() == []
    (note,) = desk.activities(title=f"Message {message.id} of conversation #{number}")
    assert [row["lead_id"] for row in desk.rows("lead_activities", activity_id=note["id"])] == [
        desk.row("leads")["id"]
    ]


@pytest.mark.parametrize("settings", [{**MESSAGES, "enable_activity_sync": ""}], indirect=True)
def test_without_activities_every_message_is_a_note(desk: Desk) -> None:
    _, number = desk.begin("First")
    desk.chatwoot.add_message(number, "Second")
    desk.sync()
    assert [row["type"] for row in desk.activities()] == ["note", "note"]


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
def test_a_note_carries_its_marker_and_no_markup_of_the_customer(desk: Desk) -> None:
    _, number = desk.begin("First")
    message = desk.chatwoot.add_message(number, "<img src=x onerror=alert(1)>")
    desk.sync()
    note = max(desk.activities(), key=lambda row: row["id"])
    assert "&lt;img" in note["comment"]
    additional = note["additional"]
    kept = json.loads(additional) if isinstance(additional, str) else additional
    assert kept["crm_sync"].endswith(f"-message-{message.id}")


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
def test_an_edited_message_changes_its_note(desk: Desk) -> None:
    _, number = desk.begin("First")
    message = desk.chatwoot.add_message(number, "Secnod")
    desk.sync()
    desk.chatwoot.delete_message(message.id)
    desk.sync()
    note = max(desk.activities(), key=lambda row: row["id"])
    assert "Secnod" not in note["comment"]
    assert len(desk.activities()) == 2


@pytest.mark.parametrize("settings", [{}, MESSAGES], indirect=True)
def test_a_receipt_of_what_an_activity_begins_with_costs_no_request(desk: Desk) -> None:
    _, number = desk.begin("First")
    desk.sync()
    desk.calls()
    message = desk.chatwoot.state.conversations[number].messages[0]
    desk.chatwoot._emit_message("message_updated", message)
    desk.sync()
    assert desk.calls() == []
    assert desk.events(EventState.SKIPPED)[-1].reason == "nothing_new"


def edited(desk: Desk, number: int, which: int, text: str) -> list[Any]:
    """Somebody edits a message of a conversation; what Chatwoot tells of it."""
    message = desk.chatwoot.state.conversations[number].messages[which]
    message.content, message.updated_at = text, desk.chatwoot.state.tick()
    desk.chatwoot._emit_message("message_updated", message)
    return desk.deliveries()


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
@pytest.mark.parametrize("texts", [["First"], ["First", "Second"]])
def test_an_edit_that_is_told_late_does_not_undo_a_newer_one(desk: Desk, texts: list[str]) -> None:
    _, number = desk.begin(texts[0])
    for text in texts[1:]:
        desk.chatwoot.add_message(number, text)
    desk.sync()
    told = [edited(desk, number, -1, text) for text in ("An older text", "The newest text")]
    for payloads in reversed(told):
        desk.take(payloads)
        desk.drain()
    shown = [row["comment"] for row in desk.activities()]
    assert sum("The newest text" in comment for comment in shown) == 1
    assert "An older text" not in "".join(shown)


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
@pytest.mark.parametrize("begun", [True, False])
def test_an_edit_that_comes_before_its_message_is_done_once_the_message_is_there(
    desk: Desk, *, begun: bool
) -> None:
    _, number = desk.begin("First")
    if begun:
        desk.sync()
        desk.chatwoot.add_message(number, "Second")
    told = desk.deliveries() + edited(desk, number, -1, "As it is now")
    early = [payload for payload in told if payload["event"] == "message_updated"]
    desk.take(early)
    desk.drain()
    desk.take(payload for payload in told if payload not in early)
    desk.settle()
    assert len(early) == 1
    assert sum("As it is now" in row["comment"] for row in desk.activities()) == 1
    # Made anew, the activity shows the message as Chatwoot has it by then.
    ends = (EventState.DONE, None) if begun else (EventState.SKIPPED, "nothing_new")
    assert [(row.state, row.reason) for row in desk.events() if row.name == "message_updated"] == [ends]


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
@pytest.mark.parametrize("which", [0, 1])
def test_an_edit_is_shown_though_its_message_is_no_longer_the_last(desk: Desk, which: int) -> None:
    _, number = desk.begin("First")
    if which:
        desk.chatwoot.add_message(number, "Second")
    desk.sync()
    desk.take(edited(desk, number, which, "Edited once"))
    desk.chatwoot.add_message(number, "Another")
    desk.sync()
    desk.take(edited(desk, number, which, "Edited twice"))
    desk.drain()
    shown = "".join(row["comment"] for row in desk.activities())
    assert "Edited twice" in shown
    assert "Edited once" not in shown


@pytest.mark.parametrize("settings", [MESSAGES], indirect=True)
def test_the_activity_of_a_conversation_is_of_the_lead_of_the_contact_that_stays_when_contacts_are_merged(
    desk: Desk,
) -> None:
    base = desk.chatwoot.create_contact(name="Ana Souza", phone_number="+5511912345678").id
    other = desk.chatwoot.create_contact(name="A.", email="ana@example.com").id
    number = desk.chatwoot.create_conversation(other, WEBSITE, "How much is it?").id
    desk.sync()
    desk.chatwoot.merge_contacts(base, other)
    desk.chatwoot.set_status(number, "resolved")
    desk.settle()
    # What the conversation shows waits in its former mailbox, where the sweep would find it.
    mailbox.drain(desk.runtime, f"{desk.hook_id}:{other}")
    assert desk.failed() == []
    (activity,) = desk.activities(title=f"Conversation #{number}")
    lead = desk.contact_shows(base)["krayin_lead_id"]
    assert lead in {row["lead_id"] for row in desk.rows("lead_activities", activity_id=activity["id"])}
    assert desk.conversation_shows(number)["krayin_lead_url"].endswith(f"/{lead}")
    desk.calls()
    message = desk.chatwoot.add_message(number, "And another thing")
    desk.sync()
    (note,) = desk.activities(title=f"Message {message.id} of conversation #{number}")
    assert [row["lead_id"] for row in desk.rows("lead_activities", activity_id=note["id"])] == [lead]


def test_messages_are_skipped_where_they_are_off(desk: Desk) -> None:
    _, number = desk.begin("First")
    desk.sync()
    desk.calls()
    desk.chatwoot.add_message(number, "Second")
    desk.sync()
    assert desk.calls() == []
    assert desk.events(EventState.SKIPPED)[-1].reason == "switched_off"
