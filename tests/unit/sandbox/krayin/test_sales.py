"""Products, quotes, e-mails, tags and organisations, and what goes with a lead."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.krayin.conftest import Krayin

ADDRESS = {"address": "a", "country": "BR", "state": "SP", "city": "SP", "postcode": "1"}


def test_a_product_is_shown_as_sent_and_then_as_kept(either: Krayin) -> None:
    made = either.data(either.post("products", name="Plan", sku="PRO", quantity=10, price=100))
    own = f"products/{made['id']}"

    assert made["price"] == 100
    assert either.data(either.get(own))["price"] == "100.0000"
    assert either.post("products", name="Plan", sku="pro").status_code == 422
    assert either.put(own, sku="PRO", price=5).status_code == 200
    assert (
        either.data(either.get("products/search", search="plan", searchFields="name:like"))[0]["sku"] == "PRO"
    )
    assert either.delete(own).status_code == 200
    assert either.data(either.get("products")) == []


def test_a_product_leaves_a_lead_alone(either: Krayin) -> None:
    either.post("products", name="Plan", sku="PRO", quantity=10, price=100)
    lead = either.lead()
    for quantity in (1, 2):
        either.put(f"leads/product/{lead}", product_id=1, quantity=quantity, price=7.5)

    rows = either.data(either.get(f"leads/{lead}"))["lead_products"]
    assert [(row["quantity"], row["amount"]) for row in rows] == [(2, "15.0000")]
    either.call("DELETE", f"leads/product/{lead}", json={"product_id": 1})
    assert either.data(either.get(f"leads/{lead}"))["lead_products"] == []
    assert either.put("leads/product/99", product_id=1, quantity=1, price=1).status_code == 500


def test_a_lead_is_made_with_products(either: Krayin) -> None:
    either.post("products", name="Plan", sku="PRO", quantity=10, price=100)

    lead = either.lead(products=[{"product_id": 1, "quantity": 2, "price": 10}])

    assert either.data(either.get(f"leads/{lead}"))["lead_products"][0]["amount"] == "20.0000"


def test_a_quote_belongs_to_a_person_and_a_lead(either: Krayin) -> None:
    lead, person = either.lead(), either.person()
    sent = {
        "subject": "Q",
        "person_id": person,
        "user_id": 1,
        "lead_id": lead,
        "expired_at": "2027-01-01",
        "billing_address": ADDRESS,
        "grand_total": 100,
        "sub_total": 100,
        "items": {"item_0": {"product_id": 1, "name": "Plan", "quantity": 1, "price": 100, "total": 100}},
    }
    quote = either.data(either.post("quotes", **sent))
    own = f"quotes/{quote['id']}"

    assert quote["expired_at"] == "2026-12-31T18:30:00.000000Z"
    assert [row["id"] for row in either.data(either.get(f"leads/{lead}/quotes"))] == [quote["id"]]
    assert either.data(either.put(own, **{**sent, "subject": "Q2"}))["subject"] == "Q2"
    assert either.data(either.get(own))["grand_total"] == "100.0000"
    assert either.data(either.get("quotes/search", search="Q2", searchFields="subject:="))
    assert either.post("quotes", subject="Q", billing_address={}).status_code == 422
    assert either.delete(own).status_code == 200
    assert either.data(either.get("quotes")) == []


def test_a_draft_stays_and_any_other_mail_leaves(either: Krayin) -> None:
    lead, person = either.lead(), either.person()
    sent = {
        "subject": "S",
        "reply": "<p>x</p>",
        "reply_to": ["a@b.c"],
        "lead_id": lead,
        "person_id": person,
    }
    draft = either.data(either.post("mails", **sent, is_draft=1))
    mail = either.data(either.post("mails", **sent))

    assert (draft["folders"], mail["folders"]) == (["draft"], ["outbox"])
    assert [each["mail"] for each in either.sandbox.state.mails_sent] == [mail["id"]]
    assert len(either.data(either.get("mails", lead_id=lead))) == 2
    kinds = [row["type"] for row in either.data(either.get(f"leads/{lead}/activities"))]
    assert kinds.count("email") == 2
    assert either.data(either.put(f"mails/{draft['id']}", subject="T"))["subject"] == "T"
    assert either.data(either.get(f"mails/{draft['id']}"))["lead"]["id"] == lead
    assert either.delete(f"mails/{draft['id']}").status_code == 200
    assert either.post("mails", subject="S").status_code == 422


@pytest.mark.parametrize("path", ["leads", "contacts/persons"])
def test_a_tag_is_put_on_once_found_and_taken_off(either: Krayin, path: str) -> None:
    either.post("settings/tags", name="chatwoot")
    number = either.lead() if path == "leads" else either.person()
    for _ in range(2):
        assert either.post(f"{path}/{number}/tags", tag_id=1).status_code == 200

    def tagged() -> list[int]:
        rows = either.data(either.get(f"{path}/search", search="chatwoot", searchFields="tags.name:="))
        return [row["id"] for row in rows]

    assert tagged() == [number]
    assert either.call("DELETE", f"{path}/{number}/tags", json={"tag_id": 1}).status_code == 200
    assert tagged() == []


def test_what_a_body_points_with_is_looked_at_by_the_newer_generation(old: Krayin, new: Krayin) -> None:
    for krayin, missing, nothing in ((old, 500, 200), (new, 422, 404)):
        krayin.post("products", name="Plan", sku="PRO", quantity=10, price=100)
        lead = krayin.lead()
        note = krayin.data(krayin.post("activities", type="note", comment="x"))["id"]

        assert krayin.post(f"leads/{lead}/tags", tag_id=99).status_code == missing
        assert krayin.put(f"leads/product/{lead}", product_id=99, quantity=1, price=1).status_code == missing
        assert krayin.put(f"activities/{note}", lead_id=99).status_code == missing
        for path in ("leads/mass-update", "activities/mass-update"):
            assert krayin.post(path, indices=[99], value=1).status_code == nothing
        assert krayin.post("activities/mass-destroy", indices=[99]).status_code == nothing
        tag = krayin.data(krayin.post("settings/tags", name="t"))["id"]
        assert krayin.call("DELETE", f"leads/{lead}/tags", json={"tag_id": tag}).status_code == nothing


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "message"),
    [
        (
            "POST",
            "leads/mass-update",
            {"indices": [1], "value": 99},
            "value",
            "The selected value is invalid.",
        ),
        (
            "POST",
            "activities/mass-update",
            {"indices": [1], "value": "done"},
            "value",
            "The value field must be true or false.",
        ),
        (
            "PUT",
            "leads/product/1",
            {"product_id": 1, "quantity": -1, "price": 1},
            "quantity",
            "The quantity must be at least 0.",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_newer_generation(
    new: Krayin, method: str, path: str, body: dict[str, Any], field: str, message: str
) -> None:
    new.lead()
    new.post("products", name="Plan", sku="PRO", quantity=10, price=100)

    answer = new.call(method, path, json=body)

    assert (answer.status_code, answer.get_json()["errors"]) == (422, {field: [message]})


@pytest.mark.parametrize("value", [0, 1, "0", "1", True, False])
def test_every_spelling_of_yes_and_no_marks_activities(either: Krayin, value: Any) -> None:
    note = either.data(either.post("activities", type="note", comment="x"))["id"]

    assert either.post("activities/mass-update", indices=[note], value=value).status_code == 200


def test_a_tag_for_nobody_crashes_the_older_generation(old: Krayin, new: Krayin) -> None:
    for krayin, status in ((old, 500), (new, 404)):
        krayin.post("settings/tags", name="t")
        assert krayin.post("leads/99/tags", tag_id=1).status_code == status


def test_an_organisation_may_be_nameless_but_not_twice_of_one_name(either: Krayin) -> None:
    made = either.data(either.post("contacts/organizations", name="Globex SA", address=ADDRESS))

    assert made["address"] == ADDRESS
    assert either.post("contacts/organizations", name="GLOBEX sa").status_code == 422
    assert either.post("contacts/organizations", name="").status_code == 422
    assert either.data(either.post("contacts/organizations"))["name"] is None
    assert either.put(f"contacts/organizations/{made['id']}", name="Globex SA", user_id=1).status_code == 200


def test_an_organisation_is_found_or_made_by_its_name(either: Krayin) -> None:
    either.person("a@b.c", "+1", organization_name="Acme, Inc")
    either.person("d@e.f", "+2", organization_name="acme, inc")

    assert len(either.data(either.get("contacts/organizations"))) == 1
    assert either.data(either.get("contacts/organizations", name="Acme, Inc")) == []
    assert either.delete("contacts/organizations/1").status_code == 500


def test_many_leads_and_activities_go_at_once(either: Krayin) -> None:
    leads = [either.lead(), either.lead()]
    either.post("activities", type="note", comment="x")
    notes = [row["id"] for row in either.data(either.get("activities", type="note"))]

    assert either.post("activities/mass-update", indices=notes, value=0).status_code == 200
    assert either.data(either.get(f"activities/{notes[0]}"))["is_done"] == 0
    assert either.post("activities/mass-destroy", indices=notes).status_code == 200
    assert either.post("leads/mass-destroy", indices=[*leads, 99]).status_code == 200
    assert either.data(either.get("leads")) == []
    assert either.post("leads/mass-destroy").status_code == 422


def test_the_board_sums_up_a_pipelines_stages(either: Krayin) -> None:
    for value in (5, 7.5):
        either.lead(lead_value=value, lead_pipeline_stage_id=2)

    board = either.data(either.get("leads/get", pipeline_id=1))
    one = either.data(either.get("leads/get", pipeline_stage_id=2))

    assert [stage["code"] for stage in board] == [
        "new",
        "follow-up",
        "prospect",
        "negotiation",
        "won",
        "lost",
    ]
    assert (board[0]["lead_value"], board[1]["lead_value"]) == (0, "12.5000")
    assert board[1]["formatted_lead_value"] == "$12.50"
    assert board[1]["leads"]["meta"]["total"] == 2
    assert [stage["id"] for stage in one] == [2]


def test_an_activity_changes_its_participants_and_its_lead(either: Krayin) -> None:
    note = either.data(either.post("activities", type="note", comment="x"))["id"]
    lead, person = either.lead(), either.person()

    sent = {"participants": {"users": [1], "persons": [person]}, "lead_id": lead, "additional": "no json"}
    changed = either.data(either.put(f"activities/{note}", **sent))

    assert [list(each) for each in changed["participants"]] == [["user"], ["person"]]
    assert changed["additional"] is None
    assert note in [row["id"] for row in either.data(either.get(f"leads/{lead}/activities"))]
    assert either.data(either.put(f"activities/{note}", participants={}))["participants"] == []
    assert either.delete(f"activities/{note}").status_code == 200
