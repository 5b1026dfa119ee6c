"""Proof that a delivery comes from our Chatwoot: an HMAC over the raw bytes, and a timestamp that is recent.

Chatwoot signs ``<timestamp>.<raw body>`` with SHA-256 and the webhook's secret (contracts: signature_vectors). The
bytes must be those on the wire: Rails escapes characters that another JSON writer does not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence

from crm_sync.errors import SignatureError

SIGNATURE = "X-Chatwoot-Signature"
TIMESTAMP = "X-Chatwoot-Timestamp"
_SCHEME = "sha256="


class SignatureVerifier:
    """Verifies deliveries against the current secret and the one it replaced.

    ``window_s`` is how far the timestamp may be from the clock, either way; ``clock`` gives Unix seconds.
    """

    def __init__(self, secrets: Sequence[str], *, window_s: int, clock: Callable[[], float]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._window_s = window_s
        self._clock = clock

    def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raise SignatureError unless the body is signed, recently, with one of the secrets."""
        given = headers.get(SIGNATURE, "")
        timestamp = headers.get(TIMESTAMP, "")
        if not given or not timestamp:
            raise SignatureError(
                f"The delivery is not signed: {SIGNATURE} or {TIMESTAMP} is missing.", reason="missing"
            )
        if not any(
            hmac.compare_digest(given.encode(), self._sign(secret, timestamp, body))
            for secret in self._secrets
        ):
            raise SignatureError(
                "The signature does not fit the body. It is made over timestamp, a dot and the raw body, with the "
                "secret of this webhook.",
                reason="mismatch",
            )
        if (
            not timestamp.isascii()
            or not timestamp.isdigit()
            or abs(self._clock() - int(timestamp)) > self._window_s
        ):
            raise SignatureError(
                f"The delivery was signed more than {self._window_s} seconds from now. Check both clocks.",
                reason="stale",
            )

    @staticmethod
    def _sign(secret: bytes, timestamp: str, body: bytes) -> bytes:
        digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return f"{_SCHEME}{digest}".encode()
