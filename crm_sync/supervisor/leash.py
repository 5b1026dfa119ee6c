"""Becomes another program, which the kernel ends when the thread ends that started it.

Run as a file, in an interpreter of its own and without ``site``: ``leash.py PARENT PROGRAM ARGUMENT…``. The kernel has
to be asked by the child itself. Done between fork and exec instead, by code of a process that has threads, that can
wait for ever for a lock that another thread held when the process was forked.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(parent: int, command: list[str]) -> None:  # pragma: no cover - nothing is measured without site
    """Be the program, on a leash of ``parent``; ends with a sentence where that cannot be."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("Whoever started this is gone already.")
    try:
        os.execvp(command[0], command)  # noqa: S606 - our own commands
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}.")


if __name__ == "__main__":  # pragma: no cover - as above
    become(int(sys.argv[1]), sys.argv[2:])
