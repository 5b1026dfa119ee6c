"""The sandbox's database: the rows of one account, its clock and its counters. Everything under one lock.

Times never stand still between two changes (1 ms at least), because Chatwoot tells updates apart by them.
"""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from crm_sync import clock
from crm_sync.sandbox.chatwoot.records import (
    Bot,
    ContactRow,
    ConversationRow,
    InboxRow,
    MessageRow,
    TeamRow,
    User,
    WebhookRow,
)

_MILLISECOND = timedelta(milliseconds=1)
_LETTERS = string.ascii_letters + string.digits


class State:
    """One account. A row that is not there is a KeyError."""

    def __init__(self, *, account_id: int, seed: int, now: Callable[[], datetime] = clock.now) -> None:
        self.account_id = account_id
        self.account_name = "Aurora Store"
        #: Where the outside finds this Chatwoot, and with it the files of messages (FRONTEND_URL).
        self.public_url = "https://chat.example.com"
        #: The files by their attachments' ids; one that is not here is gone.
        self.files: dict[int, tuple[bytes, str]] = {}
        self.lock = threading.RLock()
        self.random = random.Random(seed)
        self.users = {
            90: User(90, "CRM Sync", "CRM Sync", "crm-sync@example.com", role="administrator"),
            31: User(31, "Joan Example", "Joan (Support)", "joan.example@example.com"),
            32: User(32, "Rui Sample", "Rui Sample", "rui.sample@example.com"),
        }
        self.bots = {5: Bot(5, "Aurora Bot")}
        self.teams = {2: TeamRow(2, "sales"), 3: TeamRow(3, "logistics")}
        self.inboxes = {
            4: InboxRow(4, "Website", "Channel::WebWidget"),
            7: InboxRow(7, "Support e-mail", "Channel::Email"),
            12: InboxRow(12, "WhatsApp", "Channel::Whatsapp"),
            15: InboxRow(15, "Portal (API)", "Channel::Api"),
        }
        self.contacts: dict[int, ContactRow] = {}
        self.conversations: dict[int, ConversationRow] = {}
        self.webhooks: dict[int, WebhookRow] = {}
        self.definitions: list[dict[str, object]] = []
        self.dashboard_apps: list[dict[str, object]] = []
        self.contact_ids = count(2101)
        self.conversation_ids = count(812)
        self.message_ids = count(50101)
        self.attachment_ids = count(7001)
        self.other_ids = count(8)
        self._now = now
        self._last = datetime.fromtimestamp(0, UTC)

    def tick(self) -> datetime:
        """A time later than any before, to the millisecond."""
        now = self._now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last = max(now, self._last + _MILLISECOND)
        return self._last

    def secret(self) -> str:
        """24 characters, as Chatwoot makes them for a webhook."""
        return "".join(self.random.choices(_LETTERS, k=24))

    def message(self, message_id: int) -> MessageRow:
        """The message, whatever its conversation."""
        for conversation in self.conversations.values():
            for message in conversation.messages:
                if message.id == message_id:
                    return message
        raise KeyError(message_id)
