"""contact or conversation → Lead: made once, with its person, and moved as the conversation goes.

A lead is only ever changed by the one call that keeps its products and its close date, and only after it was read: what
people did to it in Krayin counts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

from crm_sync.crms import recency
from crm_sync.crms.base import Link, Local, Remote
from crm_sync.crms.krayin import mapping, stages
from crm_sync.crms.krayin.client import LEADS
from crm_sync.crms.krayin.mapping import LEAD_MARKER, Fields
from crm_sync.crms.krayin.stages import Stage
from crm_sync.crms.krayin.work import ACTIVITY, LEAD, Work
from crm_sync.errors import NotFound, Rejected
from crm_sync.events import Contact, Conversation

#: What of a lead's state the fields are that we write.
WRITTEN = {"lead_pipeline_stage_id": "stage", "user_id": "owner"}

#: How many of a contact's conversations its lead remembers, the last ones.
REMEMBERED = 20


class Leads(Work):
    """The leads of contacts or conversations.

    A link's ``agreed`` holds ``stage``, ``pipeline``, ``value``, ``owner`` and ``products`` as both sides know them;
    the stage it was ``placed`` in by us; ``title``, ``description`` (its digest) and ``custom`` as Chatwoot said them;
    ``source``; ``conversations`` with their last state; and the ``assignee`` the owner was made from.
    """

    @property
    def per_conversation(self) -> bool:
        """Whether each conversation has a lead of its own."""
        return bool(self.settings["lead_per"] == "conversation")

    def known(self, contact: Contact, conversation: Conversation | None) -> Link | None:
        """The lead of a conversation, or of its contact. Costs no call."""
        local = self._local(contact, conversation)
        return self.port.link(local, LEAD) if local is not None else None

    def of(self, contact: Contact, conversation: Conversation | None, person: Link | None) -> Link | None:
        """The lead, found or made; None where there is to be none."""
        local = self._local(contact, conversation)
        if local is None or not self.settings["create_lead"]:
            return None
        known = self.port.link(local, LEAD)
        if known is not None:
            return known
        link = self.port.ensure(
            local,
            LEAD,
            find=None
            if self.per_conversation or person is None or person.created
            else lambda: self._found(person),
            create=lambda: self._created(local, contact, conversation, person),
            recover=lambda: self._recovered(local, contact, conversation, person),
        )
        self.show(link)
        return recency.dated(self.port, link, self.as_of)

    def is_outdated(self, link: Link, contact: Contact) -> bool:
        """Whether a contact's lead says otherwise than the contact, which may be older than that."""
        return recency.may_be_older(link, self.as_of) and bool(self._news(link, contact))

    def update(self, link: Link, contact: Contact) -> set[str]:
        """Bring a contact's lead to what the contact says; returns what changed. Raises NotFound when it is gone.

        What people wrote in Krayin instead stays.
        """
        news = self._news(link, contact)
        link = recency.dated(self.port, link, self.as_of)
        if not news:
            return set()
        row = self.client.lead(link.remote_id)
        shown = {"title": row.get("title"), "description": mapping.digest(row.get("description") or "")}
        fields = {key: text for key, text in news.items() if shown[key] == link.agreed[key]}
        if fields:
            row = self.client.edit_lead(row, fields)
        self._agreed(link, row, **mapping.said_of(news))
        return set(fields)

    def follow(self, link: Link, conversation: Conversation) -> list[str] | None:
        """Bring a lead to its conversation's state; returns what changed, None for a state that is older.

        Costs no call unless there is something to do. Raises NotFound when the lead is gone.
        """
        as_of = conversation.updated_at.isoformat() if conversation.updated_at else None
        heard: dict[str, Any] = dict(link.agreed.get("conversations") or {})
        before = heard.get(str(conversation.id)) or {}
        if as_of and as_of < str(before.get("as_of") or ""):
            return None
        news = before.get("status") != conversation.status.value
        assignee = conversation.assignee.id if conversation.assignee else None
        fields = self._wanted(link, conversation, assignee)
        may_move = news and self._may_move(link, conversation)
        changes: list[str] = []
        if fields or may_move:
            row = self.client.lead(link.remote_id)
            if may_move:
                current = self.stage(int(row["lead_pipeline_stage_id"]))
                target = self._target(link, conversation, current)
                fields |= {"lead_pipeline_stage_id": target.id} if target is not None else {}
                changes += [f"stage {target.name}"] if target is not None else []
            if fields:
                row = self.client.edit_lead(row, fields)
            changes += sorted(fields.keys() - {"lead_pipeline_stage_id"})
            placed = fields.get("lead_pipeline_stage_id")
            written = {WRITTEN[field] for field in fields if field in WRITTEN}
            link = self._agreed(link, row, written, **({"placed": placed} if placed is not None else {}))
        custom = mapping.custom(conversation.custom_attributes, self.settings.get("lead_fields"))
        heard.pop(str(conversation.id), None)
        heard[str(conversation.id)] = {"as_of": as_of, "status": conversation.status.value}
        kept = dict(list(heard.items())[-REMEMBERED:])
        if kept != link.agreed.get("conversations") or custom != link.agreed.get("custom"):
            self.port.agree(link, conversations=kept, custom=custom, assignee=assignee)
        return changes

    def adopt(self, link: Link, row: Any, **said: Any) -> Link:
        """What Krayin shows of a lead is what both sides agree on from now on."""
        return self._agreed(link, row, mapping.lead_state(row), **said)

    def show(self, link: Link) -> None:
        """Let the contact, and the conversations, show their lead as it is."""
        agreed, local = link.agreed, link.local
        stage = self.stage(agreed.get("stage"))
        about: Fields = {"krayin_lead_stage": stage.name if stage else None}
        if local.type == "contact":
            status = stages.STATUS_NAMES.get(stage.code, "Open") if stage else None
            shown = {
                "krayin_lead_id": int(link.remote_id),
                "krayin_lead_value": agreed.get("value"),
                "krayin_lead_source": self._source(agreed.get("source")),
                "krayin_lead_owner": self._user(agreed.get("owner")),
                "krayin_lead_status": status,
                **about,
            }
            if status == stages.STATUS_NAMES[stages.WON]:
                shown["krayin_person_type"] = "Customer"
            self.port.show(local, LEAD, shown)
            for number in agreed.get("conversations") or {}:
                activity = self.port.link(Local("conversation", int(number)), ACTIVITY)
                if activity is not None:
                    self.port.show(activity.local, ACTIVITY, self.in_conversation(link))
            return
        self.port.show(local, LEAD, self.in_conversation(link))

    def in_conversation(self, link: Link) -> Fields:
        """What a conversation shows of its lead."""
        agreed, stage = link.agreed, self.stage(link.agreed.get("stage"))
        return {
            "krayin_lead_url": link.url,
            "krayin_lead_stage": stage.name if stage else None,
            "krayin_expected_value": agreed.get("value"),
            "krayin_products": ", ".join(agreed.get("products") or ()) or None,
            **({"krayin_related_quote_id": agreed["quote"]} if agreed.get("quote") else {}),
        }

    # -- finding and making --------------------------------------------------------------------------------------

    def _local(self, contact: Contact, conversation: Conversation | None) -> Local | None:
        if not self.per_conversation:
            return Local("contact", contact.id)
        return Local("conversation", conversation.id) if conversation is not None else None

    def _news(self, link: Link, contact: Contact) -> Fields:
        """Title and description of a contact's lead, as far as the contact says them otherwise than before."""
        if self.per_conversation:
            return {}
        said = {"title": mapping.lead_title(contact, None), "description": mapping.description(contact)}
        known = mapping.said_of(said)
        return {key: text for key, text in said.items() if link.agreed.get(key) not in {None, known[key]}}

    def _found(self, person: Link) -> Remote | None:
        """An open lead that the person had before us: the newest one."""
        for row in self.client.leads_of(person.remote_id):
            stage = self.stage(int(row["lead_pipeline_stage_id"]))
            if stage is None or not stage.closed:
                return self._remote(row, title=None, description=None)
        return None

    def _recovered(
        self, local: Local, contact: Contact, conversation: Conversation | None, person: Link | None
    ) -> Remote | None:
        """The lead an earlier attempt may have made. One that Krayin broke at may lack its marker."""
        mark = self.marker(local.type, local.id)
        title = mapping.lead_title(contact, conversation if self.per_conversation else None)
        rows = [
            row
            for row in self.client.marked(LEADS, LEAD_MARKER, mark)
            if person is None or _person_id(row) in {None, person.remote_id}
        ]
        if not rows and person is not None:
            rows = [
                row
                for row in self.client.leads_of(person.remote_id)
                if row.get("title") == title and row.get(LEAD_MARKER) in {None, "", mark}
            ]
        if not rows:
            return None
        row = min(rows, key=lambda row: int(row["id"]))
        return self._remote(row, title=title, description=mapping.digest(row.get("description") or ""))

    def _created(
        self, local: Local, contact: Contact, conversation: Conversation | None, person: Link | None
    ) -> Remote:
        title = mapping.lead_title(contact, conversation if self.per_conversation else None)
        assignee = conversation.assignee.id if conversation and conversation.assignee else None
        owner = self.owner(assignee)
        custom = (
            mapping.custom(conversation.custom_attributes, self.settings.get("lead_fields"))
            if conversation is not None
            else {}
        )
        described = mapping.description(contact)
        body: Fields = {
            "title": title,
            "description": described,
            "lead_value": self.settings["default_lead_value"],
            "lead_source_id": self.settings.get("lead_source_id"),
            "lead_type_id": self.settings.get("lead_type_id"),
            "lead_pipeline_id": self.settings.get("default_pipeline_id"),
            "lead_pipeline_stage_id": self._first_stage(conversation),
            "user_id": owner,
            "person": {"id": int(person.remote_id)} if person is not None else None,
            **custom,
            LEAD_MARKER: self.marker(local.type, local.id),
        }
        try:
            row = self.client.create_lead({key: value for key, value in body.items() if value is not None})
        except NotFound as error:
            # For a person who is gone and for a stage Krayin answers alike (contracts: 70g, 71i).
            if person is not None:
                self.client.person(person.remote_id)
            raise Rejected(
                "Krayin did not find what the lead is to have: see that its stage (default_stage_id) is there.",
                field="lead_pipeline_stage_id",
                status=error.status,
                path=error.path,
            ) from error
        placed = int(row["lead_pipeline_stage_id"])
        said = mapping.said_of({"title": title, "description": described})
        return self._remote(row, **said, custom=custom, assignee=assignee, placed=placed)

    def _first_stage(self, conversation: Conversation | None) -> int | None:
        pipeline, default = self.settings.get("default_pipeline_id"), self.settings.get("default_stage_id")
        wanted = (
            self.settings.get("stage_by_status", {}).get(conversation.status.value) if conversation else None
        )
        stage = stages.named(self.pipelines, wanted, pipeline) if wanted else None
        return stage.id if stage is not None else default

    def _remote(self, row: Any, **said: Any) -> Remote:
        number = str(row["id"])
        agreed = {**mapping.lead_state(row), "source": row.get("lead_source_id"), **said}
        return Remote(number, mapping.lead_url(self.client.api_url, number), agreed)

    # -- changing ------------------------------------------------------------------------------------------------

    def _wanted(self, link: Link, conversation: Conversation, assignee: int | None) -> Fields:
        """The fields, apart from the stage, that a conversation's news is about."""
        custom = mapping.custom(conversation.custom_attributes, self.settings.get("lead_fields"))
        fields = mapping.changes(link.agreed.get("custom") or {}, custom)
        if (
            self.settings["owner_by_assignee"]
            and assignee is not None
            and assignee != link.agreed.get("assignee")
        ):
            owner = self.user_of(assignee)
            if owner is not None and owner != link.agreed.get("owner"):
                fields["user_id"] = owner
        return fields

    def _may_move(self, link: Link, conversation: Conversation) -> bool:
        """Whether a conversation's status could move its lead, by what both sides agreed on last."""
        current = self.stage(link.agreed.get("stage"))
        return self._target(link, conversation, current) is not None

    def _target(self, link: Link, conversation: Conversation, current: Stage | None) -> Stage | None:
        """The stage a lead that is in ``current`` goes to."""
        status = conversation.status.value
        return stages.following(self.pipelines, self.settings, status, current, link.agreed.get("placed"))

    def _agreed(self, link: Link, row: Any, written: Container[str] = (), **said: Any) -> Link:
        """Remember what was written, and what Krayin shows besides, unless that is for a pull to tell of."""
        state = mapping.lead_state(row)
        if self.settings["enable_bidirectional_sync"]:
            state = {key: value for key, value in state.items() if key in written}
        news = {key: value for key, value in {**state, **said}.items() if link.agreed.get(key) != value}
        if not news:
            return link
        link = self.port.agree(link, **news)
        if news.keys() - {"title", "description", "placed"}:
            self.show(link)
        return link

    def _source(self, number: int | None) -> str | None:
        return self._name("sources", number, self.client.sources)

    def _user(self, number: int | None) -> str | None:
        return self._name("users", number, self.client.users)

    def _name(self, fact: str, number: int | None, rows: Callable[[], Sequence[Any]]) -> str | None:
        """What a source or user is called; Krayin is asked where the setup has not seen it."""
        known: dict[str, str] = self.facts.get(fact) or {}
        if number is None or str(number) in known:
            return known.get(str(number))
        fresh: dict[str, str] = self.client.lookups.get(
            f"names of {fact}", lambda: {str(row["id"]): str(row.get("name") or "") for row in rows()}
        )
        return fresh.get(str(number))


def _person_id(row: Any) -> str | None:
    person = row.get("person") or {}
    return str(person["id"]) if person.get("id") else None
