"""Chatwoot's behaviour: what people do in it, what changes by that, and which webhooks follow.

Every acting method takes the place of a person (or of the API, which calls the same ones), changes the rows and
hands the webhooks over in the order Chatwoot dispatches them (contracts: sequences.json). Among them is what makes
Chatwoot noisy: contact_updated for every message of a customer, conversation_updated next to every change of status
and for bookkeeping, labels told twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

from crm_sync.sandbox.chatwoot import channels, shapes
from crm_sync.sandbox.chatwoot.outbox import Delivery, Outbox
from crm_sync.sandbox.chatwoot.records import (
    ACTIVITY,
    INCOMING,
    MESSAGE_TYPES,
    OUTGOING,
    TEMPLATE,
    ContactRow,
    ConversationRow,
    InboxRow,
    MessageRow,
    WebhookRow,
)
from crm_sync.sandbox.chatwoot.state import State
from crm_sync.sandbox.server import CallLog, Faults

#: Changes of other columns fire no conversation_updated (app/models/conversation.rb#list_of_keys).
_TOLD = frozenset(
    {
        "assignee_id",
        "custom_attributes",
        "first_reply_created_at",
        "label_list",
        "priority",
        "snoozed_until",
        "status",
        "team_id",
        "waiting_since",
    }
)


class ChatwootSandbox:
    """One account of Chatwoot. Safe between threads.

    ``shuffle``, ``double`` and ``late`` let deliveries arrive out of order, twice, and with a later state
    (see :class:`Outbox`). ``version`` decides whether writing custom attributes can merge (since 4.17).
    """

    def __init__(
        self,
        *,
        api_token: str = "sandbox-chatwoot-token",  # noqa: S107 (make-believe)
        account_id: int = 3,
        seed: int = 0,
        deliver: bool = True,
        workers: int = 1,
    ) -> None:
        self.api_token = api_token
        #: Tokens by the user they belong to; a bot's is its negative id.
        self.tokens = {api_token: 90, "sandbox-agent-token": 31, "sandbox-bot-token": -5}
        self.account_id = account_id
        self.version = "4.17.1"
        self.limit_per_minute: int | None = None
        self.flood_limit = 200
        #: Whether WhatsApp's receipts (message_updated: delivered) are sent.
        self.receipts = True
        self.state = State(account_id=account_id, seed=seed)
        self.outbox = Outbox(seed=seed, enabled=deliver, workers=workers)
        self.faults: Faults
        self.calls: CallLog

    # -- what went over the wire -----------------------------------------------------------------------------

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        """The API calls handled: (method, path, status)."""
        return self.calls.calls()

    @property
    def deliveries(self) -> list[Delivery]:
        """Every delivery attempted."""
        return self.outbox.deliveries

    def wait_delivered(self, timeout: float = 10.0) -> bool:
        """Wait until every webhook is sent; whether they all are."""
        return self.outbox.wait(timeout)

    @property
    def shuffle(self) -> bool:
        """Whether deliveries arrive out of order."""
        return self.outbox.shuffle

    @shuffle.setter
    def shuffle(self, value: bool) -> None:
        self.outbox.shuffle = value

    @property
    def double(self) -> float:
        """The share of deliveries that arrive twice, under two ids."""
        return self.outbox.double

    @double.setter
    def double(self, value: float) -> None:
        self.outbox.double = float(value)

    @property
    def late(self) -> bool:
        """Whether a payload shows the state when it is sent, not when the event happened."""
        return self.outbox.late

    @late.setter
    def late(self, value: bool) -> None:
        self.outbox.late = value

    # -- webhooks --------------------------------------------------------------------------------------------

    def add_webhook(self, url: str, subscriptions: Iterable[str], *, name: str | None = None) -> WebhookRow:
        """Register a webhook, as the dashboard or the API does."""
        with self.state.lock:
            row = WebhookRow(next(self.state.other_ids), url, name, list(subscriptions), self.state.secret())
            self.state.webhooks[row.id] = row
            return row

    def _emit(self, event: str, subject: int, render: Callable[[], dict[str, Any]]) -> None:
        def locked() -> dict[str, Any]:
            with self.state.lock:
                return render()

        for hook in list(self.state.webhooks.values()):
            if event in hook.subscriptions:
                self.outbox.put(event, subject, url=hook.url, secret=hook.secret, render=locked)

    def _emit_contact(
        self, event: str, row: ContactRow, changes: Mapping[str, tuple[Any, Any]] | None = None
    ) -> None:
        changed = None if changes is None else shapes.changed_attributes(changes)
        more = {"event": event} | ({} if changed is None else {"changed_attributes": changed})
        self._emit(event, row.id, lambda: shapes.contact(self.state, row) | more)

    def _emit_conversation(
        self, event: str, row: ConversationRow, more: Mapping[str, Any] | None = None
    ) -> None:
        rest = {"event": event, **(more or {})}
        self._emit(event, row.id, lambda: shapes.conversation(self.state, row) | rest)

    def _emit_message(self, event: str, row: MessageRow) -> None:
        self._emit(event, row.id, lambda: shapes.message(self.state, row) | {"event": event})

    # -- contacts --------------------------------------------------------------------------------------------

    def create_contact(self, **columns: Any) -> ContactRow:
        """A new contact, by its columns (``name``, ``email``, ``phone_number`` ...)."""
        with self.state.lock:
            now = self.state.tick()
            if columns.get("email"):
                columns["email"] = str(columns["email"]).lower()
            row = ContactRow(next(self.state.contact_ids), now, now, **columns)
            self.state.contacts[row.id] = row
            self._emit_contact("contact_created", row)
            return row

    def update_contact(self, contact_id: int, **columns: Any) -> ContactRow:
        """Change columns; both attribute hashes are merged one level deep (contacts_controller.rb)."""
        with self.state.lock:
            row = self.state.contacts[contact_id]
            for key in ("custom_attributes", "additional_attributes"):
                if key in columns:
                    columns[key] = getattr(row, key) | dict(columns[key])
            self._change_contact(row, columns)
            return row

    def remove_contact_attributes(self, contact_id: int, keys: Iterable[str]) -> ContactRow:
        """Take custom attributes away."""
        with self.state.lock:
            row = self.state.contacts[contact_id]
            gone = set(keys)
            rest = {key: value for key, value in row.custom_attributes.items() if key not in gone}
            self._change_contact(row, {"custom_attributes": rest})
            return row

    def delete_contact(self, contact_id: int) -> None:
        """The contact and his conversations vanish; no webhook tells of it."""
        with self.state.lock:
            del self.state.contacts[contact_id]
            for row in [c for c in self.state.conversations.values() if c.contact_id == contact_id]:
                del self.state.conversations[row.id]

    def merge_contacts(self, base_id: int, mergee_id: int) -> ContactRow:
        """The mergee's conversations and missing columns go to the base, and he vanishes without a webhook.

        Every message he wrote is told again, now with the base as sender (contact_merge_action.rb).
        """
        with self.state.lock:
            base, mergee = self.state.contacts[base_id], self.state.contacts[mergee_id]
            rewritten = []
            for conversation in self.state.conversations.values():
                if conversation.contact_id == mergee_id:
                    conversation.contact_id = base_id
                for message in conversation.messages:
                    if message.sender == ("Contact", mergee_id):
                        message.sender = ("Contact", base_id)
                        message.updated_at = self.state.tick()
                        rewritten.append(message)
            for message in rewritten:
                self._emit_message("message_updated", message)
            del self.state.contacts[mergee_id]
            columns: dict[str, Any] = {
                key: getattr(mergee, key)
                for key in ("email", "phone_number", "identifier")
                if not getattr(base, key) and getattr(mergee, key)
            }
            for key in ("custom_attributes", "additional_attributes"):
                columns[key] = getattr(mergee, key) | getattr(base, key)
            self._change_contact(base, columns)
            return base

    def _change_contact(self, row: ContactRow, columns: Mapping[str, Any]) -> None:
        changes = _assign(row, columns)
        if changes:
            before, row.updated_at = row.updated_at, self.state.tick()
            self._emit_contact("contact_updated", row, changes | {"updated_at": (before, row.updated_at)})

    # -- conversations ---------------------------------------------------------------------------------------

    def create_conversation(
        self,
        contact_id: int,
        inbox_id: int,
        content: str | None = None,
        *,
        subject: str | None = None,
        status: str | None = None,
        direction: str = "incoming",
        attachments: Iterable[Mapping[str, Any]] = (),
        sender_id: int | None = None,
        custom_attributes: Mapping[str, Any] | None = None,
        additional_attributes: Mapping[str, Any] | None = None,
    ) -> ConversationRow:
        """A new conversation, with its first message where one is given; a blocked contact's is resolved at once."""
        state = self.state
        attachments = list(attachments)
        with state.lock:
            contact, inbox = state.contacts[contact_id], state.inboxes[inbox_id]
            now = state.tick()
            extras = channels.conversation_extras(inbox, subject=subject, at=shapes.iso(now))
            row = ConversationRow(
                id=next(state.conversation_ids),
                contact_id=contact_id,
                inbox_id=inbox_id,
                source_id=channels.source_id(state, inbox, contact),
                uuid=str(uuid.UUID(int=state.random.getrandbits(128), version=4)),
                created_at=now,
                updated_at=now,
                last_activity_at=now,
                status="resolved" if contact.blocked else status or "open",
                custom_attributes=dict(custom_attributes or {}),
                additional_attributes=extras | dict(additional_attributes or {}),
            )
            state.conversations[row.id] = row
            first = None
            if content is not None or attachments:
                first = self._store_message(
                    row, content, MESSAGE_TYPES[direction], attachments=attachments, sender_id=sender_id
                )
            self._emit_conversation("conversation_created", row)
            if first is not None:
                self._announce_message(row, first)
            return row

    def set_status(
        self, conversation_id: int, status: str, *, snoozed_until: datetime | None = None
    ) -> ConversationRow:
        """Resolve, reopen, put off or snooze: told by two webhooks, and by a survey where the inbox asks for one."""
        with self.state.lock:
            row = self.state.conversations[conversation_id]
            until = snoozed_until if status == "snoozed" else None
            changed = self._change_conversation(row, {"status": status, "snoozed_until": until})
            if changed:
                self._note_activity(row, f"Conversation was marked {status}")
            if changed and status == "resolved" and self.state.inboxes[row.inbox_id].csat:
                survey = self._store_message(
                    row, "Please rate the conversation", TEMPLATE, content_type="input_csat"
                )
                survey.content_attributes = {"display_type": "emoji"}
                self._announce_message(row, survey)
            return row

    def set_priority(self, conversation_id: int, priority: str | None) -> ConversationRow:
        """``low``, ``medium``, ``high``, ``urgent`` or none."""
        return self._set(conversation_id, {"priority": priority})

    def assign(
        self, conversation_id: int, *, assignee_id: int | None = None, team_id: int | None = None
    ) -> ConversationRow:
        """Give the conversation to a team, or to an agent, or (neither) to nobody."""
        if team_id is not None:
            return self._set(conversation_id, {"team_id": self.state.teams[team_id].id})
        user_id = self.state.users[assignee_id].id if assignee_id is not None else None
        return self._set(conversation_id, {"assignee_id": user_id})

    def set_labels(self, conversation_id: int, labels: Iterable[str]) -> ConversationRow:
        """Replace the labels; Chatwoot tells this twice."""
        wanted = list(labels)
        return self._set(conversation_id, {"label_list": wanted, "cached_label_list": ", ".join(wanted)})

    def set_custom_attributes(
        self, conversation_id: int, attributes: Mapping[str, Any], *, merge: bool = False
    ) -> ConversationRow:
        """Replace the hash, or merge into it where the release can."""
        with self.state.lock:
            row = self.state.conversations[conversation_id]
            before = row.custom_attributes if merge and self.can_merge else {}
            self._change_conversation(row, {"custom_attributes": before | dict(attributes)})
            return row

    def remove_custom_attributes(self, conversation_id: int, keys: Iterable[str]) -> ConversationRow:
        """Take custom attributes of a conversation away."""
        with self.state.lock:
            row = self.state.conversations[conversation_id]
            gone = set(keys)
            rest = {key: value for key, value in row.custom_attributes.items() if key not in gone}
            self._change_conversation(row, {"custom_attributes": rest})
            return row

    @property
    def can_merge(self) -> bool:
        """Whether this release merges a conversation's custom attributes on demand."""
        major, minor = self.version.split(".")[:2]
        return (int(major), int(minor)) >= (4, 17)

    def _set(self, conversation_id: int, columns: Mapping[str, Any]) -> ConversationRow:
        with self.state.lock:
            row = self.state.conversations[conversation_id]
            self._change_conversation(row, columns)
            return row

    def _change_conversation(self, row: ConversationRow, columns: Mapping[str, Any]) -> bool:
        """Change columns and tell it: a status by an event of its own, too, and labels by two equal ones."""
        changes = _assign(row, columns)
        if not changes:
            return False
        before, row.updated_at = row.updated_at, self.state.tick()
        if not _TOLD & changes.keys():
            return True
        told = shapes.changed_attributes({"updated_at": (before, row.updated_at)} | changes)
        if "status" in changes:
            self._emit_conversation("conversation_status_changed", row, {"changed_attributes": None})
        for _ in range(2 if "label_list" in changes else 1):
            self._emit_conversation("conversation_updated", row, {"changed_attributes": told})
        return True

    # -- messages --------------------------------------------------------------------------------------------

    def add_message(
        self,
        conversation_id: int,
        content: str | None = None,
        *,
        direction: str = "incoming",
        private: bool = False,
        attachments: Iterable[Mapping[str, Any]] = (),
        sender_id: int | None = None,
        content_type: str | None = None,
        content_attributes: Mapping[str, Any] | None = None,
        source_id: str | None = None,
    ) -> MessageRow:
        """A message of the customer (``incoming``) or of an agent, or a private note among agents."""
        with self.state.lock:
            row = self.state.conversations[conversation_id]
            message = self._store_message(
                row,
                content,
                MESSAGE_TYPES[direction],
                private=private,
                attachments=attachments,
                sender_id=sender_id,
                content_type=content_type,
                content_attributes=content_attributes,
                source_id=source_id,
            )
            self._announce_message(row, message)
            return message

    def delete_message(self, message_id: int) -> MessageRow:
        """Take a message back: its content is replaced, its files are gone."""
        with self.state.lock:
            row = self.state.message(message_id)
            row.content = "This message was deleted"
            row.content_attributes = {"deleted": True}
            for item in row.attachments:
                self.state.files.pop(int(item["id"]), None)
            row.attachments = []
            row.updated_at = self.state.tick()
            self._emit_message("message_updated", row)
            return row

    def edit_message(self, message_id: int, content: str) -> MessageRow:
        """Change a message's text."""
        with self.state.lock:
            row = self.state.message(message_id)
            row.content = content
            row.updated_at = self.state.tick()
            self._emit_message("message_updated", row)
            return row

    def fail_message(self, message_id: int, error: str) -> MessageRow:
        """The channel says that a message never reached the customer."""
        with self.state.lock:
            row = self.state.message(message_id)
            row.status = "failed"
            row.content_attributes = {**row.content_attributes, "external_error": error}
            row.updated_at = self.state.tick()
            self._emit_message("message_updated", row)
            return row

    def _store_message(
        self,
        around: ConversationRow,
        content: str | None,
        message_type: int,
        *,
        private: bool = False,
        attachments: Iterable[Mapping[str, Any]] = (),
        sender_id: int | None = None,
        content_type: str | None = None,
        content_attributes: Mapping[str, Any] | None = None,
        source_id: str | None = None,
    ) -> MessageRow:
        state = self.state
        now, number = state.tick(), next(state.message_ids)
        inbox, contact = state.inboxes[around.inbox_id], state.contacts[around.contact_id]
        attributes = dict(content_attributes or {})
        if inbox.channel_type == "Channel::Email" and message_type == INCOMING:
            content_type = content_type or "incoming_email"
            subject = around.additional_attributes.get("mail_subject")
            attributes = channels.email_attributes(contact, content, subject=subject) | attributes
        row = MessageRow(
            id=number,
            conversation_id=around.id,
            inbox_id=around.inbox_id,
            message_type=message_type,
            content=content,
            created_at=now,
            updated_at=now,
            private=private,
            content_type=content_type or "text",
            content_attributes=attributes,
            source_id=source_id or _source_id(state, inbox, number, message_type, private=private),
            sender=_sender(message_type, around, sender_id),
            attachments=channels.attachments(state, number, attachments),
        )
        around.messages.append(row)
        around.last_activity_at = around.updated_at = now
        if message_type == INCOMING:
            around.unread_count += 1
        return row

    def _announce_message(self, around: ConversationRow, row: MessageRow) -> None:
        self._emit_message("message_created", row)
        if row.message_type == INCOMING:
            self._after_customer(around, row)
        elif row.message_type == OUTGOING and not row.private:
            self._after_reply(around, row)

    def _after_customer(self, around: ConversationRow, row: MessageRow) -> None:
        """A customer who writes wakes a snoozed or resolved conversation, unless he is blocked."""
        contact = self.state.contacts[around.contact_id]
        if around.status in {"snoozed", "resolved"} and not contact.blocked:
            self._change_conversation(around, {"status": "open", "snoozed_until": None})
        if around.waiting_since is None:
            self._change_conversation(around, {"waiting_since": row.created_at})
        self._change_contact(contact, {"last_activity_at": row.created_at})

    def _after_reply(self, around: ConversationRow, row: MessageRow) -> None:
        """The first reply of a person is remembered; any reply ends the waiting; WhatsApp sends a receipt."""
        around.unread_count = 0
        around.agent_last_seen_at = row.created_at
        columns: dict[str, Any] = {"waiting_since": None}
        by_person = row.sender is not None and row.sender[0] == "User"
        if by_person and around.first_reply_created_at is None:
            columns = {"first_reply_created_at": row.created_at, "waiting_since": None}
            if around.cached_label_list is None:
                columns["cached_label_list"] = ""
        self._change_conversation(around, columns)
        if self.receipts and self.state.inboxes[around.inbox_id].channel_type == "Channel::Whatsapp":
            row.status = "delivered"
            row.updated_at = self.state.tick()
            self._emit_message("message_updated", row)

    def _note_activity(self, around: ConversationRow, words: str) -> None:
        """Activity messages stand in the conversation and are never sent."""
        now = self.state.tick()
        number = next(self.state.message_ids)
        around.messages.append(MessageRow(number, around.id, around.inbox_id, ACTIVITY, words, now, now))


def _assign(row: Any, columns: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Set what differs; column by column, what it was and what it is now."""
    changes = {}
    for key, value in columns.items():
        before = getattr(row, key)
        if before != value:
            setattr(row, key, value)
            changes[key] = (before, value)
    return changes


def _sender(message_type: int, around: ConversationRow, sender_id: int | None) -> tuple[str, int] | None:
    """The contact, an agent (the assignee by default), a bot (a negative id), or nobody for a template."""
    if message_type == INCOMING:
        return "Contact", around.contact_id
    if message_type == TEMPLATE:
        return None
    chosen = next(number for number in chain((sender_id, around.assignee_id), (31,)) if number is not None)
    return ("User", chosen) if chosen > 0 else ("AgentBot", -chosen)


def _source_id(state: State, inbox: InboxRow, number: int, message_type: int, *, private: bool) -> str | None:
    return None if private else channels.message_source_id(state, inbox, number, message_type)
