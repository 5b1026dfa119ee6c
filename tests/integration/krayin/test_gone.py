"""A record that people deleted in Krayin is made anew by what comes next, with all that hangs on it, and it is said."""

from __future__ import annotations

import pytest

from tests.integration.krayin.desk import WEBSITE, Desk


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Everything that hangs on a person is wanted here."""
    return {
        "enable_activity_sync": "true",
        "enable_message_sync": "true",
        "activity_type": "call",
        **getattr(request, "param", {}),
    }


def delete(desk: Desk, *tables: str) -> None:
    """People delete all records of these kinds."""
    with desk.krayin.state.lock:
        state = desk.krayin.state
        for table in tables:
            for row in list(state[table].rows.values()):
                if row.get("type") != "system":
                    state.delete(table, row)


def begun(desk: Desk) -> tuple[int, int]:
    found = desk.begin()
    desk.sync()
    return found


@pytest.mark.parametrize("tables", [("leads",), ("leads", "persons"), ("leads", "persons", "activities")])
def test_a_change_of_a_contact_makes_person_and_lead_anew(desk: Desk, tables: tuple[str, ...]) -> None:
    contact, _ = begun(desk)
    delete(desk, *tables)
    desk.chatwoot.update_contact(contact, name="Ana Lima")
    desk.settle()
    assert desk.failed() == []
    person = desk.row("persons")
    assert (person["name"], desk.row("leads")["person_id"]) == ("Ana Lima", person["id"])
    for table in set(tables) - {"activities"}:
        assert f"{table[:-1].capitalize()} 1 was gone." in desk.outcome()
    shown = desk.contact_shows(contact)
    assert (shown["krayin_person_id"], shown["krayin_lead_id"]) == (person["id"], desk.row("leads")["id"])


@pytest.mark.parametrize("settings", [{"stage_by_status": '{"resolved":"prospect"}'}], indirect=True)
@pytest.mark.parametrize("tables", [("leads",), ("activities",), ("leads", "persons", "activities")])
def test_a_change_of_status_makes_anew_what_is_gone_in_its_present_state(
    desk: Desk, tables: tuple[str, ...]
) -> None:
    contact, number = begun(desk)
    delete(desk, *tables)
    desk.chatwoot.set_status(number, "resolved")
    desk.settle()
    assert desk.failed() == []
    lead, (activity,) = desk.row("leads"), desk.activities()
    assert desk.stage(lead["id"]) == "prospect"
    assert activity["is_done"]
    assert [row["lead_id"] for row in desk.rows("lead_activities", activity_id=activity["id"])] == [
        lead["id"]
    ]
    assert desk.conversation_shows(number)["krayin_activity_id"] == activity["id"]
    assert desk.contact_shows(contact)["krayin_lead_id"] == lead["id"]


def test_a_message_comes_to_the_lead_that_takes_the_place_of_a_deleted_one(desk: Desk) -> None:
    _, number = begun(desk)
    delete(desk, "leads")
    desk.chatwoot.add_message(number, "And another thing")
    desk.settle()
    assert desk.failed() == []
    lead = desk.row("leads")["id"]
    about = {row["activity_id"] for row in desk.rows("lead_activities", lead_id=lead)}
    assert about >= {row["id"] for row in desk.activities()}
    assert len(desk.activities()) == 2


@pytest.mark.parametrize("settings", [{"create_lead": "false"}], indirect=True)
def test_without_leads_a_message_comes_to_the_person_that_takes_the_place_of_a_deleted_one(
    desk: Desk,
) -> None:
    _, number = begun(desk)
    delete(desk, "persons")
    message = desk.chatwoot.add_message(number, "And another thing")
    desk.settle()
    assert desk.failed() == []
    (note,) = desk.activities(title=f"Message {message.id} of conversation #{number}")
    (link,) = desk.rows("person_activities", activity_id=note["id"])
    assert link["person_id"] == desk.row("persons")["id"]


@pytest.mark.parametrize("change", ["described", "deleted"])
def test_an_activity_that_is_gone_does_not_hold_up_what_is_to_be_written_on_it(
    desk: Desk, change: str
) -> None:
    contact = desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    text = None if change == "described" else "How much is it?"
    number = desk.chatwoot.create_conversation(contact.id, WEBSITE, text).id
    desk.sync()
    delete(desk, "activities")
    if change == "described":
        desk.chatwoot.add_message(number, "How much is it?")
        desk.settle()
        assert [row["comment"] for row in desk.activities()] == ["<p>How much is it?</p>"]
    else:
        desk.chatwoot.delete_message(desk.chatwoot.state.conversations[number].messages[0].id)
        desk.settle()
        assert "How much" not in str(desk.activities())
    assert desk.failed() == []


def test_a_note_that_is_gone_stays_so(desk: Desk) -> None:
    _, number = begun(desk)
    message = desk.chatwoot.add_message(number, "And another thing")
    desk.sync()
    delete(desk, "activities")
    desk.chatwoot.delete_message(message.id)
    desk.settle()
    assert desk.outcome().endswith("is no longer in Krayin; it is not made anew.")


def test_a_stage_that_is_gone_is_named_and_nobody_is_made_twice(desk: Desk) -> None:
    with desk.krayin.state.lock:
        state = desk.krayin.state
        stage = state.get("lead_pipeline_stages", 1)
        assert stage is not None
        state.delete("lead_pipeline_stages", stage)
    desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
    desk.settle()
    (said,) = desk.failed()
    assert "default_stage_id" in said
    assert len(desk.rows("persons")) == 1
