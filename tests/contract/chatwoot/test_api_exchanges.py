"""The client asks as recorded, and understands what was answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests_mock

from crm_sync.chatwoot.client import ChatwootClient
from crm_sync.crms.base import AttributeDefinition
from crm_sync.errors import (
    ApiError,
    Duplicate,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
)
from crm_sync.events import Direction, SenderKind, Status

Load = Callable[[str], dict[str, Any]]
URL = "https://chat.example.com"
TOKEN = "secret-access-token"

DEFINITION = AttributeDefinition(
    "glpi_ticket_id", "GLPI ticket", "text", "conversation_attribute", "GLPI ticket"
)


@pytest.fixture
def client() -> ChatwootClient:
    return ChatwootClient(URL, 3, TOKEN)


@pytest.fixture
def replay(exchange: Load) -> Callable[..., Any]:
    """Answers the recorded request of these exchanges, and nothing else."""

    def start(mock: requests_mock.Mocker, *names: str) -> None:
        for name in names:
            found = exchange(name)
            request, response = found["request"], found["response"]
            answer = (
                {"text": response["text"]} if "text" in response else {"text": json.dumps(response["body"])}
            )
            mock.register_uri(
                request["method"],
                URL + request["path"].partition("?")[0],
                status_code=response["status"],
                headers=response["headers"],
                **answer,
            )

    return start


def last(mock: requests_mock.Mocker) -> Any:
    return mock.request_history[-1]


def test_version(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "api_version")
        assert client.api_version() == "4.17.1"
        assert "api-access-token" not in last(mock).headers


def test_profile(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "profile")
        profile = client.profile()
        assert last(mock).headers["api-access-token"] == TOKEN
    assert (profile.id, profile.email) == (90, "crm-sync@example.com")
    assert [(one.account_id, one.role) for one in profile.accounts] == [(3, "administrator")]


def test_contact(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "contact_show")
        contact = client.contact(2102)
        assert client.contact_row(2102)["id"] == 2102
    assert (contact.id, contact.phone_number, contact.email) == (2102, "+5581999990001", None)


def test_contacts_page(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "contacts_index")
        assert [row["id"] for row in client.contacts_page()] == [2102, 2106, 2103, 2101]


def test_conversation(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "conversation_show")
        found = client.conversation(812)
        assert client.conversation_row(812)["uuid"]
    assert (found.id, found.status, found.channel) == (812, Status.OPEN, "Channel::Whatsapp")
    assert found.assignee is not None
    assert found.assignee.email == "joana@example.com"
    assert found.messages == ()  # the recorded one is an activity


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("conversations_index", lambda client: client.conversations_page()),
        ("conversations_updated_within", lambda client: client.conversations_updated_within(900)),
    ],
)
def test_lists_of_conversations(
    client: ChatwootClient, replay: Callable[..., Any], name: str, call: Callable[[Any], Any]
) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, name)
        rows = call(client)
        assert last(mock).qs["status"] == ["all"]
    assert [row["id"] for row in rows][:2] == [812, 813]


@pytest.mark.parametrize("status", list(Status))
def test_toggle_status(
    client: ChatwootClient, replay: Callable[..., Any], exchange: Load, status: Status
) -> None:
    name = f"conversation_toggle_status_{status}"
    until = datetime.fromtimestamp(1789478400, UTC) if status is Status.SNOOZED else None
    with requests_mock.Mocker() as mock:
        replay(mock, name)
        assert client.toggle_status(812, status, snoozed_until=until) is status
        assert last(mock).json() == exchange(name)["request"]["json"]


def test_toggle_priority_is_answered_with_nothing(
    client: ChatwootClient, replay: Callable[..., Any], exchange: Load
) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "conversation_toggle_priority")
        client.toggle_priority(812, "high")
        assert last(mock).json() == exchange("conversation_toggle_priority")["request"]["json"]


def test_assign(client: ChatwootClient, replay: Callable[..., Any], exchange: Load) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "conversation_assign_agent")
        client.assign(812, assignee_id=31)
        assert last(mock).json() == exchange("conversation_assign_agent")["request"]["json"]
        client.assign(812, team_id=2)
        assert last(mock).json() == {"team_id": 2}


def test_latest_messages(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "messages_latest")
        messages = client.latest_messages(812)
    assert [message.id for message in messages] == [50101, 50150, 50160, 50170, 50171, 50174]
    assert messages[0].sender.kind is SenderKind.CONTACT
    assert messages[-1].direction is Direction.TEMPLATE
    assert [message.private for message in messages] == [False, False, False, True, True, False]


def test_newer_messages(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "messages_after")
        assert [message.id for message in client.messages_after(812, 50150)] == [50160, 50174]
        assert last(mock).qs == {"after": ["50150"]}


def test_first_messages(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "messages_latest")
        assert client.first_messages(812)[0].id == 50101
        assert last(mock).qs == {"after": ["0"]}


def test_a_note_that_is_there_is_found(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "messages_latest", "message_create_private_note")
        mock.register_uri("POST", URL, status_code=500)
        assert client.create_note(812, "again", key="glpi:ticket_opened:812").id == 50171


def test_a_note_is_written_with_its_marker(
    client: ChatwootClient, replay: Callable[..., Any], exchange: Load
) -> None:
    wanted = exchange("message_create_private_note")["request"]["json"]
    del wanted["echo_id"]
    with requests_mock.Mocker() as mock:
        replay(mock, "message_create_private_note")
        note = client.create_note(
            812, wanted["content"], key="glpi:ticket_opened:812", app_id="glpi", look_first=False
        )
        assert last(mock).json() == wanted
    assert (note.id, note.private) == (50171, True)


def test_inboxes(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "inboxes_list")
        assert [inbox.id for inbox in client.inboxes()] == [4, 7, 12, 15]
        assert client.inbox_name(12) == "WhatsApp Vendas"


def test_agents(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "agents_list")
        assert [agent.email for agent in client.agents()] == [
            "crm-sync@example.com",
            "joana@example.com",
            "rui@example.com",
        ]
        client.agents()
        assert len(mock.request_history) == 1


def test_webhooks(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "webhooks_list", "webhooks_create")
        hook = client.webhooks()[0]
        assert hook.secret == "k3yT9mQ2vX7pLz4RbN8sWc1D"
        assert "k3yT9mQ2" not in repr(hook)
        assert client.create_webhook(hook.url, subscriptions=hook.subscriptions, name="crm-sync") == hook


def test_a_url_that_is_taken(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "webhooks_create_422_duplicate_url")
        with pytest.raises(Duplicate, match="Url has already been taken"):
            client.create_webhook("https://crm-sync.example.com/hooks/chatwoot/3", subscriptions=[])


def test_definitions_that_are_there_are_left_alone(
    client: ChatwootClient, replay: Callable[..., Any]
) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "custom_attribute_definitions_list")
        assert client.define_attributes([DEFINITION]) == []


def test_a_definition_is_created_as_recorded(
    client: ChatwootClient, replay: Callable[..., Any], exchange: Load
) -> None:
    name = "custom_attribute_definitions_create"
    with requests_mock.Mocker() as mock:
        replay(mock, name)
        mock.get(f"{URL}/api/v1/accounts/3/custom_attribute_definitions", json=[])
        assert client.define_attributes([DEFINITION]) == ["glpi_ticket_id"]
        assert last(mock).json() == exchange(name)["request"]["json"]


def test_a_definition_made_meanwhile_is_no_error(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "custom_attribute_definitions_create_422")
        mock.get(f"{URL}/api/v1/accounts/3/custom_attribute_definitions", json=[])
        assert client.define_attributes([DEFINITION]) == []


def test_only_what_changes_of_a_contact_is_sent(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "contact_update_external_id", "contact_show")
        mock.get(
            f"{URL}/api/v1/accounts/3/contacts/2103",
            json={"payload": {"id": 2103, "custom_attributes": {"plan": "premium", "krayin_person_id": 88}}},
        )
        assert client.update_contact_attributes(2103, {"krayin_person_id": 88, "krayin_lead_id": 140})
        assert last(mock).json() == {"custom_attributes": {"krayin_lead_id": 140}}
        assert not client.update_contact_attributes(2103, {"krayin_person_id": 88, "gone": None})


def test_attributes_of_a_conversation_are_merged(client: ChatwootClient, replay: Callable[..., Any]) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, "conversation_show", "conversation_custom_attributes_merge")
        assert client.set_conversation_attributes(812, {"glpi_ticket_id": "912"})
        assert last(mock).json() == {"custom_attributes": {"glpi_ticket_id": "912"}, "merge": True}


@pytest.mark.parametrize(
    ("name", "kind", "call", "words"),
    [
        ("contact_show_404", NotFound, lambda c: c.contact(99999), "could not be found"),
        ("error_401_token", Unauthorized, lambda c: c.contacts_page(), "Invalid Access Token"),
        ("error_401_bot_token", Unauthorized, lambda c: c.contact(2102), "not authorized for bots"),
        ("error_401_not_admin", Unauthorized, lambda c: c.webhooks(), "not authorized to do this"),
        ("error_403_api_disabled", Unauthorized, lambda c: c.contacts_page(), "API access is not enabled"),
        (
            "message_create_422_flood",
            RateLimited,
            lambda c: c.create_message(812, "x", key="k", look_first=False),
            "slow down",
        ),
    ],
)
def test_refusals(
    client: ChatwootClient,
    replay: Callable[..., Any],
    *,
    name: str,
    kind: type[ApiError],
    call: Callable[[ChatwootClient], Any],
    words: str,
) -> None:
    with requests_mock.Mocker() as mock:
        replay(mock, name)
        with pytest.raises(kind, match=words) as caught:
            call(client)
    assert caught.value.path.startswith("/api/v1/accounts/3")
    assert TOKEN not in f"{caught.value} {caught.value.body} {caught.value.context}"


def test_too_many_requests_name_no_time(client: ChatwootClient, exchange: Load) -> None:
    response = exchange("error_429")["response"]
    with requests_mock.Mocker() as mock:
        mock.get(requests_mock.ANY, status_code=response["status"], text=response["text"])
        with pytest.raises(RateLimited) as caught:
            client.contact(1)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("name", ["contact_create_422_duplicate", "contact_create_422_phone"])
def test_a_contact_that_is_refused_names_its_field(client: ChatwootClient, exchange: Load, name: str) -> None:
    response = exchange(name)["response"]
    with requests_mock.Mocker() as mock:
        mock.register_uri(
            requests_mock.ANY,
            requests_mock.ANY,
            [{"json": {"payload": {"id": 7}}}, {"status_code": response["status"], "json": response["body"]}],
        )
        with pytest.raises((Duplicate, Rejected), match=response["body"]["message"]) as caught:
            client.update_contact_attributes(7, {"a": 1})
    if isinstance(caught.value, Rejected):
        assert caught.value.field == "phone_number"
