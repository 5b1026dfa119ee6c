"""The client against the sandbox: what is asked twice is done once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests_mock

from crm_sync.chatwoot.client import SUBSCRIPTIONS, ChatwootClient
from crm_sync.crms.base import AttributeDefinition
from crm_sync.errors import (
    Duplicate,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerFault,
    Timeout,
    Unauthorized,
    Unreachable,
)
from crm_sync.events import Status
from crm_sync.sandbox.chatwoot import ChatwootSandbox, create_app
from crm_sync.sandbox.server import SandboxServer, lose, refuse

HOOK = "http://127.0.0.1:1/webhooks/chatwoot/token"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    app = create_app(deliver=False)
    with SandboxServer(app) as running:
        running.app = app  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def sandbox(server: SandboxServer) -> ChatwootSandbox:
    found: ChatwootSandbox = server.app.extensions["sandbox"]  # type: ignore[attr-defined]
    return found


@pytest.fixture
def client(server: SandboxServer, sandbox: ChatwootSandbox) -> ChatwootClient:
    return ChatwootClient(server.url, sandbox.account_id, sandbox.api_token, timeouts_s=(2, 5))


@pytest.fixture
def conversation_id(sandbox: ChatwootSandbox) -> int:
    contact = sandbox.create_contact(name="Ana", email="ana@example.com")
    return sandbox.create_conversation(contact.id, 4, "first").id


def writes(sandbox: ChatwootSandbox) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in sandbox.requests if method != "GET"]


def test_it_knows_itself(client: ChatwootClient) -> None:
    assert client.profile().id == 90
    assert client.api_version() == "4.17.1"
    assert "sandbox-chatwoot-token" not in repr(client)


def test_a_wrong_token_is_refused(server: SandboxServer) -> None:
    with pytest.raises(Unauthorized, match="Invalid Access Token"):
        ChatwootClient(server.url, 3, "wrong").profile()


def test_a_webhook_is_registered_once(client: ChatwootClient, sandbox: ChatwootSandbox) -> None:
    first = client.register_webhook(HOOK)
    assert set(first.subscriptions) == set(SUBSCRIPTIONS)
    assert first.secret == sandbox.state.webhooks[first.id].secret
    assert client.register_webhook(HOOK + "/") == first
    assert len(sandbox.state.webhooks) == 1


def test_a_webhook_that_asks_for_something_else_is_corrected(
    client: ChatwootClient, sandbox: ChatwootSandbox
) -> None:
    row = sandbox.add_webhook(HOOK, ["message_created"])
    found = client.register_webhook(HOOK)
    assert (found.id, found.secret) == (row.id, row.secret)
    assert set(row.subscriptions) == set(SUBSCRIPTIONS)


def test_a_webhook_made_by_somebody_else_meanwhile_is_taken(
    client: ChatwootClient, sandbox: ChatwootSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sandbox.add_webhook(HOOK, SUBSCRIPTIONS)
    listed = client.webhooks
    answers = iter([(), listed()])
    monkeypatch.setattr(client, "webhooks", lambda: next(answers))
    assert client.register_webhook(HOOK).id == row.id


def test_a_webhook_that_is_taken_but_not_listed_is_an_error(
    client: ChatwootClient, sandbox: ChatwootSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.add_webhook(HOOK, SUBSCRIPTIONS)
    monkeypatch.setattr(client, "webhooks", lambda: ())
    with pytest.raises(Duplicate):
        client.register_webhook(HOOK)


def test_a_webhook_is_taken_away(client: ChatwootClient, sandbox: ChatwootSandbox) -> None:
    client.delete_webhook(client.register_webhook(HOOK).id)
    assert sandbox.state.webhooks == {}
    with pytest.raises(NotFound):
        client.delete_webhook(8)


def test_attributes_are_defined_once(client: ChatwootClient) -> None:
    wanted = [
        AttributeDefinition("a", "A", "text", "contact_attribute", "about A"),
        AttributeDefinition("b", "B", "list", "conversation", "about B", values=("x", "y")),
    ]
    assert client.define_attributes(wanted) == ["a", "b"]
    assert client.define_attributes(wanted) == []
    assert client.attribute_definitions() == {("contact_attribute", "a"), ("conversation_attribute", "b")}


@pytest.mark.parametrize("version", ["4.16.2", "4.17.1"])
def test_attributes_of_a_conversation_are_added_and_kept(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int, version: str
) -> None:
    sandbox.version = version
    sandbox.set_custom_attributes(conversation_id, {"order": "4471"})
    assert client.set_conversation_attributes(conversation_id, {"t": "9", "long": "x" * 2000})
    assert not client.set_conversation_attributes(conversation_id, {"t": "9", "long": "x" * 2000})
    assert client.set_conversation_attributes(conversation_id, {"long": None})
    assert sandbox.state.conversations[conversation_id].custom_attributes == {"order": "4471", "t": "9"}
    assert writes(sandbox) == ["custom_attributes", "custom_attributes"]


def test_attributes_of_a_contact_are_added_and_kept(client: ChatwootClient, sandbox: ChatwootSandbox) -> None:
    row = sandbox.create_contact(name="Ana", custom_attributes={"plan": "x"})
    assert client.update_contact_attributes(row.id, {"a": 1, "b": 2})
    assert not client.update_contact_attributes(row.id, {"a": 1})
    assert client.update_contact_attributes(row.id, {"a": 3, "b": None})
    assert row.custom_attributes == {"plan": "x", "a": 3}
    assert writes(sandbox) == [str(row.id), str(row.id), "destroy_custom_attributes"]


def test_a_note_is_written_once(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    first = client.create_note(conversation_id, "opened", key="k", app_id="glpi")
    assert client.create_note(conversation_id, "opened", key="k").id == first.id
    assert client.create_note(conversation_id, "closed", key="k2").id != first.id
    assert first.private
    assert first.source_id == "crm-sync:k"
    assert writes(sandbox) == ["messages", "messages"]


def test_a_note_whose_answer_was_lost_is_found(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    sandbox.faults.kinds, sandbox.faults.fail_rate = (lose,), 1.0
    with pytest.raises(OutcomeUnknown):
        client.create_note(conversation_id, "opened", key="k", look_first=False)
    sandbox.faults.fail_rate = 0.0
    client.create_note(conversation_id, "opened", key="k")
    assert sum(m.private for m in sandbox.state.conversations[conversation_id].messages) == 1


def test_an_older_note_is_found_page_by_page(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    client.create_note(conversation_id, "opened", key="k", look_first=False)
    # More than a busy conversation sees between two attempts.
    for number in range(145):
        sandbox.add_message(conversation_id, f"m{number}")
    assert client.find_message(conversation_id, "k") is not None
    assert client.find_message(conversation_id, "k", pages=2) is None
    assert client.find_message(conversation_id, "other") is None


def test_a_public_message_has_no_source_id(client: ChatwootClient, conversation_id: int) -> None:
    message = client.create_message(conversation_id, "Hello", key="k")
    assert (message.private, message.source_id) == (False, None)


def test_messages_are_read_in_order_without_activities(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    sandbox.set_status(conversation_id, "resolved")
    for number in range(150):
        sandbox.add_message(conversation_id, f"m{number}")
    texts = [message.content for message in client.first_messages(conversation_id)]
    assert texts[:2] == ["first", "m0"]
    assert len(texts) == 99
    first = client.first_messages(conversation_id)[0]
    assert len(client.messages_after(conversation_id, first.id)) == 150
    assert len(client.latest_messages(conversation_id)) == 20


def test_status_priority_and_assignee_are_set(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    assert client.toggle_status(conversation_id, Status.RESOLVED) is Status.RESOLVED
    client.toggle_priority(conversation_id, "urgent")
    client.assign(conversation_id, assignee_id=32)
    client.assign(conversation_id, team_id=2)
    found = client.conversation(conversation_id)
    assert (found.status, found.priority) == (Status.RESOLVED, "urgent")
    assert found.assignee is not None
    assert found.team is not None
    client.assign(conversation_id)
    client.toggle_priority(conversation_id, None)
    assert sandbox.state.conversations[conversation_id].assignee_id is None


def test_pages_end_with_an_empty_one(client: ChatwootClient, sandbox: ChatwootSandbox) -> None:
    for number in range(30):
        contact = sandbox.create_contact(name=f"C{number}", email=f"c{number}@example.com")
        sandbox.create_conversation(contact.id, 4, "hi")
    assert [len(client.contacts_page(page)) for page in (1, 2, 3)] == [15, 15, 0]
    assert [len(client.conversations_page(page)) for page in (1, 2, 3)] == [25, 5, 0]
    ids = [row["id"] for row in client.conversations_page(1)]
    assert ids == sorted(ids)
    assert len(client.conversations_updated_within(3600)) == 30


def test_the_name_of_an_inbox_is_asked_for_rarely(sandbox: ChatwootSandbox, server: SandboxServer) -> None:
    now = [0.0]
    client = ChatwootClient(server.url, 3, sandbox.api_token, clock=lambda: now[0])
    assert [client.inbox_name(4), client.inbox_name(7)] == ["Website", "Support e-mail"]
    assert client.inbox_name(999) is None
    assert len(sandbox.requests) == 1
    now[0] = 11.0
    assert client.inbox_name(999) is None
    assert len(sandbox.requests) == 2


def test_it_is_shared_by_threads(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    with ThreadPoolExecutor(4) as pool:
        notes = [pool.submit(client.create_note, conversation_id, "n", key=f"k{n}") for n in range(12)]
        assert len({note.result().id for note in notes}) == 12
    assert sum(m.private for m in sandbox.state.conversations[conversation_id].messages) == 12


def test_a_record_that_is_gone_is_not_found(client: ChatwootClient, sandbox: ChatwootSandbox) -> None:
    row = sandbox.create_contact(name="x")
    sandbox.delete_contact(row.id)
    with pytest.raises(NotFound):
        client.contact(row.id)


def test_a_server_that_is_down(
    client: ChatwootClient, sandbox: ChatwootSandbox, conversation_id: int
) -> None:
    sandbox.faults.kinds, sandbox.faults.fail_rate = (refuse,), 1.0
    with pytest.raises(ServerFault):
        client.conversation(conversation_id)
    with pytest.raises(OutcomeUnknown):
        client.toggle_priority(conversation_id, "low")
    sandbox.faults.kinds = (lose,)
    with pytest.raises(Timeout):
        client.conversation(conversation_id)


def test_a_server_that_is_not_there(server: SandboxServer, sandbox: ChatwootSandbox) -> None:
    server.stop()
    with pytest.raises(Unreachable):
        ChatwootClient(server.url, 3, sandbox.api_token).profile()


def test_a_server_that_wants_fewer_calls(client: ChatwootClient, sandbox: ChatwootSandbox) -> None:
    sandbox.limit_per_minute = 0
    with pytest.raises(RateLimited):
        client.agents()


@pytest.mark.parametrize("answer", [[], {}, {"payload": 7}, {"payload": {"webhook": {}}}, None])
def test_json_of_another_shape_is_a_fault(answer: Any) -> None:
    client = ChatwootClient("https://chat.example.com", 3, "t")
    with requests_mock.Mocker() as mock:
        mock.register_uri(requests_mock.ANY, requests_mock.ANY, json=answer)
        for read in (client.profile, client.api_version, lambda: client.contact(1), client.webhooks):
            with pytest.raises(ServerFault):
                read()
        with pytest.raises(OutcomeUnknown):
            client.create_webhook("https://x.example.com", subscriptions=["message_created"])


def test_a_message_that_cannot_be_read_is_left_out() -> None:
    client = ChatwootClient("https://chat.example.com", 3, "t")
    with requests_mock.Mocker() as mock:
        mock.get(requests_mock.ANY, json={"payload": [{"id": 1, "message_type": 0, "created_at": "odd"}]})
        assert client.latest_messages(1) == ()
        assert client.messages_after(1, 0) == ()
