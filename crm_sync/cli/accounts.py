"""``crm-sync accounts``: the Chatwoots that call us."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import select

from crm_sync.cli import output
from crm_sync.cli.commands import Group
from crm_sync.cli.surroundings import opened
from crm_sync.engine import accounts as engine, features
from crm_sync.store.models import Account, SignatureMode

COLUMNS = ("account", "name", "chatwoot_url", "chatwoot_account_id", "signature", "features", "hooks")


@click.group(cls=Group)
def accounts() -> None:
    """Connect Chatwoot accounts."""


@accounts.command()
@click.option("--chatwoot-url", required=True, help="Where Chatwoot is opened in a browser.")
@click.option(
    "--account-id", required=True, type=click.IntRange(min=1), help="The number in Chatwoot's addresses."
)
@click.option("--api-token", required=True, help="Access token of an administrator, from the profile page.")
@click.option("--no-register", is_flag=True, help="Only look for the webhook; somebody else registers it.")
@click.option(
    "--signature",
    type=click.Choice([mode.value for mode in SignatureMode]),
    help="Whether deliveries must be signed. Left out: required where Chatwoot signs, else optional.",
)
def connect(
    chatwoot_url: str, account_id: int, api_token: str, no_register: bool, signature: str | None
) -> None:
    """Register our webhook in Chatwoot (or find it) and store the account. May be repeated."""
    with opened() as runtime:
        connected = engine.connect(
            runtime.store,
            runtime.config,
            chatwoot_url=chatwoot_url,
            account_id=account_id,
            api_token=api_token,
            register=not no_register,
            signature=SignatureMode(signature) if signature else None,
        )
    output.answer(
        asdict(connected),
        f"Account {connected.account} is connected; signatures are {connected.signature}.\n"
        f"Chatwoot calls {connected.webhook_url}",
    )


@accounts.command("list")
def list_accounts() -> None:
    """List the accounts."""
    with opened() as runtime, runtime.store.read() as session:
        found = [_shown(account) for account in session.scalars(select(Account).order_by(Account.id))]
    output.rows(found, COLUMNS, empty="No account is connected; see crm-sync accounts connect.")


@accounts.command()
@click.argument("account", type=int)
def show(account: int) -> None:
    """Show one account."""
    with opened() as runtime, runtime.store.read() as session:
        row = engine.get(session, account)
        webhook_url = f"{runtime.config.base_url}{engine.WEBHOOK_PATH}{row.webhook_token}"
        output.details({**_shown(row), "webhook_id": row.webhook_id, "webhook_url": webhook_url})


@accounts.command()
@click.argument("account", type=int)
@click.argument("flag")
@click.argument("state", type=click.Choice(["on", "off"]))
def feature(account: int, flag: str, state: str) -> None:
    """Switch a feature of an account, as crm_integration, on or off for all hooks of its apps."""
    with opened() as runtime:
        features.switch(runtime, account, flag, on=state == "on")
    output.answer(
        {"account": account, "feature": flag, "on": state == "on"}, f"Account {account} has {flag} {state}."
    )


@accounts.command()
@click.argument("account", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(account: int, yes: bool) -> None:
    """Forget an account with its hooks, events and links, and take our webhook out of Chatwoot."""
    with opened() as runtime:
        with runtime.store.read() as session:
            name = engine.get(session, account).chatwoot_url
        output.confirm(f"Forget account {account} ({name}) with its hooks, events and links?", yes=yes)
        notes = engine.remove(runtime.store, runtime.config, account)
    for words in notes:
        output.note(words)
    output.answer({"account": account, "removed": True, "notes": notes}, f"Account {account} is removed.")


def _shown(account: Account) -> dict[str, Any]:
    return {
        "account": account.id,
        "name": account.name,
        "chatwoot_url": account.chatwoot_url,
        "chatwoot_account_id": account.chatwoot_account_id,
        "signature": account.signature,
        "features": features.all_of(account),
        "hooks": [hook.id for hook in account.hooks],
        "created_at": account.created_at,
    }
