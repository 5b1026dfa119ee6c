"""Secrets at rest: Fernet tokens, with several keys so that one can be replaced without an outage.

The first key writes, all of them read. Keys come from ``CRM_SYNC_SECRET_KEYS`` or from a file in the data
directory that is made once, readable by its owner only.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from crm_sync.config import Config
from crm_sync.errors import ConfigError
from crm_sync.telemetry.logging import register_secret

KEY_FILE = "secret_keys"


class Keyring:
    """Encrypts and decrypts texts, which no log shows from then on. Raises ConfigError when no key fits."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys])
        except ValueError:
            raise ConfigError(
                "CRM_SYNC_SECRET_KEYS holds something that is no Fernet key (44 characters of URL-safe base64).",
                setting="CRM_SYNC_SECRET_KEYS",
            ) from None

    @classmethod
    def load(cls, config: Config) -> Keyring:
        """The keys of the configuration, or those of the data directory (made there when there are none)."""
        return cls(config.secret_keys or _keys_in(config.data_dir))

    def encrypt(self, text: str) -> str:
        """A token under the first key."""
        register_secret(text)
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The text of a token made with any of the keys."""
        text = self._open(token)
        register_secret(text)
        return text

    def _open(self, token: str) -> str:
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken:
            raise ConfigError(
                "A stored secret was written with a key that is not in CRM_SYNC_SECRET_KEYS; add the old key back.",
                setting="CRM_SYNC_SECRET_KEYS",
            ) from None

    def rotate(self, token: str) -> str:
        """The same text under the first key."""
        self._open(token)
        return self._fernet.rotate(token).decode()

    def encrypt_json(self, values: Mapping[str, Any]) -> str:
        """A token holding a JSON object."""
        _register(values)
        return self._fernet.encrypt(json.dumps(dict(values)).encode()).decode()

    def decrypt_json(self, token: str) -> dict[str, Any]:
        """The JSON object of a token."""
        values: dict[str, Any] = json.loads(self._open(token))
        _register(values)
        return values


def _register(values: Mapping[str, Any]) -> None:
    for value in values.values():
        if isinstance(value, str):
            register_secret(value)


def _keys_in(data_dir: Path) -> list[str]:
    path = data_dir / KEY_FILE
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(path, Fernet.generate_key().decode())
    return path.read_text().split()


def _write_once(path: Path, text: str) -> None:
    """Write a file that others see whole or not at all; the first of several writers wins."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        Path(temporary).unlink()
