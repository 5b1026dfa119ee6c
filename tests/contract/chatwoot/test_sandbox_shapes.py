"""What the sandbox sends and answers has the keys and types of what was recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest

from crm_sync.sandbox.chatwoot import ChatwootSandbox, create_app

Load = Callable[[str], dict[str, Any]]
EVENTS = [
    "contact_created",
    "contact_updated",
    "conversation_created",
    "conversation_updated",
    "conversation_status_changed",
    "message_created",
    "message_updated",
]
#: What people and channels put in there is their own business.
FREE = {"additional_attributes", "custom_attributes", "content_attributes", "changed_attributes"}
#: Keys of the trimmed recording that only say so.
NOTES = {"..."}
#: Keys that are there only where there is something to say.
OPTIONAL = {"attachments", "sender", "last_activity_at"}


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Where keys or types differ; null and an empty list fit anything."""
    if found is None or wanted is None or path.rpartition(".")[2] in FREE:
        return []
    if isinstance(wanted, list) and isinstance(found, list):
        return differences(found[0], wanted[0], f"{path}[]") if found and wanted else []
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        names = type(found).__name__, type(wanted).__name__
        return [] if names[0] == names[1] else [f"{path}: {names[0]}, not {names[1]}"]
    if path.endswith(".sender") and found.get("type") != wanted.get("type"):
        return []  # somebody else wrote it
    missing = wanted.keys() - found.keys() - NOTES - OPTIONAL
    extra = found.keys() - wanted.keys() - OPTIONAL
    inner = (differences(found[key], wanted[key], f"{path}.{key}") for key in wanted.keys() & found.keys())
    return [f"{path}.{key} is in one only" for key in missing | extra] + list(chain.from_iterable(inner))


@pytest.fixture
def sandbox() -> ChatwootSandbox:
    found: ChatwootSandbox = create_app(deliver=False).extensions["sandbox"]
    found.add_webhook("http://127.0.0.1:1/hook", EVENTS)
    return found


def payloads(sandbox: ChatwootSandbox, event: str) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in sandbox.deliveries if one.event == event]


def whatsapp(sandbox: ChatwootSandbox, **columns: Any) -> tuple[int, int]:
    contact = sandbox.create_contact(**({"name": "Bruno 🚀", "phone_number": "+12025550101"} | columns))
    return contact.id, sandbox.create_conversation(contact.id, 12, "Hello <there> & you").id


def changed_keys(payload: dict[str, Any]) -> set[str]:
    return {key for entry in payload["changed_attributes"] for key in entry}


@pytest.mark.parametrize(
    "name",
    [
        "contact_created.whatsapp_phone_only",
        "conversation_created.whatsapp",
        "message_created.incoming_whatsapp_text",
        "conversation_updated.waiting_since",
        "contact_updated.noise_last_activity",
    ],
)
def test_a_new_customer(sandbox: ChatwootSandbox, delivery: Load, name: str) -> None:
    whatsapp(sandbox)
    wanted = delivery(name)
    found = payloads(sandbox, wanted["event"])[-1]
    assert differences(found, wanted) == []
    if isinstance(wanted.get("changed_attributes"), list):
        assert changed_keys(found) == changed_keys(wanted)


def test_the_order_of_a_new_customer_is_that_of_chatwoot(
    sandbox: ChatwootSandbox, sequences: dict[str, list[str]]
) -> None:
    whatsapp(sandbox)
    wanted = [name.partition(".")[0] for name in sequences["new_whatsapp_customer"]]
    assert [one.event for one in sandbox.deliveries] == wanted


