"""One call of the legacy REST API, from its parameters to its answer.

The order of the checks is the server's: the call's shape, then the API's settings and the App-Token, then the
endpoint or item type, then the session, then rights. Whoever calls :func:`handle` holds the state's lock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crm_sync.sandbox.glpi import items
from crm_sync.sandbox.glpi.documents import Upload
from crm_sync.sandbox.glpi.errors import ApiError, bad_array, not_found
from crm_sync.sandbox.glpi.fields import options
from crm_sync.sandbox.glpi.identity import Identity
from crm_sync.sandbox.glpi.kinds import Context
from crm_sync.sandbox.glpi.registry import kind_for, real_type
from crm_sync.sandbox.glpi.render import Wishes, last_modified
from crm_sync.sandbox.glpi.rights import Rights
from crm_sync.sandbox.glpi.schema import LEGACY_FOLLOWUP, Row
from crm_sync.sandbox.glpi.search import search
from crm_sync.sandbox.glpi.session import Sessions
from crm_sync.sandbox.glpi.state import State

_NUMBER = re.compile(r"^-?\d+$")


@dataclass
class Call:
    """What a client sent, parameters of query, body and headers merged as the server merges them."""

    method: str
    path: list[str]
    params: dict[str, Any]
    host: str
    link_base: str
    raw_text: bool = False
    accepts_bytes: bool = False
    files: list[tuple[str, bytes, str]] = field(default_factory=list)


@dataclass
class Reply:
    """What the server answers: JSON, or the bytes of a document."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None


def handle(state: State, sessions: Sessions, call: Call) -> Reply:
    """Answers one call; ApiError for every answer that is an error array."""
    _check_installation(state)
    sessions.check_app_token(call.params)
    sessions.check_shape(call.params.get("session_token"))
    resource = call.path[0] if call.path else ""
    if resource == "initSession":
        return _init_session(state, sessions, call)
    endpoint = _ENDPOINTS.get(resource)
    if endpoint is None and resource != "search":
        _check_type(state, resource)
    session = sessions.current(call.params.get("session_token"))
    ctx = Context(
        state=state,
        sessions=sessions,
        session=session,
        rights=Rights(state, session),
        link_base=call.link_base,
        kind=kind_for,
        raw_text=call.raw_text and state.flavour.sanitizes,
    )
    if endpoint is not None:
        return Reply(200, endpoint(ctx, call))
    if resource == "search":
        itemtype = call.path[1] if len(call.path) > 1 else ""
        _check_type(state, itemtype)
        return Reply(*search(ctx, real_type(itemtype), call.params))
    return _items(ctx, call)


def _check_installation(state: State) -> None:
    if not state.settings["api_enabled"]:
        raise ApiError(400, "ERROR", "API disabled")
    if not state.settings["address_allowed"]:
        text = "There isn't an active API client matching your IP address in the configuration (127.0.0.1)"
        raise ApiError(400, "ERROR_NOT_ALLOWED_IP", text)


def _check_type(state: State, name: str) -> None:
    if name == "":
        raise ApiError(400, "ERROR_RESOURCE_MISSING", "missing resource", documented=True)
    if name not in state.tables and name != LEGACY_FOLLOWUP:
        raise ApiError(
            400,
            "ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM",
            "resource not found or not an instance of CommonDBTM",
            documented=True,
        )


def _init_session(state: State, sessions: Sessions, call: Call) -> Reply:
    session = sessions.login(call.params)
    body: Row = {"session_token": session.token}
    if call.params.get("get_full_session") is True:
        body["session"] = Identity(state, sessions, session).full_session(at_login=True)
    return Reply(200, body)


def _identity(ctx: Context) -> Identity:
    return Identity(ctx.state, ctx.sessions, ctx.session)


def _kill_session(ctx: Context, _call: Call) -> Any:
    ctx.sessions.kill(ctx.session)
    return True


def _my_entities(ctx: Context, call: Call) -> Any:
    return _identity(ctx).my_entities(recursive=call.params.get("is_recursive") is True)


def _change_entities(ctx: Context, call: Call) -> Any:
    # Any word, "all" included, is read as the number 0; only a missing parameter means all.
    wanted = call.params.get("entities_id")
    number = None if wanted is None else int(wanted) if _NUMBER.match(str(wanted)) else 0
    recursive = call.params.get("is_recursive") in (True, 1, "1")
    if not ctx.sessions.use_entity(ctx.session, number, recursive=recursive):
        raise not_found()
    return True


def _change_profile(ctx: Context, call: Call) -> Any:
    wanted = call.params.get("profiles_id")
    if wanted is None:
        raise bad_array()
    if not str(wanted).isdigit() or int(wanted) not in ctx.sessions.profiles_of(ctx.session.user_id):
        raise not_found()
    ctx.sessions.use_profile(ctx.session, int(wanted))
    return True


