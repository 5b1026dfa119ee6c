"""How a process without an address of its own tells the supervisor that it is ready: by a file.

For the signals ``worker_ready`` and ``beat_init``; without a supervisor it does nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

READY_DIR = "CRM_SYNC_READY_DIR"
PART = "CRM_SYNC_PART"


def announce() -> None:
    """Say that this part of the service is ready, when somebody has asked to be told."""
    folder, part = os.environ.get(READY_DIR), os.environ.get(PART)
    if folder and part:
        (Path(folder) / part).touch()
