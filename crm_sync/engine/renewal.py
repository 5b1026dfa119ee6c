"""Credentials that an app can get anew by itself: a hook whose token was revoked goes on without a person.

One worker at a time renews a hook, and not often: where two programs log in as the same user, each ends the session of
the other, and they must not do that for ever.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from crm_sync import keys, owner
from crm_sync.engine import apps, hooks
from crm_sync.errors import CrmSyncError
from crm_sync.locks import Busy
from crm_sync.store.models import Hook, HookState

if TYPE_CHECKING:
    from crm_sync.engine.runtime import Runtime

log = structlog.get_logger(__name__)

#: How long a hook is let alone after its credentials were renewed.
REST = timedelta(minutes=15)

#: The fact that tells when that was.
RENEWED_AT = "renewed_at"


def renew_due(runtime: Runtime) -> None:
    """Set up anew the hooks that need attention, and whose app can get new credentials."""
    with runtime.store.read() as session:
        waiting = session.scalars(select(Hook).where(Hook.state == HookState.NEEDS_ATTENTION)).all()
        due = [hook.id for hook in waiting if _is_due(runtime, hook)]
    for hook_id in due:
        try:
            with runtime.mutexes.hold(keys.shared_lock(hook_id, "credentials"), owner.new_claim()):
                _renew(runtime, hook_id)
        except Busy:
            log.info("renewal_left_to_another", hook=hook_id)


def _is_due(runtime: Runtime, hook: Hook) -> bool:
    app = apps.installed().get(hook.app_id)
    if app is None or hook.state != HookState.NEEDS_ATTENTION:
        return False
    last = hook.facts.get(RENEWED_AT)
    if last is not None and runtime.now() - datetime.fromisoformat(last) < REST:
        return False
    return app.renews(runtime.view(hook, hook.account))


def _renew(runtime: Runtime, hook_id: int) -> None:
    with runtime.store.write() as session:
        hook = hooks.get(session, hook_id)
        if not _is_due(runtime, hook):
            return
        hook.facts = {**hook.facts, RENEWED_AT: runtime.now().isoformat()}
    try:
        report = hooks.set_up(runtime, hook_id)
    except CrmSyncError as error:
        log.warning("renewal_failed", hook=hook_id, reason=str(error))
        return
    log.warning("credentials_renewed", hook=hook_id, state=report.state, reason=report.state_reason)
