"""Who holds a claim: an identity of this process that tells others whether it is still alive.

A claim names its owner, so that what a killed worker held on this machine can be taken over at once instead of
when its lease runs out. Processes in another container or on another machine are never judged.
"""

from __future__ import annotations

import os
import uuid
from functools import lru_cache
from pathlib import Path


def new_claim() -> str:
    """A claim that nobody else has: this process's identity and something random."""
    return f"{_identity(os.getpid())}/{uuid.uuid4().hex[:12]}"


def is_dead(claim: str) -> bool:
    """Whether the claim's process ran on this machine, in this container, and is gone."""
    machine, _, rest = claim.partition("/")
    if machine != _machine():
        return False
    pid, _, rest = rest.partition("/")
    started, _, _ = rest.partition("/")
    return _started(int(pid)) != started


@lru_cache
def _identity(pid: int) -> str:
    return f"{_machine()}/{pid}/{_started(pid)}"


@lru_cache
def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return f"{boot}-{namespace}"


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; empty when there is none (or only its zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]
