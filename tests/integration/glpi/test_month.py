"""A month of misbehaviour: whatever breaks, comes late, twice or in any order, GLPI ends up as after a quiet month.

A story is drawn: what contacts and agents do, day by day. It is played twice, against two GLPIs of one version. In
the quiet month every delivery comes once and in Chatwoot's order, and nothing breaks. In the other one the
deliveries of a day come in any order, some twice and some days later, and each call to GLPI may meet what is drawn
for it: an answer that is lost, an error, a page instead of data, a session that is over, no answer at all, or a worker
that dies before or after the call.

What nobody could tell is left out of the misbehaviour. Chatwoot gives most edits of a message no time, so they arrive
in their order, and after their message. And where GLPI keeps a history of states (solutions, tickets that continue
others), a state that nobody saw leaves none: there each deed has a day of its own, and no delivery is days late.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings, strategies as st
from sqlalchemy import update

from crm_sync import owner
from crm_sync.config import Config
from crm_sync.crms.base import Pace
from crm_sync.engine.limits import Ceiling
from crm_sync.sandbox.server import html_page, lose, refuse
from crm_sync.store.models import Event, EventState, Link
from tests.integration.glpi.desk import EMAIL, MORNING, WEBSITE, WHATSAPP, Desk, Row, opened
from tests.integration.glpi.test_everything import furnish

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INBOXES, AGENTS, TEAMS = (WEBSITE, EMAIL, WHATSAPP), (31, 32), (2, 3)
STATES = ("open", "pending", "snoozed", "resolved")
PRIORITIES = (None, "low", "medium", "high", "urgent")
PICTURE = {"file_type": "image", "name": "a label.jpg", "content": b"a picture"}
#: The claims of a worker that is gone.
GONE = owner.new_claim().split("/")[0] + "/99999999/1/abc"
#: How long a worker waits for an answer that does not come.
PATIENCE_S = 0.3


# -- the story -----------------------------------------------------------------------------------------------------


@dataclass
class Story:
    """What people do in Chatwoot. ``which`` and ``how`` of a deed choose among what there is."""

    desk: Desk
    contacts: list[int] = field(default_factory=list)
    conversations: list[int] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    deeds: int = 0
    at: datetime = MORNING
    #: How many of the messages GLPI knows whatever came late, and how many it will know tomorrow.
    known: int = 0
    soon: int = 0

    def begin(self, day: int) -> None:
        """A new day."""
        self.known, self.soon = self.soon, len(self.messages)
        self.at = MORNING + timedelta(days=day)
        self.desk.clock.forward(max((self.at - self.desk.clock()).total_seconds(), 0.0))

    def do(self, deed: tuple[str, int, int]) -> None:
        """One deed. Where there is nobody yet, somebody comes."""
        name, which, how = deed
        self.deeds += 1
        # GLPI's dates are full seconds. What was written back to Chatwoot meanwhile moves no time of the story.
        self.at += timedelta(minutes=1)
        now = self.at
        self.desk.chatwoot.state._now = lambda: now
        if not self.conversations:
            self.comes(which, how)
        elif name != "comes" or len(self.contacts) < 4:
            getattr(self, name)(which, how)

    def comes(self, _which: int, how: int) -> None:
        """Somebody new writes."""
        number = len(self.contacts)
        known_by = (
            {"phone_number": f"+551191234567{number}"}
            if how % 3 == 0
            else {"email": f"p{number}@example.com"}
        )
        contact = self.desk.chatwoot.create_contact(name=f"Person {number}", **known_by)
        self.contacts.append(contact.id)
        self.asks(number, how)

    def asks(self, which: int, how: int) -> None:
        """A new conversation."""
        contact = self.contacts[which % len(self.contacts)]
        row = self.desk.chatwoot.create_conversation(contact, INBOXES[how % 3], f"Question {self.deeds}")
        self.conversations.append(row.id)
        self.messages.append(row.messages[0].id)

    def renames(self, which: int, _how: int) -> None:
        """A contact has another name."""
        contact = self.contacts[which % len(self.contacts)]
        self.desk.chatwoot.update_contact(contact, name=f"Somebody {self.deeds}")

    def moves(self, which: int, how: int) -> None:
        """A contact has another address. A ticket of a GLPI Contact keeps the one it had, whichever that was."""
        if self.desk.hook().settings["use_contact"]:
            return self.renames(which, how)
        contact = self.contacts[which % len(self.contacts)]
        self.desk.chatwoot.update_contact(contact, email=f"new{self.deeds}@example.com")
        return None

    def writes(self, which: int, how: int) -> None:
        """A customer writes, with a file now and then."""
        self._say(which, direction="incoming", attachments=[PICTURE] if how % 4 == 0 else [])

    def answers(self, which: int, how: int) -> None:
        """An agent writes."""
        self._say(which, direction="outgoing", sender_id=AGENTS[how % 2])

    def notes(self, which: int, how: int) -> None:
        """An agent tells the others."""
        self._say(which, direction="outgoing", sender_id=AGENTS[how % 2], private=True)

    def edits(self, which: int, _how: int) -> None:
        """A text is changed."""
        self.desk.chatwoot.edit_message(self.messages[which % len(self.messages)], f"Edited {self.deeds}")

    def deletes(self, which: int, _how: int) -> None:
        """A message that GLPI knows is taken back, and is not changed any more.

        One that was taken back before GLPI heard of it is never shown there.
        """
        if self.known:
            number = self.messages.pop(which % self.known)
            self.known, self.soon = self.known - 1, self.soon - 1
            self.desk.chatwoot.delete_message(number)

    def fails(self, which: int, how: int) -> None:
        """An answer does not reach the customer."""
        self.answers(which, how)
        self.desk.chatwoot.fail_message(self.messages[-1], "No such number")

    def turns(self, which: int, how: int) -> None:
        """A conversation has another state."""
        number = self.conversations[which % len(self.conversations)]
        self.desk.chatwoot.set_status(number, STATES[how % len(STATES)])

    def presses(self, which: int, how: int) -> None:
        """A conversation has another priority."""
        number = self.conversations[which % len(self.conversations)]
        self.desk.chatwoot.set_priority(number, PRIORITIES[how % len(PRIORITIES)])

    def goes(self, which: int, how: int) -> None:
        """A conversation is given to somebody, or to nobody."""
        number = self.conversations[which % len(self.conversations)]
        to: dict[str, int] = [
            {"assignee_id": AGENTS[0]},
            {"assignee_id": AGENTS[1]},
            {"team_id": TEAMS[0]},
            {"team_id": TEAMS[1]},
            {},
        ][how % 5]
        self.desk.chatwoot.assign(number, **to)

    def _say(self, which: int, **message: Any) -> None:
        number = self.conversations[which % len(self.conversations)]
        self.messages.append(self.desk.chatwoot.add_message(number, f"Words {self.deeds}", **message).id)


DEEDS = st.tuples(
    st.sampled_from(
        ["comes", "asks", "renames", "moves", "notes", "edits", "deletes", "fails", "presses", "goes"]
        + ["writes", "answers", "turns"] * 2
    ),
    st.integers(0, 7),
    st.integers(0, 11),
)


# -- what goes wrong -----------------------------------------------------------------------------------------------


class Died(BaseException):
    """The worker is gone, in the middle of it."""


class Troubles:
    """What each call to GLPI meets, one after another; nothing once they are used up."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.met: Counter[str] = Counter()
        self.over = threading.Event()
        self._next: list[str | None] = []
        self._death: str | None = None
        desk.runtime.config = replace(desk.runtime.config, read_timeout_s=PATIENCE_S)
        desk.runtime.ceiling = _Deaths(desk.runtime, self)
        desk.strike(self._fault)

    def expect(self, troubles: Iterable[str | None]) -> None:
        """The calls that follow meet these; the last one comes first."""
        self._next = list(troubles)[::-1]

    def before_call(self) -> None:
        """A worker is about to call."""
        self._death = self._next.pop() if self._next and (self._next[-1] or "").startswith("death") else None
        if self._death == "death before":
            self._die()

    def after_call(self) -> None:
        """A worker has its answer."""
        if self._death == "death after":
            self._die()

    def _die(self) -> None:
        self.met[str(self._death)] += 1
        self._death = None
        raise Died

    def _fault(self, app: Any, environ: Any, start_response: Any) -> Any:
        kind = self._next.pop() if self._next and self._death is None else None
        if kind is not None:
            self.met[kind] += 1
        if kind == "expired":
            with self.desk.glpi.state.lock:
                self.desk.glpi.sessions.expire_all()
        if kind == "silence":
            # It does what it was asked, and nobody hears of it.
            app(environ, start_response)
            self.over.wait(10)
            raise ConnectionAbortedError("the answer came too late")
        kinds: dict[str, Callable[..., Any]] = {"lost": lose, "page": html_page, "error": refuse}
        answer = kinds.get(str(kind))
        return answer(app, environ, start_response) if answer else app(environ, start_response)


