"""What workflows send to webhooks, in the words of both generations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.unit.sandbox.krayin.conftest import Krayin

FORM = "application/x-www-form-urlencoded"
PAYLOAD = [
    {"key": "conversation", "value": "{%leads.cw_id%}"},
    {"key": "stage", "value": "{%leads.lead_pipeline_stage_id%}"},
    {"key": "id", "value": "{%leads.id%}"},
]


class Receiver:
    """An address that keeps what it is sent."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str | None, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                receiver.got.append((self.path, self.headers["Content-Type"], body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def _lead(krayin: Krayin, url: str, **webhook: Any) -> int:
    """A lead, and a workflow that sends its changes."""
    krayin.post("settings/attributes", code="cw_id", name="Chat", type="text", entity_type="leads")
    number = krayin.lead(cw_id="cw-1", title='He said "hi"')
    sent = {
        "name": "w",
        "entity_type": "leads",
        "method": "post",
        "end_point": url,
        "payload_type": "default",
        "payload": PAYLOAD,
        **webhook,
    }
    made = krayin.data(krayin.post("settings/webhooks", **sent))["id"]
    krayin.post(
        "settings/workflows",
        name="f",
        entity_type="leads",
        event="lead.update.after",
        condition_type="and",
        conditions=[],
        actions=[{"id": "trigger_webhook", "value": made}],
    )
    return number


def test_the_portable_form_arrives_alike_from_both(either: Krayin, receiver: Receiver) -> None:
    number = _lead(either, receiver.url, headers=[{"key": "Content-Type", "value": FORM}])

    either.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=2)

    assert receiver.got == [("/", FORM, "conversation=cw-1&stage=Follow+Up&id=%7B%25leads.id%25%7D")]


def test_without_a_content_type_the_older_sends_a_form_and_the_newer_json(
    old: Krayin, new: Krayin, receiver: Receiver
) -> None:
    query = [{"key": "q", "value": "1"}]
    for krayin in (old, new):
        number = _lead(krayin, receiver.url, payload=PAYLOAD[:1], query_params=query)
        krayin.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=2)

    assert receiver.got == [
        ("/", FORM, "conversation=cw-1"),
        ("/?q=1", "application/json", '[{"key":"conversation","value":"cw-1"}]'),
    ]


def test_a_raw_payload_is_a_form_on_the_older_and_json_in_json_on_the_newer(
    old: Krayin, new: Krayin, receiver: Receiver
) -> None:
    raw = {
        "payload_type": "raw",
        "payload": '{"conversation": "{%leads.cw_id%}", "stage": "{%leads.lead_pipeline_stage_id%}"}',
        "headers": [{"key": "Content-Type", "value": "application/json"}],
    }
    for krayin in (old, new):
        number = _lead(krayin, receiver.url, **raw)
        krayin.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=4)

    assert receiver.got == [
        ("/", "application/json", "conversation=cw-1&stage=Negotiation"),
        ("/", "application/json", r'"{\"conversation\": \"cw-1\", \"stage\": \"Negotiation\"}"'),
    ]


def test_a_quote_in_a_value_loses_the_delivery_or_empties_it(
    old: Krayin, new: Krayin, receiver: Receiver
) -> None:
    for krayin in (old, new):
        number = _lead(krayin, receiver.url, payload=[{"key": "title", "value": "{%leads.title%}"}])
        assert krayin.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=2).status_code == 200

    assert receiver.got == [("/", "application/json", "")]


def test_a_receiver_that_is_down_does_not_disturb_the_call(either: Krayin) -> None:
    number = _lead(either, "http://127.0.0.1:9")

    assert either.put(f"leads/stage/edit/{number}", lead_pipeline_stage_id=2).status_code == 200

    sent = either.client.get("/_sandbox/deliveries").get_json()["deliveries"]
    assert [delivery["error"] for delivery in sent] == ["ConnectionError"]


def test_many_leads_at_once_are_told_by_the_newer_generation_only(
    old: Krayin, new: Krayin, receiver: Receiver
) -> None:
    for krayin, told in ((old, 0), (new, 1)):
        number = _lead(krayin, receiver.url)
        krayin.post("leads/mass-update", indices=[number], value=3)
        assert len(receiver.got) == told


def test_the_list_of_workflows_tells_the_event_wrongly(either: Krayin) -> None:
    _lead(either, "http://127.0.0.1:9")

    assert either.data(either.get("settings/workflows"))[0]["event"] == "leads"
