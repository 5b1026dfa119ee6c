"""Sends webhooks as Chatwoot 4.15 and later does: signed, five seconds at most, and never a second time.

Sources: lib/webhooks/trigger.rb, app/listeners/webhook_listener.rb. Chatwoot promises no order and sometimes
doubles a delivery under a new id; :class:`Outbox` does both on demand, repeatably. Its threads live only while
there is something to send.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import takewhile
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

#: WEBHOOK_TIMEOUT, in seconds.
TIMEOUT_S = 5.0
#: Redirects that are followed, the POST repeated each time.
_MOST_REDIRECTS = 10
#: How many deliveries in a row are shuffled among each other, and how long, in seconds, they wait for company.
WINDOW = 8
_COMPANY_S = 0.05
#: For how long deliveries overtake one another, in seconds: disorder is a matter of moments on slow machines, too.
PATIENCE_S = 0.25

#: Rails' JSON keeps Unicode and escapes what could break out of a script element.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


@dataclass(slots=True)
class Delivery:
    """A delivery attempted. ``status`` is the answer's, 0 where none came, ``None`` before and where none was tried."""

    event: str
    id: int
    delivery_id: str
    url: str
    secret: str = field(repr=False)
    render: Callable[[], Mapping[str, Any]] = field(repr=False)
    #: Whether others may overtake it.
    loose: bool = False
    double: bool = False
    status: int | None = None
    #: When the answer came, or was given up, in Unix seconds.
    answered_at: float | None = None
    body: bytes = field(default=b"", repr=False)
    overtaken: int = field(default=0, repr=False)
    #: When it was overtaken first, by the monotonic clock.
    overtaken_since: float | None = field(default=None, repr=False)


def rails_json(payload: Mapping[str, Any]) -> bytes:
    """The exact bytes Rails makes of a payload."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES).encode()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of X-Chatwoot-Signature (contracts: signature_vectors)."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


class Outbox:
    """The deliveries under way and done.

    ``shuffle`` sends them out of order (``window`` of them among each other), ``double`` is the share
    of deliveries that are sent twice, ``late`` shows the state when the delivery is sent instead of when the event
    happened. ``enabled`` off records the deliveries without sending them.
    """

    def __init__(self, *, seed: int, enabled: bool = True, workers: int = 1) -> None:
        self.enabled = enabled
        self.workers = workers
        self.shuffle = False
        self.window = WINDOW
        self.double = 0.0
        self.late = False
        self._random = random.Random(seed)
        self._done: list[Delivery] = []
        self._waiting: list[Delivery] = []
        self._threads = 0
        self._change = threading.Condition()

    @property
    def deliveries(self) -> list[Delivery]:
        """Every delivery attempted so far, in order of the attempts."""
        with self._change:
            return list(self._done)

    def put(
        self, event: str, subject: int, *, url: str, secret: str, render: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Take a delivery over. ``render`` makes its payload."""
        body = b"" if self.late and self.enabled else rails_json(render())
        with self._change:
            delivery = Delivery(event, subject, self._new_id(), url, secret, render, self.shuffle, body=body)
            if not self.enabled:
                self._done.append(delivery)
                return
            self._waiting.append(delivery)
            if self._random.random() < self.double:
                self._waiting.append(replace(delivery, delivery_id=self._new_id(), double=True))
            if self._threads < self.workers:
                # One that finds nothing to do ends at once.
                self._threads += 1
                threading.Thread(target=self._work, name="sandbox-webhooks", daemon=True).start()
            self._change.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until everything is sent; whether it is."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and not self._threads, timeout)

    def _work(self) -> None:
        while (delivery := self._take()) is not None:
            try:
                delivery.body = delivery.body or rails_json(delivery.render())
            except KeyError:
                # The record is gone meanwhile: Chatwoot drops the job of such a delivery, too.
                continue
            status = _post(delivery)
            with self._change:
                delivery.status, delivery.answered_at = status, time.time()
                self._done.append(delivery)

    def _take(self) -> Delivery | None:
        with self._change:
            if self._waiting and self._waiting[0].loose:
                self._change.wait_for(lambda: len(self._waiting) >= self.window, _COMPANY_S)
            if not self._waiting:
                self._threads -= 1
                self._change.notify_all()
                return None
            return self._waiting.pop(self._choose())

    def _choose(self) -> int:
        """Any of the loose ones in front, but the first when it was overtaken often or long enough."""
        loose = list(takewhile(lambda delivery: delivery.loose, self._waiting[: self.window]))
        if not loose or self._is_out_of_patience(loose[0]):
            return 0
        chosen = self._random.randrange(len(loose))
        for delivery in loose[:chosen]:
            delivery.overtaken += 1
            delivery.overtaken_since = delivery.overtaken_since or time.monotonic()
        return chosen

    def _is_out_of_patience(self, delivery: Delivery) -> bool:
        since = delivery.overtaken_since
        return since is not None and (
            delivery.overtaken >= self.window or time.monotonic() - since >= PATIENCE_S
        )

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def _post(delivery: Delivery) -> int:
    timestamp = str(int(time.time()))
    headers = {
        "User-Agent": "Ruby",
        "Accept": "application/json",
        "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
        "Content-Type": "application/json",
        "X-Chatwoot-Delivery": delivery.delivery_id,
        "X-Chatwoot-Timestamp": timestamp,
        "X-Chatwoot-Signature": signature(delivery.secret, timestamp, delivery.body),
    }
    address = delivery.url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            status, location = _send(urlsplit(address), delivery.body, headers)
        except (OSError, http.client.HTTPException):
            return 0
        if location is None:
            return status
        address = urljoin(address, location)
    return 0


def _send(address: SplitResult, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
    """One POST on a connection of its own; the answer's status, and where it sends us."""
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    headers = dict(headers)
    if address.username is not None:
        pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        connection.request("POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        redirects = HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST
        return answer.status, answer.headers.get("Location") if redirects else None
    finally:
        connection.close()
