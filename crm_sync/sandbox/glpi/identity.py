"""What a session may know about itself: its profile, its entities and the whole of it."""

from __future__ import annotations

from typing import Any

from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.session import Session, Sessions
from crm_sync.sandbox.glpi.state import SERVER_UTC_OFFSET, State, shifted
from crm_sync.sandbox.glpi.users import display_name

_NOT_YET_AT_LOGIN = ("MESSAGE_AFTER_REDIRECT", "glpi_maxhistory")


class Identity:
    """Answers of the ``get…`` endpoints for one session."""

    def __init__(self, state: State, sessions: Sessions, session: Session) -> None:
        self._state = state
        self._sessions = sessions
        self._session = session

    def active_profile(self) -> Row:
        """The answer of getActiveProfile."""
        return {"active_profile": {**self._session.rights, "entities": self._homes(self._session.home)}}

    def my_profiles(self) -> Row:
        """The answer of getMyProfiles."""
        found = []
        for number, rows in self._sessions.profiles_of(self._session.user_id).items():
            profile = self._state.get("Profile", number)
            homes = tuple((row["entities_id"], row["is_recursive"]) for row in rows)
            found.append(
                {"id": number, "name": profile["name"] if profile else "", "entities": self._homes(homes)}
            )
        return {"myprofiles": found}

    def my_entities(self, *, recursive: bool) -> Row:
        """The answer of getMyEntities: full names below the root entity, its own name for the root."""
        numbers = self._sessions.home_entities(self._session, recursive=recursive)
        return {"myentities": [{"id": number, "name": self._entity_name(number)} for number in numbers]}

    def active_entities(self) -> Row:
        """The answer of getActiveEntities."""
        active = self._session
        entities = [{"id": number} for number in sorted(active.entities)]
        return {
            "active_entity": {
                "id": active.active_entity,
                "active_entity_recursive": active.recursive,
                "active_entities": entities,
            }
        }

    def full_session(self, *, at_login: bool = False) -> Row:
        """The answer of getFullSession; 11 tells the time in the account's zone while logging in, and only then."""
        session, state = self._session, self._state
        user = state["User"].rows[session.user_id]
        found: dict[str, Any] = dict(state.flavour.stock["session"])
        now = state.now()
        utc = session.extra.get("timezone") == "UTC"
        told = shifted(now, -SERVER_UTC_OFFSET) if session.shift or (utc and at_login) else now
        profile = state.get("Profile", session.profile_id)
        entity = state.get("Entity", session.active_entity)
        name = entity["completename"] if entity else ""
        tree = f"{name} (tree structure)" if session.recursive else name
        found.update(
            valid_id=session.token,
            glpi_currenttime=told,
            glpiID=session.user_id,
            glpifriendlyname=display_name(user),
            glpiname=user["name"],
            glpirealname=user["realname"],
            glpifirstname=user["firstname"],
            glpicrontimer=int(state.clock().timestamp()),
            glpiprofiles={
                str(session.profile_id): {
                    "name": profile["name"] if profile else "",
                    "entities": self._homes(session.home),
                }
            },
            glpiactiveprofile=self.active_profile()["active_profile"],
            glpiactiveentities=_php_array(sorted(session.entities)),
            glpiactiveentities_string=", ".join(f"'{number}'" for number in sorted(session.entities)),
            glpiactive_entity=session.active_entity,
            glpiactive_entity_recursive=session.recursive,
            glpiactive_entity_name=tree,
            glpiactive_entity_shortname=tree,
            glpishowallentities=int(bool(session.recursive) and session.active_entity == 0),
        )
        if "glpigroups_cache_date" in found:
            found["glpigroups_cache_date"] = now
        if session.extra.get("timezone"):
            found["glpitimezone" if "glpitimezone" in found else "glpi_tz"] = session.extra["timezone"]
        if at_login:
            for name in _NOT_YET_AT_LOGIN:
                del found[name]
        return found

    def _entity_name(self, number: int) -> str:
        row = self._state["Entity"].rows[number]
        return self._state.flavour.stored(row["completename"])

    def _homes(self, homes: tuple[tuple[int, int], ...]) -> list[Row]:
        return [
            {"id": number, "name": self._entity_name(number), "is_recursive": recursive}
            for number, recursive in homes
        ]


def _php_array(numbers: list[int]) -> Any:
    """An array keyed by its own values is a list in JSON only while the keys run from 0 without a gap."""
    return numbers if numbers == list(range(len(numbers))) else {str(number): number for number in numbers}
