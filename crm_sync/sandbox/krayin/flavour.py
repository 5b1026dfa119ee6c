"""What differs between the generations of Krayin that a sandbox can play, in one place.

A module asks a :class:`Flavour` for a habit by name and never for a version number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

FLAVOURS = ("2.1.0", "2.2.3")


@dataclass(frozen=True)
class Flavour:
    """One generation's habits; the numbers in the comments are recorded cases."""

    version: str
    #: A limit of calls a minute exists, and answers tell what is left of it (110).
    throttles: bool
    #: 401 and 429 come as 500, and without ``Accept: application/json`` as a page (05, 07, 09, 110).
    hides_errors: bool
    #: ``""`` in a body arrives as null (34c, 131c).
    empty_is_null: bool
    #: A person must have a phone, or at least the key and a value for it (33, 34, 34b, 34e, 59).
    needs_phone: bool
    #: A lead's body must name a stage on create and on PUT (71b, 76b).
    needs_stage: bool
    #: PUT of a lead empties the close date it was not told (76, 594 of the tape).
    put_wipes_close_date: bool
    #: The close date must be ``Y-m-d`` and not in the past (71k, 71l, 173c).
    checks_close_date: bool
    #: The journal tells times in words (91d).
    dates_in_words: bool
    #: Values of custom attributes are part of the answers (81).
    echoes_custom: bool
    #: A list refuses columns it does not know, by crashing (47, 81d, 73g); otherwise it ignores the filter.
    unknown_column_crashes: bool
    #: A missing person, organisation or pipeline crashes the server where 404 is due (22, 58, 59l, 68, 97f).
    missing_crashes: bool
    #: Only these types of activities exist; None: any text is a type (90e).
    activity_types: tuple[str, ...] | None
    #: Comments of activities are cut at 64 KiB (101c).
    cuts_comments: bool
    #: Any scheduled activity of a participant refuses a meeting, whenever it is (90n, 576-578 of the tape).
    meeting_check_is_broken: bool
    #: Answers of persons and activities to DELETE and mass updates carry their message in ``data`` (59k, 94, 94b).
    wraps_messages: bool
    #: Webhooks go out as forms whatever they were told, without query and without a time limit (123, 123b).
    webhooks_are_forms: bool
    #: A change of many leads' stage at once fires the workflows for updates.
    mass_update_fires: bool
    not_found: str
    crashed: str
    unauthenticated: str
    #: How it is told, with status 500, that something could not be deleted (79d).
    delete_failed: str
    #: Ids that a body points with, and values of mass updates, are checked before they are used.
    checks_pointers: bool
    #: How creating a draft is answered (99b).
    draft_saved: str

    @property
    def stock(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of a fresh installation, by table."""
        return _stock(self.version)


@cache
def _stock(version: str) -> dict[str, list[dict[str, Any]]]:
    folder = resources.files("crm_sync.sandbox.krayin") / "stock"
    rows: dict[str, list[dict[str, Any]]] = json.loads((folder / f"{version}.json").read_text("utf-8"))
    return rows


_KNOWN = {
    "2.1.0": Flavour(
        version="2.1.0",
        throttles=True,
        hides_errors=True,
        empty_is_null=False,
        needs_phone=True,
        needs_stage=True,
        put_wipes_close_date=True,
        checks_close_date=True,
        dates_in_words=False,
        echoes_custom=False,
        unknown_column_crashes=True,
        missing_crashes=True,
        activity_types=None,
        cuts_comments=True,
        meeting_check_is_broken=False,
        wraps_messages=False,
        webhooks_are_forms=True,
        mass_update_fires=False,
        not_found="admin::app.common.resource-not-found",
        crashed="admin::app.common.internal-server-error",
        unauthenticated="admin::app.common.internal-server-error",
        delete_failed="{name} deleted successfully.",
        checks_pointers=False,
        draft_saved="Email created successfully.",
    ),
    "2.2.3": Flavour(
        version="2.2.3",
        throttles=False,
        hides_errors=False,
        empty_is_null=True,
        needs_phone=False,
        needs_stage=False,
        put_wipes_close_date=False,
        checks_close_date=False,
        dates_in_words=True,
        echoes_custom=True,
        unknown_column_crashes=False,
        missing_crashes=False,
        activity_types=("call", "meeting", "lunch", "note", "file", "email"),
        cuts_comments=False,
        meeting_check_is_broken=True,
        wraps_messages=True,
        webhooks_are_forms=False,
        mass_update_fires=True,
        not_found="The requested resource could not be found.",
        crashed="An unexpected error occurred on the server. Please try again later.",
        unauthenticated="You are not authenticated. Please log in to continue.",
        delete_failed="{name} delete failed.",
        checks_pointers=True,
        draft_saved="Email saved to draft.",
    ),
}


def flavour_named(version: str) -> Flavour:
    """The habits of a version in :data:`FLAVOURS`; ValueError for any other."""
    try:
        return _KNOWN[version]
    except KeyError:
        raise ValueError(f"there is no Krayin {version}; choose one of {', '.join(FLAVOURS)}") from None
