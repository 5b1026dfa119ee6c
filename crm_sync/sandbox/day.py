"""A day of support traffic: the same people and the same words for the same seed.

For the demo, the fault run and the benches: :func:`plan` says what happens, as data; :func:`play` lets it happen in
a Chatwoot sandbox; :func:`expected` says, from the plan alone, what must have arrived in a CRM in the end. All people
are invented: their addresses end in example.com, example.org or example.net, their numbers
are kept for fiction (+1 xxx 555 01xx).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm_sync.sandbox.chatwoot import ChatwootSandbox, phrases

#: The inboxes of the sandbox, by what they are.
WIDGET, EMAIL, WHATSAPP = 4, 7, 12
#: The agents of the sandbox.
AGENTS = (31, 32)
#: Every so many contacts one is a visitor who left neither e-mail nor phone number.
_ANONYMOUS_EVERY = 9


@dataclass(frozen=True, slots=True)
class NewContact:
    """Somebody appears. ``contact`` is the plan's own number for him."""

    contact: int
    name: str
    email: str | None = None
    phone_number: str | None = None
    company: str | None = None
    city: str | None = None


@dataclass(frozen=True, slots=True)
class EditContact:
    """An agent corrects a contact."""

    contact: int
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    """A conversation begins with a message of the customer. ``conversation`` is the plan's own number for it."""

    conversation: int
    contact: int
    inbox_id: int
    text: str
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """A message: of the customer, of an agent, or a private note of one."""

    conversation: int
    text: str | None
    direction: str = "incoming"
    private: bool = False
    agent: int | None = None
    attachments: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class SetStatus:
    """An agent resolves, reopens, puts off or snoozes a conversation."""

    conversation: int
    status: str
    snoozed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """An agent sorts a conversation: labels, priority, who takes care of it."""

    conversation: int
    labels: tuple[str, ...] | None = None
    priority: str | None = None
    assignee_id: int | None = None
    team_id: int | None = None


@dataclass(frozen=True, slots=True)
class Weather:
    """How well deliveries travel from here on."""

    shuffle: bool = False
    double: float = 0.0


Step = NewContact | EditContact | Open | Say | SetStatus | Sort | Weather


@dataclass(frozen=True, slots=True)
class Line:
    """A message that a CRM should show."""

    text: str | None
    direction: str
    private: bool
    attachments: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be known of a conversation at the end of the day. ``identifiable``: the contact can be found again."""

    conversation: int
    contact: int
    identifiable: bool
    status: str
    lines: tuple[Line, ...]

    @property
    def public(self) -> tuple[str | None, ...]:
        """The texts that the customer can see, in order."""
        return tuple(line.text for line in self.lines if not line.private)

    @property
    def notes(self) -> tuple[str | None, ...]:
        """The texts of the private notes, in order."""
        return tuple(line.text for line in self.lines if line.private)


@dataclass(slots=True)
class Played:
    """The sandbox's ids for the plan's numbers."""

    contacts: dict[int, int] = field(default_factory=dict)
    conversations: dict[int, int] = field(default_factory=dict)


def plan(
    seed: int = 1, *, contacts: int = 44, conversations: int = 64, messages: int = 320
) -> Sequence[Step]:
    """The day's steps: so many contacts, conversations and messages (the first of each conversation included)."""
    if contacts < 1 or conversations < 1 or messages < conversations:
        raise ValueError("A day needs a contact, a conversation and a message in each conversation.")
    return _Day(seed, contacts, conversations, messages).steps()


def play(
    sandbox: ChatwootSandbox,
    steps: Iterable[Step],
    *,
    on_step: Callable[[Step], None] | None = None,
) -> Played:
    """Let the steps happen, one after the other, without waiting for their webhooks to arrive."""
    played = Played()
    for step in steps:
        _perform(sandbox, step, played)
        if on_step is not None:
            on_step(step)
    return played


