"""Child processes that never outlive us: started in a session of their own, ended by the kernel if we die.

For :mod:`crm_sync.supervisor.redis` and :mod:`crm_sync.supervisor.processes`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, **popen: Any
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, so that a Ctrl-C in the terminal reaches us alone.

    The kernel sends it SIGTERM when the *thread* that called this ends: call it from one that lives as long as the
    child may.
    """
    return subprocess.Popen(  # noqa: S603 - the commands are our own
        command,
        env=env,
        start_new_session=True,
        preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - it only makes system calls
        **popen,
    )


def stop(process: subprocess.Popen[bytes], within_s: float) -> int:
    """Ask a child to end, and end it by force when it takes too long; its exit status."""
    terminate(process)
    return wait(process, within_s)


def wait(process: subprocess.Popen[bytes], within_s: float) -> int:
    """Wait for a child that was asked to end, and end it and what it started by force when it takes too long."""
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        kill(process)
        return process.wait()


def terminate(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the child alone: it knows how to end its own children."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the child and everything in its session's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _die_with(parent: int) -> Callable[[], None]:
    def prepare() -> None:  # pragma: no cover - runs between fork and exec, where nothing is measured
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return prepare