class _Deaths(Ceiling):
    """The ceiling that every call goes through, where workers die."""

    def __init__(self, runtime: Any, troubles: Troubles) -> None:
        super().__init__(runtime.redis, size=runtime.config.ceiling, call_s=runtime.config.lease_s)
        self._troubles = troubles

    def begin(self, hook_id: int, claim: str, pace: Pace | None = None, *, begins: bool = False) -> None:
        """See Ceiling."""
        self._troubles.before_call()
        super().begin(hook_id, claim, pace, begins=begins)

    def end(
        self, hook_id: int, claim: str, pace: Pace | None = None, *, remaining: int | None = None
    ) -> None:
        """See Ceiling."""
        super().end(hook_id, claim, pace, remaining=remaining)
        self._troubles.after_call()


def work(desk: Desk) -> None:
    """Workers take every mailbox; where one dies, what it held is what others find."""
    try:
        desk.drain()
    except Died:
        with desk.runtime.store.write() as session:
            session.execute(update(Event).where(Event.claim.is_not(None)).values(claim=GONE))
            session.execute(update(Link).where(Link.claim.is_not(None)).values(claim=GONE))
        desk.runtime.redis.flushall()


def work_until_done(desk: Desk) -> None:
    """Time passes and workers come until nothing is waiting any more."""
    for _ in range(60):
        work(desk)
        if not desk.waiting():
            return
        desk.clock.forward(3600)
    raise AssertionError(f"still waiting: {desk.waiting()}")


