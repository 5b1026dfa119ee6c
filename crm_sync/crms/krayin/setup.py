"""Connecting to a Krayin: are the credentials good, may the user see all, is there what the settings name.

``check`` changes nothing in Krayin; ``setup`` also makes what is missing: a token, the source of leads, the unique
attributes that carry our markers, the workflow that tells of changes. What was found out is kept as facts of the hook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from crm_sync.crms.base import HookView, Pace, SetupResult
from crm_sync.crms.krayin import mapping, notices, stages
from crm_sync.crms.krayin.answers import NEW, NOT_LET_IN, OLD, WINDOW_S
from crm_sync.crms.krayin.client import LEADS, PERSONS, KrayinClient
from crm_sync.crms.krayin.mapping import LEAD_MARKER, PERSON_MARKER
from crm_sync.errors import (
    ApiError,
    ConfigError,
    Duplicate,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
)

SOURCE_NAME = "Chatwoot"

#: Requests in a minute: Krayin 2.1 takes 60 of a user, and two are left to whoever looks.
CALLS = 58
#: How many an event takes at most, by and large: searches, person, organization, lead, activity.
ROOM = 8

#: The attributes that carry our markers, by entity.
MARKERS = {
    "persons": (PERSON_MARKER, "Chatwoot contact"),
    "leads": (LEAD_MARKER, "Chatwoot record"),
}

#: What no record is marked with.
_NOBODY = "cw-nobody-0"


def connect(hook: HookView) -> KrayinClient:
    """The client of a hook. White space that was copied along with a token is none of it."""
    token = str(hook.settings.get("api_token") or "").strip() or None
    return KrayinClient(
        mapping.api_url(hook.settings["api_url"]),
        token,
        generation=hook.facts.get("generation"),
        timeouts_s=hook.timeouts_s,
    )


def renews(hook: HookView) -> bool:
    """Whether another setup can help: it logs in again, or it finds that a Krayin of old is back.

    Up to 2.1 a token that is no good and a Krayin out of order look the same (facts: trap 1).
    """
    has_login = hook.settings.get("login_email") and hook.settings.get("login_password")
    return bool(has_login) or hook.facts.get("generation") != NEW


def pace(hook: HookView) -> Pace | None:
    """How many requests the hook's Krayin takes: from 2.2 on it does not count them."""
    return None if hook.facts.get("generation") == NEW else Pace(CALLS, WINDOW_S, ROOM)


def check(client: KrayinClient, hook: HookView) -> SetupResult:
    """Try credentials, rights and what the settings name; raises ConfigError naming the setting to mend."""
    with _connected(hook):
        generation = _generation(client)
        if not hook.settings.get("api_token"):
            note = "The e-mail address and the password are tried at the setup, since a login ends all other sessions."
            return SetupResult(facts={"generation": generation}, notes=(note,))
        return _found(client, hook, generation)


def setup(client: KrayinClient, hook: HookView) -> SetupResult:
    """Check, then make what is missing."""
    with _connected(hook):
        generation = _generation(client)
        token = _token(client, hook)
        for entity, (code, name) in MARKERS.items():
            _attribute(client, entity, code, name)
        found = _found(client, hook, generation)
        _check_markers(client)
        settings = dict(found.settings)
        if token is not None:
            settings["api_token"] = token
        source, sources = _source(client, hook.settings)
        if source is not None:
            settings["lead_source_id"] = source
        notes = list(found.notes)
        _phone_only(client, hook.settings)
        notes += _notices(client, hook)
        facts = {**found.facts, "sources": sources, "notices": bool(hook.settings["enable_krayin_webhooks"])}
        return replace(found, settings=settings, facts=facts, notes=tuple(notes))


@contextmanager
def _connected(hook: HookView) -> Iterator[None]:
    """Whatever Krayin has against us becomes a ConfigError."""
    try:
        yield
    except Unauthorized as error:
        raise ConfigError(f"api_token: {error}", setting="api_token", code="invalid_credentials") from error
    except RateLimited as error:
        if error.code != NOT_LET_IN:
            raise ConfigError(f"api_url: {error}", setting="api_url", code="connection_failed") from error
        raise ConfigError(
            "api_token: Krayin did not let the request in. Either it does not know this token, or its user has made "
            "more than 60 requests within a minute: then try again in a minute.",
            setting="api_token",
            code="invalid_credentials",
        ) from error
    except ApiError as error:
        raise ConfigError(
            f"api_url: {error} Check that {mapping.api_url(hook.settings['api_url'])} is the address of Krayin's REST "
            "API and opens from this machine.",
            setting="api_url",
            code="connection_failed",
        ) from error


# -- finding out ---------------------------------------------------------------------------------------------------


