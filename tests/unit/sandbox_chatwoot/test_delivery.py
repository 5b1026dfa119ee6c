"""Webhooks leave as Chatwoot sends them: signed, once, and in whatever order is wished for."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.sandbox.chatwoot import ChatwootSandbox, create_app, outbox
from crm_sync.sandbox.chatwoot.outbox import signature


def test_a_delivery_is_signed(hooked: ChatwootSandbox, receiver: Any) -> None:
    hooked.create_contact(name="A <b> & 😀")
    assert hooked.wait_delivered(10)
    headers, body = receiver.arrived[0]
    secret = next(iter(hooked.state.webhooks.values())).secret
    assert headers["X-Chatwoot-Signature"] == signature(secret, headers["X-Chatwoot-Timestamp"], body)
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Chatwoot-Delivery"] == hooked.deliveries[0].delivery_id
    assert b"\\u003cb\\u003e \\u0026 " in body
    assert hooked.deliveries[0].status == 202
    assert secret not in repr(hooked.deliveries[0])


def test_deliveries_keep_their_order_unless_shuffled(hooked: ChatwootSandbox, receiver: Any) -> None:
    ids = [hooked.create_contact(name=f"c{number}").id for number in range(20)]
    assert hooked.wait_delivered(10)
    assert [payload["id"] for payload in receiver.payloads] == ids


def test_shuffled_deliveries_arrive_in_another_order_and_complete(
    hooked: ChatwootSandbox, receiver: Any
) -> None:
    hooked.shuffle = True
    assert hooked.shuffle
    ids = [hooked.create_contact(name=f"c{number}").id for number in range(60)]
    assert hooked.wait_delivered(20)
    found = [payload["id"] for payload in receiver.payloads]
    assert sorted(found) == ids != found
    # Nothing is left behind for long: a window may overtake it, no more.
    assert max(found.index(number) - ids.index(number) for number in ids) <= 16


def test_a_delivery_is_not_overtaken_for_longer_than_a_moment(
    hooked: ChatwootSandbox, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PATIENCE_S", 0.0)
    hooked.shuffle = True
    ids = [hooked.create_contact(name=f"c{number}").id for number in range(60)]
    assert hooked.wait_delivered(20)
    found = [payload["id"] for payload in receiver.payloads]
    assert sorted(found) == ids != found
    assert max(found.index(number) - ids.index(number) for number in ids) == 1


def test_doubled_deliveries_have_two_ids_and_one_body(hooked: ChatwootSandbox, receiver: Any) -> None:
    hooked.double = 1.0
    assert hooked.double == 1.0
    hooked.create_contact(name="x")
    assert hooked.wait_delivered(10)
    (first, one), (second, other) = receiver.arrived
    assert one == other
    assert first["X-Chatwoot-Delivery"] != second["X-Chatwoot-Delivery"]
    assert [delivery.double for delivery in hooked.deliveries] == [False, True]


@pytest.mark.parametrize("status", [500, 404, 429])
def test_a_delivery_that_fails_is_never_sent_again(
    hooked: ChatwootSandbox, receiver: Any, status: int
) -> None:
    receiver.status = status
    hooked.create_contact(name="x")
    assert hooked.wait_delivered(10)
    assert [delivery.status for delivery in hooked.deliveries] == [status]


def test_a_receiver_that_is_down_is_no_status(sandbox: ChatwootSandbox) -> None:
    sandbox.add_webhook("http://127.0.0.1:1/hook", ["contact_created"])
    sandbox.create_contact(name="x")
    assert sandbox.wait_delivered(10)
    assert [delivery.status for delivery in sandbox.deliveries] == [0]


def test_redirects_are_followed_but_not_for_ever(sandbox: ChatwootSandbox, receiver: Any) -> None:
    sandbox.add_webhook(f"{receiver.url}/moved?x=1", ["contact_created"])
    sandbox.add_webhook(f"{receiver.url}/loop", ["contact_created"])
    sandbox.create_contact(name="x")
    assert sandbox.wait_delivered(10)
    assert sorted(delivery.status or 0 for delivery in sandbox.deliveries) == [0, 202]
    assert len(receiver.arrived) == 1


def test_a_name_and_password_in_the_url_become_basic_auth(sandbox: ChatwootSandbox, receiver: Any) -> None:
    sandbox.add_webhook(receiver.url.replace("//", "//me:p%40ss@") + "/hook", ["contact_created"])
    sandbox.create_contact(name="x")
    assert sandbox.wait_delivered(10)
    assert receiver.arrived[0][0]["Authorization"] == "Basic bWU6cEBzcw=="


def test_a_webhook_gets_only_what_it_asks_for(sandbox: ChatwootSandbox, receiver: Any) -> None:
    sandbox.add_webhook(f"{receiver.url}/hook", ["conversation_created"])
    contact = sandbox.create_contact(name="x")
    sandbox.create_conversation(contact.id, 4, "hi")
    assert sandbox.wait_delivered(10)
    assert [payload["event"] for payload in receiver.payloads] == ["conversation_created"]


def test_late_payloads_show_the_state_when_they_are_sent(hooked: ChatwootSandbox, receiver: Any) -> None:
    hooked.late = True
    assert hooked.late
    receiver.gate.clear()
    first = hooked.create_contact(name="held back")
    contact = hooked.create_contact(name="before")
    merged = hooked.create_contact(name="merged away")
    hooked.update_contact(contact.id, name="after")
    hooked.merge_contacts(contact.id, merged.id)
    receiver.gate.set()
    assert hooked.wait_delivered(10)
    assert first.id == receiver.payloads[0]["id"]
    assert receiver.payloads[1]["name"] == "after"


def test_a_late_payload_of_a_record_that_is_gone_is_dropped(hooked: ChatwootSandbox, receiver: Any) -> None:
    hooked.late = True
    receiver.gate.clear()
    hooked.create_contact(name="held back")
    contact = hooked.create_contact(name="x")
    conversation = hooked.create_conversation(contact.id, 4)
    hooked.delete_contact(contact.id)
    receiver.gate.set()
    assert hooked.wait_delivered(10)
    assert conversation.id not in {payload["id"] for payload in receiver.payloads}


def test_not_everything_is_sent_before_it_is_waited_for(hooked: ChatwootSandbox, receiver: Any) -> None:
    receiver.gate.clear()
    hooked.create_contact(name="x")
    assert not hooked.wait_delivered(0.05)
    receiver.gate.set()
    assert hooked.wait_delivered(10)


def test_deliveries_can_be_taken_down_without_being_sent(silent: ChatwootSandbox) -> None:
    silent.create_contact(name="x")
    assert silent.wait_delivered(1)
    delivery = silent.deliveries[0]
    assert (delivery.event, delivery.status, delivery.id) == ("contact_created", None, 2101)


def test_several_workers_send_everything(receiver: Any) -> None:
    sandbox: ChatwootSandbox = create_app(workers=4).extensions["sandbox"]
    sandbox.add_webhook(f"{receiver.url}/hook", ["contact_created"])
    ids = [sandbox.create_contact(name="x").id for _ in range(30)]
    assert sandbox.wait_delivered(20)
    assert sorted(payload["id"] for payload in receiver.payloads) == ids


def test_the_same_seed_makes_the_same_ids() -> None:
    def ids() -> list[str]:
        sandbox: ChatwootSandbox = create_app(deliver=False, seed=5).extensions["sandbox"]
        sandbox.add_webhook("http://127.0.0.1:1/hook", ["contact_created"])
        for _ in range(3):
            sandbox.create_contact(name="x")
        return [delivery.delivery_id for delivery in sandbox.deliveries]

    assert ids() == ids()


def test_what_was_sent_before_the_shuffling_began_keeps_its_order(
    hooked: ChatwootSandbox, receiver: Any
) -> None:
    receiver.gate.clear()
    ids = [hooked.create_contact(name="calm").id for _ in range(10)]
    hooked.shuffle = True
    ids += [hooked.create_contact(name="stormy").id for _ in range(30)]
    hooked.shuffle = False
    receiver.gate.set()
    assert hooked.wait_delivered(20)
    found = [payload["id"] for payload in receiver.payloads]
    assert found[:10] == ids[:10]
    assert found != ids


def test_a_slow_delivery_holds_up_no_other_worker(receiver: Any) -> None:
    sandbox: ChatwootSandbox = create_app(workers=3).extensions["sandbox"]
    sandbox.add_webhook(f"{receiver.url}/slow", ["contact_created"])
    sandbox.add_webhook(f"{receiver.url}/hook", ["contact_created"])
    sandbox.create_contact(name="x")
    receiver.arrival.wait(10)
    assert len(receiver.arrived) == 1
    receiver.release.set()
    assert sandbox.wait_delivered(10)
