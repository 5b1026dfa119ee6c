"""What the JSON schema cannot say of a hook's settings: templates, countries, and what goes together.

Settings that can never work together are refused. Settings that only rest while another one is off are kept, and said
in a note: switching tickets off for a day must not cost the rest of the settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import phonenumbers

from crm_sync.crms.glpi import templates
from crm_sync.errors import ConfigError

#: The columns that ``person_fields`` may fill (contracts/glpi: user-get, contact-get). Each of the two lacks some.
USER_FIELDS = frozenset(
    {"phone2", "registration_number", "nickname", "locations_id", "usercategories_id", "usertitles_id"}
)
CONTACT_FIELDS = frozenset(
    {
        "phone2",
        "registration_number",
        "fax",
        "address",
        "postcode",
        "town",
        "state",
        "country",
        "usertitles_id",
        "contacttypes_id",
    }
)

#: The settings that say how changes of GLPI come back.
_OF_THE_PULL = (
    "sync_interval_minutes",
    "conflict_policy",
    "pull_priority",
    "pull_assignee",
    "enable_followup_pull",
    "pulled_followups",
    "enable_glpi_webhooks",
)

#: The settings that say something of contacts too. ``request_source_id`` the setup fills in by itself.
_NOT_OF_TICKETS = frozenset(
    {
        "api_url",
        "app_token",
        "user_token",
        "use_contact",
        "default_region",
        "person_fields",
        "enable_ticket_sync",
        "entity_id",
        "request_source_id",
    }
)


def validate(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Notes on the settings (complete, of the right types) that have no effect at present.

    Raises ConfigError for those that are wrong in themselves or beside each other.
    """
    _check_template(settings, "title_template", templates.TITLE_PLACEHOLDERS)
    _check_template(settings, "content_template", templates.PLACEHOLDERS)
    _check_region(settings.get("default_region"))
    _check_person_fields(settings)
    if settings["use_contact"] and settings["link_computers"]:
        raise ConfigError(
            "link_computers cannot work with use_contact: a computer belongs to a user, and the requester is none. "
            "Switch one of them off.",
            setting="link_computers",
            code="settings_conflict",
        )
    if settings.get("sla_id") and "time_to_resolve" in settings.get("ticket_fields", {}).values():
        raise ConfigError(
            "ticket_fields cannot fill time_to_resolve while sla_id is set: GLPI takes the time from the SLA. "
            "Take one of them away.",
            setting="ticket_fields",
            code="settings_conflict",
        )
    return tuple(_resting(settings, defaults))


def _check_template(settings: Mapping[str, Any], name: str, placeholders: tuple[str, ...]) -> None:
    try:
        templates.check(settings[name], placeholders)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}", setting=name, code="template_wrong") from None


def _check_region(region: str | None) -> None:
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigError(
            f"default_region: there is no country {region} with telephone numbers of its own.",
            setting="default_region",
            code="setting_invalid",
        )


def _check_person_fields(settings: Mapping[str, Any]) -> None:
    kind, fields = ("Contact", CONTACT_FIELDS) if settings["use_contact"] else ("User", USER_FIELDS)
    strange = [field for field in settings.get("person_fields", {}).values() if field not in fields]
    if strange:
        raise ConfigError(
            f"person_fields: a {kind} of GLPI has no {strange[0]} (use_contact is "
            f"{'on' if settings['use_contact'] else 'off'}). It has {', '.join(sorted(fields))}.",
            setting="person_fields",
            code="settings_conflict",
        )


def _resting(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each switch that is off while others count on it."""
    if not settings["enable_ticket_sync"]:
        given = sorted(
            name
            for name, value in settings.items()
            if name not in _NOT_OF_TICKETS and value != defaults.get(name)
        )
        if given:
            yield f"While enable_ticket_sync is off these settings have no effect: {', '.join(given)}."
        return
    yield from _resting_pull(settings, defaults)
    if settings["enable_followup_sync"]:
        return
    if "default_user_id" in settings:
        yield "While enable_followup_sync is off default_user_id has no effect: no messages are written."
    if settings["attachments"] == "document":
        yield (
            "While enable_followup_sync is off, attachments become documents only where they came with the message "
            "that a ticket begins with."
        )


def _resting_pull(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for what rests while changes of GLPI, or technicians' words, do not come back."""
    given = sorted(name for name in _OF_THE_PULL if settings[name] != defaults.get(name))
    if given and not settings["enable_bidirectional_sync"]:
        yield f"While enable_bidirectional_sync is off these settings have no effect: {', '.join(given)}."
    elif "pulled_followups" in given and not settings["enable_followup_pull"]:
        yield "While enable_followup_pull is off pulled_followups has no effect: nothing is told."