def _generation(client: KrayinClient) -> str:
    """Which generation the API is of: what it says to somebody without a token (facts; contracts: 05, 06).

    Raises an ApiError where there is no such API.
    """
    try:
        client.call("GET", "/get", anonymous=True)
    except RateLimited as error:
        if error.code != NOT_LET_IN:
            raise
        generation = OLD
    except Unauthorized as error:
        # Up to 2.1, where it shows its errors, it names them by their keys.
        generation = OLD if _is_keyed(error) else NEW
    else:
        raise ServerFault("It answers whoever asks, which is not Krayin's API.", path="/get")
    client.generation = generation
    return generation


def _is_keyed(error: ApiError) -> bool:
    return "admin::" in error.body


def _token(client: KrayinClient, hook: HookView) -> str | None:
    """A token to be kept: that of a login, unless the one that is known is still good."""
    email, password = hook.settings.get("login_email"), hook.settings.get("login_password")
    if not email or not password:
        return None
    if hook.settings.get("api_token"):
        try:
            account = client.account()
        except (Unauthorized, RateLimited):
            pass
        else:
            # One of somebody else was got with what the settings said before.
            if str(account.get("email") or "").lower() == str(email).strip().lower():
                return None
    try:
        token = client.login(str(email).strip(), str(password))
    except (Rejected, Duplicate) as refused:
        raise ConfigError(
            f"login_password: Krayin refuses this e-mail address and password. {refused}",
            setting="login_password",
            code="invalid_credentials",
        ) from refused
    client.use(token)
    return token


def _found(client: KrayinClient, hook: HookView, generation: str) -> SetupResult:
    """Find out about a Krayin. Raises ConfigError for what makes work impossible."""
    settings = hook.settings
    account = client.account()
    if account.get("view_permission") not in {None, "global"}:
        raise ConfigError(
            "api_token: this user sees only some of Krayin's records, and Krayin cannot search for such a user. Set "
            "its view permission to global (Settings > Users).",
            setting="api_token",
            code="rights_missing",
        )
    pipelines = stages.kept(client.pipelines())
    chosen = _stage(pipelines, settings)
    types = client.types()
    given = {**chosen, **_type(types, settings)}
    attributes = client.attributes()
    _check_fields(attributes, settings)
    _check_stages(pipelines, settings, given)
    users = client.users()
    _check_owner(users, settings)
    facts = {
        "generation": generation,
        "user_id": account["id"],
        "pipelines": pipelines,
        "users": {str(row["id"]): str(row.get("name") or "") for row in users},
        "person_booleans": [
            row["code"]
            for row in attributes
            if row.get("entity_type") == "persons" and row.get("type") == "boolean"
        ],
    }
    return SetupResult(settings=given, facts=facts, notes=tuple(_remarks(generation, facts, settings)))


