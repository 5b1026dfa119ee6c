"""message → note: written once, as its sender wrote it, and changed when that changes; with its files, where wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.crms.base import NOT_MIRRORED, Link, Local, Port, Remote
from crm_sync.crms.history import History
from crm_sync.crms.krayin import content, mapping
from crm_sync.crms.krayin.client import KrayinClient
from crm_sync.crms.krayin.files import Files
from crm_sync.crms.krayin.mapping import Fields
from crm_sync.crms.krayin.tagged import READABLE, Tagged, about
from crm_sync.crms.krayin.work import NOTE, relying_on
from crm_sync.errors import Defer, NotFound, Skip
from crm_sync.events import Conversation, Event, Message

#: How many earlier messages become notes before others have their turn.
HISTORY_TURN = 50


class Notes(Tagged):
    """The notes of messages. A link's ``agreed`` holds the ``files`` of its message as well."""

    def __init__(self, client: KrayinClient, port: Port, history: History) -> None:
        super().__init__(client, port)
        self.history = history
        self.files = Files(client, port)

    def caught_up(
        self, activity: Link, conversation: Conversation, subject: Link, *, until: int | None = None
    ) -> int:
        """Write down what was said before the activity was made, up to a message; how many notes that made.

        Costs no call once that is done. An activity's ``history`` is the last message done, as long as there are more.
        Raises Gone, and Defer now and then, so that others have their turn.
        """
        done, count = activity.agreed.get("history"), 0
        if done is None or not self.settings["enable_message_sync"]:
            return 0
        for message in self.history.after(conversation.id, int(done)):
            if until is not None and message.id >= until:
                break
            if content.is_readable(message):
                if message.id == activity.agreed.get("first_message"):
                    remarks = self.files.attached(message, activity, subject)
                else:
                    _, remarks = self.noted(message, conversation, subject)
                    count += 1
                self.remarks += remarks
                activity = self.port.agree(activity, history=message.id)
            if count >= HISTORY_TURN:
                raise Defer(self.port.now, f"{count} earlier messages became notes.")
        self.port.agree(activity, history=None)
        return count

    def noted(self, message: Message, conversation: Conversation, subject: Link) -> tuple[Link, list[str]]:
        """The note of a message, found or made, and what is to be said of its files. Raises Gone."""
        title = self.texts("words.message", message=message.id, id=conversation.id)
        said, mark = content.comment(message, self.texts), self.marker("message", message.id)
        body: Fields = {
            "type": READABLE,
            "title": title,
            "comment": said,
            "additional": content.tag(mark),
            **about(subject),
        }
        with relying_on(subject):
            note = self.port.ensure(
                Local("message", message.id),
                NOTE,
                create=lambda: self._remote(self.client.create_activity(body), said),
                recover=lambda: self._recovered(title, mark, subject, said),
            )
        return note, self.files.attached(message, note, subject)

    def rewritten(self, event: Event, message: Message) -> str:
        """See that the note shows the message as it is now. Raises Skip where there is nothing to do."""
        note = self.port.link(Local("message", message.id), NOTE)
        if note is None:
            raise Skip(NOT_MIRRORED, "The message is not in Krayin, so there is nothing to change.")
        said = content.comment(message, self.texts)
        news = self.news(note, said, event, message)
        if message.deleted:
            self.files.purged(note)
        try:
            self.client.update_activity(note.remote_id, {"comment": said})
        except NotFound as gone:
            raise Skip(
                "note_gone", f"Note {note.remote_id} is no longer in Krayin; it is not made anew."
            ) from gone
        self.port.agree(note, **news)
        return f"Note {note.remote_id} updated."

    def _recovered(self, title: str, mark: str, subject: Link, said: str) -> Remote | None:
        row = self.again(title, READABLE, mark, subject)
        return self._remote(row, said) if row is not None else None

    def _remote(self, row: Mapping[str, Any], said: str) -> Remote:
        number = str(row["id"])
        return Remote(
            number, mapping.activity_url(self.client.api_url, number), {"said": mapping.digest(said)}
        )