def expected(steps: Iterable[Step]) -> Mapping[int, Expected]:
    """By the plan's number of a conversation, what must be known of it in the end.

    A customer who writes to a resolved or snoozed conversation reopens it, as in Chatwoot.
    """
    reachable: dict[int, bool] = {}
    owner: dict[int, int] = {}
    status: dict[int, str] = {}
    lines: dict[int, list[Line]] = {}
    for step in steps:
        match step:
            case NewContact():
                reachable[step.contact] = bool(step.email or step.phone_number)
            case EditContact():
                found = any(step.changes.get(key) for key in ("email", "phone_number"))
                reachable[step.contact] = reachable[step.contact] or found
            case Open():
                owner[step.conversation] = step.contact
                status[step.conversation] = "open"
                lines[step.conversation] = [Line(step.text, "incoming", private=False)]
            case Say():
                if step.direction == "incoming" and status[step.conversation] in {"resolved", "snoozed"}:
                    status[step.conversation] = "open"
                lines[step.conversation].append(
                    Line(step.text, step.direction, step.private, len(step.attachments))
                )
            case SetStatus():
                status[step.conversation] = step.status
            case Sort() | Weather():
                pass
    return {
        number: Expected(number, contact, reachable[contact], status[number], tuple(lines[number]))
        for number, contact in owner.items()
    }


def _perform(sandbox: ChatwootSandbox, step: Step, played: Played) -> None:
    match step:
        case NewContact():
            extras = {"company_name": step.company, "city": step.city}
            row = sandbox.create_contact(
                name=step.name,
                email=step.email,
                phone_number=step.phone_number,
                additional_attributes={key: value for key, value in extras.items() if value},
            )
            played.contacts[step.contact] = row.id
        case EditContact():
            sandbox.update_contact(played.contacts[step.contact], **step.changes)
        case Open():
            conversation = sandbox.create_conversation(
                played.contacts[step.contact], step.inbox_id, step.text, subject=step.subject
            )
            played.conversations[step.conversation] = conversation.id
        case Say():
            sandbox.add_message(
                played.conversations[step.conversation],
                step.text,
                direction=step.direction,
                private=step.private,
                sender_id=step.agent,
                attachments=step.attachments,
            )
        case SetStatus():
            sandbox.set_status(
                played.conversations[step.conversation], step.status, snoozed_until=step.snoozed_until
            )
        case Sort():
            _sort(sandbox, step, played.conversations[step.conversation])
        case Weather():
            sandbox.shuffle, sandbox.double = step.shuffle, step.double


def _sort(sandbox: ChatwootSandbox, step: Sort, conversation_id: int) -> None:
    if step.labels is not None:
        sandbox.set_labels(conversation_id, step.labels)
    if step.priority is not None:
        sandbox.set_priority(conversation_id, step.priority)
    if step.assignee_id is not None:
        sandbox.assign(conversation_id, assignee_id=step.assignee_id)
    if step.team_id is not None:
        sandbox.assign(conversation_id, team_id=step.team_id)


