"""ensure(link): how a CRM record comes to exist exactly once, whatever breaks on the way.

The link is claimed in SQL before the CRM is called, and confirmed after. An attempt that meets the claim of an
earlier one cannot know whether the CRM did what it was asked: it gives the CRM time to finish, looks the record
up by its marker, and creates only what is not there. A search that failed is not a search that found nothing:
its error goes up, and the claim stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from crm_sync import keys
from crm_sync.chatwoot import payloads
from crm_sync.chatwoot.client import ChatwootClient
from crm_sync.crms.base import HookView, Link, LinkKey, Local, Remote
from crm_sync.errors import ApiError, Defer, Duplicate, NotYet, OutcomeUnknown
from crm_sync.events import Event, RemoteUpdate
from crm_sync.locks import Busy, Mutexes
from crm_sync.store import Store, journal, links
from crm_sync.store.links import LinkRow
from crm_sync.store.models import LinkState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from crm_sync.events import Message

#: How soon something that another worker holds is tried again.
SHORT_WAIT = timedelta(seconds=1)


#: A claim this much of the settling time older than the call it is for is written anew.
STALE = 0.25


class JournalPort:
    """The engine's side of :class:`crm_sync.crms.base.Port`, for one attempt at one event.

    ``known`` are the links of the event's records as they stand, ``fence`` raises ClaimLost within a transaction
    once another worker has taken the event over.

    Confirmations are kept until the next write to the journal, so that an event costs as few commits as it can;
    a worker that dies in between leaves the claim behind, which is safe. ``foreseen`` are links that were claimed
    together with the event, by their ids: they cost no commit of their own. Those not needed are let go at the end.
    """

    def __init__(
        self,
        *,
        store: Store,
        mutexes: Mutexes,
        hook: HookView,
        chatwoot: ChatwootClient,
        mailbox: str,
        claim: str,
        now: Callable[[], datetime],
        unknown_settle: timedelta,
        fence: Callable[[Session], None],
        event: Event | RemoteUpdate,
        known: Iterable[LinkRow],
        foreseen: Mapping[LinkKey, int] = MappingProxyType({}),
    ) -> None:
        self.hook = hook
        self.chatwoot = chatwoot
        self._store = store
        self._mutexes = mutexes
        self._mailbox = mailbox
        self._claim = claim
        self._now = now
        self._unknown_settle = unknown_settle
        self._fence = fence
        self._unwritten: list[Callable[[Session], None]] = []
        self._loaded = set(records_of(event))
        self._rows = {(row.local_type, row.local_id, row.remote_type): row for row in known}
        self._foreseen = dict(foreseen)
        self._began = now()
        self._claimed_at: dict[int, datetime] = {}
        self._links: dict[LinkKey, tuple[int, Link]] = {}
        self._forgotten: set[LinkKey] = set()

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self._now()

    # -- links ---------------------------------------------------------------------------------------------------

    def link(self, local: Local, remote_type: str) -> Link | None:
        """See Port.link."""
        known = self._links.get((local, remote_type))
        if known is None:
            row = self._row(local, remote_type)
            if row is None or row.state != LinkState.LINKED:
                return None
            known = self._links[local, remote_type] = (row.id, as_link(row))
        return known[1]

    def remembered(self, local: Local, remote_type: str) -> Link | None:
        """The link as this attempt knows it already, written down or not; asks nobody."""
        known = self._links.get((local, remote_type))
        return known[1] if known is not None else None

    def ensure(
        self,
        local: Local,
        remote_type: str,
        *,
        create: Callable[[], Remote],
        recover: Callable[[], Remote | None],
        find: Callable[[], Remote | None] | None = None,
    ) -> Link:
        """See Port.ensure."""
        linked = self.link(local, remote_type)
        if linked is not None:
            return linked
        row_id, inherited = self._claim_link(local, remote_type)
        try:
            found = recover() if inherited else (find() if find else None)
            if found is not None:
                return self._confirm(row_id, local, remote_type, found, created=False)
            self._freshen(row_id)
        except (ApiError, NotYet):
            # Nothing was created by this attempt. A claim it inherited stays what it was: in doubt.
            if not inherited:
                self._release(row_id)
            raise
        try:
            remote, created = create(), True
        except Duplicate:
            adopted = recover() or (find() if find else None)
            if adopted is None:
                self._release(row_id)
                raise
            remote, created = adopted, False
        except OutcomeUnknown:
            # From now on, for as long as the call took it did not come to an end.
            self._later(row_id, claimed_at=self._now())
            raise
        except (ApiError, NotYet):
            self._release(row_id)
            raise
        return self._confirm(row_id, local, remote_type, remote, created=created)

    def agree(self, link: Link, **state: Any) -> Link:
        """See Port.agree."""
        row_id, latest = self._links[link.local, link.remote_type]
        # What was agreed since the caller got hold of the link is not to be lost.
        agreed = {**latest.agreed, **state}
        self._later(row_id, agreed=agreed)
        return self._remember(row_id, replace(link, agreed=agreed))

    def move(self, link: Link, remote: Remote) -> Link:
        """See Port.move."""
        row_id, _ = self._links[link.local, link.remote_type]
        agreed = dict(remote.agreed)
        self._later(row_id, remote_id=remote.id, url=remote.url, agreed=agreed)
        moved = replace(link, remote_id=remote.id, url=remote.url, agreed=agreed, created=False)
        return self._remember(row_id, moved)

    def forget(self, link: Link) -> None:
        """See Port.forget."""
        row_id, _ = self._links.pop((link.local, link.remote_type))
        self._forgotten.add((link.local, link.remote_type))
        self._rows.pop((link.local.type, link.local.id, link.remote_type), None)
        self._release(row_id)

    def show(self, local: Local, remote_type: str, attributes: Mapping[str, Any]) -> None:
        """See Port.show."""
        row_id, _ = self._links[local, remote_type]
        self._unwritten.append(lambda session: links.want(session, row_id, dict(attributes), self._now()))

    # -- telling people ------------------------------------------------------------------------------------------

    def tell(self, conversation_id: int, source: tuple[str, str], text: str, *, private: bool) -> bool:
        """See Port.tell."""
        app_id = self.hook.app_id
        key = f"{app_id}:{self.hook.id}:{source[0]}:{source[1]}"

        def written() -> Remote:
            message = self.chatwoot.create_message(
                conversation_id, text, key=key, private=private, app_id=app_id, look_first=False
            )
            return Remote(str(message.id))

        def found() -> Remote | None:
            message = self.chatwoot.find_message(conversation_id, key)
            return Remote(str(message.id)) if message is not None else None

        link = self.ensure(*_told(source), create=written, recover=found)
        return link.created

    def is_told(self, source: tuple[str, str]) -> bool:
        """See Port.is_told."""
        if self.link(*_told(source)) is not None:
            return True
        with self._store.read() as session:
            return links.is_linked(session, self.hook.id, *source)

    # -- what else a processor may ask ---------------------------------------------------------------------------

    def journaled_messages(self, conversation_id: int) -> Sequence[Message]:
        """See Port.journaled_messages."""
        with self._store.read() as session:
            found = journal.message_payloads(session, self.hook.id, conversation_id)
        events = (payloads.read(payload) for payload in found)
        return [event.message for event in events if event.message is not None]

    def mutex(self, name: str) -> AbstractContextManager[None]:
        """See Port.mutex."""

        @contextmanager
        def held() -> Iterator[None]:
            try:
                with self._mutexes.hold(keys.shared_lock(self.hook.id, name), self._claim):
                    yield
            except Busy as busy:
                raise Defer(self._now() + SHORT_WAIT, f"Waiting for {name}.") from busy

        return held()

    # -- writing down --------------------------------------------------------------------------------------------

    def write(self, session: Session) -> None:
        """Write what was confirmed since the last time, within the caller's transaction, which is fenced."""
        for step in self._unwritten:
            step(session)
        self._unwritten.clear()

    def finish(self, session: Session) -> None:
        """Write what is left, and let go what was claimed and not needed; the attempt is over."""
        self.write(session)
        for row_id in self._foreseen.values():
            links.release(session, row_id)
        self._foreseen.clear()

    def _claim_link(self, local: Local, remote_type: str) -> tuple[int, bool]:
        """Claim the link; tells whether an earlier attempt had claimed it, so that a record may exist."""
        foreseen = self._foreseen.pop((local, remote_type), None)
        if foreseen is not None:
            self._claimed_at[foreseen] = self._began
            return foreseen, False
        row = self._row(local, remote_type)
        try:
            return self._store.write_together(
                lambda session: self._claim_within(session, row, local, remote_type)
            )
        except IntegrityError as error:
            raise Defer(self._now() + SHORT_WAIT, f"Another worker is creating the {remote_type}.") from error

    def _claim_within(
        self, session: Session, row: LinkRow | None, local: Local, remote_type: str
    ) -> tuple[int, bool]:
        self._fence(session)
        self.write(session)
        if row is not None:
            return self._inherit(session, row), True
        claimed = links.claim(
            session,
            hook_id=self.hook.id,
            mailbox=self._mailbox,
            record=(local.type, local.id),
            remote_type=remote_type,
            token=self._claim,
            now=self._now(),
        )
        self._claimed_at[claimed] = self._now()
        return claimed, False

    def _inherit(self, session: Session, row: LinkRow) -> int:
        if row.claim and journal.is_held(session, row.claim, self._now()):
            raise Defer(self._now() + SHORT_WAIT, f"Another worker is creating the {row.remote_type}.")
        settled = row.claimed_at + self._unknown_settle
        if settled > self._now():
            raise Defer(settled, f"An earlier attempt may still be creating the {row.remote_type}.")
        links.change(session, row.id, self._now(), claim=self._claim)
        self._claimed_at[row.id] = row.claimed_at
        return row.id

    def _freshen(self, row_id: int) -> None:
        """See that the claim tells when the record was made: who inherits it gives the CRM time from then on."""
        if self._now() - self._claimed_at[row_id] <= self._unknown_settle * STALE:
            return

        def stamp(session: Session) -> None:
            self._fence(session)
            self.write(session)
            links.change(session, row_id, self._now(), claimed_at=self._now())

        self._store.write_together(stamp)
        self._claimed_at[row_id] = self._now()

    def _confirm(self, row_id: int, local: Local, remote_type: str, remote: Remote, *, created: bool) -> Link:
        agreed = dict(remote.agreed)
        self._later(
            row_id, state=LinkState.LINKED, remote_id=remote.id, url=remote.url, agreed=agreed, claim=None
        )
        link = Link(local, remote_type, remote.id, remote.url, agreed, created=created)
        return self._remember(row_id, link)

    def _later(self, row_id: int, **values: Any) -> None:
        self._unwritten.append(lambda session: links.change(session, row_id, self._now(), **values))

    def _release(self, row_id: int) -> None:
        self._unwritten.append(lambda session: links.release(session, row_id))

    def _remember(self, row_id: int, link: Link) -> Link:
        self._links[link.local, link.remote_type] = (row_id, link)
        return link

    def _row(self, local: Local, remote_type: str) -> LinkRow | None:
        """The link as it was loaded with the event, or as it is; none where it was forgotten since."""
        if (local, remote_type) in self._forgotten:
            return None
        if (local.type, local.id) in self._loaded:
            return self._rows.get((local.type, local.id, remote_type))
        with self._store.read() as session:
            return links.find(session, self.hook.id, (local.type, local.id), remote_type)


def records_of(event: Event | RemoteUpdate) -> list[links.Record]:
    """The Chatwoot records an event is about: their links are loaded with it."""
    if isinstance(event, RemoteUpdate):
        return [(event.local_type, event.local_id)]
    records: list[links.Record] = [("contact", event.contact.id)]
    if event.conversation is not None:
        records.append(("conversation", event.conversation.id))
    if event.message is not None:
        records.append(("message", event.message.id))
    return records


def as_link(row: LinkRow) -> Link:
    """A confirmed link as a processor sees it."""
    local = Local(row.local_type, row.local_id)  # type: ignore[arg-type]  # the column holds nothing else
    return Link(local, row.remote_type, row.remote_id or "", row.url, row.agreed)


def _told(source: tuple[str, str]) -> tuple[Local, str]:
    """Where the link of a told record is kept: under the CRM's own number, or one made of its name."""
    kind, name = source
    number = int(name) if name.isdecimal() else int.from_bytes(blake2b(name.encode(), digest_size=7).digest())
    return Local("remote", number), f"told:{kind}"
