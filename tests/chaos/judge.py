"""What Chatwoot was promised, and what became of it: the verdict of a fault run.

Promised is what was answered with 2xx, and nothing else: a delivery that met a dead web process may be in a CRM or
not, but never twice. The comparison of both sides is the demo's; the order is judged here, by this rule:

    A message is *out of order* when a CRM shows it (GLPI by date, then by id; Krayin by id) below a later message of
    its conversation that had not settled yet when its own delivery was answered: the engine had both in hand, and time
    to sort them. One that came later than that is written with its own date to GLPI, where only within the same second
    it can stand below; Krayin has no place for it but the end.
    A ticket or an activity that does not begin with the first public message of its conversation is always out of
    order.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import requests
from sqlalchemy import select

from crm_sync.chatwoot import payloads
from crm_sync.chatwoot.noise import noise
from crm_sync.demo.comparison import identifiable, written
from crm_sync.demo.reconcile import reconcile
from crm_sync.engine import apps
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import Skip
from crm_sync.events import Event, EventName
from crm_sync.sandbox.chatwoot.outbox import Delivery
from crm_sync.sandbox.day import Expected
from crm_sync.store import models
from tests.chaos.shown import Shown, in_glpi, in_krayin
from tests.system import System, counts


@dataclass(frozen=True, slots=True)
class Judgement:
    """The figures that ``make chaos`` prints, and a sentence for each thing that is wrong."""

    figures: Mapping[str, int]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the promise was kept."""
        return not (self.figures["lost"] or self.figures["duplicates"] or self.figures["out_of_order"])


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery that was answered with 2xx, understood."""

    delivery: Delivery
    payload: Mapping[str, Any]
    event: Event | None

    @property
    def answered_at(self) -> float:
        """When Chatwoot had the answer."""
        return self.delivery.answered_at or 0.0


class Promises:
    """The deliveries that were answered with 2xx."""

    def __init__(self, deliveries: Iterable[Delivery]) -> None:
        accepted = [one for one in deliveries if one.status is not None and 200 <= one.status < 300]
        self.kept = [_understood(one) for one in accepted]

    @cached_property
    def messages(self) -> Mapping[int, float]:
        """When the first delivery of each message was answered, by the message."""
        found: dict[int, float] = {}
        for kept, event in self._events(EventName.MESSAGE_CREATED):
            if event.message is not None:
                found.setdefault(event.message.id, kept.answered_at)
        return found

    @cached_property
    def contacts(self) -> frozenset[int]:
        """The contacts that a delivery told of."""
        return frozenset(event.contact.id for _, event in self._events())

    @cached_property
    def statuses(self) -> Mapping[int, str]:
        """The newest state that was told of each conversation."""
        newest: dict[int, tuple[datetime, str]] = {}
        for _, event in self._events():
            told = event.conversation
            if told is None or told.updated_at is None or event.message is not None:
                continue
            if told.id not in newest or newest[told.id][0] <= told.updated_at:
                newest[told.id] = (told.updated_at, told.status.value)
        return {number: status for number, (_, status) in newest.items()}

    @cached_property
    def conversations(self) -> frozenset[int]:
        """The conversations that a delivery told of."""
        return frozenset(event.conversation.id for _, event in self._events() if event.conversation)

    def _events(self, name: EventName | None = None) -> Iterator[tuple[Kept, Event]]:
        for kept in self.kept:
            if kept.event is not None and name in {None, kept.event.name}:
                yield kept, kept.event


def judge(system: System, runtime: Runtime, expected: Mapping[int, Expected] | None = None) -> Judgement:
    """Compare what was promised with what is there. ``expected`` is the plan, by the conversation's id."""
    promises = Promises(system.chatwoot.deliveries)
    chatwoot = requests.get(f"{system.chatwoot_url}/_sandbox/dump", timeout=30).json()
    dumps = {"glpi": system.glpi_rows(), "krayin": system.krayin_rows()}
    crms = {app_id: dumps[app_id] for app_id in _connected(runtime)}
    shown = {app_id: _shown(app_id, dump, chatwoot) for app_id, dump in crms.items()}
    there = set().union(*(one.messages for one in shown.values()))
    promised, touched = trimmed(chatwoot, promises, there)
    states = counts(runtime)
    journal = {**states, "unaccounted": len(unaccounted(runtime, promises))}
    plan = {number: one for number, one in (expected or {}).items() if number not in touched}
    # Where files are wanted at all, both CRMs are to have them.
    report = reconcile(promised, crms, journal, plan, files="krayin" in crms)
    received, settle_s = _received(runtime), runtime.config.settle_s
    disorder = [
        words for one in shown.values() for words in out_of_order(chatwoot, one, promises, received, settle_s)
    ]
    figures = {
        "deliveries": len(promises.kept),
        "events": sum(states.values()),
        **{state: states[state] for state in ("done", "skipped", "failed")},
        "lost": report.lost,
        "duplicates": report.duplicates,
        "out_of_order": len(disorder),
        "faults": system.faults + sum(_hits(system)),
    }
    words = [f"{one.kind}: {one.words}" for one in report.problems if one.kind != "out_of_order"]
    words += [f"out_of_order: {one}" for one in disorder]
    words += [f"lost: an event has not ended: {one}" for one in _pending(runtime)]
    return Judgement(figures, tuple(words))


