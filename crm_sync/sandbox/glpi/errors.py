"""How a GLPI server says no.

Every answer that is not a success is a two-element JSON array, ``[CODE, text]``; the modules of the sandbox
raise one of these exceptions and the transport turns it into that array.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Ends a call with ``[code, text]``; ``documented`` adds the pointer to the inline documentation."""

    def __init__(self, status: int, code: str, text: Any, *, documented: bool = False) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.text = text
        self.documented = documented


class Refused(Exception):
    """An add, update or delete that the item turns down; the text becomes the ``message`` of its row."""

    def __init__(self, message: str | None = "") -> None:
        super().__init__(message)
        self.message = message


class Crashed(Exception):
    """An uncaught error inside the server: no JSON at all (case ``ticket-create-actors-contact``)."""


NOT_ALLOWED = "You don't have permission to perform this action."


def not_found() -> ApiError:
    """GET of an item that does not exist."""
    return ApiError(404, "ERROR_ITEM_NOT_FOUND", "Item not found")


def right_missing() -> ApiError:
    """GET of something the profile or the active entities do not show."""
    return ApiError(403, "ERROR_RIGHT_MISSING", NOT_ALLOWED)


def bad_array() -> ApiError:
    """A write whose body has no ``input``."""
    return ApiError(400, "ERROR_BAD_ARRAY", "input parameter must be an array of objects", documented=True)


def plain(text: str) -> ApiError:
    """The errors that carry no code of their own."""
    return ApiError(400, "ERROR", text, documented=True)