@pytest.mark.parametrize(
    "name",
    [
        "message_created.outgoing_agent",
        "conversation_updated.first_reply",
        "message_updated.status_delivered",
    ],
)
def test_the_first_reply(
    sandbox: ChatwootSandbox, delivery: Load, sequences: dict[str, list[str]], name: str
) -> None:
    _, conversation_id = whatsapp(sandbox)
    before = len(sandbox.deliveries)
    sandbox.assign(conversation_id, assignee_id=31)
    sandbox.add_message(conversation_id, "On it", direction="outgoing")
    wanted = delivery(name)
    found = payloads(sandbox, wanted["event"])[-1]
    assert differences(found, wanted) == []
    if "changed_attributes" in wanted:
        assert changed_keys(found) == changed_keys(wanted)
    events = [one.event for one in sandbox.deliveries[before + 1 :]]
    assert events == [step.partition(".")[0] for step in sequences["agent_first_reply"]]


@pytest.mark.parametrize(
    "name",
    [
        "conversation_status_changed.resolved",
        "conversation_updated.status_resolved",
        "message_created.template_csat",
    ],
)
def test_resolving(
    sandbox: ChatwootSandbox, delivery: Load, sequences: dict[str, list[str]], name: str
) -> None:
    _, conversation_id = whatsapp(sandbox)
    sandbox.state.inboxes[12].csat = True
    before = len(sandbox.deliveries)
    sandbox.set_status(conversation_id, "resolved")
    wanted = delivery(name)
    assert differences(payloads(sandbox, wanted["event"])[-1], wanted) == []
    events = [one.event for one in sandbox.deliveries[before:]]
    assert events == [step.partition(".")[0] for step in sequences["resolve"]]


def test_the_status_event_says_nothing_of_changes(sandbox: ChatwootSandbox) -> None:
    _, conversation_id = whatsapp(sandbox)
    sandbox.set_status(conversation_id, "pending")
    assert payloads(sandbox, "conversation_status_changed")[0]["changed_attributes"] is None


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("conversation_updated.labels", lambda s, n: s.set_labels(n, ["vip"])),
        ("conversation_updated.assignee", lambda s, n: s.assign(n, assignee_id=31)),
        ("conversation_updated.team", lambda s, n: s.assign(n, team_id=2)),
        (
            "conversation_updated.snoozed_until",
            lambda s, n: s.set_status(n, "snoozed", snoozed_until=datetime(2030, 1, 1, tzinfo=UTC)),
        ),
        ("conversation_updated.echo_custom_attributes", lambda s, n: s.set_custom_attributes(n, {"a": 1})),
    ],
)
def test_changes_of_a_conversation(
    sandbox: ChatwootSandbox, delivery: Load, name: str, act: Callable[[ChatwootSandbox, int], Any]
) -> None:
    _, conversation_id = whatsapp(sandbox)
    act(sandbox, conversation_id)
    found, wanted = payloads(sandbox, "conversation_updated")[-1], delivery(name)
    assert differences(found, wanted) == []
    assert changed_keys(found) == changed_keys(wanted)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("message_created.private_note_agent", {"content": "note", "direction": "outgoing", "private": True}),
        ("message_created.outgoing_agent_bot", {"content": "bot", "direction": "outgoing", "sender_id": -5}),
        ("message_created.incoming_image_no_caption", {"attachments": [{"file_type": "image"}]}),
        (
            "message_created.incoming_contact_card",
            {"attachments": [{"file_type": "contact", "meta": {"firstName": "D", "lastName": "S"}}]},
        ),
    ],
)
def test_kinds_of_messages(
    sandbox: ChatwootSandbox, delivery: Load, name: str, arguments: dict[str, Any]
) -> None:
    _, conversation_id = whatsapp(sandbox)
    sandbox.add_message(conversation_id, **arguments)
    assert differences(payloads(sandbox, "message_created")[-1], delivery(name)) == []


def test_an_email_with_files(sandbox: ChatwootSandbox, delivery: Load) -> None:
    contact = sandbox.create_contact(name="Ana", email="Ana@Example.com")
    conversation = sandbox.create_conversation(contact.id, 7, "Hi", subject="Order <#1>")
    sandbox.add_message(
        conversation.id, "file", attachments=[{"file_type": "file", "name": "a.pdf"}, {"file_type": "audio"}]
    )
    found = payloads(sandbox, "message_created")[-1]
    assert differences(found, delivery("message_created.incoming_pdf_and_audio")) == []
    assert found["sender"]["email"] == "ana@example.com"
    assert found["content_attributes"]["email"]["subject"] == "Order <#1>"


