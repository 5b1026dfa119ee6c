"""Which record an event will make in GLPI, told from the event and the links alone.

A guess for the engine, which claims the link in the same commit as the event; see crms.base.App. What the processor
does decides, so a wrong guess costs a little time and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from crm_sync.crms.base import HookView, LinkKey, LinkLookup, Local
from crm_sync.crms.glpi import attributes, mapping
from crm_sync.crms.glpi.work import CONTACT, FOLLOWUP, TICKET, USER
from crm_sync.events import Conversation, Direction, Event


def foresees(event: Event, hook: HookView, link: LinkLookup) -> Sequence[LinkKey]:
    """The one record the event will make, if any: the first that is missing, for the next may never be made."""
    if event.conversation is None:
        return _person(event, hook, link) if attributes.is_synced(event.contact) else ()
    if not hook.settings["enable_ticket_sync"]:
        return ()
    if link(Local("conversation", event.conversation.id), TICKET) is None:
        return _person(event, hook, link) or _ticket(event.conversation)
    return _followup(event, event.conversation, hook, link)


def _person(event: Event, hook: HookView, link: LinkLookup) -> Sequence[LinkKey]:
    contact = event.conversation.contact if event.conversation is not None else event.contact
    local, kind = Local("contact", contact.id), CONTACT if hook.settings["use_contact"] else USER
    if link(local, kind) is not None or not mapping.is_identifiable(contact):
        return ()
    return ((local, kind),)


def _ticket(conversation: Conversation) -> Sequence[LinkKey]:
    return ((Local("conversation", conversation.id), TICKET),)


def _followup(
    event: Event, conversation: Conversation, hook: HookView, link: LinkLookup
) -> Sequence[LinkKey]:
    message = event.message
    if (
        message is None
        or message.direction is Direction.TEMPLATE
        or not hook.settings["enable_followup_sync"]
    ):
        return ()
    local, ticket = Local("message", message.id), link(Local("conversation", conversation.id), TICKET)
    if (
        ticket is None
        or ticket.agreed.get("first_message") == message.id
        or link(local, FOLLOWUP) is not None
    ):
        return ()
    return ((local, FOLLOWUP),)