def _remarks(generation: str, facts: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    if generation == OLD:
        yield "This Krayin takes 60 requests a minute of a user, so let nobody else use this one."
        if facts["person_booleans"]:
            yield (
                "This Krayin does not show custom attributes, and sets those of type boolean back when a person is "
                f"changed: {', '.join(facts['person_booleans'])}."
            )
    if settings["activity_type"] == "meeting" and generation == NEW:
        yield "This Krayin refuses nearly every meeting (facts of its overlap check); choose another activity_type."


def _stage(pipelines: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, int]:
    """Pipeline and stage of new leads, as far as the settings do not name them."""
    wanted, stage_id = settings.get("default_pipeline_id"), settings.get("default_stage_id")
    if not pipelines:
        raise ConfigError("api_token: Krayin has no pipeline.", setting="api_token", code="record_not_found")
    usual = next((row for row in pipelines if row["default"]), pipelines[0])
    pipeline = next((row for row in pipelines if row["id"] == wanted), None) if wanted is not None else usual
    if pipeline is None or not pipeline["stages"]:
        raise ConfigError(
            f"default_pipeline_id: Krayin has no pipeline {wanted} with stages.",
            setting="default_pipeline_id",
            code="record_not_found",
        )
    if stage_id is not None:
        stage = stages.by_id(pipelines, stage_id)
        if stage is None or (wanted is not None and stage.pipeline != wanted):
            where = f"pipeline {wanted}" if wanted is not None else "any pipeline"
            raise ConfigError(
                f"default_stage_id: Krayin has no stage {stage_id} in {where}.",
                setting="default_stage_id",
                code="record_not_found",
            )
        return {} if wanted is not None else {"default_pipeline_id": stage.pipeline}
    return {"default_pipeline_id": pipeline["id"], "default_stage_id": pipeline["stages"][0]["id"]}


def _check_stages(
    pipelines: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    pipeline = given.get("default_pipeline_id", settings.get("default_pipeline_id"))
    wanted = [("stage_by_status", name) for name in settings.get("stage_by_status", {}).values()]
    wanted += (
        [("qualified_stage", settings["qualified_stage"])] if settings["auto_qualify_on_resolved"] else []
    )
    for setting, name in wanted:
        if stages.named(pipelines, name, pipeline) is None:
            known = ", ".join(stage.code for stage in stages.all_of(pipelines) if stage.pipeline == pipeline)
            raise ConfigError(
                f"{setting}: pipeline {pipeline} has no stage {name}. It has {known}.",
                setting=setting,
                code="record_not_found",
            )
    for name in settings.get("status_by_stage", {}):
        if not any(stages.is_named(stage, name) for stage in stages.all_of(pipelines)):
            raise ConfigError(
                f"status_by_stage: Krayin has no stage {name}.",
                setting="status_by_stage",
                code="record_not_found",
            )


def _type(types: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, int]:
    wanted = settings.get("lead_type_id")
    if wanted is None:
        return {"lead_type_id": min(int(row["id"]) for row in types)} if types else {}
    if not any(int(row["id"]) == wanted for row in types):
        raise ConfigError(
            f"lead_type_id: Krayin has no lead type {wanted}.",
            setting="lead_type_id",
            code="record_not_found",
        )
    return {}


def _check_fields(attributes: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    for setting, entity in (("person_fields", "persons"), ("lead_fields", "leads")):
        known = {str(row.get("code")) for row in attributes if row.get("entity_type") == entity}
        wrong = sorted(set(settings.get(setting, {}).values()) - known)
        if wrong:
            raise ConfigError(
                f"{setting}: Krayin's {entity} have no attribute {wrong[0]}.",
                setting=setting,
                code="record_not_found",
            )


def _check_owner(users: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    wanted = settings.get("default_owner_id")
    if wanted is not None and not any(int(row["id"]) == wanted for row in users):
        raise ConfigError(
            f"default_owner_id: Krayin has no user {wanted}.",
            setting="default_owner_id",
            code="record_not_found",
        )


# -- making what is missing ----------------------------------------------------------------------------------------


def _attribute(client: KrayinClient, entity: str, code: str, name: str) -> None:
    """See that an attribute is there that carries our markers; whoever finds it there already, had made it."""
    try:
        client.create_attribute(code, name, entity)
    except Duplicate:
        return


def _check_markers(client: KrayinClient) -> None:
    """See that Krayin really filters by our attributes; else anybody would be taken for anybody."""
    for path, code in ((PERSONS, PERSON_MARKER), (LEADS, LEAD_MARKER)):
        if client.marked(path, code, _NOBODY):
            raise ServerFault("It finds records by an attribute that none of them has.", path=path)


def _source(client: KrayinClient, settings: Mapping[str, Any]) -> tuple[int | None, dict[str, str]]:
    """The source of new leads, found or made unless the settings name one; and the names of all."""
    names = {int(row["id"]): str(row.get("name") or "") for row in client.sources()}
    wanted = settings.get("lead_source_id")
    if wanted is not None:
        if wanted not in names:
            raise ConfigError(
                f"lead_source_id: Krayin has no source {wanted}.",
                setting="lead_source_id",
                code="record_not_found",
            )
        return None, {str(number): name for number, name in names.items()}
    source = next(
        (number for number, name in names.items() if name.casefold() == SOURCE_NAME.casefold()), None
    )
    if source is None:
        source = client.create_source(SOURCE_NAME)
        names[source] = SOURCE_NAME
    return source, {str(number): name for number, name in names.items()}


def _phone_only(client: KrayinClient, settings: Mapping[str, Any]) -> None:
    """Let Krayin want no e-mail address of persons, where that is wished for."""
    if settings["phone_only"] != "optional":
        return
    for row in client.attributes():
        if row.get("entity_type") == "persons" and row.get("code") == "emails" and row.get("is_required"):
            client.make_optional(row)


def _notices(client: KrayinClient, hook: HookView) -> Iterator[str]:
    """Have Krayin tell of changes, where that is wanted; take it back where it no longer is."""
    if hook.notice_url is None or hook.notice_secret is None:
        return
    try:
        if hook.settings["enable_krayin_webhooks"]:
            notices.register(client, notices.name_of(hook), hook.notice_url, hook.notice_secret)
        elif hook.facts.get("notices"):
            notices.unregister(client, notices.name_of(hook))
    except ApiError as refused:
        if isinstance(refused, Unauthorized):
            raise
        yield f"Krayin's webhook could not be set up, so its changes come with the next pull only. {refused}"