TROUBLES = st.lists(
    st.sampled_from(
        [None, None, None, "lost", "page", "error", "expired", "silence", "death before", "death after"]
    ),
    max_size=8,
)


@dataclass(frozen=True)
class Day:
    """What is done on a day, what calls to GLPI meet, and how deliveries come (by ``luck``, a seed)."""

    deeds: list[tuple[str, int, int]]
    troubles: list[str | None]
    luck: int


def days(*, deeds: int, most: int) -> st.SearchStrategy[list[Day]]:
    """A month of days with so many deeds each."""
    day = st.builds(
        Day, st.lists(DEEDS, min_size=1, max_size=deeds), TROUBLES, st.integers(min_value=0, max_value=10**6)
    )
    return st.lists(day, min_size=most // 2, max_size=most)


def arriving(payloads: list[Row], luck: random.Random, *, late: bool) -> tuple[list[Row], list[Row]]:
    """A day's deliveries as they come, and those that come on a later day."""
    delayed = {_record(payload) for payload in payloads if late and luck.random() < 0.25}
    today = [payload for payload in payloads if _record(payload) not in delayed]
    today += [payload for payload in today if luck.random() < 0.2 and not _is_edit(payload)]
    return _shuffled(today, luck), [payload for payload in payloads if _record(payload) in delayed]


def _shuffled(payloads: list[Row], luck: random.Random) -> list[Row]:
    """Any order, but for what is told of one message."""
    told: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for payload in payloads:
        told[_record(payload)].append(payload)
    mixed = list(payloads)
    luck.shuffle(mixed)
    return [told[_record(payload)].pop(0) for payload in mixed]


def _is_edit(payload: Mapping[str, Any]) -> bool:
    return payload["event"] == "message_updated"


def _record(payload: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is late together: a message with its edits, else each delivery by itself."""
    if payload["event"].startswith("message"):
        return ("message", payload["id"])
    return (payload["event"], payload["id"], str(payload.get("changed_attributes")))


# -- the two months ------------------------------------------------------------------------------------------------


def quiet_month(desk: Desk, month: list[Day]) -> Row:
    """Everything in order, and nothing breaks."""
    story = Story(desk)
    for number, day in enumerate(month):
        story.begin(number)
        for deed in day.deeds:
            story.do(deed)
        desk.settle()
    return told(desk)


def bad_month(desk: Desk, month: list[Day], *, late: bool) -> tuple[Row, Counter[str]]:
    """The same, with everything that is drawn to go wrong."""
    story, troubles = Story(desk), Troubles(desk)
    held: list[Row] = []
    try:
        for number, day in enumerate(month):
            story.begin(number)
            for deed in day.deeds:
                story.do(deed)
            luck = random.Random(day.luck)
            today, tomorrow = arriving(desk.deliveries(), luck, late=late)
            today, held = _shuffled(held + today, luck), tomorrow
            troubles.expect(day.troubles)
            waves = 1 + luck.randrange(3) if late else 1
            size = len(today) // waves + 1
            for start in range(0, len(today), size):
                desk.take(today[start : start + size])
                work(desk)
            work_until_done(desk)
        desk.take(held)
        work_until_done(desk)
        desk.settle()
        return told(desk), troubles.met
    finally:
        troubles.over.set()


def told(desk: Desk) -> Row:
    """What GLPI shows in the end, without what depends on when crm_sync heard of it."""
    assert [event.outcome for event in desk.events(EventState.FAILED)] == []
    picture = desk.picture()
    host = desk.account.chatwoot_url.partition("//")[2]
    for ticket in picture["tickets"]:
        for key in ("texts", "solutions"):
            ticket[key] = [_timeless(text).replace(host, "chatwoot") for text in ticket[key]]
    return picture


def _timeless(text: str) -> str:
    """Chatwoot's API does not tell that a text was edited, nor mostly when it was deleted."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\n?<em>\((edited|modifié)\)</em>", "", text)


def both(config: Config, flavour: str, chosen: dict[str, str], month: list[Day], *, late: bool) -> None:
    """The promise: both months end alike."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crm_sync_")))
        desks = []
        for name in ("quiet", "bad"):
            (folder / name).mkdir(mode=0o700)
            own = replace(config, data_dir=folder / name)
            desk = stack.enter_context(opened(own, flavour, {}))
            desk.chatwoot.state.public_url = desk.account.chatwoot_url
            furnish(desk)
            desk.set(**{**PLAIN, **chosen})
            desk.glpi.reset_requests()
            desks.append(desk)
        quiet, bad = desks
        expected = quiet_month(quiet, month)
        found, met = bad_month(bad, month, late=late)
        for name in met:
            event(name)
        assert found == expected


#: What furnish() sets, taken back.
PLAIN = dict.fromkeys(
    (
        "category_named_like_inbox",
        "group_by_team",
        "observer_ids",
        "ticket_fields",
        "title_template",
        "content_template",
        "resolve_with",
        "on_reopen",
        "link_computers",
        "sla_id",
    ),
    "",
)

#: Settings under which GLPI shows the present state of everything, whatever was before.
OF_STATES: list[dict[str, str]] = [
    {},
    {"enable_followup_sync": "false"},
    {"attachments": "document", "urgency_by_priority": '{"none":1}', "language": "fr"},
    {"use_contact": "true", "category_named_like_inbox": "true"},
    {"title_template": "{id} in {inbox}", "content_template": "{message}", "sync_assignee": "false"},
]
#: Settings under which GLPI keeps a history of states.
OF_HISTORIES: list[dict[str, str]] = [
    {"resolve_with": "solution"},
    {"on_reopen": "new_ticket"},
    {"resolve_with": "solution", "on_reopen": "new_ticket", "attachments": "document"},
]


def months(number: int) -> settings:
    """So many months in each run, always the same ones; more of them would find more."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@months(4)
@given(chosen=st.sampled_from(OF_STATES), month=days(deeds=5, most=8))
def test_a_month_of_misbehaviour_ends_as_a_quiet_one(
    config: Config, flavour: str, chosen: dict[str, str], month: list[Day]
) -> None:
    both(config, flavour, chosen, month, late=True)


@months(2)
@given(chosen=st.sampled_from(OF_HISTORIES), month=days(deeds=1, most=24))
def test_a_month_of_misbehaviour_leaves_the_history_of_a_quiet_one(
    config: Config, flavour: str, chosen: dict[str, str], month: list[Day]
) -> None:
    both(config, flavour, chosen, month, late=False)
