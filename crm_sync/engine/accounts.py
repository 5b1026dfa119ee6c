"""Accounts: connecting a Chatwoot, so that it calls us and we may call it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm_sync import clock
from crm_sync.chatwoot.client import ChatwootClient
from crm_sync.chatwoot.records import Webhook
from crm_sync.config import Config
from crm_sync.errors import ApiError, ConfigError, NotFound, Rejected, Unauthorized
from crm_sync.store import Store
from crm_sync.store.models import Account, SignatureMode
from crm_sync.telemetry.logging import register_secret

log = structlog.get_logger(__name__)

WEBHOOK_PATH = "/webhooks/chatwoot/"


@dataclass(frozen=True, slots=True)
class Connected:
    """An account as ``accounts connect`` reports it."""

    account: int
    webhook_url: str
    signature: str


def connect(
    store: Store,
    config: Config,
    *,
    chatwoot_url: str,
    account_id: int,
    api_token: str,
    register: bool = True,
    signature: SignatureMode | None = None,
) -> Connected:
    """Check the token, register our webhook (or find it), read its secret and store the account.

    May be repeated: it renews token and secret, and keeps the secret it replaces for deliveries on their way.
    Raises ConfigError with what to do.
    """
    url = _base_url(chatwoot_url)
    token = _api_token(api_token)
    client = ChatwootClient(
        url, account_id, token, timeouts_s=(config.connect_timeout_s, config.read_timeout_s)
    )
    name, profile_id = _membership(client, url, account_id)
    with store.read() as session:
        known = _find(session, url, account_id)
    webhook_token = known.webhook_token if known else secrets.token_urlsafe(24)
    webhook_url = f"{config.base_url}{WEBHOOK_PATH}{webhook_token}"
    webhook = _webhook(client, webhook_url, register=register)
    mode = signature or _mode(known, webhook)
    if mode is SignatureMode.REQUIRED and not (webhook and webhook.secret):
        if webhook and known is None:
            _take_away(client, webhook.id)
        raise _no_secret(webhook, webhook_url)
    with store.write() as session:
        account = _find(session, url, account_id)
        if account is None:
            account = Account(
                chatwoot_url=url,
                chatwoot_account_id=account_id,
                webhook_token=webhook_token,
                created_at=clock.now(),
            )
            session.add(account)
        account.name, account.profile_id, account.signature = name, profile_id, mode
        account.api_token_secret = store.keyring.encrypt(token)
        replaced, account.webhook_id = account.webhook_id, webhook.id if webhook else None
        _remember_secret(store, account, webhook.secret if webhook else None)
        session.flush()
        connected = Connected(account.id, webhook_url, mode)
    if webhook and replaced is not None and replaced != webhook.id:
        # Registered under the address we had before; both of them would tell us everything twice.
        _take_away(client, replaced)
    return connected


def remove(store: Store, config: Config, account_id: int) -> list[str]:
    """Forget an account with everything that hangs on it; returns notes on what could not be undone in Chatwoot."""
    with store.read() as session:
        account = get(session, account_id)
    notes: list[str] = []
    if account.webhook_id is not None:
        client = ChatwootClient(
            account.chatwoot_url,
            account.chatwoot_account_id,
            store.keyring.decrypt(account.api_token_secret),
            timeouts_s=(config.connect_timeout_s, config.read_timeout_s),
        )
        try:
            client.delete_webhook(account.webhook_id)
        except NotFound:
            notes.append("The webhook was gone from Chatwoot already.")
        except ApiError as error:
            notes.append(f"The webhook is still registered in Chatwoot: {error}")
    with store.write() as session:
        session.delete(get(session, account_id))
    return notes


def get(session: Session, account_id: int) -> Account:
    """An account by our id; raises ConfigError."""
    account = session.get(Account, account_id)
    if account is None:
        raise ConfigError(f"There is no account {account_id}. See crm-sync accounts list.", setting="account")
    return account


def _find(session: Session, url: str, account_id: int) -> Account | None:
    found: Account | None = session.scalar(
        select(Account).where(Account.chatwoot_url == url, Account.chatwoot_account_id == account_id)
    )
    return found


def _base_url(url: str) -> str:
    stripped = url.strip().rstrip("/")
    if not stripped.startswith(("http://", "https://")):
        raise ConfigError(
            f"--chatwoot-url must start with http:// or https://, not {url!r}.", setting="chatwoot_url"
        )
    return stripped


def _api_token(given: str) -> str:
    token = given.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(
            "--api-token must be an access token of Chatwoot: letters and digits, as its profile page shows them.",
            setting="api_token",
        )
    register_secret(token)
    return token


def _membership(client: ChatwootClient, url: str, account_id: int) -> tuple[str | None, int]:
    """The account's name and our own user there, who must be an administrator."""
    try:
        profile = client.profile()
    except Unauthorized as error:
        raise ConfigError(
            f"--api-token: {error} Copy the access token from the profile page of an administrator.",
            setting="api_token",
        ) from error
    except ApiError as error:
        raise ConfigError(
            f"--chatwoot-url: {error} Check that {url} is where you open Chatwoot, and that it opens from "
            "this machine.",
            setting="chatwoot_url",
        ) from error
    member = next((item for item in profile.accounts if item.account_id == account_id), None)
    if member is None:
        known = ", ".join(str(item.account_id) for item in profile.accounts) or "none"
        raise ConfigError(
            f"--account-id: the token's user does not belong to account {account_id}; it belongs to: {known}.",
            setting="account_id",
        )
    if member.role != "administrator":
        raise ConfigError(
            f"--api-token: its user is {member.role} in account {account_id}; an administrator is needed to register "
            "the webhook and the custom attributes.",
            setting="api_token",
        )
    return member.name, profile.id


