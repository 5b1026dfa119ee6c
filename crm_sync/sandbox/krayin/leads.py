"""Leads: creation, the four ways to change a stage, products, tags and the board (70-79, 96, 97, 151, 161, 173).

Each way of changing a lead keeps and wipes something else. What the recordings show:

====================== ============== ================= ============ ==================
way                    products       close date        closed_at    unique attributes
====================== ============== ================= ============ ==================
``PUT leads/:id``      deleted (96d)  wiped on 2.1 (76) set          checked (81b)
``PUT attributes/edit`` kept (173)    wiped (78c)       set          not checked (161d)
``PUT stage/edit``     kept (77g)     kept (77g)        set          –
``POST mass-update``   kept           kept              untouched    –
====================== ============== ================= ============ ==================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from crm_sync.sandbox.krayin import attributes, journal, listing, persons, resources, rules, tags, times
from crm_sync.sandbox.krayin.context import Context, Reply, message_reply, number_of
from crm_sync.sandbox.krayin.errors import Crashed, NotFound
from crm_sync.sandbox.krayin.rules import Rule
from crm_sync.sandbox.krayin.search import search as search_rows
from crm_sync.sandbox.krayin.sql import Row, number_in

_CLOSING = ("won", "lost")
_IDS = (
    "user_id",
    "person_id",
    "lead_source_id",
    "lead_type_id",
    "lead_pipeline_id",
    "lead_pipeline_stage_id",
)
_PLAIN = ("title", "description", "lead_value", "lost_reason")
_NOT_EDITED = {"title", "description"}
_BOARD_PAGE = 10


def index(ctx: Context) -> Reply:
    """The list."""
    return listing.index(ctx, "leads", lambda row: resources.lead(ctx.state, row))


def search(ctx: Context) -> Reply:
    """The search (74, 81c, 97h)."""
    return search_rows(ctx, "leads", lambda row: resources.lead(ctx.state, row))


def show(ctx: Context, number: str) -> Reply:
    """One lead (72)."""
    return Reply({"data": resources.lead(ctx.state, ctx.find("leads", number))})


def store(ctx: Context) -> Reply:
    """Creates one, with its person when the body brings one (70, 71).

    Raises:
        Crashed: no stage on the older generation (71b), or an id that points nowhere (71j).
        NotFound: there is no such stage (71i) or person (70g).
    """
    sent = ctx.body
    rules.check(sent, _rules(ctx, own=None))
    stage = _stage_of(ctx, sent)
    ctx.leave_a_gap()
    values = _columns(sent) | {
        "status": 1,
        "lead_pipeline_id": stage["lead_pipeline_id"],
        "lead_pipeline_stage_id": stage["id"],
        "expected_close_date": times.day(sent.get("expected_close_date")),
        "closed_at": ctx.state.now() if stage["code"] in _CLOSING else None,
    }
    person = _person_of(ctx, sent)
    if person is not None:
        values["person_id"] = person
    row = ctx.state.insert("leads", values)
    journal.created(ctx, "leads", row["id"])
    attributes.save(ctx, "leads", row["id"], sent | _shared(values))
    for product in _entries(sent.get("products")):
        _add_product(ctx, row["id"], product)
    ctx.fire("lead.create.after", "leads", row)
    echoed = {name: sent.get(name) for name in _PLAIN} | _echoed_day(sent)
    return Reply({"data": resources.lead(ctx.state, row, echoed), "message": "Lead created successfully."})


def update(ctx: Context, number: str) -> Reply:
    """Changes what was sent, moves to the stage's pipeline (152), and deletes products that were not sent (96d).

    Without a stage, where none has to be sent, the lead stays where it is, closed or not (76b).
    """
    sent = ctx.body
    rules.check(sent, _rules(ctx, own=int(number)))
    values = _columns(sent)
    if "lead_pipeline_stage_id" in sent or ctx.flavour.needs_stage:
        stage = _stage_of(ctx, sent)
        values |= {
            "lead_pipeline_id": stage["lead_pipeline_id"],
            "lead_pipeline_stage_id": stage["id"],
            "closed_at": _closed_at(ctx, stage),
        }
    row = ctx.find("leads", number)
    person = _person_of(ctx, sent)
    if person is not None:
        values["person_id"] = person
    if "expected_close_date" in sent or ctx.flavour.put_wipes_close_date:
        values["expected_close_date"] = times.day(sent.get("expected_close_date"))
    _write(ctx, row, values)
    attributes.save(ctx, "leads", row["id"], sent | _shared(values))
    _replace_products(ctx, row["id"], sent.get("products"))
    return _updated(ctx, row)


def edit_attributes(ctx: Context, number: str) -> Reply:
    """Changes what was sent and wipes the close date that was not; nothing is checked (78, 161d, 173).

    Raises:
        Crashed: there is no such stage (173d).
        NotFound: there is no such lead (173e).
    """
    sent = ctx.body
    values = _columns(sent) | {"expected_close_date": times.day(sent.get("expected_close_date"))}
    if number_of(sent, "lead_pipeline_stage_id") is not None:
        stage = ctx.state.get("lead_pipeline_stages", sent["lead_pipeline_stage_id"])
        if stage is None:
            raise Crashed
        values["closed_at"] = _closed_at(ctx, stage)
    row = ctx.find("leads", number)
    _write(ctx, row, values)
    codes = {each["code"] for each in attributes.definitions(ctx.state, "leads")} - _NOT_EDITED
    attributes.save(ctx, "leads", row["id"], sent | _shared(values), only=codes)
    return _updated(ctx, row)


def edit_stage(ctx: Context, number: str) -> Reply:
    """Moves a lead to a stage of its own pipeline, and does nothing else (77).

    Raises:
        NotFound: no such lead, or the stage belongs to another pipeline (151).
    """
    rules.check(ctx.data, {"lead_pipeline_stage_id": [rules.required, _known_stage(ctx)]})
    row = ctx.find("leads", number)
    stage = ctx.find("lead_pipeline_stages", ctx.data["lead_pipeline_stage_id"])
    if stage["lead_pipeline_id"] != row["lead_pipeline_id"]:
        raise NotFound
    values = {"lead_pipeline_stage_id": stage["id"]}
    _write(ctx, row, values | {"closed_at": _closed_at(ctx, stage)})
    attributes.save(ctx, "leads", row["id"], values, only={"lead_pipeline_stage_id"})
    return _updated(ctx, row, {})


def mass_update(ctx: Context) -> Reply:
    """Moves many leads to a stage without closing or opening them (79).

    Raises:
        Invalid: the stage does not exist; only the newer generation looks.
        Refused: none of them exists; only the newer generation says so.
    """
    rules.check(ctx.body, {"indices": [rules.required], "value": [rules.required]})
    if ctx.flavour.checks_pointers:
        rules.check(ctx.body, {"value": [_known_stage(ctx)]})
    for row in ctx.some(_rows(ctx, ctx.body["indices"])):
        ctx.state.update("leads", row, {"lead_pipeline_stage_id": number_of(ctx.body, "value")})
        if ctx.flavour.mass_update_fires:
            ctx.fire("lead.update.after", "leads", row)
    return message_reply("Lead updated successfully.", wrapped=True)


def _known_stage(ctx: Context) -> Rule:
    return rules.exists(lambda value: ctx.state.get("lead_pipeline_stages", value) is not None)


def destroy(ctx: Context, number: str) -> Reply:
    """Removes one (79b, 79c)."""
    _delete(ctx, ctx.find("leads", number))
    return message_reply("Lead deleted successfully.", wrapped=True)


def mass_destroy(ctx: Context) -> Reply:
    """Removes many; those that are gone already do not matter."""
    rules.check(ctx.body, {"indices": [rules.required]})
    for row in ctx.some(_rows(ctx, ctx.body["indices"])):
        _delete(ctx, row)
    return message_reply("Lead deleted successfully.", wrapped=True)


def put_product(ctx: Context, number: str) -> Reply:
    """Puts a product on a lead, or changes how much of it (96c)."""
    if ctx.flavour.checks_pointers:
        known = rules.exists(lambda value: ctx.state.get("products", value) is not None)
        amount: list[Rule] = [rules.required, rules.numeric, rules.not_negative]
        rules.check(ctx.data, {"product_id": [rules.required, known], "quantity": amount, "price": amount})
    row = _add_product(ctx, int(number), ctx.data)
    product = ctx.find("products", row["product_id"])
    price, quantity = ctx.data.get("price"), ctx.data.get("quantity")
    shown = {
        "lead_id": row["lead_id"],
        "product_id": row["product_id"],
        "quantity": quantity,
        "price": price,
        "amount": _amount(ctx.data),
        **resources.stamps(row),
        "id": row["id"],
        "name": product["name"],
    }
    return Reply({"data": shown, "message": "Lead updated successfully."})


def delete_product(ctx: Context, number: str) -> Reply:
    """Takes a product off a lead."""
    wanted = {"lead_id": int(number), "product_id": number_of(ctx.data, "product_id")}
    for row in ctx.state["lead_products"].where(**wanted):
        ctx.state["lead_products"].remove(row)
    return message_reply("Lead deleted successfully.", wrapped=True)


def attach_tag(ctx: Context, number: str) -> Reply:
    """Puts a tag on a lead (97d, 97f)."""
    tags.attach(ctx, "leads", number)
    return message_reply("Tag attached successfully.", wrapped=True)


def detach_tag(ctx: Context, number: str) -> Reply:
    """Takes a tag off a lead."""
    tags.detach(ctx, "leads", number)
    return message_reply("Tag detached successfully.", wrapped=True)


def activities(ctx: Context, number: str) -> Reply:
    """A lead's activities, newest first, with those of the system and its e-mails; nobody's are none (91d, 91h)."""
    own = int(number)
    links = ctx.state["lead_activities"].where(lead_id=own)
    rows = [ctx.find("activities", link["activity_id"]) for link in links]
    rows.sort(key=lambda row: -row["id"])
    mails = ctx.state["emails"].where(lead_id=own)
    return Reply(
        {
            "data": [
                *(resources.activity(ctx.state, row) for row in rows),
                *(resources.mail_as_activity(ctx.state, row) for row in mails),
            ]
        }
    )


def board(ctx: Context) -> Reply:
    """The kanban board: the stages of a pipeline with the sum and the first ten of their leads (75)."""
    asked = number_of(ctx.query, "pipeline_id")
    pipeline = ctx.find_or_crash("lead_pipelines", asked) if asked else default_pipeline(ctx)
    shown = []
    for stage in resources.stages_of(ctx.state, pipeline["id"]):
        wanted = number_of(ctx.query, "pipeline_stage_id")
        if wanted in (None, stage["id"]):
            shown.append(_column(ctx, pipeline, stage))
    return Reply({"data": shown})


def _column(ctx: Context, pipeline: Row, stage: Row) -> Row:
    rows = ctx.state["leads"].where(lead_pipeline_id=pipeline["id"], lead_pipeline_stage_id=stage["id"])
    page = listing.Page(rows[:_BOARD_PAGE], 1, _BOARD_PAGE, len(rows), ctx.url)
    total: Any = f"{sum(float(row['lead_value'] or 0) for row in rows):.4f}" if rows else 0
    leads = [resources.lead(ctx.state, row) for row in page.rows]
    return {**resources.stage(stage, total), "leads": {"data": leads, "meta": page.numbers()}}


def default_pipeline(ctx: Context) -> Row:
    """The pipeline leads start in."""
    rows = list(ctx.state["lead_pipelines"].rows.values())
    return next((row for row in rows if row["is_default"]), rows[0])


def _rules(ctx: Context, own: int | None) -> dict[str, list[Rule]]:
    found = attributes.rules_for(ctx, "leads", ctx.body, own=own)
    person = ctx.body.get("person")
    if isinstance(person, Mapping):
        known = number_of(person, "id")
        found |= attributes.rules_for(ctx, "persons", person, own=known, prefix="person.")
    if ctx.flavour.checks_close_date and "expected_close_date" in found:
        yesterday = times.today(ctx.state.clock()) - timedelta(days=1)
        found["expected_close_date"] += [rules.day_format, rules.after(yesterday)]
    return found


def _stage_of(ctx: Context, sent: Mapping[str, Any]) -> Row:
    """The stage a body means, or the first of the default pipeline where a body may leave it out (71b)."""
    if "lead_pipeline_stage_id" in sent:
        return ctx.find("lead_pipeline_stages", sent["lead_pipeline_stage_id"])
    if ctx.flavour.needs_stage:
        raise Crashed
    return resources.stages_of(ctx.state, default_pipeline(ctx)["id"])[0]


def _person_of(ctx: Context, sent: Mapping[str, Any]) -> int | None:
    person = sent.get("person")
    if person is None:
        return None
    if not isinstance(person, Mapping):
        raise Crashed
    found: int = persons.find_or_create(ctx, person)["id"]
    return found


def _columns(sent: Mapping[str, Any]) -> Row:
    found = {name: sent[name] for name in _PLAIN if name in sent}
    return found | {name: number_of(sent, name) for name in _IDS if name in sent}


def _shared(values: Mapping[str, Any]) -> Row:
    """The columns that are attributes too and take their value from here, a date that was wiped among them (78c)."""
    return {name: values[name] for name in (*_IDS, "expected_close_date") if name in values}


def _closed_at(ctx: Context, stage: Row) -> str | None:
    return ctx.state.now() if stage["code"] in _CLOSING else None


def _write(ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
    old = ctx.state.update("leads", row, values)
    journal.columns(ctx, "leads", row["id"], row, old)


def _updated(ctx: Context, row: Row, sent: Mapping[str, Any] | None = None) -> Reply:
    """The answer to a change: what was sent, as it was sent, over what the database holds (78)."""
    sent = ctx.body if sent is None else sent
    ctx.fire("lead.update.after", "leads", row)
    echoed = {name: sent[name] for name in _PLAIN if name in sent}
    if "expected_close_date" in sent:
        echoed |= _echoed_day(sent)
    return Reply({"data": resources.lead(ctx.state, row, echoed), "message": "Lead updated successfully."})


def _echoed_day(sent: Mapping[str, Any]) -> Row:
    return {"expected_close_date": times.sent_day(sent.get("expected_close_date"))}


def _rows(ctx: Context, numbers: Any) -> list[Row]:
    if not isinstance(numbers, list):
        raise Crashed
    rows = [ctx.state.get("leads", number) for number in numbers]
    return [row for row in rows if row is not None]


def _delete(ctx: Context, row: Row) -> None:
    ctx.fire("lead.delete.before", "leads", row)
    journal.forget(ctx, "leads", row["id"])
    ctx.state.delete("leads", row)


def _entries(products: Any) -> Iterable[Mapping[str, Any]]:
    if products is None:
        return []
    entries = products.values() if isinstance(products, Mapping) else products
    if not isinstance(products, (list, Mapping)) or not all(isinstance(each, Mapping) for each in entries):
        raise Crashed
    return entries


def _amount(product: Mapping[str, Any]) -> float:
    amount = number_in(str(product.get("price") or 0)) * number_in(str(product.get("quantity") or 0))
    return int(amount) if amount.is_integer() else amount


def _add_product(ctx: Context, lead: int, product: Mapping[str, Any]) -> Row:
    key = {"lead_id": lead, "product_id": number_of(product, "product_id")}
    values = {name: product.get(name) for name in ("quantity", "price")} | {"amount": _amount(product)}
    known = ctx.state["lead_products"].where(**key)
    if known:
        ctx.state.update("lead_products", known[0], values)
        return known[0]
    return ctx.state.insert("lead_products", key | values)


def _replace_products(ctx: Context, lead: int, products: Any) -> None:
    """Changes the products that were sent under their ids, adds those under ``product_…``, deletes the rest (96d)."""
    left = {row["id"]: row for row in ctx.state["lead_products"].where(lead_id=lead)}
    numbered = dict(enumerate(products)) if isinstance(products, list) else products or {}
    for key, product in numbered.items():
        if not isinstance(product, Mapping):
            raise Crashed
        if "product_" in str(key):
            ctx.state.insert(
                "lead_products",
                {**product, "lead_id": lead, "product_id": number_of(product, "product_id")},
            )
            continue
        row = ctx.find("lead_products", key)
        left.pop(row["id"], None)
        ctx.state.update("lead_products", row, {**product, "lead_id": lead})
    for row in left.values():
        ctx.state["lead_products"].remove(row)
