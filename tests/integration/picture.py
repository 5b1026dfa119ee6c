"""What objects in memory held at a moment, to be put back: quicker than to build and serve them anew."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Sequence
from typing import Any

_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition)


class Picture:
    """What ``subjects`` hold now. They stay who they are, as do their locks and everything ``shared``."""

    def __init__(self, subjects: Sequence[object], shared: Sequence[object] = ()) -> None:
        self._subjects = subjects
        self._shared = shared
        locks = [
            value for subject in subjects for value in vars(subject).values() if isinstance(value, _LOCKS)
        ]
        self._same: tuple[object, ...] = (*subjects, *shared, *locks)
        self._held = self._copy([vars(subject) for subject in subjects])

    def restore(self) -> None:
        """Let the subjects hold that again."""
        for subject, held in zip(self._subjects, self._copy(self._held), strict=True):
            vars(subject).clear()
            vars(subject).update(held)

    def anew(self) -> Picture:
        """A picture of what the same subjects hold now."""
        return Picture(self._subjects, self._shared)

    def _copy(self, held: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with warnings.catch_warnings():
            # Iterators of itertools are not to be copied any more from Python 3.14 on.
            warnings.simplefilter("ignore", DeprecationWarning)
            return copy.deepcopy(held, {id(each): each for each in self._same})
