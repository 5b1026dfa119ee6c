"""What a CRM is to the engine, and what the engine offers a CRM. Neither knows more of the other than this.

A CRM is a folder with an :class:`App`: its manifest (``app.yml``), a function that connects (makes the client
kept for a hook), a processor (one handler for each event name) and a setup. A processor does its work through a
:class:`Port`, which stands for the journal, the links and Chatwoot:

* ``ensure`` is how anything is created, so that no fault makes a second record;
* ``agree`` remembers what both sides last agreed on, so that nothing is written twice and nothing echoes;
* ``show`` mirrors ids and states into Chatwoot's custom attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from crm_sync.events import (
    Agent,
    Contact,
    Conversation,
    Event,
    EventName,
    Message,
    RemoteUpdate,
    Status,
)

#: Why an update of a message is skipped that the CRM does not show. Should the message come yet, its updates do too.
NOT_MIRRORED = "not_mirrored"

LocalType = Literal["contact", "conversation", "message", "attachment", "remote"]


@dataclass(frozen=True, slots=True)
class Local:
    """A record of Chatwoot: its type and its id (the display id, for a conversation).

    ``remote`` stands for a record of the CRM whose words were told in Chatwoot (see ``Port.tell``).
    """

    type: LocalType
    id: int


@dataclass(frozen=True, slots=True)
class Remote:
    """A record of the CRM, as found or created. ``agreed`` is the state it is known to be in."""

    id: str
    url: str | None = None
    agreed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A confirmed pair of records. ``created`` tells whether this very call made the CRM record."""

    local: Local
    remote_type: str
    remote_id: str
    url: str | None
    agreed: Mapping[str, Any]
    created: bool = False


#: What names a link within a hook: the Chatwoot record and the type of the CRM record.
LinkKey = tuple[Local, str]


@dataclass(frozen=True, slots=True)
class HookView:
    """What a CRM may know of its hook. ``settings`` are complete and validated, secrets included.

    ``language`` is that of the people who run the service, not of those who read the CRM.
    """

    id: int
    app_id: str
    settings: Mapping[str, Any] = field(repr=False)
    facts: Mapping[str, Any]
    chatwoot_url: str
    chatwoot_account_id: int
    timeouts_s: tuple[float, float] = (3.0, 30.0)
    language: str = "en"
    #: Where the CRM may send notices of changes, and what it is to sign them with.
    notice_url: str | None = None
    notice_secret: str | None = field(default=None, repr=False)


#: The confirmed link of a record, if it has one.
LinkLookup = Callable[[Local, str], Link | None]


@dataclass(frozen=True, slots=True)
class File:
    """A file that was fetched."""

    name: str
    mime: str
    content: bytes = field(repr=False)


class Chatwoot(Protocol):
    """What a processor may ask Chatwoot. Every call may raise an ApiError."""

    def contact(self, contact_id: int) -> Contact:
        """The contact as it is now; NotFound after a deletion or a merge."""
        ...

    def conversation(self, conversation_id: int) -> Conversation:
        """The conversation as it is now."""
        ...

    def first_messages(self, conversation_id: int) -> Sequence[Message]:
        """The oldest messages of a conversation (up to 100), oldest first, activities left out."""
        ...

    def messages_after(self, conversation_id: int, message_id: int) -> Sequence[Message]:
        """All messages newer than one, oldest first, activities left out."""
        ...

    def latest_messages(self, conversation_id: int) -> Sequence[Message]:
        """The newest messages of a conversation (up to 20), oldest first, activities left out."""
        ...

    def download(self, url: str, limit_bytes: int) -> File:
        """The file at an attachment's address.

        Raises NotFound when Chatwoot has it no longer, and Rejected when it is larger than the limit or would have to
        be fetched from where no file of Chatwoot's can be.
        """
        ...

    def inbox_name(self, inbox_id: int) -> str | None:
        """What agents call the inbox."""
        ...

    def agents(self) -> Sequence[Agent]:
        """The agents of the account, with e-mail addresses."""
        ...

    def toggle_status(self, conversation_id: int, status: Status) -> Status:
        """Give the conversation a status; what it then is."""
        ...

    def toggle_priority(self, conversation_id: int, priority: str | None) -> None:
        """Give the conversation a priority (``low`` to ``urgent``), or none."""
        ...

    def assign(self, conversation_id: int, *, assignee_id: int | None = None) -> None:
        """Give the conversation to an agent, or to nobody."""
        ...