def _webhook(client: ChatwootClient, url: str, *, register: bool) -> Webhook | None:
    """Our webhook in Chatwoot: registered, or (``register`` false) only looked for."""
    try:
        if register:
            return client.register_webhook(url)
        return client.webhook_at(url)
    except Rejected as error:
        raise ConfigError(
            f"Chatwoot did not let us register the webhook {url}: {error} Set CRM_SYNC_PUBLIC_URL to the address "
            "at which Chatwoot reaches this service.",
            setting="CRM_SYNC_PUBLIC_URL",
        ) from error
    except ApiError as error:
        setting = "api_token" if isinstance(error, Unauthorized) else "chatwoot_url"
        raise ConfigError(
            f"--{setting.replace('_', '-')}: Chatwoot did not let us register the webhook: {error} "
            "Run the command again when that is mended.",
            setting=setting,
        ) from error


def _mode(known: Account | None, webhook: Webhook | None) -> SignatureMode:
    """Whether deliveries must be signed, where nobody says. Who switched that off once has his reasons."""
    if known is not None and known.signature == SignatureMode.OFF:
        return SignatureMode.OFF
    return SignatureMode.REQUIRED if webhook and webhook.secret else SignatureMode.OPTIONAL


def _no_secret(webhook: Webhook | None, url: str) -> ConfigError:
    if webhook is None:
        words = (
            f"--signature: Chatwoot has no webhook {url} yet, so its secret is not known and signatures cannot be "
            "required. Register it there first, or leave out --no-register."
        )
    else:
        words = (
            "--signature: this Chatwoot gives its webhook no secret (it signs from 4.12 on), so signatures cannot be "
            "required. Use --signature off, or update Chatwoot."
        )
    return ConfigError(words, setting="signature")


def _take_away(client: ChatwootClient, webhook_id: int) -> None:
    """Remove a webhook that is of no use any more; one that stays does no harm."""
    try:
        client.delete_webhook(webhook_id)
    except ApiError as error:
        log.warning("webhook_not_deleted", webhook=webhook_id, error=str(error))


def _remember_secret(store: Store, account: Account, secret: str | None) -> None:
    """Keep the secret, and the one it replaces."""
    before = store.keyring.decrypt(account.signing_secret) if account.signing_secret else None
    if secret == before:
        return
    account.previous_signing_secret = account.signing_secret
    account.signing_secret = store.keyring.encrypt(secret) if secret else None
