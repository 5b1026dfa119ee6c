"""How a ticket begins: what it says, whose it is, and how it is found again when an answer was lost.

A conversation has one ticket, or, with ``on_reopen`` set to ``new_ticket``, one for each time that it was opened: its
generations. The marker in a ticket tells which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.glpi import choices, content, mapping, templates
from crm_sync.crms.glpi.assets import COMPUTER, Assets
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.content import escaped
from crm_sync.crms.glpi.requesters import Requesters
from crm_sync.crms.glpi.standing import Standing
from crm_sync.crms.glpi.work import FOLLOWUP, PICKS_REQUESTERS, TICKET, Work
from crm_sync.errors import Duplicate, NotFound, Rejected
from crm_sync.events import Conversation, Direction, Event, EventName, Message

#: A conversation's first message is written together with it; Chatwoot tells both times in full seconds.
TOGETHER = timedelta(seconds=2)

CATEGORY = "ITILCategory"

#: The role of who is told of a ticket, and the kind of link between tickets (GLPI: Ticket_Ticket::LINK_TO).
OBSERVER = 3
LINK_TO = 1

#: The search fields of a ticket that is looked for again.
_ID, _URGENCY, _IMPACT, _STATUS, _TYPE, _CONTENT, _EXTERNAL_ID = 2, 10, 11, 12, 14, 21, 87


@dataclass(frozen=True, slots=True)
class _Opening:
    """One ticket to be opened. ``former`` is the one whose place it takes in the conversation."""

    event: Event
    conversation: Conversation
    requester: Link
    generation: int = 1
    former: Link | None = None


class Openings(Work):
    """Opens tickets.

    A new ticket's ``agreed`` holds what was written, ``as_of`` (how new that is), ``first_message`` (the
    description's), what is known of its requester, its ``generation`` if it is not the first, and what is still
    ``open``: to be done once GLPI has the ticket. What turned out otherwise is told in ``notes``.
    """

    def __init__(
        self, client: GlpiClient, port: Port, requesters: Requesters, standing: Standing, notes: list[str]
    ) -> None:
        super().__init__(client, port)
        self.requesters = requesters
        self.standing = standing
        self.assets = Assets(client, port, notes)
        self.notes = notes

    def opened(self, event: Event, conversation: Conversation) -> Link:
        """The conversation's first ticket. Raises Skip when there is to be none."""
        opening = _Opening(event, conversation, self.requesters.of(conversation.contact))
        return self._ensured(opening, TICKET)

    def continued(self, event: Event, conversation: Conversation, former: Link) -> Link:
        """The ticket that goes on where a solved one ended; from now on it is the conversation's."""
        return self._generation(event, conversation, former, _generation(former) + 1, former.remote_id)

    def anew(self, event: Event, conversation: Conversation, gone: Link) -> Link:
        """The ticket that takes the place of one that GLPI has no longer."""
        generation = _generation(gone)
        if generation == 1:
            self.port.forget(gone)
            return self.opened(event, conversation)
        made = self.port.link(gone.local, _link_type(generation))
        if made is not None and made.remote_id == gone.remote_id:
            self.port.forget(made)
        return self._generation(event, conversation, gone, generation, str(gone.agreed["former"]))

    def completed(self, ticket: Link) -> Link:
        """The ticket after what GLPI does only to a ticket that is there. Costs no call once it is done."""
        todo = ticket.agreed.get("open") or []
        if not todo:
            return ticket
        known: dict[str, Any] = {}
        if "observers" in todo:
            self._observe(ticket)
        if "deadline" in todo:
            row = self.client.item(TICKET, ticket.remote_id)
            told = row.get(choices.DEADLINE)
            known["deadline"] = self.deadline(str(told)) if told else None
        return self.port.agree(ticket, **known, open=[])

    def deadline(self, date: str) -> str:
        """A deadline as people see it, in UTC: from an ISO time, or from a date of GLPI's."""
        moment = datetime.fromisoformat(date)
        return f"{moment if moment.tzinfo else self.client.utc_date(date):%Y-%m-%dT%H:%M:%SZ}"

    def sent(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Fields as GLPI takes them: a deadline by its clock."""
        found = dict(fields)
        date = found.get(choices.DEADLINE)
        if date and datetime.fromisoformat(date).tzinfo:
            found[choices.DEADLINE] = self.client.local_date(datetime.fromisoformat(date))
        return found

    def category(self, number: int | None) -> str | None:
        """What a category is called, from the setup's list, else looked up."""
        if not number:
            return None
        named: str | None = (self.facts.get("category_names") or {}).get(str(number))
        if named is None:
            named = self.client.lookups.get((CATEGORY, number), lambda: self._category_name(number))
        return named

    # -- generations ---------------------------------------------------------------------------------------------

    def _ensured(self, opening: _Opening, link_type: str) -> Link:
        return self.port.ensure(
            Local("conversation", opening.conversation.id),
            link_type,
            create=lambda: self._created(opening),
            recover=lambda: self._recovered(opening),
        )

    def _generation(
        self, event: Event, conversation: Conversation, present: Link, generation: int, former: str
    ) -> Link:
        """A further ticket of a conversation.

        It has a link of its own before the conversation's is moved to it, so that it is made once whatever breaks.
        """
        requester = self.requesters.of(conversation.contact)
        opening = _Opening(event, conversation, requester, generation, present)
        made = self._ensured(opening, _link_type(generation))
        self._join(made, former)
        carried = {"generation": generation, "former": former, "solutions": present.agreed.get("solutions")}
        moved = self.port.move(present, Remote(made.remote_id, made.url, {**made.agreed, **carried}))
        self.notes.append(f"It continues ticket {former}.")
        return replace(moved, created=made.created)

    def _join(self, ticket: Link, former: str) -> None:
        row = {"tickets_id_1": int(ticket.remote_id), "tickets_id_2": int(former), "link": LINK_TO}
        try:
            self.client.create("Ticket_Ticket", self.quietly(row))
        except Duplicate:
            return
        except Rejected as refused:
            self.notes.append(f"It could not be linked to ticket {former}: {refused}")

    # -- opening -------------------------------------------------------------------------------------------------

    def _created(self, opening: _Opening) -> Remote:
        conversation, requester = opening.conversation, opening.requester
        first = self._first(opening)
        mark = self._mark(opening)
        assets = self.assets.of(requester)
        state = self._state(opening)
        began = conversation.created_at if opening.former is None else conversation.updated_at
        observers = self.settings.get("observer_ids") or []
        fields = {
            "name": self._title(opening, first),
            "content": self._content(opening, first) + content.hidden(mark, self._described(first)),
            "entities_id": self.entity,
            "requesttypes_id": self.settings.get("request_source_id"),
            "date": self.client.local_date(began) if began else None,
            "slas_id_ttr": self.settings.get("sla_id"),
            "externalid": mark if self._has_externalid and len(mark) <= mapping.NAME_LIMIT else None,
            "items_id": {COMPUTER: [int(number) for number in assets]} if assets else None,
            "_users_id_observer": observers if observers and not self.picks_requesters else None,
            **self.sent(state),
            **self.requesters.fields(requester),
        }
        given = {key: value for key, value in fields.items() if value is not None}
        ticket_id = self.client.create(TICKET, self.quietly(given))
        return self._remote(
            ticket_id,
            {
                **self._agreed(opening, state, assets),
                "as_of": conversation.updated_at.isoformat() if conversation.updated_at else None,
                "first_message": self._described(first),
                **self.requesters.agreed(requester),
            },
        )

    def _agreed(self, opening: _Opening, state: dict[str, Any], assets: dict[str, str]) -> dict[str, Any]:
        """What is known of a new ticket, whichever attempt opened it."""
        todo = []
        if self.picks_requesters and self.settings.get("observer_ids"):
            todo.append("observers")
        if self.settings.get("sla_id") or self.facts.get("has_sla"):
            todo.append("deadline")
        date = state.get(choices.DEADLINE)
        found = {**state, "assets": assets or None, "open": todo, "deadline": date and self.deadline(date)}
        if opening.generation > 1:
            found["generation"] = opening.generation
        return {key: value for key, value in found.items() if value} | self.standing.since_now()

    def _state(self, opening: _Opening) -> dict[str, Any]:
        """What of a new ticket is chosen: its state, its type and category, and what custom attributes say."""
        conversation = opening.conversation
        given = choices.fields(self.settings, conversation.custom_attributes)
        self.notes.extend(f"Left out: {words}." for words in given.wrong)
        named = choices.asks_for_inbox(self.settings)
        inbox = self._inbox(conversation) if named else conversation.inbox_name
        state = choices.state(conversation, self.settings) | {
            "type": choices.ticket_type(self.settings, conversation.inbox_id, inbox)
        }
        if state["status"] == mapping.SOLVED and self.settings.get("resolve_with") == "solution":
            # Opened, to be solved by a solution then.
            state["status"] = mapping.PROCESSING
        if "itilcategories_id" not in given.values:
            state["itilcategories_id"] = self._category(conversation, inbox)
        return {key: value for key, value in {**state, **given.values}.items() if value is not None}

    def _category(self, conversation: Conversation, inbox: str | None) -> int | None:
        chosen = choices.category_by_inbox(self.settings, conversation.inbox_id, inbox)
        if chosen is None and inbox and self.settings.get("category_named_like_inbox"):
            chosen = self.client.lookups.get((CATEGORY, inbox), lambda: self._category_called(inbox))
        return chosen if chosen is not None else self.settings.get("category_id")

    def _category_called(self, name: str) -> int | None:
        rows = self.client.items(CATEGORY, {"searchText[name]": f"^{choices.pattern(name)}$"})
        chosen = choices.category_named(rows, name, self.entity)
        full = next((_full_name(row) for row in rows if row["id"] == chosen), None)
        if chosen is not None:
            self.client.lookups.get((CATEGORY, chosen), lambda: full)
        return chosen

    def _category_name(self, number: int) -> str | None:
        try:
            return _full_name(self.client.item(CATEGORY, number))
        except (NotFound, Rejected):
            return None

    def _inbox(self, conversation: Conversation) -> str | None:
        if conversation.inbox_name or conversation.inbox_id is None:
            return conversation.inbox_name
        return self.port.chatwoot.inbox_name(conversation.inbox_id)

    @property
    def _has_externalid(self) -> bool:
        major = str(self.facts.get("version", "")).partition(".")[0]
        return major.isdigit() and int(major) >= PICKS_REQUESTERS

    def _observe(self, ticket: Link) -> None:
        """Name the observers one by one: GLPI 11 drops them from a new ticket, and says nothing (facts/glpi11)."""
        for number in self.settings.get("observer_ids") or []:
            row = {"tickets_id": int(ticket.remote_id), "users_id": number, "type": OBSERVER}
            try:
                self.client.create("Ticket_User", self.quietly(row))
            except Duplicate:
                continue
            except Rejected as refused:
                self.notes.append(f"User {number} could not be made an observer: {refused}")

    # -- words ---------------------------------------------------------------------------------------------------

    def _title(self, opening: _Opening, first: Message | None) -> str:
        template = self.settings["title_template"]
        message = content.readable(first.content or "") if first else ""
        filled = templates.fill(template, {**self._values(opening, template), "message": message})
        title = " ".join(filled.split()) or f"Conversation #{opening.conversation.id}"
        suffix = f" ({opening.generation})" if opening.generation > 1 else ""
        return title[: mapping.NAME_LIMIT - len(suffix)].rstrip() + suffix

    def _content(self, opening: _Opening, first: Message | None) -> str:
        template = self.settings["content_template"]
        values = {name: escaped(value) for name, value in self._values(opening, template).items()}
        if "link" in values:
            values["link"] = f'<a href="{values["link"]}">{values["link"]}</a>'
        message = content.message_body(first) if first else self._no_message(opening)
        return templates.fill_html(template, values, {"message": message}) or self._no_message(opening)

    def _no_message(self, opening: _Opening) -> str:
        name = opening.conversation.contact.name or self.texts("words.unknown_contact")
        return content.paragraph(self.texts("words.new_conversation", name=name))

    def _values(self, opening: _Opening, template: str) -> dict[str, str]:
        """What stands in a template's places; the inbox is asked for only where it has one."""
        conversation, hook = opening.conversation, self.port.hook
        contact = conversation.contact
        found = {
            "id": str(conversation.id),
            "channel": (conversation.channel or "").removeprefix("Channel::"),
            "contact": contact.name,
            "email": contact.email,
            "phone": contact.phone_number,
            "subject": conversation.additional_attributes.get("mail_subject"),
            "link": (
                f"{hook.chatwoot_url.rstrip('/')}/app/accounts/{hook.chatwoot_account_id}"
                f"/conversations/{conversation.id}"
            ),
        }
        if "inbox" in templates.names(template):
            found["inbox"] = self._inbox(conversation)
        return {name: str(value) for name, value in found.items() if value}

    def _described(self, first: Message | None) -> int:
        """The message that the description holds: it is not added as a followup."""
        return first.id if first and "message" in templates.names(self.settings["content_template"]) else 0

    def _first(self, opening: _Opening) -> Message | None:
        former = opening.former
        if former is None:
            return self._first_message(opening.event, opening.conversation)
        if _generation(former) == opening.generation:
            # Takes the place of a ticket that is gone, and begins as that did.
            known = self._known(opening.conversation)
            return next((item for item in known if item.id == former.agreed.get("first_message")), None)
        return self._message_since(opening.conversation, former)

    def _message_since(self, conversation: Conversation, former: Link) -> Message | None:
        """The message that opened the conversation again, unless it stands in the former ticket."""
        solved = str(former.agreed.get("as_of") or "")[: len("2026-11-02T09:00:00")]
        return min(
            (
                message
                for message in self._known(conversation)
                if message.created_at.isoformat() >= solved
                and self.port.link(Local("message", message.id), FOLLOWUP) is None
                and message.id != former.agreed.get("first_message")
            ),
            key=lambda message: message.id,
            default=None,
        )

    def _first_message(self, event: Event, conversation: Conversation) -> Message | None:
        """The first public message of a conversation.

        A delivery holds the last one as of its sending, so the journal is asked too; and Chatwoot, when what is
        known may not be the first.
        """
        first = min(self._known(conversation), key=lambda message: message.id, default=None)
        begins = conversation.created_at
        certain = first is not None and begins is not None and first.created_at - begins < TOGETHER
        if event.name is not EventName.CONVERSATION_CREATED or not certain:
            asked = self.port.chatwoot.first_messages(conversation.id)
            first = min(filter(_opens_a_ticket, asked), key=lambda message: message.id, default=first)
        return first

    def _known(self, conversation: Conversation) -> list[Message]:
        """The messages at hand that a ticket may begin with."""
        known = {message.id: message for message in self.port.journaled_messages(conversation.id)}
        known |= {message.id: message for message in conversation.messages if message.id not in known}
        return [message for message in known.values() if _opens_a_ticket(message)]

    # -- finding again -------------------------------------------------------------------------------------------

    def _mark(self, opening: _Opening) -> str:
        number, generation = opening.conversation.id, opening.generation
        return self.marker("conversation", number if generation == 1 else f"{number}.{generation}")

    def _recovered(self, opening: _Opening) -> Remote | None:
        """The ticket that an earlier attempt opened, be it in the bin by now."""
        mark = self._mark(opening)
        ways = [(_CONTENT, "contains")]
        if self._has_externalid:
            ways.insert(0, (_EXTERNAL_ID, "equals"))
        for number, searchtype in ways:
            criteria = [{"field": number, "searchtype": searchtype, "value": mark}]
            display = (_ID, _URGENCY, _IMPACT, _STATUS, _TYPE, _CONTENT, number)
            for binned in (False, True):
                for row in self.client.search(TICKET, criteria, display, binned=binned):
                    text = str(row.get(str(_CONTENT)) or "")
                    external_id = str(row.get(str(_EXTERNAL_ID)) or "")
                    if content.is_marked(text, mark) or external_id.casefold() == mark.casefold():
                        return self._found(opening, row, content.first_message_in(text))
        return None

    def _found(self, opening: _Opening, row: Mapping[str, Any], first_message: int | None) -> Remote:
        state = self._state(opening) | {
            "status": row.get(str(_STATUS)),
            "urgency": row.get(str(_URGENCY)),
            "impact": row.get(str(_IMPACT)),
            "type": row.get(str(_TYPE)),
        }
        agreed = self._agreed(opening, state, self.assets.of(opening.requester))
        return self._remote(int(row[str(_ID)]), agreed | {"first_message": first_message})

    def _remote(self, ticket_id: int, agreed: Mapping[str, Any]) -> Remote:
        return Remote(str(ticket_id), mapping.ticket_url(self.client.api_url, str(ticket_id)), agreed)


def _opens_a_ticket(message: Message) -> bool:
    return (
        not message.private and message.direction is not Direction.TEMPLATE and content.has_content(message)
    )


def _full_name(row: Mapping[str, Any]) -> str | None:
    return str(row.get("completename") or row.get("name") or "") or None


def _generation(ticket: Link) -> int:
    return int(ticket.agreed.get("generation") or 1)


def _link_type(generation: int) -> str:
    return f"{TICKET}.{generation}"
