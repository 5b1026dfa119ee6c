"""Which stage a lead is to be in. Pure functions on the pipelines that the setup has found.

A stage is named by its number or by its code, which keeps its meaning when somebody renames it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Pipelines = Sequence[Mapping[str, Any]]

#: The codes that close a lead; every pipeline has them (facts).
WON, LOST = "won", "lost"

#: What Chatwoot shows of them.
STATUS_NAMES = {WON: "Won", LOST: "Lost"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a pipeline, and its place in it."""

    id: int
    code: str
    name: str
    pipeline: int
    place: int

    @property
    def closed(self) -> bool:
        """Whether a lead in it is won or lost."""
        return self.code in STATUS_NAMES


def kept(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pipelines as they are kept as a fact of the hook."""
    return [
        {
            "id": int(row["id"]),
            "name": str(row.get("name") or ""),
            "default": bool(row.get("is_default")),
            "stages": [
                {
                    "id": int(stage["id"]),
                    "code": str(stage.get("code") or ""),
                    "name": str(stage.get("name") or ""),
                }
                for stage in row.get("stages") or ()
            ],
        }
        for row in rows
    ]


def all_of(pipelines: Pipelines) -> Iterator[Stage]:
    """Every stage of every pipeline."""
    for pipeline in pipelines:
        for place, row in enumerate(pipeline["stages"]):
            yield Stage(row["id"], row["code"], row["name"], pipeline["id"], place)


def by_id(pipelines: Pipelines, number: int | None) -> Stage | None:
    """The stage of this number."""
    return next((stage for stage in all_of(pipelines) if stage.id == number), None)


def named(pipelines: Pipelines, name: str | int | None, pipeline: int | None) -> Stage | None:
    """The stage that a setting means, within a pipeline: by its number, else by its code."""
    within = [stage for stage in all_of(pipelines) if pipeline is None or stage.pipeline == pipeline]
    text = str(name or "").strip()
    found = next((stage for stage in within if text == str(stage.id)), None)
    return found or next((stage for stage in within if text.lower() == stage.code.lower() != ""), None)


def is_named(stage: Stage, name: str) -> bool:
    """Whether a setting means this stage."""
    return name.strip().lower() in {str(stage.id), stage.code.lower()}


def following(
    pipelines: Pipelines, settings: Mapping[str, Any], status: str, current: Stage | None, ours: int | None
) -> Stage | None:
    """The stage a lead goes to because its conversation has this status; None where it stays.

    ``current`` is where it is, ``ours`` where we have put it last. A lead that people moved in Krayin is theirs; one
    that is won or lost stays so, unless ``reopen_closed_leads`` says otherwise. Qualifying only goes forward.
    """
    if current is None or (current.closed and not settings["reopen_closed_leads"]):
        return None
    if status == "resolved" and settings["auto_qualify_on_resolved"] and not current.closed:
        goal = named(pipelines, settings["qualified_stage"], current.pipeline)
        if goal is not None and goal.place > current.place:
            return goal
    wanted = settings.get("stage_by_status", {}).get(status)
    target = named(pipelines, wanted, current.pipeline) if wanted else None
    if target is None or target.id == current.id:
        return None
    return target if current.closed or current.id == ours else None
