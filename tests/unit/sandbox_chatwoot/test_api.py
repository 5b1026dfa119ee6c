"""The sandbox's API where no recording says more: pages, filters, roles, limits, and the control endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from crm_sync.sandbox.chatwoot import ChatwootSandbox, access, create_app
from crm_sync.sandbox.chatwoot.app import throttled

BASE = "/api/v1/accounts/3"


@pytest.fixture
def http(app: Flask, sandbox: ChatwootSandbox) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_API_ACCESS_TOKEN"] = sandbox.api_token
    return client


@pytest.fixture
def conversation_id(sandbox: ChatwootSandbox) -> int:
    contact = sandbox.create_contact(name="Ana", email="ana@example.com", custom_attributes={"plan": "gold"})
    return sandbox.create_conversation(contact.id, 12, "Hi", custom_attributes={"order": "1"}).id


def test_contacts_are_sorted_as_asked(http: FlaskClient, sandbox: ChatwootSandbox) -> None:
    for name in ("b", "a", "c"):
        sandbox.create_contact(name=name, email=f"{name}@example.com")
    sandbox.create_contact(name="visitor")

    def names(sort: str) -> list[str]:
        payload = http.get(f"{BASE}/contacts?sort={sort}").get_json()["payload"]
        return [row["name"] for row in payload]

    assert names("name") == ["a", "b", "c"]
    assert names("-name") == ["c", "b", "a"]
    assert names("created_at") == ["b", "a", "c"]
    assert names("-last_activity_at") == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ([("email", "equal_to", ["ANA@example.com"], None)], 1),
        ([("email", "contains", ["ana"], None)], 1),
        ([("email", "equal_to", ["ana"], None)], 0),
        ([("plan", "equal_to", ["gold"], None)], 1),
        ([("email", "equal_to", ["x"], "or"), ("name", "equal_to", ["ana"], None)], 1),
        ([("email", "equal_to", ["x"], "and"), ("name", "equal_to", ["ana"], None)], 0),
    ],
)
@pytest.mark.usefixtures("conversation_id")
def test_contacts_are_filtered(http: FlaskClient, conditions: list[Any], count: int) -> None:
    keys = ("attribute_key", "filter_operator", "values", "query_operator")
    body = {"payload": [dict(zip(keys, condition, strict=True)) for condition in conditions]}
    assert http.post(f"{BASE}/contacts/filter", json=body).get_json()["meta"]["count"] == count


@pytest.mark.usefixtures("conversation_id")
def test_an_unknown_filter_is_refused(http: FlaskClient) -> None:
    body = {"payload": [{"attribute_key": "email", "filter_operator": "rhymes_with", "values": ["x"]}]}
    assert http.post(f"{BASE}/contacts/filter", json=body).status_code == 422


@pytest.mark.usefixtures("conversation_id")
def test_contacts_are_searched_by_any_part(http: FlaskClient) -> None:
    assert http.get(f"{BASE}/contacts/search?q=NA@ex").get_json()["meta"]["count"] == 1
    assert http.get(f"{BASE}/contacts/search?q=nobody").get_json()["payload"] == []
    assert http.get(f"{BASE}/contacts/search").status_code == 422


def test_contacts_are_made_changed_labelled_merged_and_deleted(
    http: FlaskClient, sandbox: ChatwootSandbox
) -> None:
    made = http.post(f"{BASE}/contacts", json={"name": "A", "email": "A@example.com"}).get_json()["payload"]
    first = made["contact"]["id"]
    assert (made["contact"]["email"], made["contact_inbox"]) == ("a@example.com", None)
    http.patch(f"{BASE}/contacts/{first}", json={"name": "B"})
    assert sandbox.state.contacts[first].name == "B"
    http.post(f"{BASE}/contacts/{first}/labels", json={"labels": ["x"]})
    assert http.get(f"{BASE}/contacts/{first}/labels").get_json() == {"payload": ["x"]}
    second = sandbox.create_contact(name="C").id
    merged = http.post(
        f"{BASE}/actions/contact_merge", json={"base_contact_id": first, "mergee_contact_id": second}
    )
    assert merged.get_json()["id"] == first
    assert http.delete(f"{BASE}/contacts/{first}").status_code == 200
    assert sandbox.state.contacts == {}


def test_conversations_are_listed_as_asked(
    http: FlaskClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    sandbox.set_status(conversation_id, "resolved")

    def count(query: str) -> int:
        return len(http.get(f"{BASE}/conversations{query}").get_json()["data"]["payload"])

    assert [count(""), count("?status=resolved"), count("?status=all&inbox_id=4")] == [0, 1, 0]
    assert [count("?status=all&updated_within=60"), count("?status=all&page=2")] == [1, 0]
    for key, value in (("status", "resolved"), ("display_id", conversation_id), ("order", "1")):
        body = {"payload": [{"attribute_key": key, "values": [value]}]}
        assert len(http.post(f"{BASE}/conversations/filter", json=body).get_json()["payload"]) == 1


def test_a_conversation_is_made_and_changed(http: FlaskClient, sandbox: ChatwootSandbox) -> None:
    contact = sandbox.create_contact(name="A")
    body = {
        "contact_id": contact.id,
        "inbox_id": 15,
        "status": "pending",
        "message": {"content": "from us"},
        "additional_attributes": {"k": "v"},
    }
    made = http.post(f"{BASE}/conversations", json=body).get_json()
    assert (made["status"], made["additional_attributes"]) == ("pending", {"k": "v"})
    one = f"{BASE}/conversations/{made['id']}"
    assert http.patch(one, json={"priority": "low"}).get_json()["priority"] == "low"
    assert http.post(f"{one}/toggle_status").get_json()["payload"]["current_status"] == "open"
    assert http.post(f"{one}/toggle_status").get_json()["payload"]["current_status"] == "resolved"
    assert http.post(f"{one}/toggle_status", json={"status": "asleep"}).status_code == 422
    assert http.post(f"{one}/toggle_priority", json={"priority": "huge"}).status_code == 422
    assert http.get(f"{one}/labels").get_json() == {"payload": []}
    assert http.post(f"{one}/assignments", json={"assignee_id": None}).get_json() is None
    assert http.post(f"{one}/assignments", json={"team_id": 2}).get_json()["name"] == "sales"
    assert http.post(f"{one}/assignments", json={"assignee_id": 999}).status_code == 404


@pytest.mark.parametrize("value", ["x" * 1501, 10_000_000_000])
def test_attributes_beyond_the_limits_are_refused(
    http: FlaskClient, conversation_id: int, value: Any
) -> None:
    path = f"{BASE}/conversations/{conversation_id}/custom_attributes"
    assert http.post(path, json={"custom_attributes": {"k": value}}).status_code == 422
    assert http.post(path, json={"custom_attributes": None}).status_code == 422


def test_older_releases_cannot_take_attributes_away(
    http: FlaskClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    sandbox.version = "4.16.2"
    path = f"{BASE}/conversations/{conversation_id}/destroy_custom_attributes"
    assert http.post(path, json={"custom_attributes": ["order"]}).status_code == 404


def test_messages_are_found_between_two(
    http: FlaskClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    ids = [sandbox.add_message(conversation_id, f"m{n}").id for n in range(5)]
    sandbox.add_message(conversation_id, "note", direction="outgoing", private=True)
    path = f"{BASE}/conversations/{conversation_id}/messages"
    found = http.get(f"{path}?after={ids[1]}&before={ids[3]}").get_json()["payload"]
    assert [row["id"] for row in found] == ids[1:3]
    public = http.get(f"{path}?filter_internal_messages=true").get_json()["payload"]
    assert len(public) == 6


def test_messages_are_written_and_taken_back(
    http: FlaskClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    path = f"{BASE}/conversations/{conversation_id}/messages"
    assert http.post(path, json={"content": "x", "message_type": "incoming"}).status_code == 422
    made = http.post(path, json={"content": "x", "content_attributes": '{"a": 1}', "echo_id": "e"}).get_json()
    assert (made["content_attributes"], made["echo_id"], made["sender"]["id"]) == ({"a": 1}, "e", 90)
    assert http.delete(f"{path}/{made['id']}").status_code == 200
    assert sandbox.state.message(made["id"]).content_attributes == {"deleted": True}


def test_a_bot_reaches_what_bots_may(app: Flask, conversation_id: int) -> None:
    http = app.test_client()
    headers = {"api-access-token": "sandbox-bot-token"}
    path = f"{BASE}/conversations/{conversation_id}/messages"
    assert (
        http.post(path, json={"content": "beep"}, headers=headers).get_json()["sender"]["type"] == "agent_bot"
    )
    assert http.get(path, headers=headers).status_code == 401


def test_the_limit_is_one_of_each_minute(
    http: FlaskClient, sandbox: ChatwootSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(access.time, "monotonic", lambda: now[0])
    sandbox.limit_per_minute = 2
    answers = []
    for seconds in (0, 1, 2, 61.5):
        now[0] = seconds
        answers.append(http.get(f"{BASE}/agents").status_code)
    assert answers == [200, 200, 429, 200]


def test_another_account_is_not_found(http: FlaskClient) -> None:
    assert http.get("/api/v1/accounts/4/agents").status_code == 404


def test_webhooks_are_checked(http: FlaskClient, sandbox: ChatwootSandbox) -> None:
    path = f"{BASE}/webhooks"
    assert http.post(path, json={"url": "ftp://x"}).get_json()["attributes"] == ["url"]
    made = http.post(path, json={"webhook": {"url": "https://a.example.com"}}).get_json()["payload"][
        "webhook"
    ]
    assert "contact_created" in made["subscriptions"]
    other = sandbox.add_webhook("https://b.example.com", [])
    taken = http.patch(f"{path}/{other.id}", json={"url": "https://a.example.com"})
    assert taken.status_code == 422
    assert http.delete(f"{path}/999").status_code == 404


def test_definitions_take_enums_by_number(http: FlaskClient) -> None:
    path = f"{BASE}/custom_attribute_definitions"
    body = {
        "attribute_display_name": "A",
        "attribute_key": "a",
        "attribute_model": 1,
        "attribute_display_type": "4",
    }
    made = http.post(path, json=body).get_json()
    assert (made["attribute_model"], made["attribute_display_type"]) == ("contact_attribute", "link")
    assert http.post(path, json={"attribute_key": "b"}).status_code == 422
    assert http.get(f"{path}?attribute_model=conversation_attribute").get_json() == []
    assert len(http.get(path).get_json()) == 1


def test_dashboard_apps_are_kept(http: FlaskClient) -> None:
    body = {"title": "CRM", "content": [{"type": "frame", "url": "https://x.example.com"}]}
    made = http.post(f"{BASE}/dashboard_apps", json=body).get_json()
    assert http.get(f"{BASE}/dashboard_apps").get_json() == [made]


def test_a_fault_may_be_a_limit() -> None:
    app = create_app(deliver=False, fail_rate=1.0)
    sandbox: ChatwootSandbox = app.extensions["sandbox"]
    sandbox.faults.kinds = (throttled,)
    http = app.test_client()
    assert http.get("/api").status_code == 429
    assert http.get("/_sandbox/dump").status_code == 200


def test_another_process_can_act_and_look(http: FlaskClient, sandbox: ChatwootSandbox) -> None:
    control = "/_sandbox"
    hook = http.post(
        f"{control}/webhooks", json={"url": "http://127.0.0.1:1/x", "subscriptions": ["contact_created"]}
    )
    assert hook.get_json()["secret"]
    wanted = {"shuffle": True, "double": 0.5, "late": True, "enabled": False, "workers": 2, "window": 9}
    assert http.post(f"{control}/delivery", json=wanted).get_json() == wanted
    contact = http.post(f"{control}/contacts", json={"name": "A", "email": "a@example.com"}).get_json()["id"]
    http.patch(f"{control}/contacts/{contact}", json={"name": "B"})
    made = http.post(
        f"{control}/conversations",
        json={"contact_id": contact, "inbox_id": 7, "content": "Hi", "subject": "S"},
    ).get_json()
    one = f"{control}/conversations/{made['id']}"
    message = http.post(
        f"{control}/messages", json={"conversation_id": made["id"], "content": "re", "direction": "outgoing"}
    ).get_json()
    http.patch(f"{control}/messages/{message['id']}", json={"content": "edited"})
    snooze = {"status": "snoozed", "snoozed_until": "2030-01-01T00:00:00+00:00"}
    assert http.post(f"{one}/status", json=snooze).get_json()["snoozed_until"] == "2030-01-01T00:00:00.000Z"
    http.post(f"{one}/status", json={"status": "resolved"})
    http.post(f"{one}/priority", json={"priority": "high"})
    http.post(f"{one}/assignee", json={"assignee_id": 31})
    http.post(f"{one}/labels", json={"labels": ["vip"]})
    http.post(f"{one}/custom_attributes", json={"custom_attributes": {"a": 1}})
    dump = http.get(f"{control}/dump").get_json()
    found = dump["conversations"][0]
    assert (found["status"], found["priority"], found["labels"], found["custom_attributes"]) == (
        "resolved",
        "high",
        ["vip"],
        {"a": 1},
    )
    assert [row["content"] for row in found["messages"] if row["message_type"] != 2] == ["Hi", "edited"]
    assert (
        http.delete(f"{control}/messages/{message['id']}").get_json()["content"] == "This message was deleted"
    )
    assert http.post(f"{control}/wait", json={"timeout": 5}).get_json() == {"delivered": True}
    deliveries = http.get(f"{control}/deliveries").get_json()
    assert (deliveries["total"], deliveries["deliveries"][0]["event"]) == (1, "contact_created")
    other = sandbox.create_contact(name="C")
    http.post(f"{control}/contacts/{contact}/merge", json={"mergee_id": other.id})
    assert http.delete(f"{control}/contacts/{contact}").status_code == 204
    assert http.get(f"{control}/requests").get_json()["total"] == 0
    assert http.post(f"{control}/faults", json={"down": True}).get_json()["down"]
    assert http.get("/api").status_code == 503
