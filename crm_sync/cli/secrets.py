"""``crm-sync secrets``: the keys under which credentials are stored."""

from __future__ import annotations

import click

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.cli.surroundings import opened
from crm_sync.engine import operate


@click.group(cls=Group)
def secrets() -> None:
    """Look after stored secrets."""


@secrets.command()
def rotate() -> None:
    """Re-encrypt every stored secret under the first key of CRM_SYNC_SECRET_KEYS."""
    with opened() as runtime:
        number = operate.rotate_secrets(runtime.store)
    output.answer(
        {"rotated": number}, f"{number} secrets are encrypted under the first key; the other keys may go."
    )
