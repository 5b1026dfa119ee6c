"""What is an activity in Krayin: it is about a lead or a person, and known again by a tag that readers do not see."""

from __future__ import annotations

from typing import Any

from crm_sync.crms.base import Link
from crm_sync.crms.krayin import content, mapping
from crm_sync.crms.krayin.mapping import Fields
from crm_sync.crms.krayin.work import LEAD, Work
from crm_sync.errors import Skip
from crm_sync.events import Event, Message

#: Krayin's type of what is only to be read.
READABLE = "note"


class Tagged(Work):
    """Finds activities that an earlier attempt made, and tells whether their texts are news.

    A link's ``agreed`` holds what its text ``said`` (a digest of it) ``as_of`` when.
    """

    def news(self, link: Link, said: str, event: Event, message: Message) -> dict[str, Any]:
        """What to remember of a text that takes the place of the one Krayin shows. Raises Skip where none is to.

        When a message was changed is known only while it is its conversation's last.
        """
        called = f"{link.remote_type} {link.remote_id}"
        if mapping.digest(said) == link.agreed.get("said"):
            raise Skip("nothing_new", f"{called} shows the message as it is.")
        at = event.occurred_at
        as_of = at.isoformat() if at is not None and at > message.created_at else None
        if as_of and as_of < str(link.agreed.get("as_of") or ""):
            raise Skip("older", f"{called} shows a newer state already.")
        return {"said": mapping.digest(said), **({"as_of": as_of} if as_of else {})}

    def again(self, title: str, kind: str, mark: str, subject: Link) -> dict[str, Any] | None:
        """The activity of this title, type and tag, which is about ``subject``; None where there is none.

        Krayin leaves an activity of nobody behind where its subject is not there (contracts: 90k). Such a one is given
        to the subject; NotFound is raised where that is still gone.
        """
        rows = [row for row in self.client.activities(title, kind) if content.is_tagged(row, mark)]
        if not rows:
            return None
        found = min(rows, key=lambda row: int(row["id"]))
        number = str(found["id"])
        if subject.remote_type == LEAD:
            if number not in self.client.lead_activities(subject.remote_id):
                self.client.lead(subject.remote_id)
                self.client.update_activity(number, about(subject))
        elif number not in self.client.person_activities(subject.remote_id):
            self.client.person(subject.remote_id)
            # An activity can be given to a lead later, but not to a person (facts).
            self.client.delete_activity(number)
            return None
        return found


def subject_of(lead: Link | None, person: Link | None) -> Link | None:
    """What an activity is about: the lead, since Krayin links only one of both (contracts: 90l)."""
    return lead or person


def about(subject: Link) -> Fields:
    """The field that says what an activity is about."""
    return {"lead_id" if subject.remote_type == LEAD else "person_id": int(subject.remote_id)}