# -- what was promised -------------------------------------------------------------------------------------------------


def trimmed(
    chatwoot: Mapping[str, Any], promises: Promises, there: Iterable[int]
) -> tuple[dict[str, Any], set[int]]:
    """Chatwoot's dump without what was never promised and is not there; and the conversations it differs in."""
    dump = copy.deepcopy(dict(chatwoot))
    known = set(there) | promises.messages.keys()
    touched: set[int] = set()
    for conversation in dump["conversations"]:
        number = conversation["id"]
        unknown = {message["id"] for message in written(conversation)} - known
        status = promises.statuses.get(number, conversation["status"])
        if unknown or status != conversation["status"]:
            touched.add(number)
        conversation["status"] = status
        conversation["messages"] = [one for one in conversation["messages"] if one["id"] not in unknown]
    untold = {one["id"] for one in dump["conversations"]} - promises.conversations
    dump["conversations"] = [one for one in dump["conversations"] if one["id"] not in untold]
    dump["contacts"] = [one for one in dump["contacts"] if one["id"] in promises.contacts]
    return dump, touched | untold


def unaccounted(runtime: Runtime, promises: Promises) -> list[Kept]:
    """Promised deliveries of which the journal knows nothing, though a hook wants them."""
    with runtime.store.read() as session:
        rows = session.execute(select(models.Delivery.delivery_id, models.Delivery.dedup_key)).all()
        profile_id = session.scalar(select(models.Account.profile_id))
    delivered, keys = {row[0] for row in rows}, {row[1] for row in rows}
    manifests = [apps.find(app_id).manifest for app_id in _connected(runtime)]
    own = frozenset(attribute.key for manifest in manifests for attribute in manifest.attributes)
    wanted = {name for manifest in manifests for name in manifest.events}

    def is_known(kept: Kept) -> bool:
        event = kept.event
        return (
            kept.delivery.delivery_id in delivered
            or event is None
            or event.name not in wanted
            or noise(event, own_keys=own, profile_id=profile_id) is not None
            or payloads.delivery_key(event, kept.payload) in keys
        )

    return [kept for kept in promises.kept if not is_known(kept)]


def _understood(delivery: Delivery) -> Kept:
    payload = json.loads(delivery.body)
    try:
        return Kept(delivery, payload, payloads.read(payload))
    except Skip:
        return Kept(delivery, payload, None)


def _received(runtime: Runtime) -> dict[int, float]:
    """When each message came into the journal."""
    with runtime.store.read() as session:
        rows = session.execute(
            select(models.Event.message_id, models.Event.created_at).where(
                models.Event.name == EventName.MESSAGE_CREATED
            )
        )
        return {number: moment.timestamp() for number, moment in rows}


def _pending(runtime: Runtime) -> list[str]:
    with runtime.store.read() as session:
        rows = session.execute(
            select(models.Event.id, models.Event.subject, models.Event.outcome, models.Event.claim).where(
                models.Event.state == models.EventState.PENDING
            )
        )
        return [f"event {row[0]} ({row[1]}), {row[2]}, claim {row[3]}" for row in rows]


def _hits(system: System) -> Iterator[int]:
    yield from system.glpi.faults.hits.values()
    yield from system.krayin.faults.hits.values()
    yield from system.chatwoot.faults.hits.values()


# -- order -------------------------------------------------------------------------------------------------------------


def out_of_order(
    chatwoot: Mapping[str, Any],
    shown: Shown,
    promises: Promises,
    received: Mapping[int, float],
    settle_s: float,
) -> list[str]:
    """A sentence for each message that is out of order; see this module."""
    found = list(_wrong_beginnings(chatwoot, shown))
    for thread, messages in shown.threads.items():
        above: list[int] = []
        for message in messages:
            answered = promises.messages.get(message)
            unsettled = [
                later
                for later in above
                if later > message and answered is not None and answered <= received[later] + settle_s
            ]
            if unsettled:
                found.append(f"message {message} is shown below {unsettled[0]} in {thread}")
            above.append(message)
    return found


def _wrong_beginnings(chatwoot: Mapping[str, Any], shown: Shown) -> Iterator[str]:
    firsts = {
        conversation["id"]: next((one["id"] for one in written(conversation) if not one["private"]), 0)
        for conversation in chatwoot["conversations"]
        if identifiable(conversation["meta"]["sender"])
    }
    for what, conversation, first in shown.beginnings:
        if first and firsts.get(conversation, first) != first:
            yield f"{what} begins with message {first} instead of {firsts[conversation]}"


def _shown(app_id: str, dump: Mapping[str, Any], chatwoot: Mapping[str, Any]) -> Shown:
    if app_id == "glpi":
        return in_glpi(dump)
    conversation_of = {
        message["id"]: conversation["id"]
        for conversation in chatwoot["conversations"]
        for message in conversation["messages"]
    }
    return in_krayin(dump, conversation_of)


def _connected(runtime: Runtime) -> list[str]:
    """The apps of the hooks there are."""
    with runtime.store.read() as session:
        return list(session.scalars(select(models.Hook.app_id).order_by(models.Hook.id)))
