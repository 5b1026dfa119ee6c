"""Who may log in, and what a session remembers.

Guarantees to the transport: an App-Token or session that is not good ends the call with the status and code
of the recordings; rights and profile are those of the moment of login, and a session outlives its user's
deactivation.
"""

from __future__ import annotations

import base64
import binascii
import random
import re
import string
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from crm_sync.sandbox.glpi.errors import ApiError, Crashed
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.state import SERVER_UTC_OFFSET, State, shifted

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPER_ADMIN, TECHNICIAN, SELF_SERVICE, OBSERVER = 4, 6, 1, 2

#: Name in ``GlpiSandbox.user_tokens`` → id of the stock user behind it.
STOCK_USERS = {"super": 2, "tech": 4, "self": 3, "obs": 5}
_PASSWORDS = {"glpi": "glpi", "tech": "tech", "normal": "normal", "post-only": "postonly"}

_RESET_BY_PHP = re.compile(r"[\r\n\t <>'\"\\]")
_PHP_SESSION_ID = re.compile(r"[A-Za-z0-9,-]{1,255}")


@dataclass
class Session:
    """One login. ``shift`` is what turns a date of the database into one of the session's zone."""

    token: str
    user_id: int
    profile_id: int
    rights: Mapping[str, Any]
    home: tuple[tuple[int, int], ...]
    active_entity: int
    recursive: bool | int
    everything: bool = False
    shift: timedelta = timedelta(0)
    entities: frozenset[int] = frozenset()
    seen_version: int = -1
    extra: dict[str, Any] = field(default_factory=dict)

    def right(self, name: str) -> int:
        """The bits the profile holds for a right; 0 for none."""
        value = self.rights.get(name, 0)
        return value if isinstance(value, int) else 0

    @property
    def central(self) -> bool:
        """Whether the profile uses the technicians' interface."""
        return self.rights.get("interface") == "central"

    def local(self, value: str | None) -> str | None:
        """A date of the database in the session's zone."""
        return shifted(value, self.shift) if self.shift and value else value

    def stored(self, value: str) -> str:
        """A date of the session's zone as the database keeps it."""
        return shifted(value, -self.shift) if self.shift else value


def sons(state: State, root: int) -> list[int]:
    """An entity and all below it, children before their parent's later siblings."""
    found = [root]
    for child in state["Entity"].where("entities_id", root):
        found.extend(sons(state, child["id"]))
    return found