def test_a_visitor_without_a_message(sandbox: ChatwootSandbox, delivery: Load) -> None:
    contact = sandbox.create_contact(name="silent-forest-617")
    sandbox.create_conversation(contact.id, 4)
    found = payloads(sandbox, "conversation_created")[-1]
    assert differences(found, delivery("conversation_created.webwidget_no_messages")) == []
    assert found["messages"] == []


def test_a_deleted_message(sandbox: ChatwootSandbox, delivery: Load) -> None:
    _, conversation_id = whatsapp(sandbox)
    message = sandbox.add_message(conversation_id, "oops", direction="outgoing")
    sandbox.delete_message(message.id)
    found = payloads(sandbox, "message_updated")[-1]
    assert differences(found, delivery("message_updated.deleted")) == []
    assert found["content_attributes"] == {"deleted": True}


def test_an_edited_contact(sandbox: ChatwootSandbox, delivery: Load) -> None:
    contact_id, _ = whatsapp(sandbox)
    sandbox.update_contact(contact_id, name="Bruno", email="bruno@example.com")
    found, wanted = payloads(sandbox, "contact_updated")[-1], delivery("contact_updated.name_and_email")
    assert differences(found, wanted) == []
    assert changed_keys(found) == changed_keys(wanted)


def test_a_merge_tells_every_message_again(
    sandbox: ChatwootSandbox, delivery: Load, sequences: dict[str, list[str]]
) -> None:
    contact_id, conversation_id = whatsapp(sandbox, custom_attributes={"cpf": "1"})
    base = sandbox.create_contact(name="Ana", email="ana@example.com")
    before = len(sandbox.deliveries)
    sandbox.merge_contacts(base.id, contact_id)
    events = [one.event for one in sandbox.deliveries[before:]]
    assert events == [step.partition(".")[0] for step in sequences["contact_merge"]]
    message = payloads(sandbox, "message_updated")[-1]
    assert differences(message, delivery("message_updated.sender_rewritten_by_merge")) == []
    assert message["sender"]["id"] == message["conversation"]["meta"]["sender"]["id"] == base.id
    assert (
        differences(payloads(sandbox, "contact_updated")[-1], delivery("contact_updated.after_merge")) == []
    )
    assert contact_id not in sandbox.state.contacts
    assert sandbox.state.conversations[conversation_id].contact_id == base.id


API = [
    "agents_list",
    "api_version",
    "contact_conversations",
    "contact_create",
    "contact_create_422_phone",
    "contact_labels_set",
    "contact_search",
    "contact_show",
    "contact_show_404",
    "contact_update_external_id",
    "contacts_filter",
    "contacts_index",
    "conversation_assign_agent",
    "conversation_custom_attributes_destroy",
    "conversation_custom_attributes_merge",
    "conversation_custom_attributes_replace",
    "conversation_labels_set",
    "conversation_show",
    "conversation_toggle_priority",
    "conversation_toggle_status_open",
    "conversation_toggle_status_pending",
    "conversation_toggle_status_resolved",
    "conversation_toggle_status_snoozed",
    "conversations_filter",
    "conversations_index",
    "conversations_updated_within",
    "custom_attribute_definitions_create",
    "custom_attribute_definitions_list",
    "inboxes_list",
    "message_create_private_note",
    "messages_after",
    "messages_before",
    "messages_latest",
    "profile",
    "webhooks_create",
    "webhooks_list",
]


@pytest.mark.parametrize("name", API)
def test_the_api_answers_as_recorded(name: str, exchange: Load) -> None:
    app = create_app(deliver=False)
    sandbox: ChatwootSandbox = app.extensions["sandbox"]
    found = exchange(name)
    http = app.test_client()
    path = _with_records(sandbox, found["request"]["path"])
    answer = http.open(
        path,
        method=found["request"]["method"],
        json=found["request"].get("json"),
        headers={"api-access-token": sandbox.api_token},
    )
    wanted = found["response"]
    assert answer.status_code == wanted["status"]
    if "body" in wanted:
        lenient = {"contact_inbox", "payload.contact_inbox"}
        lines = [
            line
            for line in differences(answer.get_json(), wanted["body"])
            if not any(f".{key}." in line for key in lenient)
        ]
        assert lines == []
    else:
        assert answer.get_data(as_text=True) == wanted["text"]


