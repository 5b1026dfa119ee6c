"""A conversation's messages as Chatwoot has them, for a record that is made later than its conversation began."""

from __future__ import annotations

from collections.abc import Sequence

from crm_sync.crms.base import Port
from crm_sync.errors import NotFound
from crm_sync.events import Message


class History:
    """What Chatwoot was asked for within one event, so that nobody asks twice. Raises ApiErrors of Chatwoot.

    ``wants_all`` says whether all messages are to be mirrored, and not only what a conversation began with.
    """

    def __init__(self, port: Port, *, wants_all: bool) -> None:
        self._chatwoot = port.chatwoot
        self.wants_all = wants_all
        self._asked: dict[int, Sequence[Message]] = {}

    def messages(self, conversation_id: int) -> Sequence[Message]:
        """The messages from the first one on: all of them where all are wanted, else the first hundred.

        None of a conversation that was deleted in Chatwoot, and its history with it.
        """
        if conversation_id not in self._asked:
            try:
                self._asked[conversation_id] = (
                    self._chatwoot.messages_after(conversation_id, 0)
                    if self.wants_all
                    else self._chatwoot.first_messages(conversation_id)
                )
            except NotFound:
                self._asked[conversation_id] = ()
        return self._asked[conversation_id]

    def after(self, conversation_id: int, message_id: int) -> Sequence[Message]:
        """The messages after one, oldest first; costs no call where they were asked for already."""
        known = self._asked.get(conversation_id)
        if known is None:
            try:
                return self._chatwoot.messages_after(conversation_id, message_id)
            except NotFound:
                return ()
        return [message for message in known if message.id > message_id]

    def is_wanted(self, conversation_id: int) -> bool:
        """Whether the messages of a new record's conversation are to be mirrored: it may be older than we know.

        That is why Chatwoot was asked for them.
        """
        return self.wants_all and conversation_id in self._asked
