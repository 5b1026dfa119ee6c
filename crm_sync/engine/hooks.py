"""Hooks: connecting a CRM to an account. A hook is active only after its setup has passed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm_sync.crms import manifest, texts
from crm_sync.crms.base import App, HookView, SetupResult
from crm_sync.engine import accounts, apps, features
from crm_sync.engine.runtime import Runtime, chatwoot_client
from crm_sync.engine.waking import wake_all
from crm_sync.errors import ApiError, ConfigError, CrmSyncError
from crm_sync.store import journal
from crm_sync.store.models import Event, EventState, Hook, HookState


@dataclass(frozen=True, slots=True)
class HookReport:
    """A hook as commands report it; ``notes`` are what a person should know besides.

    ``code`` is the machine's word for what needs attention, where there is one.
    """

    hook: int
    state: str
    state_reason: str | None
    notes: tuple[str, ...] = ()
    code: str | None = None


def add(
    runtime: Runtime, app_id: str, account_id: int, given: Mapping[str, str], *, run_setup: bool = True
) -> HookReport:
    """Validate, try, store and set a hook up. Raises ConfigError, and then nothing is stored."""
    app = apps.find(app_id)
    with _told(runtime, app):
        return _add(runtime, app, account_id, given, run_setup=run_setup)


def _add(
    runtime: Runtime, app: App, account_id: int, given: Mapping[str, str], *, run_setup: bool
) -> HookReport:
    app_id, language = app.manifest.app_id, runtime.config.language
    settings, notes = _valid(app, manifest.typed(app.manifest, given, language), language)
    with runtime.store.read() as session:
        account = accounts.get(session, account_id)
        features.demand(account, app.manifest)
        if _of(session, account_id, app_id) is not None:
            raise _taken(app, account_id)
    now = runtime.now()
    open_settings, secret = _parted(app, settings)
    notice_token, notice_secret = _notice_address(runtime)
    hook = Hook(
        account_id=account_id,
        app_id=app_id,
        settings=open_settings,
        settings_secret=runtime.store.keyring.encrypt_json(secret),
        notice_token=notice_token,
        notice_secret=notice_secret,
        facts={},
        state=HookState.SETTING_UP,
        state_reason="Waiting for its setup.",
        version=1,
        created_at=now,
        updated_at=now,
    )
    if run_setup:
        hook.id = 0
        _check(app, runtime.view(hook, account))
        hook.id = None  # type: ignore[assignment]  # given by the database
    try:
        with runtime.store.write() as session:
            session.add(hook)
            session.flush()
            hook_id = hook.id
    except IntegrityError:
        # Somebody else was faster, or took the account away meanwhile.
        with runtime.store.read() as session:
            accounts.get(session, account_id)
        raise _taken(app, account_id) from None
    if not run_setup:
        return HookReport(hook_id, HookState.SETTING_UP, "Waiting for its setup.", notes)
    return set_up(runtime, hook_id)


def change(runtime: Runtime, hook_id: int, given: Mapping[str, str], *, run_setup: bool = True) -> HookReport:
    """Change settings (an empty text takes one away) and set the hook up again.

    Raises ConfigError, and then nothing is changed.
    """
    with runtime.store.read() as session:
        hook = get(session, hook_id)
        view = runtime.view(hook, hook.account)
    app = apps.find(hook.app_id)
    with _told(runtime, app):
        return _change(runtime, app, view, given, run_setup=run_setup)


def _change(
    runtime: Runtime, app: App, view: HookView, given: Mapping[str, str], *, run_setup: bool
) -> HookReport:
    removed = {app.manifest.aliases.get(name, name) for name, text in given.items() if text == ""}
    language = runtime.config.language
    changed = manifest.typed(
        app.manifest, {name: text for name, text in given.items() if text != ""}, language
    )
    kept = {name: value for name, value in view.settings.items() if name not in removed}
    settings, notes = _valid(app, kept | changed, language)
    if run_setup:
        _check(app, replace(view, settings=settings))
    open_settings, secret = _parted(app, settings)
    with runtime.store.write() as session:
        row = get(session, view.id)
        row.settings = open_settings
        row.settings_secret = runtime.store.keyring.encrypt_json(secret)
        row.version += 1
        row.updated_at = runtime.now()
    # What an operator has paused stays so; its setup runs when it is resumed.
    stands = report(runtime, view.id)
    if stands.state == HookState.PAUSED or not run_setup:
        return replace(stands, notes=notes)
    return set_up(runtime, view.id)


def _notice_address(runtime: Runtime) -> tuple[str, str]:
    """The token in a new address for notices, and what they are to be signed with (encrypted)."""
    return secrets.token_urlsafe(24), runtime.store.keyring.encrypt(secrets.token_urlsafe(32))


def set_up(runtime: Runtime, hook_id: int) -> HookReport:
    """Run the setup of a hook; it is active after it passed, and needs attention when it did not."""
    with runtime.store.write() as session:
        hook = get(session, hook_id)
        account, was_paused = hook.account, hook.state == HookState.PAUSED
        if hook.notice_token is None:
            # It was added before hooks had an address for notices.
            hook.notice_token, hook.notice_secret = _notice_address(runtime)
    app = apps.find(hook.app_id)
    view = runtime.view(hook, account)
    try:
        with _told(runtime, app):
            _, notes = _valid(app, view.settings, runtime.config.language)
            with _sendable(app, view):
                result = app.setup(app.connect(view), view)
        notes += result.notes + _define_attributes(runtime, hook, app)
    except CrmSyncError as error:
        stands = _set_state(runtime, hook_id, HookState.NEEDS_ATTENTION, str(error), unpauses=was_paused)
        return replace(stands, code=error.code if isinstance(error, ConfigError) else None)
    with runtime.store.write() as session:
        row = get(session, hook_id)
        open_settings, secret = _parted(app, result.settings)
        row.settings = {**row.settings, **open_settings}
        if secret:
            kept = runtime.store.keyring.decrypt_json(row.settings_secret)
            row.settings_secret = runtime.store.keyring.encrypt_json({**kept, **secret})
        row.facts = {**row.facts, **result.facts}
        row.version += 1
    active = _set_state(runtime, hook_id, HookState.ACTIVE, None, unpauses=was_paused)
    return HookReport(active.hook, active.state, active.state_reason, notes)


def test(runtime: Runtime, hook_id: int) -> SetupResult:
    """Try credentials and rights, and change nothing. Raises ConfigError."""
    with runtime.store.read() as session:
        hook = get(session, hook_id)
        view = runtime.view(hook, hook.account)
    app = apps.find(hook.app_id)
    with _told(runtime, app):
        _, notes = _valid(app, view.settings, runtime.config.language)
        found = _check(app, view)
    return replace(found, notes=notes + found.notes)


def pause(runtime: Runtime, hook_id: int) -> HookReport:
    """Let the hook's events wait until ``resume``."""
    return _set_state(runtime, hook_id, HookState.PAUSED, "Paused by an operator.")