class _Day:
    """Draws up one plan. The order of the draws is the plan: it must not depend on anything but the seed."""

    def __init__(self, seed: int, contacts: int, conversations: int, messages: int) -> None:
        self.random = random.Random(seed)
        self.people = [self._person(number) for number in range(1, contacts + 1)]
        self.threads = self._threads(conversations, messages)
        self.resolvable = {number for number in self.threads if self._happens(0.7)}

    def steps(self) -> Sequence[Step]:
        """Conversations run side by side; each keeps its own order."""
        running = [self._thread(number, count) for number, count in self.threads.items()]
        met: set[int] = set()
        weather = self._weather()
        total = sum(map(len, running))
        found: list[Step] = []
        active = running[: max(3, len(running) // 6)]
        waiting = running[len(active) :]
        done = 0
        while active:
            thread = self.random.choice(active)
            step = thread.pop(0)
            if isinstance(step, Open) and step.contact not in met:
                met.add(step.contact)
                found.append(self.people[step.contact - 1])
            found.append(step)
            done += 1
            while weather and done >= weather[0][0] * total:
                found.append(weather.pop(0)[1])
            if not thread:
                active.remove(thread)
                if waiting:
                    active.append(waiting.pop(0))
        found += [person for person in self.people if person.contact not in met]
        return tuple(found)

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _weather(self) -> list[tuple[float, Weather]]:
        """Quiet at first, then deliveries arrive in disorder and doubled, and at the end all is quiet again."""
        return [
            (0.25, Weather(shuffle=True)),
            (0.45, Weather(shuffle=True, double=0.25)),
            (0.85, Weather()),
        ]

    def _person(self, number: int) -> NewContact:
        name = phrases.NAMES[(number - 1) % len(phrases.NAMES)]
        if number > len(phrases.NAMES):
            name = f"{name} {number}"
        if number % _ANONYMOUS_EVERY == 0:
            word = self.random.choice(phrases.VISITOR_WORDS)
            return NewContact(number, f"{word}-{100 + number}")
        domain = self.random.choice(("example.com", "example.org", "example.net"))
        email = f"customer{number:03}@{domain}"
        phone = phrases.phone(number)
        reach = self.random.choice(("email", "phone", "both"))
        return NewContact(
            number,
            name,
            email=email if reach != "phone" else None,
            phone_number=phone if reach != "email" else None,
            company=self.random.choice(phrases.COMPANIES) if self._happens(0.4) else None,
            city=self.random.choice(phrases.CITIES) if self._happens(0.5) else None,
        )

    def _threads(self, conversations: int, messages: int) -> dict[int, int]:
        """How many messages each conversation has: one at least, the rest fall anywhere."""
        counts = dict.fromkeys(range(1, conversations + 1), 1)
        for _ in range(messages - conversations):
            counts[self.random.randint(1, conversations)] += 1
        return counts

    def _thread(self, number: int, messages: int) -> list[Step]:
        """One conversation from its beginning to its end."""
        person = self.people[(number - 1) % len(self.people)]
        inbox_id = self._inbox(person)
        topic = self.random.choice(phrases.TOPICS)
        steps: list[Step] = [
            Open(
                number,
                person.contact,
                inbox_id,
                self._text(phrases.OPENINGS, number, 1, topic),
                subject=f"{topic} <#{4000 + number}>" if inbox_id == EMAIL else None,
            )
        ]
        if self._happens(0.6):
            steps.append(self._sorting(number))
        for position in range(2, messages + 1):
            steps.append(self._message(number, position, topic))
            if self._happens(0.12):
                steps.append(self._pause(number))
            if self._happens(0.06) and person.email:
                steps.append(self._edit(person))
        steps += self._ending(number)
        return steps

    def _inbox(self, person: NewContact) -> int:
        if person.email is None and person.phone_number is None:
            return WIDGET
        choices = [WIDGET]
        choices += [EMAIL] if person.email else []
        choices += [WHATSAPP, WHATSAPP] if person.phone_number else []
        return self.random.choice(choices)

    def _message(self, number: int, position: int, topic: str) -> Say:
        kind = self.random.choices(("customer", "agent", "note", "file"), (42, 38, 12, 8))[0]
        agent = self.random.choice(AGENTS)
        if kind == "agent":
            return Say(number, self._text(phrases.REPLIES, number, position, topic), "outgoing", agent=agent)
        if kind == "note":
            text = self._text(phrases.NOTES, number, position, topic)
            return Say(number, text, "outgoing", private=True, agent=agent)
        if kind == "file":
            words = self._text(phrases.CAPTIONS, number, position, topic)
            caption = words if self._happens(0.5) else None
            return Say(number, caption, attachments=(self.random.choice(phrases.ATTACHMENTS),))
        return Say(number, self._text(phrases.QUESTIONS, number, position, topic))

    def _text(self, choices: Sequence[str], number: int, position: int, topic: str) -> str:
        """A sentence nobody else writes that day: its reference tells it from all others."""
        return self.random.choice(choices).format(topic=topic, ref=f"A{number:03}-{position:02}")

    def _sorting(self, number: int) -> Sort:
        labels = tuple(sorted(self.random.sample(phrases.LABELS, self.random.randint(1, 2))))
        return self.random.choice(
            (
                Sort(number, labels=labels),
                Sort(number, priority=self.random.choice(("low", "medium", "high", "urgent"))),
                Sort(number, assignee_id=self.random.choice(AGENTS)),
                Sort(number, labels=labels, team_id=self.random.choice((2, 3))),
            )
        )

    def _pause(self, number: int) -> SetStatus:
        """Something an agent does in between; whatever it is, the next message of the customer goes on from it."""
        status = self.random.choice(("resolved", "pending", "snoozed", "snoozed", "open"))
        until = datetime(2030, 1, 2, 9, tzinfo=UTC) if self._happens(0.5) else None
        return SetStatus(number, status, snoozed_until=until if status == "snoozed" else None)

    def _ending(self, number: int) -> list[Step]:
        if number in self.resolvable:
            return [SetStatus(number, "resolved")]
        last = self.random.choice((None, "pending", "snoozed"))
        return [] if last is None else [SetStatus(number, last)]

    def _edit(self, person: NewContact) -> EditContact:
        city = self.random.choice(phrases.CITIES)
        company = self.random.choice(phrases.COMPANIES)
        return EditContact(
            person.contact,
            self.random.choice(
                (
                    {"additional_attributes": {"city": city}},
                    {"additional_attributes": {"company_name": company}},
                    {"name": f"{person.name} ({city})"},
                    {"phone_number": phrases.phone(person.contact)},
                )
            ),
        )