class Port(Protocol):
    """What the engine offers a processor while it handles one event."""

    hook: HookView

    @property
    def chatwoot(self) -> Chatwoot:
        """The Chatwoot of the hook's account."""
        ...

    @property
    def now(self) -> datetime:
        """The present moment."""
        ...

    def link(self, local: Local, remote_type: str) -> Link | None:
        """The confirmed link of a record, if it has one. Costs no call."""
        ...

    def ensure(
        self,
        local: Local,
        remote_type: str,
        *,
        create: Callable[[], Remote],
        recover: Callable[[], Remote | None],
        find: Callable[[], Remote | None] | None = None,
    ) -> Link:
        """The link of a record; its CRM record is found or created where there is none yet.

        ``find`` looks for a record that is there already by its natural key (an e-mail address); left out where
        there cannot be one. ``recover`` looks for the record that an earlier attempt may have created, by its
        marker; it is asked before anything is created a second time, and when ``create`` raises Duplicate.
        Raises Defer while an earlier attempt's write may still be under way, and whatever the calls raise.
        """
        ...

    def agree(self, link: Link, **state: Any) -> Link:
        """Remember that both sides now agree on these keys (merged into what was agreed before)."""
        ...

    def move(self, link: Link, remote: Remote) -> Link:
        """From now on the link leads to another CRM record, which is there already; what was agreed is the other's."""
        ...

    def forget(self, link: Link) -> None:
        """The CRM record is gone: drop the link, so that ``ensure`` resolves it once more."""
        ...

    def show(self, local: Local, remote_type: str, attributes: Mapping[str, Any]) -> None:
        """Let the Chatwoot record of this link show these custom attributes, in time; ``None`` takes one away."""
        ...

    def tell(self, conversation_id: int, source: tuple[str, str], text: str, *, private: bool) -> bool:
        """Write a message into a conversation once, whatever breaks; whether it was written just now.

        ``source`` is the CRM record (type, id) whose words these are. What is not ``private`` goes to the customer.
        """
        ...

    def is_told(self, source: tuple[str, str]) -> bool:
        """Whether the words of a CRM record were told already, or came from Chatwoot in the first place."""
        ...

    def journaled_messages(self, conversation_id: int) -> Sequence[Message]:
        """The messages of a conversation that the journal knows, in order of their ids. Costs no call."""
        ...

    def mutex(self, name: str) -> AbstractContextManager[None]:
        """A lock for something several contacts share. Raises Defer when somebody else has it."""
        ...


class Processor(Protocol):
    """Brings the CRM to the state an event speaks of. One instance handles one event."""

    def handle(self, event: Event) -> str:
        """The outcome in words. Raises Skip, Defer or an ApiError."""
        ...

    def apply(self, update: RemoteUpdate) -> str:
        """Bring Chatwoot to the state of a CRM record; the outcome in words. Raises as ``handle`` does."""
        ...


@dataclass(frozen=True, slots=True)
class AttributeDefinition:
    """A custom attribute that the app shows in Chatwoot (contracts: custom_attribute_definitions_create)."""

    key: str
    name: str
    display_type: str
    model: str
    description: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """An app's ``app.yml``: everything about it that is data.

    ``form`` says how a page asks for each setting, in English; ``manifest.form`` makes it in another language, from
    the words kept in ``package``. ``logo`` is a file of that package, ``action`` the path of the app's page.
    """

    app_id: str
    name: str
    feature_flag: str
    events: frozenset[EventName]
    settings_schema: Mapping[str, Any]
    form: Sequence[Mapping[str, Any]]
    visible: frozenset[str]
    secret: frozenset[str]
    aliases: Mapping[str, str]
    attributes: tuple[AttributeDefinition, ...]
    package: str | None = None
    logo: str | None = None
    i18n_key: str = ""
    action: str = ""
    hook_type: str = "account"
    allow_multiple_hooks: bool = False