class Sessions:
    """Tokens, logins and open sessions of one sandbox; called with the state's lock held."""

    def __init__(self, state: State, *, seed: int) -> None:
        self._state = state
        # Tokens repeat for a seed, so that a client survives a restart of the sandbox on the same port.
        source = random.Random(f"glpi {seed}")
        letters = string.ascii_letters + string.digits
        self.app_token = "".join(source.choices(letters, k=40))
        self.user_tokens = {name: "".join(source.choices(letters, k=40)) for name in STOCK_USERS}
        self._owners = {self.user_tokens[name]: number for name, number in STOCK_USERS.items()}
        self._random = random.Random()
        self._open: dict[str, Session] = {}

    def check_app_token(self, params: Mapping[str, Any]) -> None:
        """A missing or wrong App-Token is a 400 on every call, session or not."""
        given = params.get("app_token")
        if given == self.app_token:
            return
        if not given:
            raise ApiError(
                400, "ERROR_APP_TOKEN_PARAMETERS_MISSING", "missing parameter app_token", documented=True
            )
        raise ApiError(
            400, "ERROR_WRONG_APP_TOKEN_PARAMETER", "parameter app_token seems wrong", documented=True
        )

    def check_shape(self, token: str | None) -> None:
        """11 breaks on tokens PHP cannot use as a session id, except those PHP itself throws away."""
        if not token or not self._state.flavour.chokes_on_session_tokens or _RESET_BY_PHP.search(token):
            return
        if not _PHP_SESSION_ID.fullmatch(token):
            raise Crashed

    def current(self, token: str | None) -> Session:
        """The session of a token; 400 without one, 401 for one that is unknown, killed or cleaned up."""
        if not token:
            raise ApiError(
                400,
                "ERROR_SESSION_TOKEN_MISSING",
                "parameter session_token is missing or empty",
                documented=True,
            )
        session = self._open.get(token)
        if session is None:
            raise ApiError(401, "ERROR_SESSION_TOKEN_INVALID", "session_token seems invalid")
        version = self._state["Entity"].version
        if self._state.flavour.sessions_see_new_entities and session.seen_version != version:
            self._refresh(session)
        return session

    def login(self, params: Mapping[str, Any]) -> Session:
        """Opens a session by user_token or by name and password (cases ``initsession-*``)."""
        user = self._user(params)
        user_id = user["id"]
        self._state["User"].update(user, {"last_login": self._state.now()})
        session = self._open_for(user, user_id)
        self._open[session.token] = session
        return session

    def kill(self, session: Session) -> None:
        """Logs out; other sessions of the same token live on."""
        self._open.pop(session.token, None)

    def expire_all(self) -> int:
        """What the clean-up job does to idle sessions; how many there were."""
        count = len(self._open)
        self._open.clear()
        return count

    def renew_token(self, user_id: int) -> None:
        """A user's API token is replaced; the old one opens nothing any more."""
        self._owners = {token: owner for token, owner in self._owners.items() if owner != user_id}
        self._owners["".join(self._random.choices(string.ascii_letters, k=40))] = user_id

    def profiles_of(self, user_id: int) -> dict[int, list[Row]]:
        """Profile id → the user's rows for it."""
        found: dict[int, list[Row]] = {}
        for row in self._state["Profile_User"].where("users_id", user_id):
            found.setdefault(row["profiles_id"], []).append(row)
        return found

    def use_profile(self, session: Session, profile_id: int) -> None:
        """Gives a session one of its user's profiles and that profile's entities."""
        rows = self.profiles_of(session.user_id)[profile_id]
        session.profile_id = profile_id
        session.rights = _rights(self._state, profile_id)
        session.home = tuple((row["entities_id"], row["is_recursive"]) for row in rows)
        session.active_entity, session.recursive = session.home[0]
        session.everything = True
        self._refresh(session)

    def use_entity(self, session: Session, entity: int | None, *, recursive: bool) -> bool:
        """Narrows or widens a session (cases ``changeactiveentities*``); False for an entity out of reach."""
        if entity is None:
            session.everything = True
            session.active_entity, session.recursive = session.home[0]
        elif entity in self._reach(session):
            session.everything = False
            session.active_entity, session.recursive = entity, recursive
        else:
            return False
        self._refresh(session)
        return True

    def home_entities(self, session: Session, *, recursive: bool) -> list[int]:
        """The user's entities, sons before the entity they hang under."""
        found: list[int] = []
        for root, with_sons in session.home:
            below = sons(self._state, root)[1:] if recursive and with_sons else []
            found.extend(number for number in [*below, root] if number not in found)
        return found

    def _reach(self, session: Session) -> set[int]:
        return {
            number
            for root, with_sons in session.home
            for number in (sons(self._state, root) if with_sons else [root])
        }

    def _refresh(self, session: Session) -> None:
        if session.everything:
            active = self._reach(session)
        elif session.recursive:
            active = set(sons(self._state, session.active_entity))
        else:
            active = {session.active_entity}
        session.entities = frozenset(active)
        session.seen_version = self._state["Entity"].version

    def _open_for(self, user: Row, user_id: int) -> Session:
        profiles = self.profiles_of(user_id)
        if not profiles:
            raise ApiError(401, "ERROR_GLPI_LOGIN", "You don't have right to connect")
        profile_id = user["profiles_id"] if user["profiles_id"] in profiles else next(iter(profiles))
        session = Session(
            token="".join(self._random.choices(string.ascii_lowercase + string.digits, k=26)),
            user_id=user_id,
            profile_id=profile_id,
            rights={},
            home=(),
            active_entity=0,
            recursive=1,
        )
        self.use_profile(session, profile_id)
        session.extra["timezone"] = user.get("timezone")
        follows = self._state.flavour.follows_user_timezone and self._state.settings["database_timezones"]
        if follows and user.get("timezone") == "UTC":
            session.shift = -SERVER_UTC_OFFSET
        return session

    def _user(self, params: Mapping[str, Any]) -> Row:
        token = params.get("user_token")
        if token:
            user = self._state.get("User", self._owners.get(token))
            if user is None or not user["is_active"] or user["is_deleted"]:
                raise ApiError(401, "ERROR_GLPI_LOGIN_USER_TOKEN", "parameter user_token seems invalid")
            return user
        if not params.get("login") or not params.get("password"):
            raise ApiError(
                400,
                "ERROR_LOGIN_PARAMETERS_MISSING",
                "parameter(s) login, password or user_token are missing",
                documented=True,
            )
        if not self._state.settings["password_login"]:
            raise ApiError(
                400,
                "ERROR_LOGIN_WITH_CREDENTIALS_DISABLED",
                "usage of initSession resource with credentials is disabled",
            )
        for user in self._state["User"].where("name", params["login"]):
            good = _PASSWORDS.get(user["name"]) == params["password"]
            if good and user["is_active"] and not user["is_deleted"]:
                return user
        raise ApiError(401, "ERROR_GLPI_LOGIN", "Incorrect username or password")


def credentials(authorization: str | None) -> dict[str, str]:
    """The parameters an Authorization header stands for; only ``user_token`` and Basic are understood."""
    if not authorization:
        return {}
    if "user_token" in authorization:
        # One space exactly: with two, the word after the first one is empty (`initsession-two-spaces`).
        words = authorization.split(" ")
        return {"user_token": words[1]} if len(words) > 1 else {}
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        login, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"login": login, "password": password}


def _rights(state: State, profile_id: int) -> dict[str, Any]:
    """The profile as a session holds it. Profiles whose rights were not recorded read like a technician's."""
    profiles = state.flavour.stock["profiles"]
    recorded = profiles.get(str(profile_id))
    if recorded is not None:
        return dict(recorded)
    row = state.get("Profile", profile_id) or {"id": profile_id, "name": "", "interface": "central"}
    rights = {name: value & 1 if isinstance(value, int) else value for name, value in profiles["6"].items()}
    rights.update({name: row[name] for name in ("id", "name", "interface", "is_default") if name in row})
    # An observer sees all tickets and may open one, but decides nothing (cases `user-create-no-rights`, …).
    rights.update(
        {"ticket": 168989, "followup": 1 | 4 | 8192, "user": 1, "contact_enterprise": 33, "document": 33}
    )
    return rights