def resume(runtime: Runtime, hook_id: int) -> HookReport:
    """Let a hook go on: after a setup that passes, its waiting events are processed."""
    return set_up(runtime, hook_id)


def remove(runtime: Runtime, hook_id: int) -> None:
    """Forget a hook with its events and links. What is in the CRM stays there."""
    with runtime.store.write() as session:
        session.delete(get(session, hook_id))


def get(session: Session, hook_id: int) -> Hook:
    """A hook by its id; raises ConfigError."""
    hook = session.get(Hook, hook_id)
    if hook is None:
        raise ConfigError(f"There is no hook {hook_id}. See crm-sync hooks list.", setting="hook")
    return hook


def report(runtime: Runtime, hook_id: int) -> HookReport:
    """A hook as commands report it."""
    with runtime.store.read() as session:
        hook = get(session, hook_id)
    return HookReport(hook.id, hook.state, hook.state_reason)


def visible_settings(hook: Hook) -> dict[str, Any]:
    """The settings that may be shown: those the app names as visible, never a secret."""
    app = apps.find(hook.app_id)
    return {name: value for name, value in hook.settings.items() if name in app.manifest.visible}


def _of(session: Session, account_id: int, app_id: str) -> Hook | None:
    found: Hook | None = session.scalar(
        select(Hook).where(Hook.account_id == account_id, Hook.app_id == app_id)
    )
    return found


