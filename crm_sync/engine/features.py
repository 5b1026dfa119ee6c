"""Feature flags: each app has one, and each account can switch it off for all apps that share it. On by default.

While a flag is off nothing new is journaled for its hooks, what is waiting ends as skipped, and no hook is added.
"""

from __future__ import annotations

from sqlalchemy import update

from crm_sync.crms.base import Manifest
from crm_sync.engine import accounts, apps
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import ConfigError, Skip
from crm_sync.store.models import Account, Hook

#: The reason counted for what a flag that is off keeps back.
FEATURE_OFF = "feature_off"


def known() -> frozenset[str]:
    """The flags of the installed apps."""
    return frozenset(app.manifest.feature_flag for app in apps.installed().values())


def is_on(account: Account, flag: str) -> bool:
    """Whether the account has this flag on."""
    return flag not in account.features_off


def all_of(account: Account) -> dict[str, bool]:
    """Every flag that is known, or that the account once switched off, and whether it is on."""
    return {flag: is_on(account, flag) for flag in sorted(known() | set(account.features_off))}


def demand(account: Account, manifest: Manifest) -> None:
    """Raises ConfigError when the account has this app's flag off."""
    if not is_on(account, manifest.feature_flag):
        flag = manifest.feature_flag
        raise ConfigError(
            f"Account {account.id} has {flag} switched off, which {manifest.name} belongs to. "
            f"Switch it on with crm-sync accounts feature {account.id} {flag} on.",
            setting=flag,
            code=FEATURE_OFF,
        )


def skip_if_off(account: Account, manifest: Manifest) -> None:
    """Raises Skip when the account has this app's flag off."""
    if not is_on(account, manifest.feature_flag):
        raise Skip(FEATURE_OFF, f"The account has {manifest.feature_flag} switched off.")


def switch(runtime: Runtime, account_id: int, flag: str, *, on: bool) -> None:
    """Switch a flag of an account. Raises ConfigError for an account or a flag that is not there."""
    with runtime.store.write() as session:
        account = accounts.get(session, account_id)
        flags = all_of(account)
        if flag not in flags:
            raise ConfigError(
                f"There is no feature called {flag}. There are: {', '.join(flags) or 'none'}.", setting="flag"
            )
        off = set(account.features_off) - {flag}
        account.features_off = sorted(off if on else off | {flag})
        # Workers keep an account together with its hooks, until these change.
        session.execute(
            update(Hook).where(Hook.account_id == account_id).values(version=Hook.version + 1),
            execution_options={"synchronize_session": False},
        )
