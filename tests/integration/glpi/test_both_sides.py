"""Whatever people do on both sides, and whatever breaks between them: once it is quiet, both sides agree.

Customer, agent and technician act at random; deliveries come late, doubled and in any order; pulls and workers come at
any moment or not at all; answers are lost and servers break. The rules here are people and accidents, nothing of ours.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings as profile, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crm_sync.config import Config
from crm_sync.crms.glpi import mapping
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.engine.pull import pull
from crm_sync.errors import CrmSyncError
from crm_sync.sandbox.server import Faults, html_page, lose, refuse
from tests.integration.glpi.desk import EMAIL, Row, opened

JOAN, RUI, TIM = 31, 32, 4
EVERYTHING = {
    "enable_bidirectional_sync": "true",
    "pull_priority": "true",
    "pull_assignee": "true",
    "enable_followup_pull": "true",
}
SETTINGS = {
    "states only": {"enable_bidirectional_sync": "true"},
    "latest, notes": EVERYTHING,
    "chatwoot, messages": EVERYTHING | {"conflict_policy": "chatwoot", "pulled_followups": "message"},
    "glpi, messages": EVERYTHING | {"conflict_policy": "glpi", "pulled_followups": "message"},
    "solutions": EVERYTHING | {"resolve_with": "solution", "pull_priority": "false"},
}
CHANCES = profile(
    max_examples=4,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    # A day that goes wrong is told as it was; to find the shortest one like it, add Phase.shrink.
    phases=(Phase.generate,),
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


class BothSides(RuleBasedStateMachine):
    """One conversation, its ticket, and everybody who has to do with them."""

    config: ClassVar[Config]
    flavour: ClassVar[str]
    chosen: ClassVar[dict[str, str]]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.desk = self.stack.enter_context(opened(self.config, self.flavour, self.chosen))
        desk = self.desk
        # All clocks are one, and near the real one: GLPI's zone is measured.
        desk.clock.moment = datetime.now(UTC)
        desk.chatwoot.state._now = desk.glpi.state.clock = desk.clock
        self.users = {
            JOAN: desk.add_user("joan", "joan.example@example.com"),
            RUI: desk.add_user("rui", "rui.sample@example.com"),
        }
        self.technician = GlpiClient(desk.api_url, desk.glpi.app_token, desk.glpi.user_tokens["tech"])
        self.under_way: list[Row] = []
        self.lost = False
        self.words = 0
        self.said: dict[int, str] = {}
        self.edited: set[int] = set()
        self.told: dict[str, bool] = {}
        self.solutions: set[str] = set()
        self.acts: Counter[str] = Counter()
        #: Who changed what since it was quiet.
        self.since: set[str] = set()
        self.hits = 0
        self.theirs = 0

    def teardown(self) -> None:
        """The day ends in quiet."""
        try:
            self.quiet()
        finally:
            self.stack.close()

    # -- people: the customer and the agents -----------------------------------------------------------------------

    @initialize(known=st.sampled_from([True, True, False]))
    def customer_begins(self, *, known: bool) -> None:
        contact = self.desk.chatwoot.create_contact(name="Ana Souza", email="ana@example.com")
        self.number = self.desk.chatwoot.create_conversation(contact.id, EMAIL, self._words()).id
        first = self.conversation.messages[0]
        self.said[first.id] = first.content or ""
        self.acts["chatwoot"] += 1
        self._sent()
        if known:
            self.quiet()

    @rule()
    def customer_writes(self) -> None:
        self._writes()

    @rule(private=st.booleans())
    def agent_writes(self, *, private: bool) -> None:
        self._writes(direction="outgoing", private=private, sender_id=JOAN)

    @rule()
    def agent_edits(self) -> None:
        """Chatwoot gives edits no order (facts A5), so that each message has one, and after GLPI has the message."""
        last = [message for message in self.conversation.messages if message.message_type != 2][-1]
        words = self.said.get(last.id)
        if words is None or last.message_type != 1 or last.private or last.id in self.edited:
            return
        if any(words in text for text in self._texts_there()):
            self.edited.add(last.id)
            self.said[last.id] = self._words()
            self.desk.chatwoot.edit_message(last.id, self.said[last.id])
            self._acted("text here")

    @rule(status=st.sampled_from(["open", "resolved", "pending", "snoozed"]))
    def agent_sets_status(self, status: str) -> None:
        if self.conversation.status != status:
            self.desk.chatwoot.set_status(self.number, status)
            self._acted("status here")

    @rule(priority=st.sampled_from([None, "low", "medium", "high", "urgent"]))
    def agent_sets_priority(self, priority: str | None) -> None:
        if self.conversation.priority != priority:
            self.desk.chatwoot.set_priority(self.number, priority)
            self._acted("priority here")

    @rule(agent=st.sampled_from([None, JOAN, RUI]))
    def agent_assigns(self, agent: int | None) -> None:
        if self.conversation.assignee_id != agent:
            self.desk.chatwoot.assign(self.number, assignee_id=agent)
            self._acted("assignee here")

    # -- people: the technician ------------------------------------------------------------------------------------

    def _has_ticket(self) -> bool:
        return bool(self.desk.rows("Ticket"))

    @precondition(_has_ticket)
    @rule(status=st.integers(1, 6))
    def technician_sets_status(self, status: int) -> None:
        with self._worked("status there"):
            self.technician.update("Ticket", self.ticket["id"], {"status": status})

    @precondition(_has_ticket)
    @rule(urgency=st.integers(1, 5), impact=st.integers(1, 5))
    def technician_sets_urgency(self, urgency: int, impact: int) -> None:
        with self._worked("priority there"):
            self.technician.update("Ticket", self.ticket["id"], {"urgency": urgency, "impact": impact})

    @precondition(_has_ticket)
    @rule(private=st.booleans())
    def technician_writes(self, *, private: bool) -> None:
        words = self._words()
        with self._worked("text there"):
            fields = {"itemtype": "Ticket", "items_id": self.ticket["id"], "content": f"<p>{words}</p>"}
            self.technician.create("ITILFollowup", {**fields, "is_private": int(private)})
        self.told[words] = private

    @precondition(lambda self: self._has_ticket() and self.ticket["status"] < mapping.SOLVED)
    @rule()
    def technician_solves(self) -> None:
        words = self._words()
        with self._worked("status there"):
            fields = {"itemtype": "Ticket", "items_id": self.ticket["id"], "content": f"<p>{words}</p>"}
            self.technician.create("ITILSolution", fields)
        self.told[words] = False
        self.solutions.add(words)

    @precondition(_has_ticket)
    @rule(agent=st.sampled_from([JOAN, RUI]))
    def technician_is_added_or_leaves(self, agent: int) -> None:
        user, number = self.users[agent], self.ticket["id"]
        with self._worked("assignee there", "status there"):
            for row in self._assigned():
                if row["users_id"] == user:
                    self.technician.delete("Ticket_User", row["id"])
                    return
            self.technician.create("Ticket_User", {"tickets_id": number, "users_id": user, "type": 2})

    @precondition(_has_ticket)
    @rule()
    def ticket_goes_to_the_bin_or_comes_back(self) -> None:
        with self._worked("bin"):
            now = self.desk.glpi.state.now()
            binned = not self.ticket["is_deleted"]
            # GLPI names nobody as the editor of what went to the bin.
            editor = {} if binned else {"users_id_lastupdater": TIM}
            self.desk.write("Ticket", self.ticket["id"], is_deleted=int(binned), date_mod=now, **editor)

    # -- what happens on the way -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 3, 90, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.desk.clock.forward(seconds)

    @precondition(lambda self: self.under_way)
    @rule(chance=st.randoms(use_true_random=False), share=st.sampled_from([0.3, 1.0]), double=st.booleans())
    def deliveries_arrive(self, chance: Any, share: float, *, double: bool) -> None:
        """Some, in any order, perhaps twice."""
        chance.shuffle(self.under_way)
        count = max(1, int(len(self.under_way) * share))
        arrived, self.under_way = self.under_way[:count], self.under_way[count:]
        self.desk.take(arrived)
        if double:
            self.desk.take(arrived)

    @precondition(lambda self: self._of_state())
    @rule(chance=st.randoms(use_true_random=False))
    def a_delivery_is_lost(self, chance: Any) -> None:
        """One that tells a state; Chatwoot tells that again with whatever happens to the conversation next."""
        self.under_way.remove(chance.choice(self._of_state()))
        self.lost = True

    @rule()
    def a_worker_comes(self) -> None:
        self.desk.drain()
        self._sent()

    @rule(and_worker=st.booleans())
    def a_pull_comes(self, *, and_worker: bool) -> None:
        try:
            pull(self.desk.runtime, self.desk.hook_id)
        except CrmSyncError:
            # GLPI breaks; the next pull takes up where this one stopped.
            assert self.desk.glpi.faults.fail_rate
        if and_worker:
            self.a_worker_comes()

    @rule(kind=st.sampled_from([lose, refuse, html_page]), spared=st.integers(0, 3), times=st.integers(1, 3))
    def glpi_breaks(self, kind: Callable[..., Any], spared: int, times: int) -> None:
        self._breaks(self.desk.glpi.faults, kind, spared, times)

    @rule(kind=st.sampled_from([lose, refuse]), spared=st.integers(0, 3), times=st.integers(1, 3))
    def chatwoot_breaks(self, kind: Callable[..., Any], spared: int, times: int) -> None:
        self._breaks(self.desk.chatwoot.faults, kind, spared, times)

    # -- quiet -----------------------------------------------------------------------------------------------------

    @rule()
    def quiet(self) -> None:
        """Everything is delivered, done and pulled, and nobody does anything more: both sides agree."""
        desk = self.desk
        for server in (desk.glpi, desk.chatwoot):
            server.faults.fail_rate = 0.0
        if self.lost:
            self.lost = False
            desk.chatwoot.set_labels(self.number, [self._words()])
            self._acted("labels here")
        for _ in range(12):
            self._sent()
            arrived, self.under_way = self.under_way, []
            desk.take(arrived)
            desk.settle(100)
            desk.clock.forward(3700)
            news = pull(desk.runtime, desk.hook_id).events
            desk.settle(100)
            self._sent()
            if not news and not self.under_way:
                break
        else:
            pytest.fail(f"It never gets quiet: {desk.outcomes()[-12:]}")
        self._nothing_more_is_written()
        if self._has_ticket():
            self._both_agree()
        self.since.clear()

    def _nothing_more_is_written(self) -> None:
        desk, before = self.desk, self._writes_made()
        for seconds in (3, 900, 3700):
            desk.clock.forward(seconds)
            assert pull(desk.runtime, desk.hook_id).events == 0
            desk.drain()
        assert self._writes_made() == before
        assert desk.deliveries() == []
        there, here = before
        # Everything one side does makes a few writes at the other at most, and lost answers are asked for again.
        assert there <= 6 + 3 * self.acts["chatwoot"] + 3 * self.acts["glpi"] + 3 * self.hits
        assert here <= 3 * self.acts["glpi"] + 3 * self.hits

    def _both_agree(self) -> None:
        desk, conversation, ticket = self.desk, self.conversation, self.ticket
        assert [event for event in desk.events() if event.state == "failed"] == []
        there = self._texts_there()
        for words in self.said.values():
            assert sum(words in text for text in there) == 1, (words, there)
        ours = len(desk.rows("ITILFollowup")) - (len(self.told) - len(self.solutions))
        assert ours == len(self.said) - 1
        here = [message for message in conversation.messages if message.message_type != 2]
        told = {message.id: message for message in here if message.id not in self.said}
        for words, private in self.told.items():
            found = [message for message in told.values() if words in (message.content or "")]
            assert len(found) <= 1, words
            assert not private or all(message.private for message in found), words
            for message in found:
                del told[message.id]
            if self._is_due(words):
                assert found, words
        assert not told, "Nothing else is told, least of all what came from Chatwoot."
        if ticket["is_deleted"]:
            return
        same = mapping.CONVERSATION_STATUS[ticket["status"]].value == conversation.status
        assert same or (ticket["status"], conversation.status) == (mapping.PENDING, "snoozed")
        self._priorities_agree()
        self._assignees_agree()

    def _is_due(self, words: str) -> bool:
        if self.chosen.get("enable_followup_pull") != "true" or self.ticket["is_deleted"]:
            return False
        return words not in self.solutions or self.ticket["status"] >= mapping.SOLVED

    def _priorities_agree(self) -> None:
        ticket, priority = self.ticket, self.conversation.priority
        if self.chosen.get("pull_priority") == "true":
            assert mapping.CONVERSATION_PRIORITY[ticket["priority"]] == (priority or "medium")
        if "priority here" in self.since and "priority there" not in self.since:
            assert (ticket["urgency"], ticket["impact"]) == (mapping.PRIORITY[priority],) * 2

    def _assignees_agree(self) -> None:
        agent, users = self.conversation.assignee_id, [row["users_id"] for row in self._assigned()]
        if "assignee here" in self.since and "assignee there" not in self.since and agent is not None:
            assert self.users[agent] in users
        by_technician = "assignee there" in self.since and "assignee here" not in self.since
        if by_technician and self.chosen.get("pull_assignee") == "true" and len(users) < 2:
            assert users == ([] if agent is None else [self.users[agent]])

    # -- parts -----------------------------------------------------------------------------------------------------

    @property
    def conversation(self) -> Any:
        """The conversation."""
        return self.desk.chatwoot.state.conversations[self.number]

    @property
    def ticket(self) -> Row:
        """The one ticket there is to be."""
        return self.desk.row("Ticket")

    def _of_state(self) -> list[Row]:
        """What is under way and tells states, not words."""
        return [payload for payload in self.under_way if not payload["event"].startswith("message_")]

    def _texts_there(self) -> list[str]:
        rows = [*self.desk.rows("Ticket"), *self.desk.rows("ITILFollowup")]
        return [self.desk.content(row) for row in rows]

    def _assigned(self) -> list[Row]:
        return [
            row for row in self.desk.rows("Ticket_User", tickets_id=self.ticket["id"]) if row["type"] == 2
        ]

    def _words(self) -> str:
        self.words += 1
        return f"words{self.words}end"

    def _writes(self, **more: Any) -> None:
        message = self.desk.chatwoot.add_message(self.number, self._words(), **more)
        self.said[message.id] = message.content or ""
        self._acted("text here")

    def _acted(self, what: str) -> None:
        self.acts["chatwoot"] += 1
        self.since.add(what)
        self._sent()

    def _sent(self) -> None:
        self.under_way += self.desk.deliveries()

    @contextmanager
    def _worked(self, *what: str) -> Iterator[None]:
        """Somebody works in GLPI, whose calls are never those that break."""
        faults = self.desk.glpi.faults
        rate, faults.fail_rate = faults.fail_rate, 0.0
        self.acts["glpi"] += 1
        self.since.update(what)
        made = len(self.desk.glpi.requests)
        try:
            yield
        finally:
            faults.fail_rate = rate
            self.theirs += sum(method != "GET" for method, _, _ in self.desk.glpi.requests[made:])

    def _breaks(self, faults: Faults, kind: Callable[..., Any], spared: int, times: int) -> None:
        """After some calls that are spared, a few break."""
        left, guard = [spared, times], threading.Lock()

        def fault(app: Any, environ: Any, start_response: Any) -> Any:
            with guard:
                due = not left[0] and left[1] > 0
                left[0 if left[0] else 1] -= 1
                self.hits += due
            return (kind if due else lambda *given: given[0](*given[1:]))(app, environ, start_response)

        faults.kinds, faults.fail_rate = (fault,), 1.0

    def _writes_made(self) -> tuple[int, int]:
        """How many writes of ours there were to GLPI and to Chatwoot; attributes are shown, which changes nothing."""
        there = sum(method != "GET" for method, _, _ in self.desk.glpi.requests) - self.theirs
        here = sum(
            method != "GET" and "/contacts/" not in path and "custom_attributes" not in path
            for method, path, _ in self.desk.chatwoot.requests
        )
        return there, here


@pytest.mark.parametrize(
    ("flavour", "chosen"),
    [
        ("10.0.19", "states only"),
        ("10.0.19", "latest, notes"),
        ("11.0.6", "latest, notes"),
        ("11.0.6", "chatwoot, messages"),
        ("10.0.19", "glpi, messages"),
        ("11.0.6", "solutions"),
    ],
)
def test_both_sides_agree_once_it_is_quiet_whatever_happened_before(
    config: Config, flavour: str, chosen: str, tmp_path: Path
) -> None:
    days = iter(range(1_000_000))

    class Day(BothSides):
        def __init__(self) -> None:
            folder = tmp_path / f"day-{next(days)}"
            folder.mkdir(mode=0o700)
            type(self).config = replace(config, data_dir=folder)
            type(self).flavour, type(self).chosen = flavour, SETTINGS[chosen]
            super().__init__()

    run_state_machine_as_test(Day, settings=CHANCES)
