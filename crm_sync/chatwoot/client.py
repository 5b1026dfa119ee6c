"""Chatwoot's application API: one method an endpoint, answers as value objects, faults as the error tree.

Guarantees, to the engine and through its port to every CRM:

* a client is safe to share by threads;
* writes change as little as possible and skip what is there already, so that an echo or an agent's own edit
  is rarely in the way;
* no error, log or repr holds the access token.

Shapes and limits: contracts/chatwoot/api. Methods whose answers go into the journal as they are
(conversations, contacts, messages for a reconciliation or backfill) return Chatwoot's JSON;
:mod:`crm_sync.chatwoot.deliveries` makes deliveries of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import requests

from crm_sync.chatwoot import fields as f, payloads
from crm_sync.chatwoot.answers import content, odd
from crm_sync.chatwoot.attributes import merged, writing
from crm_sync.chatwoot.cache import Cached
from crm_sync.chatwoot.files import Files
from crm_sync.chatwoot.noise import MARKER, SOURCE_PREFIX
from crm_sync.chatwoot.records import Inbox, Membership, Profile, Webhook
from crm_sync.chatwoot.schemas import ACTIVITY
from crm_sync.crms.base import AttributeDefinition, File
from crm_sync.crms.http import Transport
from crm_sync.errors import Duplicate, PayloadError
from crm_sync.events import Agent, Contact, Conversation, Message, Status

#: How long inbox names and agents are kept, in seconds: they change a few times a year.
KEEP_S = 300.0
#: An inbox or agent that is not known yet is asked for again at most this often, in seconds.
MISS_S = 10.0
#: Rows of a full answer (app/finders/message_finder.rb): newer messages, older or latest messages.
_PAGE_AFTER = 100
_PAGE_BEFORE = 20

#: What a webhook of ours asks for: everything that can reach a CRM (app/models/webhook.rb).
SUBSCRIPTIONS = (
    "contact_created",
    "contact_updated",
    "conversation_created",
    "conversation_updated",
    "conversation_status_changed",
    "message_created",
    "message_updated",
)

T = TypeVar("T")


class ChatwootClient:
    """The API of one account, with the rights of the token's user (an administrator, for setups)."""

    def __init__(
        self,
        url: str,
        account_id: int,
        api_token: str,
        *,
        timeouts_s: tuple[float, float] = (3.0, 30.0),
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account_id = account_id
        self._token = api_token
        self._transport = transport or Transport(url, system="Chatwoot", timeouts_s=timeouts_s)
        self._files = Files(url, timeouts_s=timeouts_s)
        self._base = f"/api/v1/accounts/{account_id}"
        self._inboxes = Cached(self.inboxes, keep_s=KEEP_S, clock=clock)
        self._agents = Cached(self._fetch_agents, keep_s=KEEP_S, clock=clock)

    def __repr__(self) -> str:
        return f"ChatwootClient({self._transport.base_url!r}, {self.account_id})"

    # -- who we are ------------------------------------------------------------------------------------------

    def api_version(self) -> str:
        """The release of the server; needs no token (contracts: api_version)."""
        response = self._transport.request("GET", "/api")
        return _shape(response, "/api", lambda: str(content(response, path="/api")["version"]))

    def profile(self) -> Profile:
        """Our own user and the accounts it belongs to (contracts: profile)."""
        path = "/api/v1/profile"
        response = self._send("GET", path)
        body = self._content(response, path)
        return _shape(
            response,
            path,
            lambda: Profile(
                id=int(body["id"]),
                name=f.text(body.get("name")),
                email=f.text(body.get("email")),
                accounts=tuple(
                    Membership(int(item["id"]), f.text(item.get("name")), f.text(item.get("role")))
                    for item in body.get("accounts") or []
                ),
            ),
        )

    # -- contacts --------------------------------------------------------------------------------------------

    def contact(self, contact_id: int) -> Contact:
        """The contact as it is now; NotFound after a deletion or a merge (contracts: contact_show)."""
        return self._one(f"/contacts/{contact_id}", lambda body: payloads.contact(body["payload"]))

    def contact_row(self, contact_id: int) -> dict[str, Any]:
        """The contact as Chatwoot answers it."""
        return self._one(f"/contacts/{contact_id}", lambda body: dict(body["payload"]))

    def contacts_page(self, page: int = 1) -> list[dict[str, Any]]:
        """A page of 15 contacts as Chatwoot answers them, oldest first; empty after all.

        Contacts without e-mail, phone number and identifier are never listed (contracts: contacts_index).
        """
        params = {"page": page, "sort": "created_at", "include_contact_inboxes": "false"}
        return self._one("/contacts", lambda body: _rows(body["payload"]), params=params)

    def update_contact_attributes(self, contact_id: int, attributes: Mapping[str, Any]) -> bool:
        """Let the contact show these custom attributes; whether anything had to be written.

        ``None`` takes one away. Chatwoot merges a contact's attributes one level deep, so only what changed
        is sent (contracts: contact_update_external_id); taking away is an endpoint of its own.
        """
        change = writing(self.contact(contact_id).custom_attributes, attributes)
        path = f"/contacts/{contact_id}"
        if change.changed:
            self._write("PUT", path, {"custom_attributes": dict(change.changed)})
        if change.removed:
            self._write(
                "POST", f"{path}/destroy_custom_attributes", {"custom_attributes": list(change.removed)}
            )
        return bool(change)

    # -- conversations ---------------------------------------------------------------------------------------

    def conversation(self, conversation_id: int) -> Conversation:
        """The conversation as it is now (contracts: conversation_show)."""
        return self._one(f"/conversations/{conversation_id}", payloads.conversation)

    def conversation_row(self, conversation_id: int) -> dict[str, Any]:
        """The conversation as Chatwoot answers it."""
        return self._one(f"/conversations/{conversation_id}", dict)

    def conversations_page(self, page: int = 1) -> list[dict[str, Any]]:
        """A page of 25 conversations, whatever their status, in Chatwoot's words, oldest first, empty at the end."""
        params = {"status": "all", "assignee_type": "all", "page": page, "sort_by": "created_at_asc"}
        return self._one("/conversations", lambda body: _rows(body["data"]["payload"]), params=params)

    def conversations_updated_within(self, seconds: float) -> list[dict[str, Any]]:
        """All conversations that changed in the last seconds, as Chatwoot answers them, in one answer.

        New messages count as a change (contracts: conversations_updated_within).
        """
        params = {"status": "all", "assignee_type": "all", "updated_within": max(1, round(seconds))}
        return self._one("/conversations", lambda body: _rows(body["data"]["payload"]), params=params)

    def set_conversation_attributes(self, conversation_id: int, attributes: Mapping[str, Any]) -> bool:
        """Let the conversation show these custom attributes; whether anything had to be written.

        ``None`` takes one away.

        Chatwoot replaces the whole hash (before 4.17), so it is read, merged and written: call this under a
        lock. ``merge`` lets newer servers keep what an agent adds meanwhile; older ones ignore it (contracts:
        conversation_custom_attributes_merge).
        """
        path = f"/conversations/{conversation_id}"
        current = self.conversation(conversation_id).custom_attributes
        change = writing(current, attributes)
        if not change:
            return False
        body: dict[str, Any] = {"custom_attributes": merged(current, change)}
        if not change.removed:
            body["merge"] = True
        self._write("POST", f"{path}/custom_attributes", body)
        return True

    def toggle_status(
        self, conversation_id: int, status: Status, *, snoozed_until: datetime | None = None
    ) -> Status:
        """Set the status; what it then is (contracts: conversation_toggle_status_*)."""
        body: dict[str, Any] = {"status": status.value}
        if snoozed_until is not None:
            body["snoozed_until"] = int(snoozed_until.timestamp())
        return self._one(
            f"/conversations/{conversation_id}/toggle_status",
            lambda answer: Status(answer["payload"]["current_status"]),
            method="POST",
            json=body,
        )

    def toggle_priority(self, conversation_id: int, priority: str | None) -> None:
        """Set the priority (``low`` to ``urgent``) or take it away; answered with an empty body."""
        self._write(
            "POST", f"/conversations/{conversation_id}/toggle_priority", {"priority": priority}, empty=True
        )

    def assign(
        self, conversation_id: int, *, assignee_id: int | None = None, team_id: int | None = None
    ) -> None:
        """Give the conversation to an agent, or to a team, or (neither) to nobody."""
        body = {"team_id": team_id} if team_id is not None else {"assignee_id": assignee_id}
        self._write("POST", f"/conversations/{conversation_id}/assignments", body, empty=True)

    # -- messages --------------------------------------------------------------------------------------------

    def message_rows(
        self, conversation_id: int, *, after: int | None = None, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Messages in Chatwoot's words, activities too: 100 after one, 20 before one, or the latest 20."""
        params = {key: value for key, value in (("after", after), ("before", before)) if value is not None}
        path = f"/conversations/{conversation_id}/messages"
        return self._one(path, lambda body: _rows(body["payload"]), params=params)

    def first_messages(self, conversation_id: int) -> Sequence[Message]:
        """The oldest messages of a conversation (up to 100), oldest first, activities left out."""
        return _messages(self.message_rows(conversation_id, after=0))

    def messages_after(self, conversation_id: int, message_id: int) -> Sequence[Message]:
        """All messages newer than one, oldest first, activities left out."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.message_rows(conversation_id, after=message_id)
            rows += page
            highest = max((f.whole(row.get("id")) or 0 for row in page), default=0)
            if len(page) < _PAGE_AFTER or highest <= message_id:
                return _messages(rows)
            message_id = highest

    def latest_messages(self, conversation_id: int) -> Sequence[Message]:
        """The latest messages (up to 20), oldest first, activities left out."""
        return _messages(self.message_rows(conversation_id))

    def find_message(self, conversation_id: int, key: str, *, pages: int = 50) -> Message | None:
        """The message that carries our marker with this key; one that is not among the latest (20 a page) is none."""
        before: int | None = None
        for _ in range(pages):
            rows = self.message_rows(conversation_id, before=before)
            for found in _messages(rows):
                marker = found.content_attributes.get(MARKER)
                if isinstance(marker, Mapping) and marker.get("key") == key:
                    return found
            numbers = [number for row in rows if (number := f.whole(row.get("id"))) is not None]
            if len(rows) < _PAGE_BEFORE or not numbers:
                return None
            before = min(numbers)
        return None

    def create_message(
        self,
        conversation_id: int,
        text: str,
        *,
        key: str,
        private: bool = False,
        app_id: str | None = None,
        look_first: bool = True,
    ) -> Message:
        """Write a message once: the one that is there already with this key, or a new one.

        Chatwoot itself does not recognise a repeat (contracts: message_create_private_note), so the marker is
        looked for first; ``look_first=False`` saves that call where the message was certainly never sent. A
        message that is not private goes to the customer.
        """
        if look_first and (found := self.find_message(conversation_id, key)) is not None:
            return found
        body: dict[str, Any] = {
            "content": text,
            "message_type": "outgoing",
            "private": private,
            "content_attributes": {MARKER: {"key": key} | ({"target": app_id} if app_id else {})},
        }
        if private:
            # On a public message a source_id would look like the channel's own id.
            body["source_id"] = SOURCE_PREFIX + key
        return self._one(
            f"/conversations/{conversation_id}/messages", payloads.message, method="POST", json=body
        )

    def create_note(
        self, conversation_id: int, text: str, *, key: str, app_id: str | None = None, look_first: bool = True
    ) -> Message:
        """Write a private note once; agents see it, the customer does not."""
        return self.create_message(
            conversation_id, text, key=key, private=True, app_id=app_id, look_first=look_first
        )

    def download(self, url: str, limit_bytes: int) -> File:
        """The file at an attachment's address, fetched without our token (see files)."""
        return self._files.download(url, limit_bytes)

    # -- inboxes and agents ----------------------------------------------------------------------------------

    def inboxes(self) -> tuple[Inbox, ...]:
        """The inboxes of the account (contracts: inboxes_list)."""
        return self._one(
            "/inboxes",
            lambda body: tuple(
                Inbox(int(item["id"]), f.text(item.get("name")), f.text(item.get("channel_type")))
                for item in body["payload"]
            ),
        )

    def inbox_name(self, inbox_id: int) -> str | None:
        """What agents call the inbox; kept for some minutes."""
        for max_age_s in (None, MISS_S):
            for inbox in self._inboxes.get(max_age_s=max_age_s):
                if inbox.id == inbox_id:
                    return inbox.name
        return None

    def agents(self) -> Sequence[Agent]:
        """The agents of the account with e-mail addresses; kept for minutes (contracts: agents_list)."""
        return self._agents.get()

    def _fetch_agents(self) -> tuple[Agent, ...]:
        return self._one(
            "/agents",
            lambda body: tuple(
                Agent(int(item["id"]), name=f.text(item.get("name")), email=f.text(item.get("email")))
                for item in body
            ),
        )

    # -- webhooks --------------------------------------------------------------------------------------------

    def webhooks(self) -> tuple[Webhook, ...]:
        """The webhooks of the account with their secrets; for administrators (contracts: webhooks_list)."""
        return self._one(
            "/webhooks", lambda body: tuple(_webhook(item) for item in body["payload"]["webhooks"])
        )

    def create_webhook(self, url: str, *, subscriptions: Iterable[str], name: str | None = None) -> Webhook:
        """Make a webhook; Duplicate when the account has one with this URL (contracts: webhooks_create*)."""
        body = {"url": url, "subscriptions": list(subscriptions)} | ({"name": name} if name else {})
        return self._one("/webhooks", _created_webhook, method="POST", json=body)

    def update_webhook(self, webhook_id: int, *, url: str, subscriptions: Iterable[str]) -> Webhook:
        """Change what a webhook asks for; its secret stays."""
        body = {"url": url, "subscriptions": list(subscriptions)}
        return self._one(f"/webhooks/{webhook_id}", _created_webhook, method="PATCH", json=body)

    def delete_webhook(self, webhook_id: int) -> None:
        """Take a webhook away; NotFound when it is gone."""
        self._write("DELETE", f"/webhooks/{webhook_id}", None, empty=True)

    def register_webhook(
        self, url: str, *, subscriptions: Iterable[str] = SUBSCRIPTIONS, name: str = "crm_sync"
    ) -> Webhook:
        """The webhook with this URL and its secret, made or corrected where necessary; safe to repeat."""
        wanted = tuple(subscriptions)
        found = self.webhook_at(url)
        if found is None:
            try:
                return self.create_webhook(url, subscriptions=wanted, name=name)
            except Duplicate:
                found = self.webhook_at(url)
                if found is None:
                    raise
        if set(found.subscriptions) == set(wanted):
            return found
        return self.update_webhook(found.id, url=found.url, subscriptions=wanted)

    def webhook_at(self, url: str) -> Webhook | None:
        """The webhook that calls an address, however that is written."""
        return next((webhook for webhook in self.webhooks() if _same_url(webhook.url, url)), None)

    # -- custom attribute definitions ------------------------------------------------------------------------

    def attribute_definitions(self) -> frozenset[tuple[str, str]]:
        """(model, key) of every definition of the account (contracts: custom_attribute_definitions_list)."""
        return self._one(
            "/custom_attribute_definitions",
            lambda body: frozenset((item["attribute_model"], item["attribute_key"]) for item in body),
        )

    def define_attributes(self, definitions: Sequence[AttributeDefinition]) -> Sequence[str]:
        """Create the definitions that are missing; returns the keys created. For administrators only."""
        known = self.attribute_definitions()
        missing = [one for one in definitions if (_model(one), one.key) not in known]
        return [definition.key for definition in missing if self._define(definition)]

    def _define(self, definition: AttributeDefinition) -> bool:
        body: dict[str, Any] = {
            "attribute_display_name": definition.name,
            "attribute_display_type": definition.display_type,
            "attribute_description": definition.description,
            "attribute_key": definition.key,
            "attribute_model": _model(definition),
        }
        if definition.values:
            body["attribute_values"] = list(definition.values)
        try:
            self._write("POST", "/custom_attribute_definitions", body)
        except Duplicate:
            return False
        return True

    # -- the wire --------------------------------------------------------------------------------------------

    def _one(
        self,
        endpoint: str,
        reading: Callable[[Any], T],
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> T:
        path = self._base + endpoint
        response = self._send(method, path, params=params, json=json)
        body = self._content(response, path)
        return _shape(response, path, lambda: reading(body))

    def _write(self, method: str, endpoint: str, json: Any, *, empty: bool = False) -> None:
        path = self._base + endpoint
        self._content(self._send(method, path, json=json), path, empty=empty)

    def _send(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> requests.Response:
        # With dashes, because nginx drops headers with underscores; Rack reads both alike.
        headers = {"api-access-token": self._token, "Accept": "application/json"}
        return self._transport.request(method, path, params=params, json=json, headers=headers)

    def _content(self, response: requests.Response, path: str, *, empty: bool = False) -> Any:
        return content(response, path=path, token=self._token, empty=empty)


def _shape(response: requests.Response, path: str, reading: Callable[[], T]) -> T:
    """Read an answer; one that is not of the known shape is an ApiError like any other broken answer."""
    try:
        return reading()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, PayloadError) as error:
        raise odd(response, path=path) from error


def _rows(raw: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in raw]


def _messages(rows: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    found = {}
    for row in rows:
        if row.get("message_type") in ACTIVITY:
            continue
        try:
            one = payloads.message(row)
        except PayloadError:
            continue
        found[one.id] = one
    return tuple(found[number] for number in sorted(found))


def _webhook(raw: Mapping[str, Any]) -> Webhook:
    return Webhook(
        id=int(raw["id"]),
        url=str(raw["url"]),
        name=f.text(raw.get("name")),
        subscriptions=tuple(map(str, raw.get("subscriptions") or ())),
        secret=f.text(raw.get("secret")),
    )


def _created_webhook(body: Any) -> Webhook:
    return _webhook(body["payload"]["webhook"])


def _same_url(one: str, other: str) -> bool:
    """Whether two addresses are one endpoint: the host's letter case, a closing slash and a login do not count."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, _host(first), first.path.rstrip("/"), first.query) == (
        second.scheme,
        _host(second),
        second.path.rstrip("/"),
        second.query,
    )


def _host(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2].lower()


def _model(definition: AttributeDefinition) -> str:
    model = definition.model
    return model if model.endswith("_attribute") else f"{model}_attribute"
