"""Only who holds the secret, and only now, gets a delivery in."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from crm_sync.errors import SignatureError
from crm_sync.receiver.signature import SignatureVerifier

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "contract/chatwoot/data/signature_vectors.json").read_text()
)
SECRET, OLD_SECRET = "k3yT9mQ2vX7pLz4RbN8sWc1D", "the-secret-it-replaced"
NOW = 1_789_392_001
BODY = b'{"event":"message_created","id":1}'


def sign(secret: str, timestamp: str, body: bytes = BODY) -> str:
    """As Chatwoot signs: written out once more, so that both cannot be wrong together."""
    signed = timestamp.encode("utf-8", "replace") + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verifier(*secrets: str, now: float = NOW) -> SignatureVerifier:
    return SignatureVerifier(secrets or (SECRET,), window_s=300, clock=lambda: now)


def refusal(
    subject: SignatureVerifier, signature: str, timestamp: str = str(NOW), body: bytes = BODY
) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        subject.verify(body, signature=signature, timestamp=timestamp)
    assert caught.value.code == f"signature_{caught.value.reason}"
    assert str(caught.value).endswith(".")
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["label"])
def test_what_chatwoot_signed_is_accepted(vector: dict[str, str]) -> None:
    subject = verifier(vector["secret"], now=int(vector["timestamp"]))
    body = bytes.fromhex(vector["raw_body_hex"])
    subject.verify(body, signature=vector["signature"], timestamp=vector["timestamp"])


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["label"])
def test_one_changed_byte_is_refused(vector: dict[str, str]) -> None:
    body = bytes.fromhex(vector["raw_body_hex"]) + b" "
    subject = verifier(vector["secret"], now=int(vector["timestamp"]))
    assert refusal(subject, vector["signature"], vector["timestamp"], body).reason == "mismatch"


@pytest.mark.parametrize("vector", VECTORS["negative"], ids=lambda vector: vector["why"])
def test_what_is_signed_in_another_way_is_refused(vector: dict[str, str]) -> None:
    subject = verifier(now=int(vector["timestamp"]))
    body = vector["raw_body_utf8"].encode()
    assert refusal(subject, vector["signature"], vector["timestamp"], body).reason == "mismatch"


@pytest.mark.parametrize("offset_s", [-300, -299, 0, 299, 300])
def test_a_timestamp_within_the_window_is_accepted_either_way(offset_s: int) -> None:
    signed_at = str(NOW + offset_s)
    verifier().verify(BODY, signature=sign(SECRET, signed_at), timestamp=signed_at)


@pytest.mark.parametrize("offset_s", [-86_400, -301, 301, 86_400])
def test_a_timestamp_outside_of_the_window_is_stale_either_way(offset_s: int) -> None:
    signed_at = str(NOW + offset_s)
    assert refusal(verifier(), sign(SECRET, signed_at), signed_at).reason == "stale"


@pytest.mark.parametrize(
    "timestamp",
    ["soon", "1.5", "-5", "+5", " 1789392001", "1789392001 ", "0x10", "1e9", "²", "١٢", "ÿ", "9" * 5000],
)
def test_a_timestamp_that_is_no_number_is_stale_even_when_it_is_signed(timestamp: str) -> None:
    assert refusal(verifier(), sign(SECRET, timestamp), timestamp).reason == "stale"


def test_the_secret_that_was_replaced_still_counts() -> None:
    for secret in (SECRET, OLD_SECRET):
        verifier(SECRET, OLD_SECRET).verify(BODY, signature=sign(secret, str(NOW)), timestamp=str(NOW))
    subject = verifier(SECRET, OLD_SECRET)
    assert refusal(subject, sign("a third one", str(NOW))).reason == "mismatch"


def test_nothing_is_accepted_when_no_secret_is_known() -> None:
    subject = SignatureVerifier((), window_s=300, clock=lambda: NOW)
    assert refusal(subject, sign("", str(NOW))).reason == "mismatch"


@pytest.mark.parametrize(("signature", "timestamp"), [("", ""), ("", str(NOW)), (sign(SECRET, str(NOW)), "")])
def test_a_delivery_without_signature_or_timestamp_is_unsigned(signature: str, timestamp: str) -> None:
    assert refusal(verifier(), signature, timestamp).reason == "missing"


@pytest.mark.parametrize(
    "signature",
    [
        "garbage",
        "sha256=",
        sign(SECRET, str(NOW)).removeprefix("sha256="),
        sign(SECRET, str(NOW)).upper(),
        sign(SECRET, str(NOW)).replace("sha256", "sha1"),
        sign(SECRET, str(NOW)) + "0",
        " " + sign(SECRET, str(NOW)),
        "sha256=ÿþ",
        "署名",
        "\ud800",
        "x" * 10_000,
    ],
)
def test_garbage_is_a_wrong_signature_whatever_characters_it_has(signature: str) -> None:
    assert refusal(verifier(), signature).reason == "mismatch"
