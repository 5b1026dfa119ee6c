"""Connecting to a GLPI: are the credentials good, may the account do its work, do the ids in the settings exist.

``check`` changes nothing in GLPI; ``setup`` also makes what is missing. Everything wrong is said in a sentence that
names the setting to mend.
"""

from __future__ import annotations

from typing import Any

from crm_sync.crms.base import HookView, SetupResult
from crm_sync.crms.glpi.answers import CREDENTIAL_ERRORS
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.errors import ApiError, ConfigError, NotFound, Rejected, Unauthorized

#: Rights as GLPI's profiles keep them: bits of a number (contracts/glpi: getactiveprofile, tech-profile).
READ, UPDATE, CREATE = 1, 2, 4
READ_ALL_TICKETS = 1024
ADD_ALL_FOLLOWUPS = 4096

#: What the account must be allowed: the profile's entry, the bit, and how GLPI's form of rights calls it.
RIGHTS = (
    ("user", READ, "User: Read"),
    ("user", CREATE, "User: Create"),
    ("user", UPDATE, "User: Update"),
    ("ticket", CREATE, "Ticket: Create"),
    ("ticket", UPDATE, "Ticket: Update"),
    ("ticket", READ_ALL_TICKETS, "Ticket: See all tickets"),
    ("followup", ADD_ALL_FOLLOWUPS, "Followup: Add to all tickets"),
)

#: The records that settings name. GLPI itself checks none of these ids when a ticket is made.
NAMED = (
    ("category_id", "ITILCategory", "ITIL category"),
    ("request_source_id", "RequestType", "request source"),
    ("default_user_id", "User", "user"),
)

SOURCE_NAME = "Chat"


def connect(hook: HookView) -> GlpiClient:
    """The client of a hook."""
    settings = hook.settings
    return GlpiClient(
        settings["api_url"], settings["app_token"], settings["user_token"], timeouts_s=hook.timeouts_s
    )


def check(client: GlpiClient, hook: HookView) -> SetupResult:
    """Try credentials and rights; raises ConfigError naming the setting to mend."""
    try:
        client.init_session()
    except Unauthorized as error:
        setting = CREDENTIAL_ERRORS.get(error.code or "", ("api_url", ""))[0]
        raise ConfigError(f"{setting}: {error}", setting=setting) from error
    except ApiError as error:
        raise ConfigError(
            f"api_url: {error} Check that {hook.settings['api_url']} opens from this machine.",
            setting="api_url",
        ) from error
    try:
        profile = client.active_profile()
        version = client.version()
        entity_id = _entity(client, hook.settings.get("entity_id"))
        session = client.full_session()
        notes = _named(client, hook)
        new_users = _default_profile(client)
    except ApiError as error:
        raise ConfigError(f"GLPI lets us in but does not answer as it should: {error}") from error
    missing = missing_rights(profile)
    if missing:
        raise ConfigError(
            f"user_token: the profile {profile.get('name')} of this account lacks rights: {', '.join(missing)}. "
            "Grant them in GLPI under Administration > Profiles, or use another account.",
            setting="user_token",
        )
    return SetupResult(
        facts={
            "version": version,
            "profile": profile.get("name"),
            "entity_id": entity_id,
            "user_id": session.get("glpiID"),
            "default_profile_id": new_users,
        },
        notes=notes,
    )


def setup(client: GlpiClient, hook: HookView) -> SetupResult:
    """Check, and make the request source that new tickets carry, unless the settings name one."""
    found = check(client, hook)
    if hook.settings.get("request_source_id"):
        return found
    try:
        source = _request_source(client)
    except ApiError as error:
        note = f"New tickets carry no request source, since {SOURCE_NAME!r} could not be made: {error}"
        return SetupResult(facts=found.facts, notes=(*found.notes, note))
    return SetupResult(settings={"request_source_id": source}, facts=found.facts, notes=found.notes)


def missing_rights(profile: dict[str, Any]) -> list[str]:
    """The rights the account lacks, by GLPI's own words."""
    return [words for entry, bit, words in RIGHTS if not int(profile.get(entry) or 0) & bit]


def _entity(client: GlpiClient, wanted: int | None) -> int:
    if wanted is None:
        return client.active_entity()
    try:
        client.item("Entity", wanted)
    except (NotFound, Rejected) as error:
        raise ConfigError(
            f"entity_id: GLPI has no entity {wanted} that this account may use.", setting="entity_id"
        ) from error
    return wanted


def _named(client: GlpiClient, hook: HookView) -> tuple[str, ...]:
    """See that what the settings name is there. Returns a note for each that the account may not look at."""
    notes = []
    for setting, itemtype, words in NAMED:
        wanted = hook.settings.get(setting)
        if not wanted:
            continue
        try:
            client.item(itemtype, wanted)
        except NotFound as error:
            raise ConfigError(f"{setting}: GLPI has no {words} {wanted}.", setting=setting) from error
        except Rejected:
            notes.append(f"Whether GLPI has the {words} {wanted} ({setting}) this account may not see.")
    return tuple(notes)


def _default_profile(client: GlpiClient) -> int | None:
    """The profile that GLPI gives to new users; None where there is none, or the account may not see it."""
    try:
        rows = client.items("Profile", {"searchText[is_default]": 1})
    except Rejected:
        return None
    return next((int(row["id"]) for row in rows if row.get("is_default") == 1), None)


def _request_source(client: GlpiClient) -> int:
    rows = client.items("RequestType", {"searchText[name]": f"^{SOURCE_NAME}$"})
    if rows:
        return int(rows[0]["id"])
    return client.create("RequestType", {"name": SOURCE_NAME, "is_active": 1, "is_ticketheader": 1})


def warm_up(client: GlpiClient) -> None:
    """Log in, and ask for GLPI's clock."""
    client.utc_offset()
