"""Becomes another program as another user, who may not be able to enter the folder of our own interpreter.

Run as a file: ``another_user.py UID GID PROGRAM ARGUMENT…``. Who changes is let off the leash by the kernel (see
supervisor.leash), so it is asked once more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    user, group, *command = sys.argv[1:]
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.execv(command[0], command)  # noqa: S606 - it is what this is for
