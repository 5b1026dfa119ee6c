"""Which stage a lead goes to."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.crms.krayin import stages

CODES = ("new", "follow-up", "prospect", "negotiation", "won", "lost")
PIPELINES = stages.kept(
    [
        {
            "id": 1,
            "name": "Default",
            "is_default": 1,
            "stages": [{"id": n, "code": code, "name": code.title()} for n, code in enumerate(CODES, 1)],
        },
        {
            "id": 2,
            "name": "Other",
            "stages": [{"id": 10, "code": "new", "name": "Neu"}, {"id": 11, "code": "won"}],
        },
    ]
)
NEW, FOLLOW_UP, PROSPECT, NEGOTIATION, WON, LOST = range(1, 7)
TABLE = {"open": "new", "pending": "follow-up", "resolved": "4"}


def go(status: str, current: int, ours: int | None, **settings: Any) -> int | None:
    given = {
        "stage_by_status": TABLE,
        "auto_qualify_on_resolved": False,
        "qualified_stage": "prospect",
        "reopen_closed_leads": False,
        **settings,
    }
    found = stages.following(PIPELINES, given, status, stages.by_id(PIPELINES, current), ours)
    return found.id if found else None


@pytest.mark.parametrize(
    ("status", "current", "ours", "settings", "expected"),
    [
        # The table, by code and by number.
        ("pending", NEW, NEW, {}, FOLLOW_UP),
        ("open", FOLLOW_UP, FOLLOW_UP, {}, NEW),
        ("resolved", NEW, NEW, {}, NEGOTIATION),
        ("snoozed", NEW, NEW, {}, None),
        ("open", NEW, NEW, {}, None),
        # What people moved is theirs.
        ("pending", NEGOTIATION, NEW, {}, None),
        ("pending", NEGOTIATION, None, {}, None),
        # Qualifying goes forward only, whoever moved it.
        ("resolved", NEW, NEW, {"auto_qualify_on_resolved": True, "stage_by_status": {}}, PROSPECT),
        ("resolved", FOLLOW_UP, NEW, {"auto_qualify_on_resolved": True, "stage_by_status": {}}, PROSPECT),
        ("resolved", NEGOTIATION, NEW, {"auto_qualify_on_resolved": True, "stage_by_status": {}}, None),
        ("open", NEW, NEW, {"auto_qualify_on_resolved": True, "stage_by_status": {}}, None),
        ("resolved", 10, 10, {"auto_qualify_on_resolved": True, "stage_by_status": {}}, None),
        # Won and lost stay, unless asked.
        ("open", WON, WON, {}, None),
        ("open", LOST, LOST, {}, None),
        ("resolved", WON, WON, {"auto_qualify_on_resolved": True}, None),
        ("open", WON, NEW, {"reopen_closed_leads": True}, NEW),
        ("resolved", WON, NEW, {"reopen_closed_leads": True, "auto_qualify_on_resolved": True}, NEGOTIATION),
        # A stage of the lead's own pipeline only.
        ("open", 11, 11, {"reopen_closed_leads": True}, 10),
        ("pending", 10, 10, {}, None),
        ("open", 99, 99, {}, None),
    ],
)
def test_a_status_moves_a_lead_as_the_settings_say(
    status: str, current: int, ours: int | None, settings: dict[str, Any], expected: int | None
) -> None:
    assert go(status, current, ours, **settings) == expected


@pytest.mark.parametrize(
    ("name", "pipeline", "expected"),
    [
        ("prospect", 1, PROSPECT),
        ("Prospect", 1, PROSPECT),
        ("3", 1, PROSPECT),
        (3, None, PROSPECT),
        ("new", 2, 10),
        ("10", 1, None),
        ("qualified", 1, None),
        ("", 1, None),
        (None, 1, None),
    ],
)
def test_a_stage_is_named_by_number_or_code_within_its_pipeline(
    name: Any, pipeline: int | None, expected: int | None
) -> None:
    found = stages.named(PIPELINES, name, pipeline)
    assert (found.id if found else None) == expected


def test_won_and_lost_are_closed_in_every_pipeline() -> None:
    closed = {stage.id for stage in stages.all_of(PIPELINES) if stage.closed}
    assert closed == {WON, LOST, 11}
