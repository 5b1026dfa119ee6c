"""Which record an event will make in Krayin, told from the event and the links alone; see crms.base.App.

A guess that may be wrong: what the processor does decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from crm_sync.crms.base import HookView, LinkKey, LinkLookup, Local
from crm_sync.crms.krayin import mapping
from crm_sync.crms.krayin.work import LEAD, PERSON
from crm_sync.events import Event


def foresees(event: Event, hook: HookView, link: LinkLookup) -> Sequence[LinkKey]:
    """The person and the lead of a contact that has none yet."""
    contact = event.conversation.contact if event.conversation is not None else event.contact
    if not mapping.is_identifiable(contact):
        return ()
    wanted = [PERSON] if hook.settings["create_person"] else []
    if hook.settings["create_lead"] and hook.settings["lead_per"] == "contact":
        wanted.append(LEAD)
    local = Local("contact", contact.id)
    return tuple((local, kind) for kind in wanted if link(local, kind) is None)
