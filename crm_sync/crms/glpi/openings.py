"""How a ticket is opened, and found again when an answer was lost.

A conversation has one ticket, or, with ``on_reopen`` set to ``new_ticket``, one for each time that it was opened: its
generations. The marker in a ticket tells which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from crm_sync.crms.base import Link, Local, Port, Remote
from crm_sync.crms.glpi import choices, content, mapping
from crm_sync.crms.glpi.assets import COMPUTER, Assets
from crm_sync.crms.glpi.categories import Categories
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.descriptions import Descriptions, Opening, generation_of
from crm_sync.crms.glpi.requesters import Requesters
from crm_sync.crms.glpi.standing import Standing
from crm_sync.crms.glpi.versions import Version
from crm_sync.crms.glpi.work import PICKS_REQUESTERS, TICKET, Work
from crm_sync.crms.history import History
from crm_sync.errors import Duplicate, Rejected
from crm_sync.events import Conversation, Event, Message

#: The role of who is told of a ticket, and the kind of link between tickets (GLPI: Ticket_Ticket::LINK_TO).
OBSERVER = 3
LINK_TO = 1

#: The search fields of a ticket that is looked for again.
_ID, _URGENCY, _IMPACT, _STATUS, _TYPE, _CONTENT, _EXTERNAL_ID = 2, 10, 11, 12, 14, 21, 87


class Openings(Work):
    """Opens tickets.

    A new ticket's ``agreed`` holds what was written, ``as_of`` (how new that is), its ``entity``, ``first_message``
    (the description's), ``history`` (see followups), the ``formers`` whose place it took, what is known of its
    requester, its ``generation`` if it is not the first, and what is still ``open``: to be done once GLPI has it.
    What turned out otherwise is told in ``notes``.
    """

    def __init__(
        self,
        client: GlpiClient,
        port: Port,
        requesters: Requesters,
        history: History,
        standing: Standing,
        notes: list[str],
    ) -> None:
        super().__init__(client, port)
        self.requesters = requesters
        self.standing = standing
        self.assets = Assets(client, port, notes)
        self.categories = Categories(client, port, notes)
        self.descriptions = Descriptions(client, port, history)
        self.history = history
        self.notes = notes

    def opened(self, event: Event, conversation: Conversation) -> Link:
        """The conversation's first ticket. Raises Skip when there is to be none."""
        opening = Opening(event, conversation, self.requesters.of(conversation.contact))
        return self._ensured(opening, TICKET)

    def continued(self, event: Event, conversation: Conversation, former: Link) -> Link:
        """The ticket that goes on where a solved one ended; from now on it is the conversation's."""
        return self._generation(event, conversation, former, generation_of(former) + 1, former.remote_id)

    def anew(self, event: Event, conversation: Conversation, gone: Link) -> Link:
        """The ticket that takes the place of one that GLPI has no longer."""
        generation = generation_of(gone)
        if generation == 1:
            self.port.forget(gone)
            return self.opened(event, conversation)
        made = self.port.link(gone.local, _link_type(generation))
        if made is not None and made.remote_id == gone.remote_id:
            self.port.forget(made)
        return self._generation(event, conversation, gone, generation, str(gone.agreed["former"]))

    def content(
        self,
        conversation: Conversation,
        generation: int,
        first: Message | None,
        version: Version | None = None,
    ) -> str:
        """What stands in a ticket: its description, and the marker by which it is found again."""
        described = self.descriptions.described(first)
        version = version or (Version.of(first) if first and described else None)
        mark = self._mark(conversation.id, generation)
        marker = content.hidden(mark, described, version.said if version else None)
        return self.descriptions.html(conversation, first, version) + marker

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

    # -- generations ---------------------------------------------------------------------------------------------

    def _ensured(self, opening: Opening, link_type: str) -> Link:
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
        opening = Opening(event, conversation, requester, generation, present)
        made = self._ensured(opening, _link_type(generation))
        self._join(made, former)
        carried = {
            "generation": generation,
            "former": former,
            "formers": list(dict.fromkeys([*present.agreed.get("formers", ()), former])),
            "solutions": present.agreed.get("solutions"),
        }
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

    def _created(self, opening: Opening) -> Remote:
        conversation, requester = opening.conversation, opening.requester
        first = self.descriptions.first(opening)
        mark = self._mark(conversation.id, opening.generation)
        assets = self.assets.of(requester)
        state = self._state(opening)
        began = conversation.created_at
        if opening.former is not None:
            began = first.created_at if first else conversation.updated_at
        observers = self.settings.get("observer_ids") or []
        fields = {
            "name": self.descriptions.title(opening, first),
            "content": self.content(conversation, opening.generation, first),
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
        try:
            ticket_id = self.client.create(TICKET, self.quietly(given))
        except Rejected as refused:
            raise self.failing("ticket_creation_failed", refused) from None
        return self._remote(
            ticket_id,
            {
                **self._agreed(opening, state, assets),
                "as_of": conversation.updated_at.isoformat() if conversation.updated_at else None,
                "entity": self.entity,
                **self._told(conversation, first),
                **self.requesters.agreed(requester),
            },
        )

    def _told(self, conversation: Conversation, first: Message | None) -> dict[str, Any]:
        """Which message the description holds, as what, and whether there may be others to be told of."""
        described = self.descriptions.described(first)
        return {
            "first_message": described,
            "description": Version.of(first).agreed() if first and described else None,
            "history": 0 if self.history.is_wanted(conversation.id) else None,
        }

    def _agreed(self, opening: Opening, state: dict[str, Any], assets: dict[str, str]) -> dict[str, Any]:
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

    def _state(self, opening: Opening) -> dict[str, Any]:
        """What of a new ticket is chosen: its state, its type and category, and what custom attributes say."""
        conversation = opening.conversation
        given = choices.fields(self.settings, conversation.custom_attributes)
        self.notes.extend(f"Left out: {words}." for words in given.wrong)
        named = choices.asks_for_inbox(self.settings)
        inbox = self.inbox(conversation) if named else conversation.inbox_name
        state = choices.state(conversation, self.settings) | {
            "type": choices.ticket_type(self.settings, conversation.inbox_id, inbox)
        }
        if state["status"] == mapping.SOLVED and self.settings.get("resolve_with") == "solution":
            # Opened, to be solved by a solution then.
            state["status"] = mapping.PROCESSING
        if "itilcategories_id" not in given.values:
            state["itilcategories_id"] = self.categories.of(conversation, inbox)
        return {key: value for key, value in {**state, **given.values}.items() if value is not None}

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

    # -- finding again -------------------------------------------------------------------------------------------

    def _mark(self, number: int, generation: int) -> str:
        return self.marker("conversation", number if generation == 1 else f"{number}.{generation}")

    def _recovered(self, opening: Opening) -> Remote | None:
        """The ticket that an earlier attempt opened, be it in the bin by now."""
        mark = self._mark(opening.conversation.id, opening.generation)
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
                        found = {
                            "first_message": content.first_message_in(text),
                            "description": {"said": content.said_in(text)},
                            # Whether there was more before it, the attempt that knew is no longer there to say.
                            "history": 0 if opening.former is None else None,
                            "binned": binned,
                        }
                        return self._found(opening, row, found)
        return None

    def _found(self, opening: Opening, row: Mapping[str, Any], known: dict[str, Any]) -> Remote:
        state = self._state(opening) | {
            "status": row.get(str(_STATUS)),
            "urgency": row.get(str(_URGENCY)),
            "impact": row.get(str(_IMPACT)),
            "type": row.get(str(_TYPE)),
        }
        agreed = self._agreed(opening, state, self.assets.of(opening.requester))
        return self._remote(int(row[str(_ID)]), agreed | known)

    def _remote(self, ticket_id: int, agreed: Mapping[str, Any]) -> Remote:
        return Remote(str(ticket_id), mapping.ticket_url(self.client.api_url, str(ticket_id)), agreed)


def _link_type(generation: int) -> str:
    return f"{TICKET}.{generation}"
