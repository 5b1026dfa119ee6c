"""Documents: uploads, what is refused without saying so, and the links to other items."""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from crm_sync.sandbox.glpi import lifecycle
from crm_sync.sandbox.glpi.errors import Refused
from crm_sync.sandbox.glpi.kinds import Context, ItemKind
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.state import State

_KILOBYTE = 1024
_MEGABYTE = _KILOBYTE * _KILOBYTE
_MIMES = {
    "txt": "text/plain",
    "csv": "text/csv",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
}


class Upload:
    """One file of a multipart call, judged against the document types and the size limit."""

    def __init__(self, state: State, filename: str, content: bytes, mime: str) -> None:
        self.filename = filename
        self.content = content
        self.prefix = f"{secrets.token_hex(7)}.{secrets.randbelow(10**8):08d}"
        extension = PurePosixPath(filename).suffix.lstrip(".").lower()
        self.mime = _MIMES.get(extension, mime)
        limit = int(state.flavour.stock["config"].get("document_max_size") or 2) * _MEGABYTE
        allowed = any(row["is_uploadable"] for row in state["DocumentType"].where("ext", extension))
        self.error: str | None = None
        if not allowed:
            self.error = "Filetype not allowed"
        elif len(content) > limit:
            self.error = "File is too big"

    def result(self, host: str, script: str) -> Row:
        """The entry of ``upload_result`` (cases ``document-upload*``)."""
        name = f"{self.prefix}{self.filename}"
        found: Row = {"name": name, "size": len(self.content), "type": self.mime}
        if self.error:
            found["error"] = self.error
        else:
            found["url"] = f"{host}/files/{quote(name)}"
            found["deleteUrl"] = f"{host}/{script}?filenam={quote(name)}"
            found["deleteType"] = "DELETE"
        found.update(prefix=self.prefix, display=self.filename, filesize=_size_text(len(self.content)))
        found["id"] = f"docfilename{secrets.randbelow(10**9)}"
        return found


def _size_text(size: int) -> str:
    if size < _KILOBYTE:
        return f"{size} B"
    if size < _MEGABYTE:
        return f"{size / _KILOBYTE:.2f} KiB"
    return f"{size / _MEGABYTE:.2f} MiB"


class DocumentKind(ItemKind):
    """Documents; a refused file leaves an empty row behind."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        columns["users_id"] = ctx.session.user_id
        columns["tag"] = f"{secrets.token_hex(4)}-{secrets.token_hex(4)}-{secrets.token_hex(7)}.00000000"
        upload = (ctx.files or {}).get("filename")
        if isinstance(upload, Upload) and upload.error is None:
            columns.update(_stored_file(ctx.state, upload))
            columns.setdefault("name", upload.filename)
        if ctx.state.flavour.renames_linked_documents:
            item = self._item(ctx, values)
            if item is not None:
                columns["name"] = f"Document: {_item_label(ctx, str(values['itemtype']), item)}"

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        if self._item(ctx, values) is not None:
            link = {"documents_id": row["id"], "itemtype": values["itemtype"], "items_id": values["items_id"]}
            ctx.kind("Document_Item").add(ctx, link)

    def after_purge(self, ctx: Context, row: Row) -> None:
        for link in ctx.state["Document_Item"].where("documents_id", row["id"]):
            ctx.state["Document_Item"].delete(link)

    def _item(self, ctx: Context, values: Mapping[str, Any]) -> Row | None:
        return ctx.state.get(str(values.get("itemtype")), values.get("items_id"))


def _item_label(ctx: Context, itemtype: str, item: Row) -> str:
    if itemtype == "ITILFollowup":
        return "Followup - Followups"
    return f"{itemtype} - {ctx.kind(itemtype).name(ctx, item)}"


def _stored_file(state: State, upload: Upload) -> Row:
    digest = hashlib.sha1(upload.content, usedforsecurity=False).hexdigest()
    state.files[digest] = upload.content
    folder = PurePosixPath(upload.filename).suffix.lstrip(".").upper() or "TXT"
    return {
        "filename": upload.filename,
        "filepath": f"{folder}/{digest[:2]}/{digest[2:]}.{folder}",
        "mime": upload.mime,
        "sha1sum": digest,
    }


class DocumentItemKind(ItemKind):
    """Links of documents; each once, and the ticket notices."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        for other in ctx.state["Document_Item"].where("documents_id", columns["documents_id"]):
            if (other["itemtype"], other["items_id"]) == (columns["itemtype"], columns["items_id"]):
                raise Refused("")
        document = ctx.state["Document"].rows[columns["documents_id"]]
        columns.update(
            entities_id=document["entities_id"],
            is_recursive=document["is_recursive"],
            users_id=ctx.session.user_id,
            timeline_position=1,
        )

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        self._touch(ctx, row)

    def after_purge(self, ctx: Context, row: Row) -> None:
        self._touch(ctx, row)

    def _touch(self, ctx: Context, row: Row) -> None:
        ticket = ctx.state.get("Ticket", row["items_id"]) if row["itemtype"] == "Ticket" else None
        if ticket is not None:
            lifecycle.touch(ctx, ticket)


def attached(state: State, ticket: Row) -> list[Row]:
    """The documents of a ticket and of its followups, for ``with_documents``."""
    followups = {row["id"] for row in state["ITILFollowup"].where("items_id", ticket["id"])}
    links = [
        row for row in state["Document_Item"].where("items_id", ticket["id"]) if row["itemtype"] == "Ticket"
    ]
    for number in sorted(followups):
        links += [
            row
            for row in state["Document_Item"].where("items_id", number)
            if row["itemtype"] == "ITILFollowup"
        ]
    found = []
    for link in links:
        document = state.get("Document", link["documents_id"])
        if document is not None:
            found.append({**document, "assocID": link["id"], "assocdate": link["date_mod"]})
    return found
