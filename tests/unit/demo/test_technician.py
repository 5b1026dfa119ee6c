"""Who gets which treatment, and what counts as an echo."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.demo.technician import EACH, _chosen, _echoes


def conversation(
    number: int, status: str, *, ticket: int | None = 1, email: str | None = "a@example.com"
) -> Any:
    """A conversation of a dump."""
    attributes = {} if ticket is None else {"glpi_ticket_id": ticket}
    return {
        "id": number,
        "status": status,
        "custom_attributes": attributes,
        "meta": {"sender": {"email": email}},
    }


def test_only_conversations_with_a_ticket_are_chosen_and_each_once() -> None:
    rows = [conversation(number, "open", ticket=number) for number in range(20, 10, -1)]
    rows += [conversation(number, "resolved", ticket=number) for number in range(30, 40)]
    rows += [conversation(1, "open", ticket=None), conversation(2, "open", email=None)]
    chosen = _chosen(rows)
    assert chosen["solved"] == [(11, 11), (12, 12), (13, 13)]
    assert chosen["resolved"] == [(14, 14), (15, 15), (16, 16)]
    assert chosen["reopened"] == [(30, 30), (31, 31), (32, 32)]
    assert {len(found) for found in chosen.values()} == {EACH}


@pytest.mark.parametrize(
    ("made", "wanted", "systems"),
    [((3, 2), (3, 2), []), ((4, 2), (3, 2), ["GLPI"]), ((3, 4), (3, 2), ["Chatwoot", "Chatwoot"])],
)
def test_every_write_too_many_is_an_echo(
    made: tuple[int, int], wanted: tuple[int, int], systems: list[str]
) -> None:
    problems = tuple(_echoes(made, wanted))
    assert [problem.words.partition(" ")[0] for problem in problems] == systems
    assert {problem.kind for problem in problems} <= {"duplicate"}
