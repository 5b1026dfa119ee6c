"""What differs between the GLPI versions a sandbox can play, in one place.

A module asks a :class:`Flavour` for a property by name and never for a version number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from crm_sync.sandbox.glpi.text import decode, encode, php_escape

FLAVOURS = ("10.0.19", "11.0.6")


@dataclass(frozen=True)
class Flavour:
    """One version's habits; the names in the comments are recorded cases."""

    version: str
    is_11: bool
    api_roots: tuple[str, ...]
    #: The root that locations, links and error texts name.
    link_root: str
    #: Text is stored encoded and `X-GLPI-Sanitized-Content` decodes it (`ticket-get-script`).
    sanitizes: bool
    #: `contains ^7$` finds an id (`search-user-id-anchored`).
    anchors_match_numbers: bool
    #: Field a search sorts by unless told otherwise; 0 means the id.
    default_sort: int
    #: Over-long text is cut without a word instead of refused (`ticket-create-long-name`).
    cuts_long_text: bool
    #: A new entity is part of every recursive session at once (`entity-get-new-same-session`).
    sessions_see_new_entities: bool
    #: Actors without a profile in the ticket's entity are dropped (`v11-ticket-users-requester-*`).
    drops_unfit_actors: bool
    #: The account's time zone preference moves the dates of its sessions (`ticket-get-utc`).
    follows_user_timezone: bool
    #: A session token with impossible characters breaks the server (`v11-session-token-*`).
    chokes_on_session_tokens: bool
    #: A solution for a ticket that does not exist is stored (`solution-create-nonexistent`).
    keeps_orphan_solutions: bool
    #: A document linked while uploading is renamed after the item (`document-upload-linked`).
    renames_linked_documents: bool
    #: Error texts show the whole SQL statement (`useremail-create-duplicate`).
    shows_sql: bool
    #: `empty` is a search type.
    has_empty_search: bool
    #: Fields a search always shows, by type, besides those asked for.
    shown_always: dict[str, tuple[int, ...]]

    @property
    def stock(self) -> dict[str, Any]:
        """Columns, rows, rights and tables of search fields of a fresh installation."""
        return _stock(self.version)

    def stored(self, text: str) -> str:
        """Text as it is kept in the database."""
        text = text.replace("\r\n", "\n")
        return encode(text) if self.sanitizes else text

    def read(self, text: str) -> str:
        """Stored text as a client sees it that asked for no encoding."""
        return decode(text) if self.sanitizes else text

    def message(self, text: str) -> str:
        """A text for the `message` of an answer: 10 loses backslashes, 11 escapes HTML."""
        return text.replace("\\", "") if self.sanitizes else php_escape(text)

    def sql_error(self, text: str, errno: int, statement: str) -> str:
        """How a refusal by the database reads."""
        if not self.shows_sql:
            return text
        return f'MySQL query error: {text} ({errno}) in SQL query "{statement}".'


_TICKET = (2, 1, 80)

_BY_VERSION = {
    "10.0.19": Flavour(
        version="10.0.19",
        is_11=False,
        api_roots=("/apirest.php",),
        link_root="/apirest.php",
        sanitizes=True,
        anchors_match_numbers=True,
        default_sort=1,
        cuts_long_text=True,
        sessions_see_new_entities=True,
        drops_unfit_actors=False,
        follows_user_timezone=True,
        chokes_on_session_tokens=False,
        keeps_orphan_solutions=True,
        renames_linked_documents=True,
        shows_sql=False,
        has_empty_search=False,
        shown_always={"Ticket": _TICKET, "User": (1,), "Entity": (1,), "ITILFollowup": (1,)},
    ),
    "11.0.6": Flavour(
        version="11.0.6",
        is_11=True,
        api_roots=("/apirest.php", "/api.php/v1"),
        link_root="/api.php/v1",
        sanitizes=False,
        anchors_match_numbers=False,
        default_sort=0,
        cuts_long_text=False,
        sessions_see_new_entities=False,
        drops_unfit_actors=True,
        follows_user_timezone=False,
        chokes_on_session_tokens=True,
        keeps_orphan_solutions=False,
        renames_linked_documents=False,
        shows_sql=True,
        has_empty_search=True,
        shown_always={"Ticket": _TICKET, "User": (1,), "Entity": (1,), "ITILFollowup": (7, 1)},
    ),
}


def flavour_named(version: str) -> Flavour:
    """The flavour of a version in :data:`FLAVOURS`; ValueError for any other."""
    if version not in _BY_VERSION:
        raise ValueError(f"no GLPI sandbox of version {version!r}; there are {', '.join(FLAVOURS)}")
    return _BY_VERSION[version]


@cache
def _stock(version: str) -> dict[str, Any]:
    source = resources.files(__package__).joinpath("stock", f"{version}.json")
    loaded: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return loaded