def _with_records(sandbox: ChatwootSandbox, path: str) -> str:
    """Fill the sandbox with what the recordings are about; the path with the sandbox's ids."""
    sandbox.add_webhook("http://127.0.0.1:1/other", EVENTS, name="other")
    contact = sandbox.create_contact(
        name="Ana", email="ana.souza@example.com", phone_number="+5581999990001", identifier="a-1"
    )
    conversation = sandbox.create_conversation(contact.id, 12, "Hi")
    sandbox.assign(conversation.id, assignee_id=31)
    sandbox.assign(conversation.id, team_id=2)
    sandbox.add_message(conversation.id, "photo", attachments=[{"file_type": "image"}])
    sandbox.add_message(conversation.id, "Hello", direction="outgoing")
    if "toggle_status" not in path:
        sandbox.set_status(conversation.id, "resolved")
    for old, new in (("2102", contact.id), ("2103", contact.id), ("812", conversation.id)):
        path = path.replace(f"/{old}", f"/{new}")
    return path


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("error_401_token", "bad"),
        ("error_401_bot_token", "sandbox-bot-token"),
        ("error_401_not_admin", "sandbox-agent-token"),
    ],
)
def test_refusals_are_worded_as_recorded(exchange: Load, name: str, token: str) -> None:
    http = create_app(deliver=False).test_client()
    found = exchange(name)
    answer = http.get(found["request"]["path"], headers={"api-access-token": token})
    assert answer.status_code == found["response"]["status"]
    assert answer.get_json() == found["response"]["body"]


def test_repeats_are_refused_as_recorded(exchange: Load) -> None:
    app = create_app(deliver=False)
    sandbox: ChatwootSandbox = app.extensions["sandbox"]
    sandbox.create_contact(name="Ana", email="ana.souza@example.com")
    http = app.test_client()
    headers = {"api-access-token": sandbox.api_token}
    made = exchange("custom_attribute_definitions_create")["request"]
    url = exchange("webhooks_create_422_duplicate_url")["request"]["json"]["url"]
    sandbox.add_webhook(url, EVENTS)
    http.post(made["path"], json=made["json"], headers=headers)
    for name in (
        "contact_create_422_duplicate",
        "custom_attribute_definitions_create_422",
        "webhooks_create_422_duplicate_url",
    ):
        found = exchange(name)
        body = found["request"]["json"] | (made["json"] if "definitions" in name else {})
        answer = http.post(found["request"]["path"], json=body, headers=headers)
        assert answer.status_code == found["response"]["status"]
        assert answer.get_json() == found["response"]["body"]


def test_limits_are_refused_as_recorded(exchange: Load) -> None:
    app = create_app(deliver=False)
    sandbox: ChatwootSandbox = app.extensions["sandbox"]
    http = app.test_client()
    headers = {"api-access-token": sandbox.api_token}
    contact = sandbox.create_contact(name="Ana")
    conversation = sandbox.create_conversation(contact.id, 4, "Hi")
    sandbox.flood_limit = 1
    found = exchange("message_create_422_flood")
    path = found["request"]["path"].replace("/812/", f"/{conversation.id}/")
    answer = http.post(path, json=found["request"]["json"], headers=headers)
    assert (answer.status_code, answer.get_json()) == (422, found["response"]["body"])
    sandbox.limit_per_minute = 1
    found = exchange("error_429")["response"]
    answer = http.get("/api/v1/profile", headers=headers)
    assert (answer.status_code, answer.get_data(as_text=True)) == (found["status"], found["text"])
    assert "Retry-After" not in answer.headers
