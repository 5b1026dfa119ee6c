"""Proof that a delivery comes from our Chatwoot: an HMAC over the raw bytes, and a timestamp that is recent.

Chatwoot signs ``<timestamp>.<raw body>`` with SHA-256 and the webhook's secret (contracts: signature_vectors). The
bytes must be those on the wire: Rails escapes characters that another JSON writer does not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from crm_sync.errors import SignatureError

SIGNATURE = "X-Chatwoot-Signature"
TIMESTAMP = "X-Chatwoot-Timestamp"
_SCHEME = "sha256="
#: No time that concerns us has more digits; Python refuses to read numbers of thousands.
_MAX_DIGITS = 20


class SignatureVerifier:
    """Verifies deliveries against the current secret and the one it replaced.

    ``window_s`` is how far the timestamp may be from the clock, either way; ``clock`` gives Unix seconds.
    """

    def __init__(self, secrets: Sequence[str], *, window_s: int, clock: Callable[[], float]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._window_s = window_s
        self._clock = clock

    def verify(self, body: bytes, *, signature: str, timestamp: str) -> None:
        """Raise SignatureError unless the body is signed, recently, with one of the secrets."""
        if not signature or not timestamp:
            raise SignatureError(
                f"The delivery is not signed: {SIGNATURE} or {TIMESTAMP} is missing.", reason="missing"
            )
        # The headers are anybody's: whatever characters they hold, they only have to be compared.
        claimed = signature.encode(errors="replace")
        if not any(
            hmac.compare_digest(claimed, self._sign(secret, timestamp, body)) for secret in self._secrets
        ):
            raise SignatureError(
                "The signature does not fit the body. It is made over timestamp, a dot and the raw body, with the "
                "secret of this webhook.",
                reason="mismatch",
            )
        moment = _seconds(timestamp)
        if moment is None or abs(self._clock() - moment) > self._window_s:
            raise SignatureError(
                f"The delivery was signed more than {self._window_s} seconds from now. Check both clocks.",
                reason="stale",
            )

    @staticmethod
    def _sign(secret: bytes, timestamp: str, body: bytes) -> bytes:
        signed = timestamp.encode(errors="replace") + b"." + body
        return f"{_SCHEME}{hmac.new(secret, signed, hashlib.sha256).hexdigest()}".encode()


def _seconds(timestamp: str) -> int | None:
    """The Unix seconds a timestamp stands for, if it stands for some."""
    written = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_DIGITS
    return int(timestamp) if written else None
