"""Connecting to a GLPI: are the credentials good, may the account do its work, is there what the settings name.

``check`` changes nothing in GLPI; ``setup`` also makes what is missing. Everything wrong is said in a sentence that
names the setting to mend; what a person should know besides is a note. What was found out about the server is kept as
facts of the hook; one that the account may not see is None.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from crm_sync.crms import texts
from crm_sync.crms.base import HookView, SetupResult
from crm_sync.crms.glpi import notices
from crm_sync.crms.glpi.answers import CREDENTIAL_ERRORS, SessionOver
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.named import Named, checked
from crm_sync.crms.glpi.rights import READ, Profile, missing_rights
from crm_sync.errors import ApiError, ConfigError, Permanent, Rejected, Unauthorized

#: The oldest version whose API has what is needed, and the oldest one that was measured.
OLDEST, OLDEST_MEASURED = (9, 5), (10, 0)
#: The first version whose API goes by the server's time zone whatever the account's is.
ONE_TIME_ZONE = (11, 0)
#: The first version that can tell of changes by itself.
HAS_WEBHOOKS = (11, 0)
#: The first version that chooses among the requesters it is given.
PICKS_REQUESTERS = (11, 0)

SOURCE_NAME = "Chat"

T = TypeVar("T")

_MEBIBYTE = 1024 * 1024


def connect(hook: HookView) -> GlpiClient:
    """The client of a hook. What was copied along with a token, white space, GLPI would take for a part of it."""
    # Its words, too, are read here: rather once than by each of the threads that have a first event.
    texts.load("crm_sync.crms.glpi", hook.settings.get("language", texts.ENGLISH))
    app_token, user_token = (hook.settings[name].strip() for name in ("app_token", "user_token"))
    return GlpiClient(hook.settings["api_url"], app_token, user_token, timeouts_s=hook.timeouts_s)


def check(client: GlpiClient, hook: HookView) -> SetupResult:
    """Try credentials, rights and what the settings name; raises ConfigError naming the setting to mend."""
    with _connected(client, hook):
        return _found(client, hook).result()


def setup(client: GlpiClient, hook: HookView) -> SetupResult:
    """Check, then make the request source that new tickets carry, and let GLPI tell the account its dates in UTC."""
    with _connected(client, hook):
        found = _found(client, hook)
        source, without = _request_source(client, found.profile, hook.settings)
        zone = tuple(_time_zone(client, found))
        told = tuple(_notices(client, hook, found.version))
        settings = {} if source is None else {"request_source_id": source}
        return found.result(settings, (*without, *zone, *told))


@contextmanager
def _connected(client: GlpiClient, hook: HookView) -> Iterator[None]:
    """A session for the setup; whatever GLPI has against it becomes a ConfigError."""
    is_in = False
    try:
        with client.logged_in():
            is_in = True
            yield
    except Unauthorized as error:
        # What is no token's fault (the API is switched off, or not for this machine) has no code of credentials.
        setting = CREDENTIAL_ERRORS.get(error.code or "", ("api_url", ""))[0]
        refused = error.code in CREDENTIAL_ERRORS and error.code != "ERROR_NOT_ALLOWED_IP"
        code = "invalid_credentials" if refused else "connection_failed"
        raise ConfigError(f"{setting}: {error}", setting=setting, code=code) from error
    except SessionOver as error:
        raise ConfigError(
            "GLPI lets us in and forgets it at once: its sessions do not last from one call to the next. "
            "Look at the folder for sessions on GLPI's server.",
            setting="api_url",
            code="session_expired",
        ) from error
    except ApiError as error:
        words = (
            f"GLPI lets us in but does not answer as it should: {error}"
            if is_in
            else f"{error} Check that {hook.settings['api_url']} opens from this machine."
        )
        raise ConfigError(f"api_url: {words}", setting="api_url", code="connection_failed") from error


# -- finding out ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out about a GLPI, and what a person should know of it."""

    version: tuple[int, ...]
    profile: Profile
    facts: Mapping[str, Any]
    notes: tuple[str, ...]

    def result(self, settings: Mapping[str, Any] | None = None, notes: tuple[str, ...] = ()) -> SetupResult:
        return SetupResult(settings=settings or {}, facts=self.facts, notes=(*self.notes, *notes))


