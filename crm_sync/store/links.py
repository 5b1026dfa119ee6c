"""The links' statements: load, claim, confirm, release. All of them work within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Select, Table, Update, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crm_sync.store.models import Link, LinkState

_links = Link.__table__.c
_table = cast("Table", Link.__table__)
_SELECT: Select[Any] = select(
    _links.id,
    _links.local_type,
    _links.local_id,
    _links.remote_type,
    _links.remote_id,
    _links.url,
    _links.state,
    _links.claim,
    _links.claimed_at,
    _links.agreed,
)

#: A Chatwoot record: its type and its id.
Record = tuple[str, int]


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link as it is stored."""

    id: int
    local_type: str
    local_id: int
    remote_type: str
    remote_id: str | None
    url: str | None
    state: str
    claim: str | None
    claimed_at: datetime
    agreed: dict[str, Any]


_INSERT = insert(_table).returning(_links.id)
#: The same, and no row when there is one already.
_INSERT_NEW = {
    "sqlite": sqlite.insert(_table).on_conflict_do_nothing().returning(_links.id),
    "postgresql": postgresql.insert(_table).on_conflict_do_nothing().returning(_links.id),
}


def load(session: Session, hook_id: int, records: Collection[Record]) -> list[LinkRow]:
    """All links of these records."""
    values: dict[str, Any] = {"hook": hook_id}
    for nth, (kind, number) in enumerate(records):
        values[f"type_{nth}"], values[f"id_{nth}"] = kind, number
    return [LinkRow(*row) for row in session.execute(_of_records(len(records)), values)]


def find(session: Session, hook_id: int, record: Record, remote_type: str) -> LinkRow | None:
    """One link."""
    row = session.execute(
        _SELECT.where(
            _links.hook_id == hook_id,
            _links.local_type == record[0],
            _links.local_id == record[1],
            _links.remote_type == remote_type,
        )
    ).one_or_none()
    return LinkRow(*row) if row is not None else None


def is_linked(session: Session, hook_id: int, remote_type: str, remote_id: str) -> bool:
    """Whether a CRM record belongs to a record of Chatwoot."""
    found = session.scalar(
        select(_links.id)
        .where(_links.hook_id == hook_id, _links.remote_type == remote_type, _links.remote_id == remote_id)
        .limit(1)
    )
    return found is not None


def claim(
    session: Session,
    *,
    hook_id: int,
    mailbox: str,
    record: Record,
    remote_type: str,
    token: str,
    now: datetime,
) -> int:
    """Claim a record that has no link yet; IntegrityError when another worker was quicker."""
    values = _claimed(hook_id, mailbox, record, remote_type, token, now)
    (link_id,) = session.execute(_INSERT, values).one()
    return int(link_id)


def claim_new(
    session: Session,
    *,
    hook_id: int,
    mailbox: str,
    record: Record,
    remote_type: str,
    token: str,
    now: datetime,
) -> int | None:
    """Claim a record that has no link yet; None, and nothing lost, when another worker was quicker."""
    statement = _INSERT_NEW[session.get_bind().dialect.name]
    values = _claimed(hook_id, mailbox, record, remote_type, token, now)
    row = session.execute(statement, values).one_or_none()
    return int(row[0]) if row is not None else None


def _claimed(
    hook_id: int, mailbox: str, record: Record, remote_type: str, token: str, now: datetime
) -> dict[str, Any]:
    return {
        "hook_id": hook_id,
        "mailbox": mailbox,
        "local_type": record[0],
        "local_id": record[1],
        "remote_type": remote_type,
        "state": LinkState.CREATING,
        "claim": token,
        "claimed_at": now,
        "agreed": {},
        "wanted": {},
        "shown": {},
        "mirror_tries": 0,
        "created_at": now,
        "updated_at": now,
    }


def change(session: Session, link_id: int, now: datetime, **values: Any) -> None:
    """Write some columns of a link."""
    given = {f"new_{name}": value for name, value in values.items()}
    session.execute(_change_of(tuple(values)), {"link": link_id, "now": now, **given})


def release(session: Session, link_id: int) -> None:
    """Take a link away."""
    session.execute(_DELETE, {"link": link_id})


def want(session: Session, link_id: int, attributes: dict[str, Any], now: datetime) -> None:
    """Have these custom attributes shown in Chatwoot, if they are not yet."""
    row = session.execute(_SHOWN, {"link": link_id}).one_or_none()
    if row is None:
        return
    wanted = {**row.wanted, **attributes}
    if wanted != row.shown:
        change(session, link_id, now, wanted=wanted, mirror_at=now, mirror_tries=0)


# -- the statements every event needs, built once --------------------------------------------------------------------

_DELETE = delete(_table).where(_links.id == bindparam("link"))
_SHOWN = select(_links.wanted, _links.shown).where(_links.id == bindparam("link"))


@lru_cache
def _of_records(number: int) -> Select[Any]:
    """The links of so many records."""
    ours = (
        and_(_links.local_type == bindparam(f"type_{nth}"), _links.local_id == bindparam(f"id_{nth}"))
        for nth in range(number)
    )
    return _SELECT.where(_links.hook_id == bindparam("hook"), or_(*ours))


@lru_cache
def _change_of(names: tuple[str, ...]) -> Update:
    """The change of these columns of a link."""
    columns = {name: bindparam(f"new_{name}", type_=_links[name].type) for name in names}
    return update(_table).where(_links.id == bindparam("link")).values(**columns, updated_at=bindparam("now"))
