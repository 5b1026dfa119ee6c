"""attachment → Document: the file itself, attached to its message's followup or ticket, once.

What cannot become a document stays a link, which the content holds in any case, and the outcome says why. Each
attachment has a link of its own; a document that an earlier attempt may have made is known again by where it is
attached and by the digest of its bytes, which GLPI keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from crm_sync.crms.base import File, Link, Local, Remote
from crm_sync.crms.glpi.work import Work, is_of
from crm_sync.errors import NotFound, Rejected
from crm_sync.events import Attachment, Message

DOCUMENT = "Document"
#: Larger files stay links: they are held in memory, and a GLPI as it is delivered takes 2 MB.
LARGEST = 20 * 1024 * 1024


class Documents(Work):
    """The documents of messages."""

    def attached(self, message: Message, record: Link, ticket: Link) -> str:
        """See that the files of a message are attached to its followup, or to the ticket it describes.

        Returns what is to be said of it, with a space before; nothing where there is nothing to say.
        """
        if self.settings["attachments"] != "document" or not message.attachments:
            return ""
        made: list[str] = []
        remarks: list[str] = []
        for item in message.attachments:
            if item.id is None or not item.url:
                continue
            try:
                made.append(self._document(item, item.id, record, ticket, made).remote_id)
            except (NotFound, Rejected) as error:
                remarks.append(f"{item.name or item.file_type} stays a link: {error}")
        if made and record.agreed.get("documents") != made:
            self.port.agree(record, documents=made)
        return "".join(f" {text}" for text in [*_counted(made), *remarks])

    def purged(self, record: Link) -> str:
        """Take the documents of a message that was deleted out of GLPI; what is to be said of it, as above.

        One that GLPI keeps does not keep the text from being replaced.
        """
        remarks = []
        for number in record.agreed.get("documents") or []:
            try:
                self.client.delete(DOCUMENT, number, purge=True)
            except Rejected as error:
                remarks.append(f" Document {number} is still there: {error}")
        return "".join(remarks)

    def _document(self, item: Attachment, number: int, record: Link, ticket: Link, taken: list[str]) -> Link:
        local = Local("attachment", number)
        known = self.port.link(local, DOCUMENT)
        if known is not None:
            if is_of(known, ticket):
                return known
            self.port.forget(known)
        if (item.size_bytes or 0) > LARGEST:
            raise Rejected(f"The file is larger than {LARGEST // 1024**2} MiB.")
        file = self.port.chatwoot.download(item.url or "", LARGEST)
        return self.port.ensure(
            local,
            DOCUMENT,
            create=lambda: self._uploaded(item, file, record, ticket),
            recover=lambda: self._recovered(file, record, ticket, taken),
        )

    def _uploaded(self, item: Attachment, file: File, record: Link, ticket: Link) -> Remote:
        uploaded = self.client.upload_document(
            item.name or file.name,
            file.content,
            file.mime,
            # A document of another entity cannot be attached (contracts/glpi: document-item-link).
            entity_id=int(ticket.agreed.get("entity", self.entity)),
            itemtype=record.remote_type,
            item_id=int(record.remote_id),
        )
        if uploaded.refused is not None:
            self.client.delete(DOCUMENT, uploaded.id, purge=True)
            raise Rejected(f"GLPI refused the file: {uploaded.refused}")
        return self._remote(str(uploaded.id), ticket)

    def _recovered(self, file: File, record: Link, ticket: Link, taken: list[str]) -> Remote | None:
        """The document that an earlier attempt made of this file; what it left of a refused one is purged."""
        digest = hashlib.sha1(file.content, usedforsecurity=False).hexdigest()
        for number in self._attached_to(record):
            try:
                row = self.client.item(DOCUMENT, number)
            except NotFound:
                continue
            if not row.get("filename"):
                self.client.delete(DOCUMENT, number, purge=True)
            elif row.get("sha1sum") == digest and number not in taken:
                return self._remote(number, ticket)
        return None

    def _attached_to(self, record: Link) -> Iterator[str]:
        path = f"{record.remote_type}/{record.remote_id}/Document_Item"
        for row in self.client.items(path, limit=200):
            yield str(row["documents_id"])

    @staticmethod
    def _remote(number: str, ticket: Link) -> Remote:
        return Remote(number, ticket.url, {"ticket": ticket.remote_id})


def _counted(made: list[str]) -> list[str]:
    return [f"Attached: {len(made)} document{'s' if len(made) > 1 else ''}."] if made else []
