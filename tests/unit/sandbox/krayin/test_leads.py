"""Leads: what each way of changing one keeps and wipes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.krayin.conftest import Krayin

DAY = "2027-01-15"
#: The server is five and a half hours ahead: its midnight is the evening before.
SHOWN_DAY = "2027-01-14T18:30:00.000000Z"


def _with_all(krayin: Krayin) -> int:
    """A lead with an owner, a date, a product and a custom value."""
    krayin.post(
        "settings/attributes", code="cw_id", name="Chat", type="text", entity_type="leads", is_unique=1
    )
    krayin.post("products", sku="P", name="Plan", quantity=1, price=10)
    number = krayin.lead(user_id=1, expected_close_date=DAY, cw_id="cw-1", person={"id": krayin.person()})
    assert krayin.put(f"leads/product/{number}", product_id=1, quantity=2, price=10).status_code == 200
    return number


def _found(krayin: Krayin, number: int) -> dict[str, Any]:
    lead: dict[str, Any] = krayin.data(krayin.get(f"leads/{number}"))
    return lead


@pytest.mark.parametrize(
    ("path", "method", "keeps_products", "day_old", "day_new"),
    [
        ("leads/{}", "PUT", False, None, SHOWN_DAY),
        ("leads/attributes/edit/{}", "PUT", True, None, None),
        ("leads/stage/edit/{}", "PUT", True, SHOWN_DAY, SHOWN_DAY),
    ],
)
def test_every_way_of_changing_a_stage_wipes_something_else(
    old: Krayin,
    new: Krayin,
    path: str,
    method: str,
    keeps_products: bool,  # noqa: FBT001 - a column of the table
    day_old: str | None,
    day_new: str | None,
) -> None:
    for krayin, day in ((old, day_old), (new, day_new)):
        number = _with_all(krayin)

        answer = krayin.call(method, path.format(number), json={"lead_pipeline_stage_id": 3})

        lead = _found(krayin, number)
        assert answer.status_code == 200
        assert lead["lead_pipeline_stage_id"] == 3
        assert bool(lead["lead_products"]) is keeps_products
        assert lead["expected_close_date"] == day
        assert lead["user"]["id"] == 1
        hits = krayin.data(
            krayin.get("leads/search", search="cw-1", searchFields="attribute_values.text_value:=")
        )
        assert [hit["id"] for hit in hits] == [number]


def test_products_stay_when_an_update_sends_them_under_their_ids(either: Krayin) -> None:
    number = _with_all(either)
    row = _found(either, number)["lead_products"][0]
    sent = {str(row["id"]): {"product_id": 1, "quantity": 3, "price": 10, "amount": 30}}

    either.put(f"leads/{number}", lead_pipeline_stage_id=2, products=sent)

    assert [(each["id"], each["quantity"]) for each in _found(either, number)["lead_products"]] == [
        (row["id"], 3)
    ]


def test_won_and_lost_close_a_lead_and_any_other_stage_opens_it(either: Krayin) -> None:
    number = either.lead()
    for stage, closed in ((5, True), (3, False), (6, True), (1, False)):
        either.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=stage)
        lead = _found(either, number)
        assert (lead["closed_at"] is not None) is closed
        assert lead["status"] == 1


def test_a_reason_is_kept_by_attributes_edit_and_ignored_by_stage_edit(either: Krayin) -> None:
    number = either.lead()
    either.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=6, lost_reason="price")
    assert _found(either, number)["lost_reason"] is None

    either.put(f"leads/attributes/edit/{number}", lead_pipeline_stage_id=6, lost_reason="price")
    assert _found(either, number)["lost_reason"] == "price"


def test_many_leads_move_at_once_without_being_closed(either: Krayin) -> None:
    number = either.lead()

    assert either.post("leads/mass-update", indices=[number, 99], value=5).status_code == 200

    lead = _found(either, number)
    assert (lead["lead_pipeline_stage_id"], lead["closed_at"]) == (5, None)


def test_the_stage_is_needed_on_the_older_generation_only(old: Krayin, new: Krayin) -> None:
    for krayin, status in ((old, 500), (new, 200)):
        number = krayin.lead()
        assert krayin.post("leads", title="No stage").status_code == status
        assert krayin.put(f"leads/{number}", title="No stage").status_code == status
        assert krayin.post("leads", title="Empty", lead_pipeline_stage_id=None).status_code == 422


def test_a_date_in_the_past_is_refused_on_the_older_generation_by_put_only(old: Krayin, new: Krayin) -> None:
    sent = {"lead_pipeline_stage_id": 2, "expected_close_date": "2020-01-01"}
    for krayin, status in ((old, 422), (new, 200)):
        number = krayin.lead()
        assert krayin.put(f"leads/{number}", **sent).status_code == status
        assert krayin.put(f"leads/attributes/edit/{number}", **sent).status_code == 200


def test_stages_that_do_not_fit_are_told_in_three_ways(either: Krayin) -> None:
    number = either.lead()
    stages = {"stage_1": {"code": "new", "name": "New", "probability": 1, "sort_order": 1}}
    other = either.data(either.post("settings/pipelines", name="Other", rotten_days=3, stages=stages))
    stage = other["stages"][0]["id"]

    def edit(how: str, wanted: int) -> int:
        return either.put(f"leads/{how}/edit/{number}", lead_pipeline_stage_id=wanted).status_code

    assert [edit("stage", 99), edit("stage", stage), edit("attributes", 99)] == [422, 404, 500]
    assert either.put(f"leads/{number}", lead_pipeline_stage_id=stage).status_code == 200
    assert _found(either, number)["lead_pipeline_id"] == other["id"]


def test_a_lead_takes_a_known_person_by_id_and_never_by_address(either: Krayin) -> None:
    number = either.person("ana@example.com")
    person = {"id": number, "name": "Renamed"}

    lead = either.data(either.post("leads", title="T", lead_pipeline_stage_id=1, person=person))
    nested = {"name": "Ana", "emails": [{"value": "ana@example.com", "label": "work"}]}
    taken = either.post("leads", title="T", lead_pipeline_stage_id=1, person=nested)

    assert (lead["person"]["id"], lead["person"]["name"]) == (number, "Ana")
    assert set(taken.get_json()["errors"]) == {"person.emails.0.value"}
    assert either.post("leads", title="T", lead_pipeline_stage_id=1, person={"id": 99}).status_code == 404


def test_a_pointer_to_nothing_crashes_and_uses_an_id_up(either: Krayin) -> None:
    first = either.lead()

    assert either.post("leads", title="T", lead_pipeline_stage_id=1, lead_source_id=99).status_code == 500

    assert either.lead() == first + 2


def test_unique_values_are_checked_on_create_and_put_but_not_by_attributes_edit(either: Krayin) -> None:
    _with_all(either)
    number = either.lead()

    assert either.post("leads", title="T", lead_pipeline_stage_id=1, cw_id="cw-1").status_code == 422
    assert either.put(f"leads/{number}", lead_pipeline_stage_id=1, cw_id="cw-1").status_code == 422
    assert either.put(f"leads/attributes/edit/{number}", cw_id="cw-1").status_code == 200


def test_custom_values_are_shown_by_the_newer_generation_only(old: Krayin, new: Krayin) -> None:
    assert "cw_id" not in _found(old, _with_all(old))
    assert _found(new, _with_all(new))["cw_id"] == "cw-1"


def test_what_is_too_long_is_cut_in_the_database_and_whole_in_the_answer(either: Krayin) -> None:
    answer = either.data(either.post("leads", title="T" * 300, lead_pipeline_stage_id=1))

    assert len(answer["title"]) == 300
    assert len(_found(either, answer["id"])["title"]) == 255


def test_a_lead_that_is_deleted_takes_its_notes_along(either: Krayin) -> None:
    number = either.lead()
    note = either.data(either.post("activities", type="note", comment="hi", lead_id=number))["id"]

    assert either.delete(f"leads/{number}").status_code == 200

    assert either.get(f"activities/{note}").status_code == 404
    assert either.data(either.get(f"leads/{number}/activities")) == []
