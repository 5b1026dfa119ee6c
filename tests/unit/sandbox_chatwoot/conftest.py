"""A Chatwoot without a server, and a receiver that takes its webhooks down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot import ChatwootSandbox, create_app
from crm_sync.sandbox.server import SandboxServer

ALL_EVENTS = (
    "contact_created",
    "contact_updated",
    "conversation_created",
    "conversation_updated",
    "conversation_status_changed",
    "message_created",
    "message_updated",
)


@dataclass
class Receiver:
    """What arrived: (headers, body bytes). ``status`` is what is answered."""

    url: str = ""
    status: int = 202
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrival: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.arrived]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    found.gate.set()
    app = Flask("receiver")

    @app.post("/hook")
    def take() -> ResponseReturnValue:
        found.gate.wait(10)
        found.arrived.append((dict(request.headers), request.get_data()))
        found.arrival.set()
        return "", found.status

    @app.post("/slow")
    def slow() -> ResponseReturnValue:
        found.release.wait(10)
        return "", found.status

    @app.post("/moved")
    def moved() -> ResponseReturnValue:
        return "", 307, {"Location": "/hook"}

    @app.post("/loop")
    def loop() -> ResponseReturnValue:
        return "", 307, {"Location": "/loop"}

    with SandboxServer(app) as server:
        found.url = server.url
        yield found


@pytest.fixture
def app() -> Flask:
    return create_app(deliver=True, seed=3)


@pytest.fixture
def sandbox(app: Flask) -> ChatwootSandbox:
    found: ChatwootSandbox = app.extensions["sandbox"]
    return found


@pytest.fixture
def hooked(sandbox: ChatwootSandbox, receiver: Receiver) -> ChatwootSandbox:
    """A sandbox whose events go to the receiver."""
    sandbox.add_webhook(f"{receiver.url}/hook", ALL_EVENTS)
    return sandbox


@pytest.fixture
def silent() -> ChatwootSandbox:
    """A sandbox that takes down its deliveries without sending them."""
    found: ChatwootSandbox = create_app(deliver=False).extensions["sandbox"]
    found.add_webhook("http://127.0.0.1:1/hook", ALL_EVENTS)
    return found