def _taken(app: App, account_id: int) -> ConfigError:
    return ConfigError(
        f"Account {account_id} has a {app.manifest.name} hook already; change it with crm-sync hooks set.",
        setting="app_id",
    )


def _check(app: App, view: HookView) -> SetupResult:
    try:
        with _sendable(app, view):
            return app.check(app.connect(view), view)
    except ApiError as error:
        raise ConfigError(
            f"{app.manifest.name} does not answer as it should: {error}", code="connection_failed"
        ) from error


def _valid(app: App, settings: Mapping[str, Any], language: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings with their defaults, and notes on those that have no effect. Raises ConfigError."""
    complete = manifest.validated(app.manifest, settings, language)
    return complete, app.validate(complete)


@contextmanager
def _told(runtime: Runtime, app: App) -> Iterator[None]:
    """Begins what is wrong with the app's own sentence for it, in the language of the people here."""
    try:
        yield
    except ConfigError as error:
        package = app.manifest.package
        found = texts.load(package, runtime.config.language) if package else None
        sentence = found.find(f"errors.{error.code}") if found and error.code else None
        if sentence is None:
            raise
        raise ConfigError(f"{sentence} {error}", setting=error.setting, code=error.code) from error


@contextmanager
def _sendable(app: App, view: HookView) -> Iterator[None]:
    """Says it in words when a secret cannot be sent: it travels in a header, which holds only some characters."""
    try:
        yield
    except UnicodeEncodeError:
        odd = [name for name, value in view.settings.items() if not str(value).isascii()]
        setting = next((name for name in odd if name in app.manifest.secret), None)
        raise ConfigError(
            f"{setting or 'A setting'} holds characters that {app.manifest.name} cannot be sent. Copy it once more.",
            setting=setting,
        ) from None


def _parted(app: App, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings stored in the open, and those stored encrypted."""
    secret = {name: value for name, value in settings.items() if name in app.manifest.secret}
    return {name: value for name, value in settings.items() if name not in secret}, secret


def _define_attributes(runtime: Runtime, hook: Hook, app: App) -> tuple[str, ...]:
    """Make the custom attribute definitions in Chatwoot; without them ids are kept, but not displayed."""
    client = chatwoot_client(runtime.config, hook.account, runtime.store)
    try:
        client.define_attributes(app.manifest.attributes)
    except ApiError as error:
        return (f"Custom attributes could not be defined in Chatwoot: {error}",)
    return ()


def _go_on(session: Session, hook_id: int, now: datetime) -> None:
    """What waited for somebody to mend or resume the hook waits no longer."""
    waiting = (Event.hook_id == hook_id, Event.state == EventState.PENDING, Event.claim.is_(None))
    session.execute(
        update(Event).where(*waiting, Event.next_attempt_at > now).values(next_attempt_at=now),
        execution_options={"synchronize_session": False},
    )


def _set_state(
    runtime: Runtime, hook_id: int, state: HookState, reason: str | None, *, unpauses: bool = True
) -> HookReport:
    with runtime.store.write() as session:
        hook, now = get(session, hook_id), runtime.now()
        if hook.state == HookState.PAUSED and not unpauses:
            # An operator paused it while its setup ran.
            return HookReport(hook_id, hook.state, hook.state_reason)
        if state is HookState.ACTIVE:
            hook.breaker_until = hook.breaker_opened_at = None
            if hook.state != HookState.ACTIVE:
                _go_on(session, hook_id, now)
        hook.state, hook.state_reason, hook.updated_at = state, reason, now
        waiting = journal.waiting_mailboxes(session, hook_id) if state is HookState.ACTIVE else []
    wake_all(runtime, waiting)
    return HookReport(hook_id, state, reason)