def _search_options(ctx: Context, call: Call) -> Any:
    itemtype = call.path[1] if len(call.path) > 1 else ""
    _check_type(ctx.state, itemtype)
    real = real_type(itemtype)
    return options(ctx.state.flavour, real, ctx.state[real].columns)


def _multiple_items(ctx: Context, call: Call) -> Any:
    given = call.params.get("items")
    entries = list(given.values()) if isinstance(given, dict) else given
    if not isinstance(entries, list):
        raise bad_array()
    found = []
    for entry in entries:
        itemtype, number = str(entry.get("itemtype")), entry.get("items_id")
        _check_type(ctx.state, itemtype)
        row = items.get_row(ctx, itemtype, int(number) if _NUMBER.match(str(number)) else -1)
        found.append(items.present(ctx, itemtype, row, Wishes.of(call.params)))
    return found


def _config(ctx: Context, call: Call) -> Any:
    config = dict(ctx.state.flavour.stock["config"])
    config.update(url_base=call.host, url_base_api=f"{call.host}/apirest.php/")
    return {"cfg_glpi": config}


_ENDPOINTS: dict[str, Callable[[Context, Call], Any]] = {
    "killSession": _kill_session,
    "getMyProfiles": lambda ctx, _: _identity(ctx).my_profiles(),
    "getActiveProfile": lambda ctx, _: _identity(ctx).active_profile(),
    "changeActiveProfile": _change_profile,
    "getMyEntities": _my_entities,
    "getActiveEntities": lambda ctx, _: _identity(ctx).active_entities(),
    "changeActiveEntities": _change_entities,
    "getFullSession": lambda ctx, _: {"session": _identity(ctx).full_session()},
    "getGlpiConfig": _config,
    "listSearchOptions": _search_options,
    "getMultipleItems": _multiple_items,
}


def _items(ctx: Context, call: Call) -> Reply:
    itemtype, number, parent = _target(ctx, call)
    if call.method in ("GET", "HEAD"):
        return _read(ctx, call, itemtype, number, parent)
    if call.method == "POST":
        uploads = _receive(ctx, call)
        return Reply(*items.create(ctx, itemtype, call.params, uploads))
    if call.method in ("PUT", "PATCH"):
        return Reply(*items.update(ctx, itemtype, number, call.params))
    return Reply(*items.delete(ctx, itemtype, number, call.params))


def _target(ctx: Context, call: Call) -> tuple[str, int | None, tuple[str, int] | None]:
    """Item type, id and parent of a path; an id that is no number counts as none."""
    itemtype, number, child, below = (*call.path, "", "", "")[:4]
    own = int(number) if _NUMBER.match(number) else None
    if not child:
        return itemtype, own, None
    _check_type(ctx.state, child)
    if own is None:
        raise not_found()
    return child, int(below) if _NUMBER.match(below) else None, (itemtype, own)


def _read(
    ctx: Context, call: Call, itemtype: str, number: int | None, parent: tuple[str, int] | None
) -> Reply:
    if number is None:
        return Reply(*items.get_list(ctx, itemtype, call.params, parent))
    row = items.get_row(ctx, itemtype, number)
    headers: dict[str, str] = {}
    modified = last_modified(row)
    if modified:
        headers["Last-Modified"] = modified
    if itemtype == "Document" and (call.accepts_bytes or call.params.get("alt") == "media"):
        content = ctx.state.files.get(row["sha1sum"] or "")
        if content is None:
            raise not_found()
        headers["Content-Type"] = (
            f"{row['mime']};charset=UTF-8" if row["mime"] == "text/plain" else row["mime"]
        )
        return Reply(200, None, headers, content)
    return Reply(200, items.present(ctx, itemtype, row, Wishes.of(call.params)), headers)


def _receive(ctx: Context, call: Call) -> list[Row]:
    """Takes the files of a multipart call; the first one belongs to the item it creates."""
    uploads = [Upload(ctx.state, *received) for received in call.files]
    if uploads:
        ctx.files = {"filename": uploads[0]}
    script = "index.php" if ctx.state.flavour.is_11 else "apirest.php"
    return [upload.result(call.host, script) for upload in uploads]


def parse_json(text: str) -> Any:
    """A JSON body; 400 for one that is none."""
    try:
        return json.loads(text)
    except ValueError:
        raise ApiError(400, "ERROR_JSON_PAYLOAD_INVALID", "JSON payload seems not valid") from None


def error_body(error: ApiError, link_base: str) -> list[Any]:
    """The two-element array of an error."""
    text = error.text
    if error.documented:
        text = f"{text}; view documentation in your browser at {link_base}/#{error.code}"
    return [error.code, text]
