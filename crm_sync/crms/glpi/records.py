"""GLPI's records of any type: read, searched and written. Lists, pages and the answers to writes are understood here.

What is particular to a type is the client's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from crm_sync.crms.glpi.answers import for_people
from crm_sync.crms.glpi.session import GlpiSession
from crm_sync.crms.http import Response
from crm_sync.errors import NotFound, OutcomeUnknown, Rejected

#: Rows asked for at once of a long list. GLPI gives 20 unless told otherwise, and as many as one likes if told.
PAGE = 500
#: Records asked for at once by their ids: an address of a few KiB passes every web server.
TOGETHER = 50

_TOTAL = re.compile(r"/(\d+)$")


class GlpiRecords(GlpiSession):
    """Records of any type. All calls raise the error tree; dates go in as GLPI takes them (see ``local_date``)."""

    # -- reading -------------------------------------------------------------------------------------------------

    def item(self, itemtype: str, item_id: int | str, *, names: bool = False) -> dict[str, Any]:
        """One record (GET /Itemtype/id), be it in the bin; ``names`` instead of the ids of what it refers to.

        Raises NotFound.
        """
        path = f"/{itemtype}/{item_id}"
        body = self.get(path, **({"expand_dropdowns": "true"} if names else {}))
        if not isinstance(body, dict):
            # GLPI takes what is no id of a record for nothing, and answers the list of all.
            raise NotFound("GLPI has no such record.", path=path)
        return body

    def several(self, itemtype: str, item_ids: Iterable[int]) -> list[dict[str, Any]]:
        """Records by their ids (GET /getMultipleItems). Raises NotFound when one of them is missing."""
        wanted, found = list(dict.fromkeys(item_ids)), []
        for start in range(0, len(wanted), TOGETHER):
            params: dict[str, Any] = {"get_hateoas": "false"}
            for index, item_id in enumerate(wanted[start : start + TOGETHER]):
                params |= {f"items[{index}][itemtype]": itemtype, f"items[{index}][items_id]": item_id}
            found += _rows(self.get("/getMultipleItems", **params))
        return found

    def items(
        self, path: str, params: Mapping[str, Any] | None = None, *, limit: int = 50
    ) -> list[dict[str, Any]]:
        """The first records of a list or of a record's sub-list; by id unless ``sort`` and ``order`` say otherwise."""
        return _rows(self.get(f"/{path}", **_asked(0, limit, params)))

    def all_items(
        self, path: str, params: Mapping[str, Any] | None = None, *, page: int = PAGE
    ) -> Iterator[dict[str, Any]]:
        """All records of a list, however long, a page at a time.

        A list that grows meanwhile is read to its end; of one that shrinks a record may be left out.
        """
        start = 0
        while True:
            try:
                response, body = self.exchange("GET", f"/{path}", params=_asked(start, page, params))
            except Rejected as refused:
                # So GLPI answers when the list became shorter than what was read of it.
                if start and refused.code == "ERROR_RANGE_EXCEED_TOTAL":
                    return
                raise
            rows = _rows(body)
            yield from rows
            start += page
            if not rows or start >= _total(response, start):
                return

    def count(self, itemtype: str, params: Mapping[str, Any] | None = None) -> int:
        """How many records of a type the account sees, those in the bin left out."""
        asked = _asked(0, 1, {"only_id": "true", **(params or {})})
        response, body = self.exchange("GET", f"/{itemtype}", params=asked)
        return _total(response, len(_rows(body)))

    def matching(self, itemtype: str, columns: Mapping[str, str | int]) -> list[dict[str, Any]]:
        """Records with exactly these texts in these columns (upper and lower case and accents make no difference).

        A number matches wherever its digits are: GLPI looks for it as for a part of a text.
        """
        wanted = {
            f"searchText[{column}]": f"^{value}$" if isinstance(value, str) else value
            for column, value in columns.items()
        }
        return self.items(itemtype, wanted)

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
        keeps them: GLPI 9.5 and 10 encode ``< >`` (10 also ``&``) here whatever the headers say. Sorted by one field
        only, since 9.5 knows no more.
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

    # -- writing -------------------------------------------------------------------------------------------------

    def create(self, itemtype: str, fields: Mapping[str, Any]) -> int:
        """Create a record (POST /Itemtype) and return its id. Raises Duplicate where GLPI keeps it from being twice."""
        return self.made(self.call("POST", f"/{itemtype}", body={"input": dict(fields)}), itemtype)

    @staticmethod
    def made(body: Any, itemtype: str) -> int:
        """The id in the answer to a creation."""
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
            words = for_people(str(row.get("message") or ""))
            raise Rejected(f"GLPI refused: {words or 'no reason given'}", path=path)

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


def _asked(start: int, limit: int, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of a list: without a range GLPI gives 20 rows, and with links many times the bytes."""
    return {"range": f"{start}-{start + limit - 1}", "get_hateoas": "false", **(params or {})}


def _rows(body: Any) -> list[dict[str, Any]]:
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else []


def _total(response: Response, otherwise: int) -> int:
    """How many rows there are in all, as the Content-Range of an answer says."""
    found = _TOTAL.search(response.headers.get("Content-Range", ""))
    return int(found[1]) if found else otherwise