@dataclass(frozen=True, slots=True)
class SetupResult:
    """What a setup found: settings it filled in, and facts about the CRM (version, account, rights)."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class AttributeWriter(Protocol):
    """The part of Chatwoot that a setup writes to."""

    def define_attributes(self, definitions: Sequence[AttributeDefinition]) -> Sequence[str]:
        """Create the definitions that are missing; returns the keys created."""
        ...


def _nothing_to_say(_settings: Mapping[str, Any]) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class PulledRecord:
    """A record that changed in the CRM. ``state`` is what ``agree`` remembers of it, under the same keys.

    ``version`` differs for any two states of the record (the CRM's time of change, say).
    """

    remote_type: str
    remote_id: str
    version: str
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PulledPage:
    """Some records that changed, and the watermark to go on from once they are in the journal."""

    records: Sequence[PulledRecord]
    watermark: datetime


@dataclass(frozen=True, slots=True)
class PullFrom:
    """Where a pull begins.

    ``watermark`` is the CRM's own clock, written as if it were UTC; None for the first pull, which begins with what
    changed ``since`` (UTC). ``last`` is when (UTC) the hook was pulled before, ``now`` the present moment.
    """

    watermark: datetime | None
    since: datetime
    last: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """How a CRM reports its changes.

    ``changes`` yields pages, oldest change first, and may give a record again; ``interval_s`` says how often it is to
    be asked, None while the settings say that it is not.
    """

    changes: Callable[[Any, HookView, PullFrom], Iterable[PulledPage]]
    interval_s: Callable[[Mapping[str, Any]], float | None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How many calls a CRM takes from a hook within so many seconds, whoever makes them.

    ``room`` is how many must be left for an event to begin, so that few have to stop on their way.
    """

    calls: int
    per_s: float
    room: int = 1


@dataclass(frozen=True, slots=True)
class Notices:
    """How a CRM proves that a notice of a change comes from it.

    ``verify`` (secret, raw body, headers by lower-case names, present moment) raises SignatureError; ``answer``
    (secret, challenge) is what a CRM wants to hear that asks before it sends.
    """

    verify: Callable[[str, bytes, Mapping[str, str], datetime], None]
    answer: Callable[[str, str], str] | None = None


@dataclass(frozen=True, slots=True)
class App:
    """A CRM as the engine knows it; found through the entry point group ``crm_sync.crms``.

    ``connect`` makes the client that is kept for a hook within a process; it must be safe to share by threads.
    ``check`` tries credentials and rights and changes nothing in the CRM; ``setup`` does the same and prepares it.
    Both raise ConfigError naming the setting, or an ApiError. ``validate`` says what a JSON schema cannot: it is asked
    before settings are stored, costs no call, raises ConfigError for settings that contradict each other, and returns
    notes on those that have no effect beside the others. The code of a ConfigError is the key of a sentence among the
    app's ``errors``, which people read before the message.

    ``foresees`` names the links that an event will most likely make, from the event and the links there are. They
    are claimed together with the event, so that each saves a commit. It calls nobody and may be wrong: what was not
    foreseen is claimed when it is made, and what was not made is let go.

    ``warm_up`` makes the calls that a new client needs only once, such as its login.

    ``renews`` says whether the setup can get new credentials where those it has are refused.

    ``pace`` says how many calls the hook's CRM takes; None where it sets no limit.

    ``feed`` is there where the CRM's changes come back, ``notices`` where it can tell that there are some.
    """

    manifest: Manifest
    connect: Callable[[HookView], Any]
    processor: Callable[[Any, Port], Processor]
    check: Callable[[Any, HookView], SetupResult]
    setup: Callable[[Any, HookView], SetupResult]
    validate: Callable[[Mapping[str, Any]], tuple[str, ...]] = _nothing_to_say
    foresees: Callable[[Event, HookView, LinkLookup], Sequence[LinkKey]] = lambda *_: ()
    warm_up: Callable[[Any], None] = lambda _: None
    renews: Callable[[HookView], bool] = lambda _: False
    pace: Callable[[HookView], Pace | None] = lambda _: None
    feed: Feed | None = None
    notices: Notices | None = None
