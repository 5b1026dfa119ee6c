"""Where the embedded Redis of a data directory listens: how a command finds the service that runs beside it.

The supervisor writes the address, with its password, for its owner only; it stays the same from run to run as long as
the port is free.
"""

from __future__ import annotations

import os
from pathlib import Path


def folder(data_dir: Path) -> Path:
    """Where the embedded Redis keeps its files."""
    return data_dir / "redis"


def url_of(data_dir: Path) -> str:
    """The address it has, or had when it last ran; empty when it never did."""
    try:
        return (folder(data_dir) / "url").read_text().strip()
    except FileNotFoundError:
        return ""


def remember(data_dir: Path, url: str) -> None:
    """Keep the address."""
    handle = os.open(folder(data_dir) / "url", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(url + "\n")
