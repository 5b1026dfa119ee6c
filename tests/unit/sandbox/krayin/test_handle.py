"""What drives and watches the sandbox from outside."""

from __future__ import annotations

from tests.unit.sandbox.krayin.conftest import Krayin


def test_the_dump_shows_every_row_and_no_password(either: Krayin) -> None:
    either.person()

    rows = either.client.get("/_sandbox/dump").get_json()

    assert [row["name"] for row in rows["persons"]] == ["Ana"]
    assert "password" not in rows["users"][0]


def test_a_500_may_hide_that_everything_was_done(either: Krayin) -> None:
    body = {"name": "Ana", "emails": [{"value": "a@b.c", "label": "work"}]}
    body["contact_numbers"] = [{"value": "+1", "label": "work"}]
    either.client.post("/_sandbox/faults", json={"fail_rate": 1, "kinds": ["crash_after_saving"]})
    assert either.post("contacts/persons", **body).status_code == 500

    either.client.post("/_sandbox/faults", json={"kinds": ["crash"]})
    assert either.post("contacts/persons", **body).status_code == 500

    either.client.post("/_sandbox/faults", json={"fail_rate": 0})
    assert len(either.data(either.get("contacts/persons"))) == 1


def test_calls_are_counted_and_tokens_can_be_taken_away(either: Krayin) -> None:
    either.get("get")
    assert either.sandbox.requests == [("GET", "/api/v1/get", 200)]

    assert either.client.post("/_sandbox/tokens/revoke").get_json() == {"revoked": 1}

    assert either.get("get").status_code != 200
    either.sandbox.reset_requests()
    assert either.sandbox.requests == []
