"""conversation → Activity: made once, with what was said first as its comment, and done once the conversation is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_sync.crms import markup
from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.history import History
from crm_sync.crms.krayin import content, mapping
from crm_sync.crms.krayin.answers import Overlap
from crm_sync.crms.krayin.client import KrayinClient, quarter
from crm_sync.crms.krayin.mapping import Fields
from crm_sync.crms.krayin.tagged import READABLE, Tagged, about, subject_of
from crm_sync.crms.krayin.work import ACTIVITY, LEAD, relying_on
from crm_sync.errors import ApiError, NotYet
from crm_sync.events import Conversation, Event, Message, Status

#: How long a conversation lasts at least, for Krayin's calendar.
SHORTEST = timedelta(minutes=1)


class Activities(Tagged):
    """The activities of conversations.

    A link's ``agreed`` holds its ``kind``, whether it is ``done``, as was ``heard`` when, the time it ``ends``, the
    ``lead`` it is about, the ``first_message`` its comment shows, the ``files`` of that, and ``history`` (see notes).
    """

    def __init__(self, client: KrayinClient, port: Port, history: History) -> None:
        super().__init__(client, port)
        self.history = history

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
        subject = subject_of(lead, person)
        if subject is None:
            return None
        kind = mapping.activity_kind(conversation, self.settings)
        title = self._title(conversation, kind)
        with relying_on(subject):
            link = self.port.ensure(
                local,
                ACTIVITY,
                create=lambda: self._created(event, conversation, kind, title, subject, person),
                recover=lambda: self._recovered(conversation, kind, title, subject),
            )
        self.show(link)
        return link

    def follow(self, link: Link, conversation: Conversation) -> str | None:
        """Mark an activity as done once its conversation is resolved, and not so when it is open again; what it is now.

        None where nothing changes, as for a state that is older, and for a note, which is nothing to do and so always
        done. Raises Gone.
        """
        if mapping.ACTIVITY_TYPES[str(link.agreed["kind"])] == READABLE:
            return None
        as_of = conversation.updated_at.isoformat() if conversation.updated_at else ""
        if as_of < str(link.agreed.get("heard") or ""):
            return None
        done = conversation.status is Status.RESOLVED
        if done == bool(link.agreed.get("done")):
            if as_of != link.agreed.get("heard"):
                self.port.agree(link, heard=as_of)
            return None
        fields: Fields = {"is_done": int(done)}
        if done and link.agreed.get("ends") is not None:
            fields["schedule_to"] = mapping.local_time(self._end(conversation), self.client.ahead)
        self._change(link, fields)
        self.show(self.port.agree(link, done=done, heard=as_of))
        return "done" if done else "not done"

    def begins_with(self, link: Link, message: Message) -> Link | None:
        """The activity, if its comment shows this message; one made before anything was said does from now on.

        Raises Gone.
        """
        first = link.agreed.get("first_message")
        if first is None and _opens(message):
            said = content.body(message, self.texts)
            self._change(link, {"comment": said})
            return self.port.agree(link, first_message=message.id, said=mapping.digest(said))
        return link if first == message.id else None

    def rewrite(self, event: Event, link: Link, message: Message) -> None:
        """Let the comment show the message it begins with as it is now. Raises Gone, and Skip where it does."""
        said = (content.comment if message.deleted else content.body)(message, self.texts)
        news = self.news(link, said, event, message)
        self._change(link, {"comment": said})
        self.port.agree(link, **news)

    def given(self, link: Link, lead: Link) -> bool:
        """See that the activity is about this lead; whether it was about another. Raises Gone.

        A conversation's lead is another one when the former was deleted, and when contacts were merged.
        """
        about_now = link.agreed.get("lead")
        if about_now == lead.remote_id or (about_now is None and not lead.created):
            return False
        self._change(link, about(lead))
        self.port.agree(link, lead=lead.remote_id)
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

    # -- parts ---------------------------------------------------------------------------------------------------

    def _change(self, link: Link, fields: Fields) -> None:
        with relying_on(link):
            self.client.update_activity(link.remote_id, fields)

    def _title(self, conversation: Conversation, kind: str) -> str:
        subject = conversation.additional_attributes.get("mail_subject")
        # A title is what an activity is found by again, and a comma would split it (facts).
        if kind == "email" and isinstance(subject, str) and subject.strip() and "," not in subject:
            return mapping.cut(subject)
        return self.texts("words.conversation", id=conversation.id)

    def _created(
        self,
        event: Event,
        conversation: Conversation,
        kind: str,
        title: str,
        subject: Link,
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
                self.marker("conversation", conversation.id),
                first.id if first is not None else None,
                mail=kind == "email",
            ),
            "participants": self._participants(kind, subject, person),
            **about(subject),
        }
        body = {key: value for key, value in body.items() if value}
        try:
            row = self.client.create_activity(body)
        except Overlap:
            # Krayin takes nearly any two meetings for one too many (facts); what happened is told all the same.
            kind = "call"
            row = self.client.create_activity({**body, "type": kind})
            self.remarks.append("Krayin takes no meeting at that time, so the activity is a call.")
        self._correct(row, start, end, ahead)
        return self._remote(row, kind, subject, first.id if first is not None else None, end.isoformat())

    def _recovered(self, conversation: Conversation, kind: str, title: str, subject: Link) -> Remote | None:
        """The activity an earlier attempt made; where a meeting was refused it is a call."""
        mark = self.marker("conversation", conversation.id)
        for each in (kind, "call") if kind == "meeting" else (kind,):
            row = self.again(title, mapping.ACTIVITY_TYPES[each], mark, subject)
            if row is not None:
                first = content.first_message_in(row)
                return self._remote(row, each, subject, first, row.get("schedule_to"))
        return None

    def _remote(
        self, row: Mapping[str, Any], kind: str, subject: Link, first: int | None, ends: Any
    ) -> Remote:
        number = str(row["id"])
        agreed = {
            "kind": kind,
            "done": bool(row.get("is_done")),
            "first_message": first,
            "ends": ends,
            "history": 0 if self.history.wants_all else None,
            "lead": subject.remote_id if subject.remote_type == LEAD else None,
            "said": mapping.digest(str(row.get("comment") or "")),
        }
        return Remote(number, mapping.activity_url(self.client.api_url, number), agreed)

    def _first(self, event: Event, conversation: Conversation) -> Message | None:
        """The first thing anybody said; Chatwoot is asked, for the event may not tell."""
        said = [event.message] if event.message is not None else []
        known = self.history.messages(conversation.id) or said
        return next(filter(_opens, known), None)

    def _participants(self, kind: str, subject: Link, person: Link | None) -> dict[str, list[int]] | None:
        """Who takes part. Krayin mails those of calls, meetings and lunches; a customer is not told twice."""
        silent = mapping.ACTIVITY_TYPES[kind] in {READABLE, "email"}
        persons = (
            [int(person.remote_id)] if person and (silent or self.settings["person_participates"]) else []
        )
        owner = subject.agreed.get("owner")
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
            self.remarks.append(f"Its time could not be corrected: {error}")


def _opens(message: Message) -> bool:
    """Whether a conversation's activity may begin with a message."""
    return not message.private and content.is_readable(message)
