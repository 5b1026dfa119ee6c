"""What stops a call, named by what the server does with it.

::

    Stopped
    ├── Unauthenticated   no token, or one that was revoked
    ├── Throttled         the minute's calls are used up
    ├── NotFound          404 where the server looks before it reads
    ├── NotAllowed        the path exists, the method does not
    ├── Crashed           PHP or the database gave up; what was written before stays written
    ├── Invalid           the rules for the body's keys
    ├── Refused           a status and a message of its own
    └── TurnedBack        a redirect to where the browser came from
"""

from __future__ import annotations

from collections.abc import Mapping


class Stopped(Exception):
    """The call ends here."""


class Unauthenticated(Stopped):
    """There is no user for this token."""


class Throttled(Stopped):
    """The user's calls of this minute are used up."""


class NotFound(Stopped):
    """There is no such record, or no such path when ``route`` is set."""

    def __init__(self, *, route: bool = False) -> None:
        super().__init__()
        self.route = route


class NotAllowed(Stopped):
    """No such method at this path."""


class Crashed(Stopped):
    """The server failed on what it was given. There are no transactions: rows written so far stay.

    ``early`` tells a failure before the controller, whose answer does not say what is left of the limit (58c).
    """

    def __init__(self, *, early: bool = False) -> None:
        super().__init__()
        self.early = early


class Invalid(Stopped):
    """The body breaks rules; messages by field, in the order they were found."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__()
        self.errors = dict(errors)

    @property
    def summary(self) -> str:
        """The first message, and how many more there are (38)."""
        messages = [message for found in self.errors.values() for message in found]
        more = len(messages) - 1
        if not more:
            return messages[0]
        return f"{messages[0]} (and {more} more error{'s' if more > 1 else ''})"


class Refused(Stopped):
    """An answer with a status and a message of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class TurnedBack(Stopped):
    """A redirect to the page the browser came from, as a form would get it (90o)."""
