"""conversation → Activity, message → note: made once, told by a marker that readers do not see, and kept as it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_sync.crms import markup
from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.krayin import content, mapping
from crm_sync.crms.krayin.answers import Overlap
from crm_sync.crms.krayin.client import KrayinClient, quarter
from crm_sync.crms.krayin.mapping import Fields
from crm_sync.crms.krayin.work import ACTIVITY, LEAD, NOTE, Work
from crm_sync.errors import ApiError, NotFound, NotYet, Skip
from crm_sync.events import Conversation, Direction, Event, Message, Status

#: How long a conversation lasts at least, for Krayin's calendar.
SHORTEST = timedelta(minutes=1)

#: Krayin's type of what is only to be read.
READABLE = "note"


class Activities(Work):
    """The activities of conversations, and the notes of their messages.

    An activity's ``agreed`` holds its ``kind``, whether it is ``done``, and the ``first_message`` its comment shows; a
    note's holds what the message ``said``.
    """

    def __init__(self, client: KrayinClient, port: Port) -> None:
        super().__init__(client, port)
        self.notes: list[str] = []

    # -- activities ----------------------------------------------------------------------------------------------

    def known(self, conversation: Conversation) -> Link | None:
        """The activity of a conversation, if it has one. Costs no call."""
        return self.port.link(Local("conversation", conversation.id), ACTIVITY)

    def of(
        self, event: Event, conversation: Conversation, lead: Link | None, person: Link | None
    ) -> Link | None:
        """The activity of a conversation, found or made; None while they are switched off, or belong nowhere."""
        local = Local("conversation", conversation.id)
        known = self.port.link(local, ACTIVITY)
        if known is not None or not self.settings["enable_activity_sync"]:
            return known
        if lead is None and person is None:
            return None
        kind = mapping.activity_kind(conversation, self.settings)
        mark, title = self.marker("conversation", conversation.id), self._title(conversation, kind)
        link = self.port.ensure(
            local,
            ACTIVITY,
            create=lambda: self._created(event, conversation, kind, title, lead, person),
            recover=lambda: self._recovered(title, kind, mark, lead),
        )
        self.show(link)
        return link

    def follow(self, link: Link, conversation: Conversation) -> list[str]:
        """Mark an activity as done once its conversation is resolved, and not so when it is open again.

        Raises NotFound when it is gone. A note is always done: it is nothing to do.
        """
        done = conversation.status is Status.RESOLVED
        if mapping.ACTIVITY_TYPES[str(link.agreed["kind"])] == READABLE or done == bool(
            link.agreed.get("done")
        ):
            return []
        fields: Fields = {"is_done": int(done)}
        if done and link.agreed.get("ends") is not None:
            fields["schedule_to"] = mapping.local_time(self._end(conversation), self.client.ahead)
        self.client.update_activity(link.remote_id, fields)
        self.show(self.port.agree(link, done=done))
        return ["done" if done else "not done"]

    def described(self, link: Link, message: Message) -> bool:
        """Let an activity that was made before anything was said begin with this message; whether it did."""
        if (
            link.agreed.get("first_message") is not None
            or not content.has_content(message)
            or message.private
        ):
            return False
        self.client.update_activity(link.remote_id, {"comment": content.body(message, self.texts)})
        self.port.agree(link, first_message=message.id)
        return True

    def show(self, link: Link) -> None:
        """Let the conversation show its activity."""
        shown = {
            "krayin_activity_id": int(link.remote_id),
            "krayin_activity_url": link.url,
            "krayin_activity_type": mapping.ACTIVITY_NAMES[str(link.agreed["kind"])],
            "krayin_is_done": bool(link.agreed.get("done")),
        }
        self.port.show(link.local, ACTIVITY, shown)

    # -- notes ---------------------------------------------------------------------------------------------------

    def noted(
        self, message: Message, conversation: Conversation, lead: Link | None, person: Link | None
    ) -> Link:
        """The note of a message, found or made. Raises Skip where there is nothing it could belong to."""
        if lead is None and person is None:
            raise Skip("nobody", "Neither lead nor person is made, so a note would belong to nobody.")
        mark = self.marker("message", message.id)
        title = self.texts("words.message", message=message.id, id=conversation.id)
        body: Fields = {
            "type": READABLE,
            "title": title,
            "comment": content.comment(message, self.texts),
            "additional": content.tag(mark),
            **_belongs_to(lead, person),
        }
        return self.port.ensure(
            Local("message", message.id),
            NOTE,
            create=lambda: self._note(self.client.create_activity(body), message),
            recover=lambda: self._recovered(title, "chat", mark, lead, content.comment(message, self.texts)),
        )

    def rewritten(self, event: Event, message: Message) -> str:
        """See that the note shows the message as it is now. Raises Skip where there is nothing to do."""
        note = self.port.link(Local("message", message.id), NOTE)
        if note is None:
            raise Skip("not_mirrored", "The message is not in Krayin, so there is nothing to change.")
        said = content.comment(message, self.texts)
        if said == note.agreed.get("said"):
            raise Skip("unchanged", f"Note {note.remote_id} shows the message as it is.")
        as_of = event.occurred_at.isoformat() if event.occurred_at else None
        if as_of and as_of < str(note.agreed.get("as_of") or ""):
            raise Skip("older", f"Note {note.remote_id} shows a newer state already.")
        try:
            self.client.update_activity(note.remote_id, {"comment": said})
        except NotFound as gone:
            raise Skip(
                "note_gone", f"Note {note.remote_id} is no longer in Krayin; it is not made anew."
            ) from gone
        self.port.agree(note, said=said, as_of=as_of)
        return f"Note {note.remote_id} updated."

    # -- parts ---------------------------------------------------------------------------------------------------

    def _note(self, row: Mapping[str, Any], message: Message) -> Remote:
        number = str(row["id"])
        said = content.comment(message, self.texts)
        return Remote(number, mapping.activity_url(self.client.api_url, number), {"said": said})

    def _title(self, conversation: Conversation, kind: str) -> str:
        subject = conversation.additional_attributes.get("mail_subject")
        # A title is what an activity is found by again, and a comma would split it (facts).
        if kind == "email" and isinstance(subject, str) and subject.strip() and "," not in subject:
            return subject.strip()[: mapping.NAME_LIMIT]
        return self.texts("words.conversation", id=conversation.id)

    def _created(
        self,
        event: Event,
        conversation: Conversation,
        kind: str,
        title: str,
        lead: Link | None,
        person: Link | None,
    ) -> Remote:
        first = self._first(event, conversation)
        contact = conversation.contact
        name = contact.name or contact.email or contact.phone_number or self.texts("words.unknown_contact")
        words = self.texts("words.new_conversation", name=name)
        comment = content.body(first, self.texts) if first is not None else markup.paragraph(words)
        start, ahead = conversation.created_at or self.port.now, self.client.ahead
        end = max(self._end(conversation), start + SHORTEST)
        body: Fields = {
            "type": mapping.ACTIVITY_TYPES[kind],
            "title": title,
            "comment": comment,
            "schedule_from": mapping.local_time(start, ahead),
            "schedule_to": mapping.local_time(end, ahead),
            "additional": content.tag(
                self.marker("conversation", conversation.id), first.id if first is not None else None
            ),
            "participants": self._participants(kind, lead, person),
            **_belongs_to(lead, person),
        }
        body = {key: value for key, value in body.items() if value}
        try:
            row = self.client.create_activity(body)
        except Overlap:
            # Krayin takes nearly any two meetings for one too many (facts); what happened is told all the same.
            kind = "call"
            row = self.client.create_activity({**body, "type": kind})
            self.notes.append("Krayin takes no meeting at that time, so the activity is a call.")
        self._correct(row, start, end, ahead)
        number = str(row["id"])
        agreed = {
            "kind": kind,
            "done": bool(row.get("is_done")),
            "first_message": first.id if first is not None else None,
            "ends": end.isoformat(),
        }
        return Remote(number, mapping.activity_url(self.client.api_url, number), agreed)

    def _recovered(
        self, title: str, kind: str, mark: str, lead: Link | None, said: str | None = None
    ) -> Remote | None:
        """The activity an earlier attempt made. Raises NotFound when its lead is gone: that is where it broke."""
        rows = self.client.activities(title, mapping.ACTIVITY_TYPES[kind])
        found = sorted((row for row in rows if content.is_tagged(row, mark)), key=lambda row: int(row["id"]))
        if not found:
            return self._recovered(title, "call", mark, lead) if kind == "meeting" else None
        row, number = found[0], str(found[0]["id"])
        if lead is not None and number not in self.client.activities_of(lead.remote_id):
            # Krayin leaves an activity of nobody behind where the lead is not there (contracts: 90k).
            self.client.lead(lead.remote_id)
            self.client.update_activity(number, _belongs_to(lead, None))
        agreed = {
            "kind": kind,
            "done": bool(row.get("is_done")),
            "first_message": content.first_message_in(row),
            "ends": row.get("schedule_to"),
        }
        url = mapping.activity_url(self.client.api_url, number)
        return Remote(number, url, agreed if said is None else {"said": said})

    def _first(self, event: Event, conversation: Conversation) -> Message | None:
        """The first thing anybody said; Chatwoot is asked where the event does not tell."""
        known: Sequence[Message] = self.port.chatwoot.first_messages(conversation.id)
        if event.message is not None and not known:
            known = [event.message]
        readable = (message for message in known if not message.private and content.has_content(message))
        return next((message for message in readable if message.direction is not Direction.TEMPLATE), None)

    def _participants(self, kind: str, lead: Link | None, person: Link | None) -> dict[str, list[int]] | None:
        """Who takes part. Krayin mails those of calls, meetings and lunches; a customer is not told twice."""
        silent = mapping.ACTIVITY_TYPES[kind] in {READABLE, "email"}
        persons = (
            [int(person.remote_id)] if person and (silent or self.settings["person_participates"]) else []
        )
        owner = lead.agreed.get("owner") if lead is not None else None
        users = [int(owner)] if owner else []
        found = {key: value for key, value in (("users", users), ("persons", persons)) if value}
        return found or None

    def _end(self, conversation: Conversation) -> datetime:
        return conversation.updated_at or conversation.created_at or self.port.now

    # -- Krayin's clock ------------------------------------------------------------------------------------------

    def _correct(self, row: Mapping[str, Any], start: datetime, end: datetime, ahead: timedelta) -> None:
        """Learn Krayin's time zone from what it made of a time, and mend what was made with a wrong one."""
        told = row.get("schedule_from")
        if not isinstance(told, str):
            return
        wrong = quarter(start - datetime.fromisoformat(told).astimezone(UTC))
        if not wrong:
            return
        self.client.ahead = ahead + wrong
        schedule = {"schedule_from": start, "schedule_to": end}
        try:
            self.client.update_activity(
                str(row["id"]),
                {key: mapping.local_time(at, self.client.ahead) for key, at in schedule.items()},
            )
        except (ApiError, NotYet) as error:
            # The activity is there; it is only its time that is off.
            self.notes.append(f"Its time could not be corrected: {error}")


def _belongs_to(lead: Link | None, person: Link | None) -> Fields:
    """What an activity is linked to: the lead wins, since Krayin links only one (contracts: 90l)."""
    if lead is not None and lead.remote_type == LEAD:
        return {"lead_id": int(lead.remote_id)}
    return {"person_id": int(person.remote_id)} if person is not None else {}