def _found(client: GlpiClient, hook: HookView) -> _Found:
    """Find out about a GLPI. Raises ConfigError for what makes work impossible."""
    settings = hook.settings
    config = client.config()
    told = str(config.get("version") or "")
    version = version_of(told)
    if version and version < OLDEST:
        raise ConfigError(
            f"api_url: this is GLPI {told}. crm_sync works with GLPI 9.5 and later.",
            setting="api_url",
            code="version_not_supported",
        )
    profile = Profile(client.active_profile())
    _check_rights(profile, settings)
    entity_id = _entity(client, settings.get("entity_id"))
    session = client.full_session()
    named = checked(client, profile, settings)
    default_profile = _default_profile(client, profile)
    facts = {
        "version": told,
        "profile": profile.name,
        "entity_id": entity_id,
        "user_id": session.get("glpiID"),
        "login": session.get("glpiname"),
        "notices": bool(settings["enable_glpi_webhooks"]),
        # From when on (UTC) technicians' texts are told: nobody wants those of years at once.
        "texts_since": _texts_since(client, hook, session),
        "default_profile_id": default_profile,
        "has_sla": _if_allowed(profile, "slm", lambda: client.count("SLA") > 0),
        "user_count": _if_allowed(profile, "user", lambda: client.count("User")),
        "category_names": _category_names(named, version),
        "must_unsanitize": str(config.get("must_unsanitize_db_data") or "0") != "0",
        "document_max_bytes": _max_bytes(config),
        "document_types": _document_types(client, profile, settings),
    }
    notes = [*_version_notes(told, version), *named.notes]
    if entity_id and not default_profile and version >= PICKS_REQUESTERS and not settings["use_contact"]:
        remedy = (
            "Set a default profile under Administration > Profiles"
            if profile.may("profile", READ)
            else "Grant the right Profiles: Read"
        )
        notes.append(
            f"GLPI 11 takes nobody as a requester whose profile is not valid in the ticket's entity ({entity_id}), and "
            f"new users get none that is. They are added to their tickets by further calls. {remedy} to save these."
        )
    return _Found(version, profile, facts, tuple(notes))


def version_of(told: str) -> tuple[int, ...]:
    """A version as numbers that can be compared; empty for what is none."""
    found = re.match(r"\d+(?:\.\d+)*", told)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _version_notes(told: str, version: tuple[int, ...]) -> Iterator[str]:
    if not version:
        yield "GLPI does not tell its version; it is taken for a new one."
    elif version < OLDEST_MEASURED:
        yield (
            f"GLPI {told} is old: crm_sync is tested with 10 and 11, and works with 9.5 by what its source says. "
            "A search that breaks in GLPI's database is tried again for a day."
        )


def _check_rights(profile: Profile, settings: Mapping[str, Any]) -> None:
    missing = missing_rights(profile, settings)
    if missing:
        raise ConfigError(
            f"user_token: the profile {profile.name} of this account lacks rights: {', '.join(missing)}. "
            "Grant them in GLPI under Administration > Profiles, or use another account.",
            setting="user_token",
            code="rights_missing",
        )


def _entity(client: GlpiClient, wanted: int | None) -> int:
    """The entity of the tickets: that of the settings, if the session reaches it, else where the session stands."""
    active = client.active_entities()
    if wanted is None:
        return int(active["id"])
    if wanted not in {int(entity["id"]) for entity in active.get("active_entities") or []}:
        raise ConfigError(
            f"entity_id: GLPI has no entity {wanted} that this account may use. If there is one, give the account its "
            "profile in that entity, or above it and recursive, and as its default entity.",
            setting="entity_id",
            code="entity_not_found",
        )
    return wanted


def _default_profile(client: GlpiClient, profile: Profile) -> int | None:
    """The profile that GLPI gives to new users; None where there is none, or the account may not see it."""

    def ask() -> int | None:
        rows = client.matching("Profile", {"is_default": 1})
        return next((int(row["id"]) for row in rows if row.get("is_default") == 1), None)

    return _if_allowed(profile, "profile", ask)


def _if_allowed(profile: Profile, entry: str, ask: Callable[[], T]) -> T | None:
    """What GLPI tells of something that work goes on without; None where the account may not read it."""
    if not profile.may(entry, READ):
        return None
    try:
        return ask()
    except Rejected:
        return None


