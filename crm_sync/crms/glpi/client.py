"""GLPI's REST API, a method for each endpoint in use, and nothing else. What an answer means says answers.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_sync.crms.glpi.answers import for_people
from crm_sync.crms.glpi.session import GlpiSession
from crm_sync.errors import NotFound, OutcomeUnknown, Rejected

#: How long a file's name may be, in bytes: GLPI puts 23 in front of it, and file systems take 255.
FILE_NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A document made of a file. Where GLPI ``refused`` the file the document is there all the same, empty."""

    id: int
    refused: str | None


class GlpiClient(GlpiSession):
    """The endpoints. All of them raise the error tree; dates go in as GLPI takes them (see ``local_date``)."""

    # -- the account and the server ------------------------------------------------------------------------------

    def active_profile(self) -> dict[str, Any]:
        """The profile of the service account with its rights (GET /getActiveProfile)."""
        return self.part(self.get("/getActiveProfile"), "active_profile")

    def full_session(self) -> dict[str, Any]:
        """The PHP session (GET /getFullSession)."""
        return self.part(self.get("/getFullSession"), "session")

    def active_entity(self) -> int:
        """The entity the session stands in (GET /getActiveEntities)."""
        return int(self.part(self.get("/getActiveEntities"), "active_entity")["id"])

    def version(self) -> str:
        """GLPI's version (GET /getGlpiConfig)."""
        return str(self.part(self.get("/getGlpiConfig"), "cfg_glpi")["version"])

    # -- items ---------------------------------------------------------------------------------------------------

    def item(self, itemtype: str, item_id: int | str) -> dict[str, Any]:
        """One record (GET /Itemtype/id). Raises NotFound."""
        body: dict[str, Any] = self.get(f"/{itemtype}/{item_id}")
        return body

    def items(
        self, path: str, params: Mapping[str, Any] | None = None, *, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Records of a list or of a record's sub-list; newest last unless ``sort`` and ``order`` say otherwise."""
        asked = {"range": f"0-{limit - 1}", "get_hateoas": "false", **(params or {})}
        rows = self.get(f"/{path}", **asked)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def create(self, itemtype: str, fields: Mapping[str, Any]) -> int:
        """Create a record (POST /Itemtype) and return its id."""
        return self._made(self.call("POST", f"/{itemtype}", body={"input": dict(fields)}), itemtype)

    @staticmethod
    def _made(body: Any, itemtype: str) -> int:
        created = body.get("id") if isinstance(body, dict) else None
        if not created:
            raise OutcomeUnknown(f"GLPI did not say which {itemtype} it made.", path=f"/{itemtype}")
        return int(created)

    def update(self, itemtype: str, item_id: int | str, fields: Mapping[str, Any]) -> None:
        """Change a record (PUT /Itemtype/id). Raises NotFound when it is gone, Rejected in GLPI's words."""
        path = f"/{itemtype}/{item_id}"
        rows = self.call("PUT", path, body={"input": dict(fields)})
        row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
        if row.get(str(item_id)) is not True:
            raise Rejected(f"GLPI refused: {row.get('message') or 'no reason given'}", path=path)

    def delete(self, itemtype: str, item_id: int | str, *, purge: bool = False) -> None:
        """See that a record is away (DELETE /Itemtype/id).

        Tickets, users, contacts and documents go to the bin, unless ``purge``.
        """
        params = {"force_purge": "true"} if purge else None
        try:
            self.exchange("DELETE", f"/{itemtype}/{item_id}", params=params)
        except Rejected as refused:
            if refused.code != "ERROR_GLPI_DELETE" or not self._is_gone(itemtype, item_id):
                raise

    def _is_gone(self, itemtype: str, item_id: int | str) -> bool:
        try:
            self.item(itemtype, item_id)
        except NotFound:
            return True
        return False

    def search(
        self,
        itemtype: str,
        criteria: Sequence[Mapping[str, Any]],
        display: Sequence[int],
        *,
        limit: int = 50,
        binned: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows found (GET /search/Itemtype), keyed by field number as text, by id; ``binned`` looks in the bin only.

        A criterion has ``field``, ``searchtype``, ``value`` and, from the second on, ``link``. Texts come as GLPI
        keeps them: GLPI 10 encodes ``& < >`` here whatever the headers say.
        """
        params: dict[str, Any] = {"range": f"0-{limit - 1}", "sort": 2, "order": "ASC"}
        if binned:
            params["is_deleted"] = 1
        for index, criterion in enumerate(criteria):
            for key, value in criterion.items():
                params[f"criteria[{index}][{key}]"] = value
        for index, number in enumerate(display):
            params[f"forcedisplay[{index}]"] = number
        body = self.get(f"/search/{itemtype}", **params)
        rows: list[dict[str, Any]] = body.get("data", []) if isinstance(body, dict) else []
        return rows

    # -- documents -----------------------------------------------------------------------------------------------

    def upload_document(
        self,
        name: str,
        content: bytes,
        mime: str,
        *,
        entity_id: int,
        itemtype: str | None = None,
        item_id: int | None = None,
    ) -> Uploaded:
        """Make a document of a file (POST /Document), attached to the record that is named, if one is.

        ``entity_id`` must be that of the record: a document of another entity cannot be attached to it. A file whose
        type or size GLPI refuses makes an empty document, and GLPI calls it success (contracts/glpi:
        document-upload-bad-extension); ``delete`` it with ``purge``. Raises Rejected for what is too large to be sent
        at all (status 413, or ERROR_UPLOAD_FILE_TOO_BIG_POST_MAX_SIZE).
        """
        name = _shortened(name)
        record: dict[str, Any] = {"name": name, "entities_id": entity_id, "_filename": [name]}
        if itemtype is not None:
            record |= {"itemtype": itemtype, "items_id": item_id}
        manifest = json.dumps({"input": record})
        parts = [
            ("uploadManifest", (None, manifest, "application/json")),
            ("filename[0]", (name, content, mime)),
        ]
        body = self.exchange("POST", "/Document", files=parts)[1]
        return Uploaded(self._made(body, "Document"), _refused(body))


def _shortened(name: str) -> str:
    """A file's name as file systems take it; its extension stays, by which GLPI knows the type."""
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > FILE_NAME_LIMIT // 4:
        stem, dot, extension = name, "", ""
    room = FILE_NAME_LIMIT - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension


def _refused(body: Mapping[str, Any]) -> str | None:
    """Why GLPI did not take the file of a document, in its words; None when it did."""
    results = body.get("upload_result")
    files = results.get("filename") if isinstance(results, dict) else None
    if not isinstance(files, list) or not files:
        return "GLPI took no file."
    error = files[0].get("error") if isinstance(files[0], dict) else "GLPI says nothing of the file."
    return None if error is None else for_people(str(error)) or "GLPI gives no reason."
