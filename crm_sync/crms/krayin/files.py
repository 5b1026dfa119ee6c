"""attachment → activity of type file: the file itself, once, beside the note or comment that names it.

What Krayin does not take stays a link, which the note holds in any case, and the outcome says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.crms.base import File, Link, Local, Remote
from crm_sync.crms.krayin import content, mapping
from crm_sync.crms.krayin.tagged import Tagged, about
from crm_sync.crms.krayin.work import FILE, relying_on
from crm_sync.errors import NotFound, Rejected
from crm_sync.events import Attachment, Message

#: Krayin's type of activities that hold a file.
UPLOADED = "file"
#: Larger files stay links: PHP as it is delivered takes requests of 8 MiB.
LARGEST = 7 * 1024 * 1024


class Files(Tagged):
    """The files of messages."""

    def attached(self, message: Message, record: Link, subject: Link) -> list[str]:
        """See that the files of a message are there; what is to be said of that. ``record`` shows the message.

        Raises Gone.
        """
        if self.settings["attachments"] != "file" or not message.attachments:
            return []
        made, remarks = [], []
        for item in message.attachments:
            if item.id is None or not item.url:
                continue
            try:
                made.append(self._file(item, item.id, message, subject).remote_id)
            except Rejected as error:
                remarks.append(f"{item.name or item.file_type} stays a link: {error}")
        if made and record.agreed.get("files") != made:
            self.port.agree(record, files=made)
        counted = [f"{len(made)} file{'s' if len(made) > 1 else ''} added."] if made else []
        return counted + remarks

    def purged(self, record: Link) -> None:
        """Take the files of a message that was deleted out of Krayin."""
        for number in record.agreed.get("files") or ():
            self.client.delete_activity(number)

    def _file(self, item: Attachment, number: int, message: Message, subject: Link) -> Link:
        local = Local("attachment", number)
        known = self.port.link(local, FILE)
        if known is not None:
            return known
        if (item.size_bytes or 0) > LARGEST:
            raise Rejected(f"The file is larger than {LARGEST // 1024**2} MiB.")
        try:
            file = self.port.chatwoot.download(item.url or "", LARGEST)
        except NotFound as gone:
            raise Rejected(str(gone)) from gone
        name, mark = item.name or file.name, self.marker("attachment", number)
        # By its title it is found again, where a comma would split it (facts).
        tail = f" (#{number})"
        title = mapping.cut(name.replace(",", " "), mapping.NAME_LIMIT - len(tail)) + tail
        fields: dict[str, str | int] = {
            "type": UPLOADED,
            "title": title,
            "name": name,
            "comment": content.heading(message, self.texts),
            "additional": content.tag(mark),
            **about(subject),
        }
        with relying_on(subject):
            return self.port.ensure(
                local,
                FILE,
                create=lambda: self._uploaded(fields, File(name, file.mime, file.content)),
                recover=lambda: self._recovered(title, mark, subject),
            )

    def _uploaded(self, fields: Mapping[str, str | int], file: File) -> Remote:
        row = self.client.upload(fields, file)
        if not row.get("files"):
            self.client.delete_activity(str(row["id"]))
            raise Rejected("Krayin did not keep the file.")
        return self._remote(row)

    def _recovered(self, title: str, mark: str, subject: Link) -> Remote | None:
        row = self.again(title, UPLOADED, mark, subject)
        if row is not None and not row.get("files"):
            # It broke before the file was kept (contracts: 95b).
            self.client.delete_activity(str(row["id"]))
            return None
        return self._remote(row) if row is not None else None

    def _remote(self, row: Mapping[str, Any]) -> Remote:
        number = str(row["id"])
        return Remote(number, mapping.activity_url(self.client.api_url, number))
