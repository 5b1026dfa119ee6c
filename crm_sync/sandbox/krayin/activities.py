"""Activities: notes, calls, meetings and files, and what each of them must have (90-95, 164, 168)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from crm_sync.sandbox.krayin import listing, resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply, message_reply, number_of
from crm_sync.sandbox.krayin.errors import Crashed, Refused, TurnedBack
from crm_sync.sandbox.krayin.rules import Required, Rule
from crm_sync.sandbox.krayin.schema import cut
from crm_sync.sandbox.krayin.sql import Row
from crm_sync.sandbox.krayin.times import wall_time

_UNSCHEDULED = ("note", "file")
_TIMES = ("schedule_from", "schedule_to")
_PLAIN = ("type", "title", "comment", "location", "is_done")
_OVERLAP = "Participants have another meeting at this time."


def index(ctx: Context) -> Reply:
    """The list, those of the system included (91)."""
    return listing.index(ctx, "activities", lambda row: resources.activity(ctx.state, row))


def show(ctx: Context, number: str) -> Reply:
    """One activity (92, 91g)."""
    return Reply({"data": resources.activity(ctx.state, ctx.find("activities", number))})


def store(ctx: Context) -> Reply:
    """Creates one; ``is_done`` and the user are not asked for (90j).

    Raises:
        Crashed: ``additional`` is no text (90r); or, when the activity is already there, a file that is none (95b)
            or a lead that does not exist (90k).
    """
    sent = ctx.body
    _check(ctx, sent)
    if sent["type"] == "meeting":
        _check_overlap(ctx, sent)
    if isinstance(sent.get("additional"), (dict, list)):
        raise Crashed
    row = ctx.state.insert(
        "activities",
        {
            **_columns(ctx, sent),
            "is_done": int(sent["type"] == "note"),
            "user_id": ctx.user["id"],
            "additional": _decoded(sent.get("additional")),
        },
    )
    if "file" in sent:
        _keep_file(ctx, row)
    _join(ctx, row, sent.get("participants"))
    _link(ctx, row, sent)
    ctx.fire("activity.create.after", "activities", row)
    body = {"data": resources.activity(ctx.state, row), "message": "Activity created successfully."}
    return Reply(body)


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent, and replaces the participants when they were (93)."""
    sent = ctx.body
    row = ctx.find("activities", number)
    if ctx.flavour.checks_pointers:
        exists = rules.exists(lambda value: ctx.state.get("leads", value) is not None)
        rules.check(sent, _kind_rules(ctx, sent) | {"lead_id": [exists]})
    values = _columns(ctx, sent)
    if "additional" in sent:
        if isinstance(sent["additional"], (dict, list)):
            raise Crashed
        values["additional"] = _decoded(sent["additional"])
    ctx.state.update("activities", row, values)
    if "participants" in sent:
        for old in ctx.state["activity_participants"].where(activity_id=row["id"]):
            ctx.state["activity_participants"].remove(old)
        _join(ctx, row, sent["participants"])
    lead = number_of(sent, "lead_id")
    if lead is not None and not ctx.state["lead_activities"].where(lead_id=lead, activity_id=row["id"]):
        ctx.state.insert("lead_activities", {"lead_id": lead, "activity_id": row["id"]})
    ctx.fire("activity.update.after", "activities", row)
    echoed = {name: sent[name] for name in _PLAIN if name in sent}
    body = {"data": resources.activity(ctx.state, row, echoed), "message": "Activity updated successfully."}
    return Reply(body)


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one (94b, 94c)."""
    _delete(ctx, ctx.find("activities", number))
    return message_reply("Activity deleted successfully.", wrapped=ctx.flavour.wraps_messages)


def mass_update(ctx: Context) -> Reply:
    """Marks many as done or not (94)."""
    rules.check(ctx.body, {"indices": [rules.required], "value": [rules.required]})
    if ctx.flavour.checks_pointers:
        rules.check(ctx.body, {"value": [rules.boolean]})
    for row in ctx.some(_rows(ctx)):
        ctx.state.update("activities", row, {"is_done": ctx.body["value"]})
        ctx.fire("activity.update.after", "activities", row)
    if ctx.flavour.wraps_messages:
        return message_reply("Activity updated successfully.", wrapped=True)
    return message_reply("Activities updated successfully.", wrapped=False)


def mass_destroy(ctx: Context) -> Reply:
    """Removes many."""
    rules.check(ctx.body, {"indices": [rules.required]})
    for row in ctx.some(_rows(ctx)):
        _delete(ctx, row)
    if ctx.flavour.wraps_messages:
        return message_reply("Activity deleted successfully.", wrapped=True)
    return message_reply("Activities deleted successfully.", wrapped=False)


def download(ctx: Context, number: str) -> Reply:
    """The file of an activity (95c)."""
    path = ctx.find("activity_files", number)["path"]
    content, mime = ctx.state.files[path]
    name = PurePath(path).name
    kind = f"{mime}; charset=UTF-8" if mime.startswith("text/") else mime
    headers = {"Content-Type": kind, "Content-Disposition": f"attachment; filename={name}"}
    return Reply(None, content, headers)


def _check(ctx: Context, sent: Mapping[str, Any]) -> None:
    kind = sent.get("type")
    found = _kind_rules(ctx, {"type": kind})
    if kind == "note":
        found["comment"] = [Required(" when type is note")]
    if kind not in _UNSCHEDULED:
        found |= {name: [Required(" unless type is in note, file")] for name in _TIMES}
    if kind == "file":
        found["file"] = [Required(" when type is file")]
    rules.check(sent, found)


def _kind_rules(ctx: Context, sent: Mapping[str, Any]) -> dict[str, list[Rule]]:
    if "type" not in sent:
        return {}
    kinds: list[Rule] = [rules.required]
    if ctx.flavour.activity_types is not None:
        kinds.append(rules.one_of(ctx.flavour.activity_types))
    return {"type": kinds}


def _check_overlap(ctx: Context, sent: Mapping[str, Any]) -> None:
    """No two things at one time for the same people (90o, 90q); the newer generation refuses any second one (90n)."""
    start, end = (wall_time(sent[name]) or "" for name in _TIMES)
    wanted = sent.get("participants")
    for row in ctx.state["activities"].rows.values():
        begins, ends = row["schedule_from"], row["schedule_to"]
        if not begins:
            continue
        overlaps = begins <= start <= (ends or "") or start <= begins <= end
        if (overlaps or ctx.flavour.meeting_check_is_broken) and _takes_part(ctx, row, wanted):
            if ctx.is_ajax:
                raise Refused(400, _OVERLAP)
            raise TurnedBack


def _takes_part(ctx: Context, row: Row, wanted: Any) -> bool:
    """Whether one of the wanted is in an activity; nobody wanted means everybody."""
    if not isinstance(wanted, Mapping) or not any(wanted.values()):
        return True
    users = {number_of({"id": each}, "id") for each in wanted.get("users") or []}
    people = {number_of({"id": each}, "id") for each in wanted.get("persons") or []}
    return any(
        (each["user_id"] is not None and each["user_id"] in users)
        or (each["person_id"] is not None and each["person_id"] in people)
        for each in ctx.state["activity_participants"].where(activity_id=row["id"])
    )


def _columns(ctx: Context, sent: Mapping[str, Any]) -> Row:
    found = {name: sent[name] for name in _PLAIN if name in sent}
    if found.get("comment") is not None and ctx.flavour.cuts_comments:
        found["comment"] = cut(str(found["comment"]))
    return found | {name: wall_time(sent[name]) for name in _TIMES if name in sent}


def _decoded(additional: Any) -> Any:
    """``additional`` is JSON in a text (90s); a text that is none is lost."""
    if additional is None:
        return None
    try:
        return json.loads(str(additional))
    except ValueError:
        return None


def _keep_file(ctx: Context, row: Row) -> None:
    upload = ctx.upload("file")
    if upload is None:
        raise Crashed
    path = f"activities/{row['id']}/{ctx.state.file_name(PurePath(upload.filename).suffix)}"
    ctx.state.files[path] = (upload.content, upload.mime)
    name = ctx.body.get("name") or upload.filename
    ctx.state.insert("activity_files", {"name": name, "path": path, "activity_id": row["id"]})


def _join(ctx: Context, row: Row, participants: Any) -> None:
    if not isinstance(participants, Mapping):
        return
    for kind, column in (("users", "user_id"), ("persons", "person_id")):
        for number in participants.get(kind) or []:
            who = {column: number_of({"id": number}, "id")}
            ctx.state.insert("activity_participants", {"activity_id": row["id"], **who})


def _link(ctx: Context, row: Row, sent: Mapping[str, Any]) -> None:
    """Puts the activity on its lead, or else on its person (90l)."""
    for column, table in (("lead_id", "lead_activities"), ("person_id", "person_activities")):
        number = number_of(sent, column)
        if number is not None:
            ctx.state.insert(table, {column: number, "activity_id": row["id"]})
            return


def _rows(ctx: Context) -> list[Row]:
    if not isinstance(ctx.body["indices"], list):
        raise Crashed
    rows = [ctx.state.get("activities", number) for number in ctx.body["indices"]]
    return [row for row in rows if row is not None]


def _delete(ctx: Context, row: Row) -> None:
    ctx.fire("activity.delete.before", "activities", row)
    ctx.state.delete("activities", row)
