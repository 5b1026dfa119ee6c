"""Tables and their indexes: an index never lies."""

from __future__ import annotations

import random

from hypothesis import given, settings, strategies

from crm_sync.sandbox.glpi.state import Table, moment, seconds_between, shifted
from crm_sync.sandbox.glpi.text import fold

COLUMNS = {"id": 0, "name": None, "parents_id": 0, "date_mod": None}
NAMES = ["Ana", "ana", "Bia", None]
DATES = ["2026-01-01 00:00:00", "2026-01-02 00:00:00", None]


@settings(max_examples=50, deadline=None)
@given(strategies.integers(0, 10**6))
def test_indexes_agree_with_the_rows_after_any_writes(seed: int) -> None:
    chance = random.Random(seed)
    table = Table("Thing", COLUMNS)
    for _ in range(30):
        values = {
            "name": chance.choice(NAMES),
            "parents_id": chance.randrange(3),
            "date_mod": chance.choice(DATES),
        }
        if not table.rows or chance.random() < 0.5:
            table.insert({**values, **({"id": chance.randrange(1, 60)} if chance.random() < 0.3 else {})})
        elif chance.random() < 0.7:
            table.update(chance.choice(list(table.rows.values())), values)
        else:
            table.delete(chance.choice(list(table.rows.values())))
        rows = list(table.rows.values())
        assert list(table.all()) == sorted(rows, key=lambda row: row["id"])
        assert {r["id"] for r in table.where("parents_id", 1)} == {
            r["id"] for r in rows if r["parents_id"] == 1
        }
        assert set(table.alike("name", "ana")) == {r["id"] for r in rows if fold(r["name"] or "") == "ana"}
        later = table.after("date_mod", DATES[0] or "")
        assert set(later) == {r["id"] for r in rows if r["date_mod"] == DATES[1]}
        earlier = table.before("date_mod", DATES[1] or "")
        assert set(earlier) == {r["id"] for r in rows if r["date_mod"] == DATES[0]}


def test_dates_are_moved_and_measured_in_whole_seconds() -> None:
    later = moment("2026-01-01 00:00:10") - moment("2026-01-01 00:00:00")

    assert shifted("2026-01-01 00:00:00", later) == "2026-01-01 00:00:10"
    assert shifted("no date", later) == "no date"
    assert seconds_between("2026-01-01 00:00:10", "2026-01-01 00:00:00") == 0
