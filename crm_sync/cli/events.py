"""``crm-sync events``: what came in and what became of it."""

from __future__ import annotations

from datetime import datetime

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.cli.parameters import Moment
from crm_sync.cli.surroundings import opened
from crm_sync.engine import operate
from crm_sync.engine.operate import Filter
from crm_sync.store.models import EventState

COLUMNS = ("id", "hook", "name", "subject", "mailbox", "state", "tries", "outcome", "created_at")

#: A person reads the newest ones; a script gets all of them unless it says how many it wants.
FOR_A_PERSON = 100

_RETRIABLE = (EventState.FAILED, EventState.PENDING)


@click.group(cls=Group)
def events() -> None:
    """Look into the journal, and act on what is stuck."""


@events.command("list")
@click.option("--state", type=click.Choice([state.value for state in EventState]))
@click.option("--hook", type=int)
@click.option("--mailbox", help="A contact at a hook, as hook:contact.")
@click.option("--since", type=Moment(), help="A time, or how long ago: 30m, 2h, 7d.")
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"The newest so many (a table shows {FOR_A_PERSON})."
)
def list_events(
    state: str | None, hook: int | None, mailbox: str | None, since: datetime | None, limit: int | None
) -> None:
    """List events, oldest first."""
    wanted = Filter(EventState(state) if state else None, hook, mailbox, since)
    newest = limit if limit is not None or output.is_json() else FOR_A_PERSON
    with opened() as runtime:
        output.rows(
            operate.events(runtime.store, wanted, newest=newest), COLUMNS, empty="No event is like that."
        )
        if newest is not None and (more := operate.count(runtime.store, wanted) - newest) > 0:
            output.note(f"{more} older ones are not shown; see --limit.")


@events.command()
@click.argument("event", type=int)
def show(event: int) -> None:
    """Show one event with every attempt at it."""
    with opened() as runtime:
        found = operate.event(runtime.store, event)
    output.details(found)


@events.command()
@click.argument("ids", type=int, nargs=-1, metavar="[ID]...")
@click.option(
    "--state", type=click.Choice([state.value for state in _RETRIABLE]), help="All events in this state."
)
@click.option("--hook", type=int, help="With --state: only those of this hook.")
@click.option("--dry-run", is_flag=True, help="Only say which.")
def retry(ids: tuple[int, ...], state: str | None, hook: int | None, dry_run: bool) -> None:
    """Try failed events again from the start, and pending ones now."""
    if bool(ids) == bool(state):
        raise click.UsageError("Name either events by their ids or a --state.")
    if hook is not None and not state:
        raise click.UsageError("--hook goes with --state.")
    wanted = Filter(EventState(state) if state else None, hook)
    with opened(wakes=not dry_run) as runtime:
        if dry_run:
            chosen = (
                operate.check_retry(runtime.store, ids) if ids else operate.would_retry(runtime.store, wanted)
            )
        else:
            chosen = operate.retry(runtime, ids) if ids else operate.retry_all(runtime, wanted)
        for words in operate.not_flowing(runtime, operate.hooks_of(runtime.store, chosen)):
            output.note(words)
    verb = "would be" if dry_run else "will be"
    output.answer(
        {"retried": 0 if dry_run else len(chosen), "events": chosen, "dry_run": dry_run},
        f"{len(chosen)} event{'' if len(chosen) == 1 else 's'} {verb} tried again.",
    )


@events.command()
@click.argument("event", type=int)
@click.option("--why", required=True, help="The reason, for those who look at the event later.")
def skip(event: int, why: str) -> None:
    """End an event that is pending or failed; nothing is done for it any more."""
    if not why.strip():
        raise click.BadParameter("a reason is needed.", param_hint="--why")
    with opened(wakes=True) as runtime:
        found = operate.skip(runtime, event, why.strip())
    output.answer(found, f"Event {event} is skipped.")
