"""Settings whose rows have parts: attributes with options (26, 80, 130), pipelines with stages (20-22, 150)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.krayin import listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply, number_of
from crm_sync.sandbox.krayin.errors import Refused
from crm_sync.sandbox.krayin.rules import Rule
from crm_sync.sandbox.krayin.schema import TABLES
from crm_sync.sandbox.krayin.sql import Row, equals


def attribute_index(ctx: Context) -> Reply:
    """The attributes of all entity types: that is no filter (26)."""
    return listing.index(ctx, "attributes", lambda row: resources.attribute(ctx.state, row))


def attribute_show(ctx: Context, number: str) -> Reply:
    """One attribute."""
    return Reply({"data": resources.attribute(ctx.state, ctx.find_or_crash("attributes", number))})


def attribute_store(ctx: Context) -> Reply:
    """Creates one whose code is new to its entity type (80)."""
    sent = ctx.body | {"quick_add": 1}
    rules.check(sent, _attribute_rules(ctx, None, sent.get("entity_type")))
    row = ctx.state.insert("attributes", sent)
    options = sent.get("options")
    for option in options.values() if isinstance(options, Mapping) else options or []:
        if isinstance(option, Mapping):
            ctx.state.insert("attribute_options", {**option, "attribute_id": row["id"]})
    echoed = {name: sent.get(name) for name in TABLES["attributes"]}
    body = {"data": resources.attribute(ctx.state, row, echoed), "message": "Attribute created successfully."}
    return Reply(body)


def attribute_update(ctx: Context, number: str) -> Reply:
    """Changes one, a core attribute too (130)."""
    row = ctx.find_or_crash("attributes", number)
    rules.check(ctx.body, _attribute_rules(ctx, row["id"], row["entity_type"]))
    ctx.state.update("attributes", row, ctx.body)
    echoed = {name: ctx.body[name] for name in TABLES["attributes"] if name in ctx.body}
    body = {"data": resources.attribute(ctx.state, row, echoed), "message": "Attribute updated successfully."}
    return Reply(body)


def attribute_destroy(ctx: Context, number: str) -> Reply:
    """Removes one that somebody added, with its values."""
    row = ctx.find_or_crash("attributes", number)
    if not row["is_user_defined"]:
        raise Refused(400, "User defined attribute can not be deleted.")
    for value in ctx.state["attribute_values"].where(attribute_id=row["id"]):
        ctx.state["attribute_values"].remove(value)
    return ctx.delete("attributes", row, "Attribute")


def _attribute_rules(ctx: Context, own: int | None, entity_type: Any) -> dict[str, list[Rule]]:
    def taken(value: Any) -> bool:
        rows = ctx.state["attributes"].where(entity_type=entity_type)
        return any(equals(row["code"], value) for row in rows if row["id"] != own)

    return {
        "code": [rules.required, rules.fresh(taken), rules.code],
        "name": [rules.required],
        "type": [rules.required],
    }


def pipeline_index(ctx: Context) -> Reply:
    """The pipelines, the newest first (20, 153)."""
    return listing.index(ctx, "lead_pipelines", lambda row: resources.pipeline(ctx.state, row))


def pipeline_show(ctx: Context, number: str) -> Reply:
    """One pipeline (21, 22)."""
    return Reply({"data": resources.pipeline(ctx.state, ctx.find_or_crash("lead_pipelines", number))})


def pipeline_store(ctx: Context) -> Reply:
    """Creates one with its stages (150)."""
    rules.check(ctx.body, _pipeline_rules(ctx, None))
    row = ctx.state.insert("lead_pipelines", ctx.body)
    _one_default(ctx, row)
    for position, stage in enumerate(_stages(ctx).values(), start=1):
        _add_stage(ctx, row, stage, position)
    body = {"data": resources.pipeline(ctx.state, row), "message": "Pipeline created successfully."}
    return Reply(body)


def pipeline_update(ctx: Context, number: str) -> Reply:
    """Changes one; stages that were not sent go, and their leads move to the first."""
    row = ctx.find("lead_pipelines", number)
    rules.check(ctx.body, _pipeline_rules(ctx, row["id"]))
    ctx.state.update("lead_pipelines", row, ctx.body)
    _one_default(ctx, row)
    if "stages" in ctx.body:
        _replace_stages(ctx, row)
    body = {"data": resources.pipeline(ctx.state, row), "message": "Pipeline updated successfully."}
    return Reply(body)


def pipeline_destroy(ctx: Context, number: str) -> Reply:
    """Removes one; its leads go back to the default one."""
    row = ctx.find_or_crash("lead_pipelines", number)
    if row["is_default"]:
        raise Refused(400, "Default pipeline can not be deleted.")
    home = next(iter(ctx.state["lead_pipelines"].where(is_default=1)))
    first = resources.stages_of(ctx.state, home["id"])[0]
    for lead in ctx.state["leads"].where(lead_pipeline_id=row["id"]):
        ctx.state.update(
            "leads", lead, {"lead_pipeline_id": home["id"], "lead_pipeline_stage_id": first["id"]}
        )
    return ctx.delete("lead_pipelines", row, "Pipeline")


def _pipeline_rules(ctx: Context, own: int | None) -> dict[str, list[Rule]]:
    def taken(value: Any) -> bool:
        rows = ctx.state["lead_pipelines"].rows.values()
        return any(equals(row["name"], value) for row in rows if row["id"] != own)

    return {"name": [rules.required, rules.fresh(taken)], "rotten_days": [rules.required]}


def _stages(ctx: Context) -> Mapping[str, Mapping[str, Any]]:
    stages = ctx.body.get("stages") or {}
    numbered = {f"stage_{at}": each for at, each in enumerate(stages)} if isinstance(stages, list) else stages
    return {str(key): each for key, each in numbered.items() if isinstance(each, Mapping)}


def _add_stage(ctx: Context, pipeline: Row, stage: Mapping[str, Any], position: int) -> None:
    order = number_of(stage, "sort_order") or position
    row = ctx.state.insert(
        "lead_pipeline_stages", {**stage, "sort_order": order, "lead_pipeline_id": pipeline["id"]}
    )
    row.update(created_at=None, updated_at=None)


def _one_default(ctx: Context, row: Row) -> None:
    if row["is_default"]:
        for other in ctx.state["lead_pipelines"].where(is_default=1):
            if other is not row:
                ctx.state.update("lead_pipelines", other, {"is_default": 0})


def _replace_stages(ctx: Context, pipeline: Row) -> None:
    left = {row["id"]: row for row in resources.stages_of(ctx.state, pipeline["id"])}
    for position, (key, stage) in enumerate(_stages(ctx).items(), start=1):
        known = left.pop(int(key), None) if key.isdigit() else None
        if known is None:
            _add_stage(ctx, pipeline, stage, position)
        else:
            ctx.state["lead_pipeline_stages"].write(known, {**known, **_stage_columns(stage)})
    if not left:
        return
    first = next(row for row in resources.stages_of(ctx.state, pipeline["id"]) if row["id"] not in left)
    for gone in left.values():
        for lead in ctx.state["leads"].where(lead_pipeline_stage_id=gone["id"]):
            ctx.state.update("leads", lead, {"lead_pipeline_stage_id": first["id"]})
        ctx.state.delete("lead_pipeline_stages", gone)


def _stage_columns(stage: Mapping[str, Any]) -> Row:
    return {name: stage[name] for name in ("code", "name", "probability", "sort_order") if name in stage}
