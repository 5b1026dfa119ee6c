"""Secrets of Chatwoot go, words of the account stay."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.chatwoot.payloads import scrub


@pytest.mark.parametrize(
    "key",
    [
        "pubsub_token",
        "hmac_token",
        "provider_config",
        "secret",
        "access_token",
        "imap_password",
        "smtp_password",
        "page_access_token",
        "auth_token",
        "api_key_secret",
        "line_channel_secret",
    ],
)
def test_a_secret_is_taken_out_at_any_depth(key: str) -> None:
    payload = {"a": [{"b": {key: "s3cret", "kept": 1}}], key: {"x": "s3cret"}}
    assert scrub(payload) == {"a": [{"b": {"kept": 1}}]}


def test_a_channel_is_kept_as_a_name_and_dropped_as_a_row() -> None:
    assert scrub({"channel": "Channel::Email"}) == {"channel": "Channel::Email"}
    assert scrub({"channel": {"id": 1, "website_url": "x"}}) == {}


def test_custom_attributes_keep_their_names() -> None:
    payload: dict[str, Any] = {
        "custom_attributes": {"reset_token": "T-1", "secret": "pin", "pubsub_token": "x"},
        "changed_attributes": [{"custom_attributes": {"current_value": {"password": "p"}}}],
        "website_token": "public",
    }
    found = scrub(payload)
    assert found["custom_attributes"] == {"reset_token": "T-1", "secret": "pin"}
    assert found["changed_attributes"] == payload["changed_attributes"]
    assert found["website_token"] == "public"


def test_the_copy_can_be_stored_anywhere() -> None:
    assert scrub({"a\x00": "b\x00\udfff", "n": float("inf"), "f": 1.5, "t": (1,)}) == {
        "a": "b\N{REPLACEMENT CHARACTER}",
        "n": None,
        "f": 1.5,
        "t": (1,),
    }
