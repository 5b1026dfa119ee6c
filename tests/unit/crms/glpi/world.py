"""A client at a GLPI sandbox, and what may go wrong between them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.sandbox.glpi import GlpiSandbox


@dataclass
class Clock:
    """Seconds, as the test wants them."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Glpi:
    """A sandbox, and a client that works in it."""

    sandbox: GlpiSandbox
    url: str
    clock: Clock = field(default_factory=Clock)
    client: GlpiClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.connect()

    def connect(self, **given: str) -> GlpiClient:
        """A further client."""
        known = {"app_token": self.sandbox.app_token, "user_token": self.sandbox.user_tokens["super"]}
        tokens = known | given
        return GlpiClient(
            f"{self.url}/apirest.php/", tokens["app_token"], tokens["user_token"], clock=self.clock
        )

    def expire(self) -> None:
        """GLPI cleans its sessions up."""
        with self.sandbox.state.lock:
            self.sandbox.sessions.expire_all()

    def insert(self, itemtype: str, /, **values: Any) -> int:
        """A record somebody else made."""
        with self.sandbox.state.lock:
            return int(self.sandbox.state[itemtype].insert(values)["id"])

    def strike(self, fault: Callable[..., Any]) -> None:
        """Every call meets this fault."""
        self.sandbox.faults.kinds, self.sandbox.faults.fail_rate = (fault,), 1.0

    def heal(self) -> None:
        """No call meets a fault any more."""
        self.sandbox.faults.fail_rate = 0.0

    def calls(self) -> list[str]:
        """The calls since the last time, without their ids."""
        made = [
            f"{method} {re.sub(r'/[0-9]+', '', path.partition('.php')[2])}"
            for method, path, _ in self.sandbox.requests
        ]
        self.sandbox.reset_requests()
        return made


def page(status: int, *methods: str, times: int = 10**6) -> Callable[..., Any]:
    """A fault: an HTML page with this status, for calls with these methods; other calls are answered."""
    left = [times]

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        if left[0] <= 0 or (methods and environ["REQUEST_METHOD"] not in methods):
            return app(environ, start_response)
        left[0] -= 1
        start_response(f"{status} Said so", [("Content-Type", "text/html")])
        return [b"<html></html>"]

    return fault


def answering(status: int, body: Any) -> Callable[..., Any]:
    """A fault: this JSON with this status."""

    def fault(_app: Any, _environ: Any, start_response: Any) -> Any:
        start_response(f"{status} Said so", [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    return fault
