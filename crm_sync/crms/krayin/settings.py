"""What the JSON schema cannot say of a hook's settings: credentials, countries, and what goes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import phonenumbers

from crm_sync.crms.krayin import mapping
from crm_sync.errors import ConfigError


def validate(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Notes on the settings (complete, of the right types) that have no effect at present.

    Raises ConfigError for those that are wrong in themselves or beside each other.
    """
    _check_credentials(settings)
    _check_region(settings.get("default_region"))
    _check_fields(settings)
    return tuple(_resting(settings))


def _check_credentials(settings: Mapping[str, Any]) -> None:
    email, password = settings.get("login_email"), settings.get("login_password")
    if bool(email) != bool(password):
        missing = "login_password" if email else "login_email"
        raise ConfigError(
            f"{missing} is missing: an e-mail address and a password belong together.",
            setting=missing,
            code="settings_conflict",
        )
    if not settings.get("api_token") and not email:
        raise ConfigError(
            "api_token is missing. Give a token, or login_email and login_password to get one.",
            setting="api_token",
            code="settings_conflict",
        )


def _check_region(region: str | None) -> None:
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigError(
            f"default_region: there is no country {region} with telephone numbers of its own.",
            setting="default_region",
            code="setting_invalid",
        )


def _check_fields(settings: Mapping[str, Any]) -> None:
    taken = {
        "person_fields": {"name", "emails", "contact_numbers", "user_id", "organization_id", mapping.PERSON_MARKER},
        "lead_fields": {
            "title", "lead_pipeline_id", "lead_pipeline_stage_id", "person_id", "user_id", "expected_close_date",
            mapping.LEAD_MARKER,
        },
    }  # fmt: skip
    for name, codes in taken.items():
        wrong = sorted(codes & set(settings.get(name, {}).values()))
        if wrong:
            raise ConfigError(
                f"{name} cannot fill {wrong[0]}: crm_sync fills it itself.",
                setting=name,
                code="settings_conflict",
            )


def _resting(settings: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each switch that is off while others count on it."""
    if not settings["create_person"] and not settings["create_lead"]:
        yield "While create_person and create_lead are off, nothing is made in Krayin."
    if not settings["create_person"]:
        given = [name for name in ("sync_to_organization", "person_fields") if settings.get(name)]
        if given:
            yield f"While create_person is off these settings have no effect: {', '.join(given)}."
    if not settings["create_lead"]:
        of_leads = ("stage_by_status", "auto_qualify_on_resolved", "owner_by_assignee", "lead_fields")
        given = [name for name in of_leads if settings.get(name)]
        if given:
            yield f"While create_lead is off these settings have no effect: {', '.join(given)}."
    if settings["attachments"] == "file" and not (
        settings["enable_activity_sync"] or settings["enable_message_sync"]
    ):
        yield "While enable_activity_sync and enable_message_sync are off, attachments have no effect."
    if not settings["enable_bidirectional_sync"]:
        names = ("stage_notes", "status_by_stage", "enable_krayin_webhooks")
        given = [name for name in names if settings.get(name)]
        if given:
            yield f"While enable_bidirectional_sync is off these settings have no effect: {', '.join(given)}."
