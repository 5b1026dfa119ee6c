"""GLPI's REST API, a method for each endpoint in use, and nothing else. What an answer means says answers.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crm_sync.crms.glpi.session import GlpiSession
from crm_sync.errors import NotFound, OutcomeUnknown, Rejected


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
        body = self.call("POST", f"/{itemtype}", body={"input": dict(fields)})
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

    def delete(self, itemtype: str, item_id: int | str) -> None:
        """See that a record is away (DELETE /Itemtype/id); tickets and users go to the bin."""
        try:
            self.call("DELETE", f"/{itemtype}/{item_id}")
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
