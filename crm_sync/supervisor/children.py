"""Child processes that never outlive us: started in a session of their own, ended by the kernel if we die.

For :mod:`crm_sync.supervisor.redis` and :mod:`crm_sync.supervisor.processes`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from crm_sync.supervisor import leash


def spawn(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, **popen: Any
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, so that a Ctrl-C in the terminal reaches us alone.

    The kernel sends it SIGTERM when the *thread* that called this ends: call it from one that lives as long as the
    child may. Raises FileNotFoundError where there is no such program.
    """
    path = (os.environ if env is None else env).get("PATH")
    if shutil.which(command[0], path=path) is None:
        raise FileNotFoundError(f"There is no program {command[0]}.")
    leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command]
    return subprocess.Popen(leashed, env=env, start_new_session=True, **popen)  # noqa: S603 - our own commands


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
