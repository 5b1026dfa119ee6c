"""``crm-sync links``: which CRM record belongs to which Chatwoot record."""

from __future__ import annotations

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.cli.parameters import Remote, RemoteName
from crm_sync.cli.surroundings import opened
from crm_sync.engine import operate

COLUMNS = ("id", "hook", "local_type", "local_id", "remote", "state", "url", "updated_at")


@click.group(cls=Group)
def links() -> None:
    """Find what belongs together."""


@links.command()
@click.option("--contact", type=int, help="A contact's id in Chatwoot.")
@click.option("--conversation", type=int, help="A conversation's number in Chatwoot.")
@click.option("--remote", type=Remote(), help="A CRM record, like glpi.ticket:12.")
def find(contact: int | None, conversation: int | None, remote: RemoteName | None) -> None:
    """Find the links of one record."""
    if sum(option is not None for option in (contact, conversation, remote)) != 1:
        raise click.UsageError("Name one of --contact, --conversation and --remote.")
    local = None
    if contact is not None:
        local = ("contact", contact)
    elif conversation is not None:
        local = ("conversation", conversation)
    with opened() as runtime:
        found = operate.links(runtime.store, local=local, remote=remote)
    output.rows(found, COLUMNS, empty="It has no link.")
