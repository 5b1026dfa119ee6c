"""The handle tests, demo and benches hold, and faults in front of the API."""

from __future__ import annotations

from typing import Any

import requests

from crm_sync.sandbox.glpi import create_app
from crm_sync.sandbox.server import SandboxServer


def test_calls_are_noted_until_reset(glpi: Any) -> None:
    glpi.add("Ticket", name="x", content="x")
    assert [call[:2] for call in glpi.sandbox.requests] == [
        ("GET", "/apirest.php/initSession"),
        ("POST", "/apirest.php/Ticket"),
    ]

    glpi.sandbox.reset_requests()
    assert glpi.sandbox.requests == []


def test_tokens_repeat_for_a_seed() -> None:
    first, second, other = (create_app(seed=seed).extensions["sandbox"] for seed in (1, 1, 2))

    assert (first.app_token, first.user_tokens) == (second.app_token, second.user_tokens)
    assert first.app_token != other.app_token


def test_faults_stand_before_the_api_and_spare_the_controls() -> None:
    app = create_app(flavour="11.0.6", fail_rate=1.0, seed=3)
    with SandboxServer(app) as server, requests.Session() as http:
        seen = set()
        for _ in range(30):
            try:
                seen.add(http.get(f"{server.url}/apirest.php/getMyEntities", timeout=5).status_code)
            except requests.ConnectionError:
                seen.add(0)
        assert seen == {0, 200, 503}
        assert http.get(f"{server.url}/_sandbox/dump", timeout=5).status_code == 200