def _category_names(named: Named, version: tuple[int, ...]) -> dict[str, str]:
    """The names of the categories that the settings name, by id. A journal's keys are texts."""
    names = {str(row["id"]): str(row.get("completename") or row.get("name")) for row in named.categories}
    # GLPI 9.5 has them encoded, whatever it is asked for.
    return {key: html.unescape(name) if version < (11,) else name for key, name in names.items()}


def _max_bytes(config: Mapping[str, Any]) -> int | None:
    told = str(config.get("document_max_size") or "")
    return int(told) * _MEBIBYTE if told.isdigit() else None


def _document_types(client: GlpiClient, profile: Profile, settings: Mapping[str, Any]) -> list[str] | None:
    """The extensions that GLPI takes, where files are to become documents."""
    if settings["attachments"] != "document":
        return None
    return _if_allowed(
        profile,
        "typedoc",
        lambda: sorted(str(row.get("ext") or "").lower() for row in client.document_types()),
    )


# -- making what is missing ----------------------------------------------------------------------------------------


def _request_source(
    client: GlpiClient, profile: Profile, settings: Mapping[str, Any]
) -> tuple[int | None, tuple[str, ...]]:
    """The request source of new tickets, found or made, unless the settings name one; and why there is none."""
    if settings.get("request_source_id") or not settings["enable_ticket_sync"]:
        return None, ()
    note = f"New tickets carry no request source, since this account may not {{}} {SOURCE_NAME!r}: {{}}. "
    otherwise = "Grant the right, or set request_source_id."
    if not profile.may("dropdown", READ):
        return None, (note.format("see", "it lacks the right Dropdowns: Read") + otherwise,)
    try:
        rows = client.matching("RequestType", {"name": SOURCE_NAME})
        if rows:
            return int(rows[0]["id"]), ()
        made = client.create("RequestType", {"name": SOURCE_NAME, "is_active": 1, "is_ticketheader": 1})
    except Permanent as refused:
        return None, (note.format("make", str(refused).rstrip(".")) + otherwise,)
    return made, ()


def _time_zone(client: GlpiClient, found: _Found) -> Iterator[str]:
    """See that GLPI tells this account its dates in UTC, where it can be had; else they are measured.

    GLPI 9.5 and 10 follow the account's time zone if their database has time zones; whether it has shows only in the
    clock of a new session. GLPI 11 says that it follows, and does not (contracts/glpi: v11-ticket-get-user-tz-utc).
    """
    ahead = client.utc_offset()
    if not ahead:
        return
    measured = f"Dates go to GLPI in its server's time zone ({_zone(ahead)}), which is measured once an hour"
    if not found.version or found.version >= ONE_TIME_ZONE:
        yield f"{measured}. GLPI 11 does not follow the account's."
        return
    try:
        client.update("User", str(found.facts["user_id"]), {"timezone": "UTC"})
    except Permanent as refused:
        yield f"{measured}. The account's own could not be set to UTC: {refused}"
        return
    client.log_in_anew()
    if client.utc_offset():
        yield (
            f"{measured}. The account's own is set to UTC now, but this GLPI's database has no time zones "
            "(php bin/console database:enable_timezones)."
        )
    else:
        yield "The account's time zone is set to UTC, so that GLPI's dates need no conversion."


def _texts_since(client: GlpiClient, hook: HookView, session: Mapping[str, Any]) -> str | None:
    known: str | None = hook.facts.get("texts_since")
    if not hook.settings["enable_followup_pull"] or known:
        return known if hook.settings["enable_followup_pull"] else None
    told = session.get("glpi_currenttime")
    return client.utc_date(str(told)).isoformat() if told else None


def _notices(client: GlpiClient, hook: HookView, version: tuple[int, ...]) -> Iterator[str]:
    """Have GLPI 11 tell of changes, where that is wanted; take it back where it no longer is."""
    if hook.notice_url is None or hook.notice_secret is None or (version and version < HAS_WEBHOOKS):
        if hook.settings["enable_glpi_webhooks"]:
            yield "GLPI has webhooks from version 11 on; its changes come with the regular look."
        return
    if hook.settings["enable_glpi_webhooks"]:
        yield from notices.register(client, hook.notice_url, hook.notice_secret)
    elif hook.facts.get("notices"):
        notices.unregister(client, hook.notice_url)


def _zone(ahead: timedelta) -> str:
    minutes = round(ahead / timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def warm_up(client: GlpiClient) -> None:
    """Log in, and ask for GLPI's clock."""
    client.utc_offset()
