"""What the settings make of a conversation: a table each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crm_sync.crms.base import Link, Local
from crm_sync.crms.glpi import app, choices
from crm_sync.crms.glpi.ticket_attributes import ticket_attributes
from crm_sync.crms.lookups import KEEP_S, Lookups
from crm_sync.events import (
    Attachment,
    Contact,
    Conversation,
    Direction,
    Message,
    Sender,
    SenderKind,
    Status,
    Team,
)


def conversation(**more: Any) -> Conversation:
    """An open conversation with Ana."""
    return Conversation(**{"id": 812, "status": Status.OPEN, "contact": Contact(1, name="Ana"), **more})


# -- state ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priority", "level"), [("urgent", 5), ("high", 4), ("medium", 3), ("low", 2), (None, 3), ("odd", 3)]
)
def test_a_priority_is_urgency_and_impact_and_never_glpis_priority(priority: str | None, level: int) -> None:
    found = choices.state(conversation(priority=priority), {})
    assert found == {"status": 2, "urgency": level, "impact": level}


@pytest.mark.parametrize(
    ("priority", "urgency", "impact"), [("urgent", 4, 5), ("high", 4, 1), (None, 2, 3), ("low", 2, 2)]
)
def test_the_settings_say_urgency_and_impact(priority: str | None, urgency: int, impact: int) -> None:
    settings = {"urgency_by_priority": {"urgent": 4, "none": 2}, "impact_by_priority": {"high": 1}}
    found = choices.state(conversation(priority=priority), settings)
    assert (found["urgency"], found["impact"]) == (urgency, impact)


@pytest.mark.parametrize(
    ("agreed", "wanted", "changes"),
    [
        ({"status": 2}, {"status": 5}, {"status": 5}),
        ({"status": 6}, {"status": 5}, {}),
        ({"status": 6}, {"status": 5, "urgency": 4}, {"urgency": 4}),
        ({"status": 6}, {"status": 2}, {"status": 2}),
        ({"status": 5, "urgency": 3}, {"status": 5, "urgency": 3}, {}),
        ({}, {"status": 5}, {"status": 5}),
    ],
)
def test_a_closed_ticket_is_solved(
    agreed: dict[str, Any], wanted: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert choices.changes(agreed, wanted) == changes


# -- by inbox ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, None),
        ({"4": 9}, 9),
        ({"website": 9}, 9),
        ({" WÉBSITE ": 9}, 9),
        ({"Website": 8, "4": 9}, 9),
        ({"Other": 9, "7": 8}, None),
    ],
)
def test_an_inbox_is_known_by_its_number_or_its_name(table: dict[str, int], expected: int | None) -> None:
    assert choices.category_by_inbox({"category_by_inbox": table}, 4, "Website") == expected
    assert choices.group({"group_by_team": table}, Team(4, "Website")) == expected


def test_a_type_is_its_inboxes_or_the_usual_one() -> None:
    settings = {"ticket_type": 1, "type_by_inbox": {"Website": 2}}
    assert choices.ticket_type(settings, 4, "Website") == 2
    assert choices.ticket_type(settings, 7, "Support") == 1
    assert choices.ticket_type(settings, None, None) == 1


@pytest.mark.parametrize(
    ("settings", "asks"),
    [
        ({}, False),
        ({"type_by_inbox": {"4": 1}}, False),
        ({"type_by_inbox": {"Website": 1}}, True),
        ({"category_by_inbox": {"4": 1, "Website": 2}}, True),
        ({"category_named_like_inbox": True}, True),
    ],
)
def test_the_inbox_is_asked_for_only_where_its_name_matters(settings: dict[str, Any], *, asks: bool) -> None:
    assert choices.asks_for_inbox(settings) is asks


def _category(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "name": name, "level": 1, "entities_id": 0, "is_recursive": 1, **more}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([_category(3, "Café & Co")], 3),
        ([_category(3, "cafe & co")], 3),
        ([_category(3, "Café and Co")], None),
        ([_category(3, "Café & Co", level=2), _category(9, "Café & Co"), _category(8, "Café & Co")], 8),
        ([_category(3, "Café & Co", is_recursive=0)], None),
        ([_category(3, "Café & Co", is_recursive=0, entities_id=2)], 3),
    ],
)
def test_a_category_is_found_as_glpi_compares_names(rows: list[dict[str, Any]], expected: int | None) -> None:
    assert choices.category_named(rows, "Café & Co", 2) == expected


@pytest.mark.parametrize(
    ("name", "pattern"), [("Website", "Website"), (" AT&T <b> ", "AT%T %b%"), ("100 %", "100 %")]
)
def test_a_category_is_looked_for_however_glpi_keeps_its_name(name: str, pattern: str) -> None:
    assert choices.pattern(name) == pattern


# -- custom attributes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("locations_id", 7, 7),
        ("locations_id", "7", 7),
        ("locations_id", 7.0, 7),
        ("locations_id", 7.5, None),
        ("locations_id", True, None),
        ("locations_id", "seven", None),
        ("locations_id", 0, None),
        ("locations_id", -1, None),
        ("locations_id", "99999999999", None),
        ("locations_id", [7], None),
        ("type", 2, 2),
        ("type", "request", 2),
        ("type", 3, None),
        ("urgency", "Very High", 5),
        ("urgency", 6, None),
        ("impact", "Low", 2),
        ("time_to_resolve", "2026-11-30", "2026-11-30 23:59:59"),
        ("time_to_resolve", "2026-11-30T12:00:00Z", "2026-11-30T12:00:00+00:00"),
        ("time_to_resolve", "2026-11-30T12:00:00.500-03:00", "2026-11-30T15:00:00.500000+00:00"),
        ("time_to_resolve", "2026-11-30T12:00", "2026-11-30 12:00:00"),
        ("time_to_resolve", "tomorrow", None),
        ("time_to_resolve", 7, None),
    ],
)
def test_a_custom_attribute_fills_a_field_if_it_is_of_its_kind(field: str, given: Any, expected: Any) -> None:
    found = choices.fields({"ticket_fields": {"mine": field}}, {"mine": given})
    assert found.values.get(field) == expected
    assert len(found.wrong) == (expected is None)
    if found.wrong:
        assert found.wrong[0].startswith("mine (")
        assert found.wrong[0].endswith(f"for {field}")


@pytest.mark.parametrize("attributes", [{}, {"mine": None}, {"mine": ""}])
def test_an_empty_attribute_says_nothing(attributes: dict[str, Any]) -> None:
    assert choices.fields({"ticket_fields": {"mine": "urgency"}}, attributes) == choices.Fields()


def test_every_field_that_can_be_set_can_be_filled() -> None:
    schema = app.manifest.settings_schema["properties"]["ticket_fields"]
    for name in schema["additionalProperties"]["enum"]:
        given = "2026-11-30" if name == choices.DEADLINE else 1
        assert choices.fields({"ticket_fields": {"mine": name}}, {"mine": given}).values.keys() == {name}


# -- people and words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"2": 7, "5": "Rui@Example.com", "8": 1}, [7]),
        ({"2": 7, "5": ["x@example.com", "rui@example.com"], "8": 1}, [7]),
        ({"2": 7, "5": "rui@example.com", "8": 0}, []),
        ({"2": 7, "5": "rui@example.com.br", "8": 1}, []),
        ({"2": 7, "5": None, "8": 1}, []),
    ],
)
def test_a_technician_is_an_active_user_with_the_address(row: dict[str, Any], found: list[int]) -> None:
    assert choices.technicians([row], "rui@example.com") == found


def _message(number: int, kind: SenderKind = SenderKind.AGENT, **more: Any) -> Message:
    known = {"content": "Words", "private": False, "direction": Direction.OUTGOING}
    return Message(
        **{
            "id": number,
            "conversation_id": 812,
            "created_at": datetime(2026, 11, 2, tzinfo=UTC),
            "sender": Sender(kind),
            **known,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        (_message(9), True),
        (_message(9, content=None, attachments=(Attachment(1, "image"),)), True),
        (_message(9, content=""), False),
        (_message(9, private=True), False),
        (_message(9, SenderKind.CONTACT), False),
        (_message(9, SenderKind.BOT), False),
        (_message(9, content_attributes={"deleted": True}), False),
    ],
)
def test_the_last_answer_is_what_an_agent_said_in_public(message: Message, *, counts: bool) -> None:
    earlier = _message(5)
    assert choices.last_answer([message, earlier]) == (message if counts else earlier)


# -- what is shown -------------------------------------------------------------------------------------------------


def test_a_ticket_is_shown_in_the_words_of_the_attributes() -> None:
    agreed = {
        "type": 2,
        "urgency": 5,
        "impact": 1,
        "deadline": "2026-11-30T12:00:00Z",
        "assets": {"12": "PC-1", "13": ""},
    }
    ticket = Link(Local("conversation", 812), "Ticket", "7", "https://g.example/7", agreed)
    shown = ticket_attributes(ticket, "Printers")

    assert shown == {
        "glpi_ticket_id": 7,
        "glpi_ticket_url": "https://g.example/7",
        "glpi_ticket_type": "Request",
        "glpi_category": "Printers",
        "glpi_urgency": "Very High",
        "glpi_impact": "Very Low",
        "glpi_sla_ttr": "2026-11-30T12:00:00Z",
        "glpi_linked_assets": "PC-1 (12), 13",
    }
    defined = {item.key: item for item in app.manifest.attributes if item.model == "conversation_attribute"}
    assert shown.keys() == defined.keys()
    assert all(value in defined[key].values for key, value in shown.items() if defined[key].values)


def test_what_is_not_known_of_a_ticket_is_not_shown() -> None:
    shown = ticket_attributes(
        Link(Local("conversation", 812), "Ticket", "7", "https://g.example/7", {}), None
    )
    assert {key for key, value in shown.items() if value is not None} == {"glpi_ticket_id", "glpi_ticket_url"}


def test_what_was_looked_up_is_kept_for_a_while() -> None:
    now, answers = [0.0], iter([1, 2, 3])
    lookups = Lookups(lambda: now[0])

    assert [lookups.get("a", lambda: next(answers)) for _ in range(2)] == [1, 1]
    assert lookups.get("b", lambda: next(answers)) == 2
    now[0] = KEEP_S
    assert lookups.get("a", lambda: next(answers)) == 3


def test_a_lookup_that_failed_is_not_kept() -> None:
    lookups = Lookups(lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        lookups.get("a", lambda: 1 // 0)
    assert lookups.get("a", lambda: 1) == 1
