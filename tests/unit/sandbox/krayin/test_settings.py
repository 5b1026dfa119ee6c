"""Settings: lists of simple rows, attributes with options, pipelines with stages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.krayin.conftest import Krayin

STAGES = {
    "stage_1": {"code": "new", "name": "Novo", "probability": 100, "sort_order": 1},
    "stage_2": {"code": "won", "name": "Ganho", "probability": 100, "sort_order": 2},
}


@pytest.mark.parametrize(
    ("path", "sent", "changed"),
    [
        ("sources", {"name": "Chatwoot"}, {"name": "Chat"}),
        ("types", {"name": "Support"}, {"name": "Help"}),
        ("groups", {"name": "Team", "description": "d"}, {"description": "e"}),
        ("tags", {"name": "chatwoot", "color": "#337CFF"}, {"color": "#000000"}),
        (
            "roles",
            {"name": "Bot", "permission_type": "custom", "permissions": ["leads"]},
            {"description": "x"},
        ),
        (
            "webhooks",
            {
                "name": "w",
                "entity_type": "leads",
                "method": "post",
                "end_point": "http://x",
                "payload_type": "raw",
            },
            {"end_point": "http://y"},
        ),
        ("workflows", {"name": "f", "entity_type": "leads", "event": "lead.create.after"}, {"name": "g"}),
    ],
)
def test_a_row_is_created_changed_and_removed(
    either: Krayin, path: str, sent: dict[str, Any], changed: dict[str, Any]
) -> None:
    made = either.data(either.post(f"settings/{path}", **sent))
    own = f"settings/{path}/{made['id']}"

    assert either.put(own, **changed).get_json()["message"].endswith("updated successfully.")
    assert changed.items() <= either.data(either.get(own)).items()
    assert either.delete(own).status_code == 200
    assert either.data(either.get(f"settings/{path}", id=made["id"])) == []


@pytest.mark.parametrize(("path", "sent"), [("sources", {"name": "email"}), ("tags", {}), ("users", {})])
def test_names_are_needed_and_nobody_elses(either: Krayin, path: str, sent: dict[str, str]) -> None:
    assert either.post(f"settings/{path}", **sent).status_code == 422


def test_a_pipeline_that_is_not_there_crashes_the_older_generation(old: Krayin, new: Krayin) -> None:
    assert old.get("settings/pipelines/99").status_code == 500
    assert new.get("settings/pipelines/99").status_code == 404


def test_stages_that_go_hand_their_leads_to_the_first(either: Krayin) -> None:
    pipeline = either.data(either.post("settings/pipelines", name="P", rotten_days=3, stages=STAGES))
    first, second = (stage["id"] for stage in pipeline["stages"])
    lead = either.lead(lead_pipeline_stage_id=second)

    kept = {str(first): {"code": "new", "name": "Start"}, "stage_3": {"code": "lost", "name": "Perdido"}}
    changed = either.data(
        either.put(f"settings/pipelines/{pipeline['id']}", name="P", rotten_days=3, stages=kept)
    )

    assert [stage["name"] for stage in changed["stages"]] == ["Start", "Perdido"]
    assert either.data(either.get(f"leads/{lead}"))["lead_pipeline_stage_id"] == first


def test_a_pipeline_that_goes_hands_its_leads_to_the_default_one_which_stays(either: Krayin) -> None:
    pipeline = either.data(either.post("settings/pipelines", name="P", rotten_days=3, stages=STAGES))
    lead = either.lead(lead_pipeline_stage_id=pipeline["stages"][1]["id"])

    assert either.delete("settings/pipelines/1").status_code == 400
    assert either.delete(f"settings/pipelines/{pipeline['id']}").status_code == 200

    moved = either.data(either.get(f"leads/{lead}"))
    assert (moved["lead_pipeline_id"], moved["lead_pipeline_stage_id"]) == (1, 1)


def test_there_is_one_default_pipeline(either: Krayin) -> None:
    either.post("settings/pipelines", name="P", rotten_days=3, is_default=1, stages=STAGES)

    rows = either.data(either.get("settings/pipelines", is_default=1))

    assert [row["name"] for row in rows] == ["P"]


def test_an_attribute_has_options_and_core_ones_stay(either: Krayin) -> None:
    options = {"option_1": {"name": "Red"}, "option_2": {"name": "Blue"}}
    sent = {"code": "colour", "name": "Colour", "type": "select", "entity_type": "leads", "options": options}

    made = either.data(either.post("settings/attributes", **sent))
    lead = either.lead(colour=made["options"][1]["id"])

    titles = [row["title"] for row in either.data(either.get(f"leads/{lead}/activities"))]
    assert [option["name"] for option in made["options"]] == ["Red", "Blue"]
    assert "Updated Colour" in titles
    assert either.delete(f"settings/attributes/{made['id']}").status_code == 200
    assert either.delete("settings/attributes/19").status_code == 400


def test_a_code_is_unique_to_its_entity_type_and_well_formed(either: Krayin) -> None:
    sent = {"name": "N", "type": "text", "entity_type": "leads"}

    assert either.post("settings/attributes", code="cw_id", **sent).status_code == 200
    assert either.post("settings/attributes", code="cw_id", **sent).status_code == 422
    assert (
        either.post("settings/attributes", code="cw_id", **{**sent, "entity_type": "persons"}).status_code
        == 200
    )
    assert either.post("settings/attributes", code="Cw-Id", **sent).get_json()["errors"] == {
        "code": ["The field must be a valid code."]
    }


def test_a_boolean_nobody_sends_becomes_false(either: Krayin) -> None:
    either.post("settings/attributes", code="vip", name="VIP", type="boolean", entity_type="leads")
    lead = either.lead(vip=True)

    def value() -> Any:
        rows = either.sandbox.state["attribute_values"].where(entity_id=lead, attribute_id=61)
        return rows[0]["boolean_value"]

    assert value() == 1
    either.put(f"leads/{lead}", lead_pipeline_stage_id=1)
    assert value() == 0


@pytest.mark.parametrize(
    ("condition", "fires"),
    [
        ({"attribute": "lead_pipeline_stage_id", "operator": "==", "value": "5"}, True),
        ({"attribute": "lead_pipeline_stage_id", "operator": "!=", "value": "5"}, False),
        ({"attribute": "lead_value", "operator": ">=", "value": "5"}, True),
        ({"attribute": "title", "operator": "{}", "value": "Nothing"}, False),
    ],
)
def test_a_workflow_looks_at_the_new_state(either: Krayin, condition: dict[str, str], fires: bool) -> None:  # noqa: FBT001 - a column of the table
    webhook = {"entity_type": "leads", "method": "post", "end_point": "http://127.0.0.1:9"}
    either.post("settings/webhooks", name="w", payload_type="default", **webhook)
    either.post(
        "settings/workflows",
        name="f",
        entity_type="leads",
        event="lead.update.after",
        condition_type="and",
        conditions=[{**condition, "attribute_type": "text"}],
        actions=[{"id": "trigger_webhook", "value": 1}],
    )
    lead = either.lead()

    either.put(f"leads/stage/edit/{lead}", lead_pipeline_stage_id=5)

    assert bool(either.sandbox.state.deliveries) is fires
