"""Fetches the files that people sent: from Chatwoot's own address, wherever it says that it keeps them.

An address in a message is what somebody else wrote, so it is followed with care:

* it begins at the account's own Chatwoot, and three redirects later at the latest there is a file (Chatwoot answers
  with the place in its object storage);
* what is not Chatwoot itself is reached in the open internet only, unless Chatwoot lives in the same private network;
  the address is judged once the connection stands and before anything is sent, so that no name can lie about it;
* no token is sent anywhere: an attachment's address is signed;
* what is too large or too slow is given up on the way.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from crm_sync.crms.base import File
from crm_sync.crms.http import reported
from crm_sync.errors import ApiError, NotFound, RateLimited, Rejected, ServerFault, Timeout, Unreachable

#: How often a file may be somewhere else.
MAX_REDIRECTS = 3
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
#: Where a file is said to be is nobody's business: whoever knows the whole path can fetch it.
_PATH = "/rails/active_storage"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddress(HTTPError):
    """The connection leads to where no file of Chatwoot's can be."""


class Files:
    """The files of one Chatwoot. Raises the error tree; safe to share by threads.

    ``timeouts_s`` is (connect, the whole file). ``neighbours`` are the addresses of Chatwoot itself, which tell which
    private networks it may keep files in; looked up when they are not given.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeouts_s: tuple[float, float],
        neighbours: tuple[str, ...] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base_url = base_url
        self._timeouts_s = timeouts_s
        self._given = neighbours
        self._clock = clock

    def download(self, url: str, limit_bytes: int) -> File:
        """The file at an attachment's address. See crms.base.Chatwoot."""
        if self._home is None or _origin_of(url) != self._home:
            raise Rejected("The file is not at Chatwoot's address.", code="foreign_address")
        address, ends = url, self._clock() + self._timeouts_s[1] / 2
        with reported("Chatwoot", "GET", _PATH) as answered:
            for _ in range(MAX_REDIRECTS + 1):
                found = self._get(address, limit_bytes, ends, answered)
                if isinstance(found, File):
                    return File(_name(url), found.mime, found.content)
                address = _joined(address, found)
                if _origin_of(address) is None:
                    raise Rejected("Chatwoot says the file is where nothing can be fetched.", code="redirect")
        raise Rejected("The file is always somewhere else.", code="redirect")

    def _get(self, url: str, limit_bytes: int, ends: float, answered: Callable[[int], None]) -> File | str:
        """The file, or where it is."""
        left_s = ends - self._clock()
        if left_s <= 0:
            raise _too_slow()
        try:
            with requests.Session() as session:
                session.trust_env = False
                if _origin_of(url) != self._home:
                    guard = _Guarded(self._is_allowed)
                    session.mount("http://", guard)
                    session.mount("https://", guard)
                headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
                with session.get(
                    url,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(self._timeouts_s[0], left_s),
                ) as answer:
                    answered(answer.status_code)
                    if answer.is_redirect:
                        return str(answer.headers["Location"])
                    _check(answer)
                    return File("", _mime(answer), self._content(answer, limit_bytes, ends))
        except (requests.exceptions.RequestException, HTTPError, ValueError) as error:
            raise _broken(error) from error

    def _content(self, answer: requests.Response, limit_bytes: int, ends: float) -> bytes:
        told = answer.headers.get("Content-Length", "")
        if told.isascii() and told.isdigit() and int(told) > limit_bytes:
            raise _too_large(limit_bytes)
        content = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            content += chunk
            if len(content) > limit_bytes:
                raise _too_large(limit_bytes)
            if self._clock() > ends:
                raise _too_slow()
        return bytes(content)

    def _is_allowed(self, peer: str) -> bool:
        return is_reachable(peer, self._neighbours)

    @property
    def _home(self) -> tuple[str, int] | None:
        return _origin_of(self._base_url)

    @cached_property
    def _neighbours(self) -> tuple[str, ...]:
        if self._given is not None:
            return self._given
        host, port = self._home or ("", 0)
        return tuple(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def is_reachable(address: str, neighbours: tuple[str, ...]) -> bool:
    """Whether a file may be fetched from an address, with Chatwoot itself at these.

    Anywhere in the open internet; in a private network if Chatwoot is in one; on this machine if Chatwoot is on it;
    never where clouds tell machines their credentials.
    """
    place = _address(address)
    if place.is_link_local or place.is_multicast or place.is_unspecified:
        return False
    if place.is_loopback:
        return any(_address(one).is_loopback for one in neighbours)
    return place.is_global or any(not _address(one).is_global for one in neighbours)


def _address(text: str) -> Address:
    place = ipaddress.ip_address(text.partition("%")[0])
    mapped = place.ipv4_mapped if isinstance(place, ipaddress.IPv6Address) else None
    return mapped or place


class _Guarded(HTTPAdapter):
    """Connections whose other end is judged before anything is sent."""

    def __init__(self, is_allowed: Callable[[str], bool]) -> None:
        self._is_allowed = is_allowed
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        is_allowed = self._is_allowed

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                _judge(self, is_allowed)

        class Encrypted(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                _judge(self, is_allowed)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


def _judge(connection: HTTPConnection, is_allowed: Callable[[str], bool]) -> None:
    if connection.sock is not None and not is_allowed(str(connection.sock.getpeername()[0])):
        connection.close()
        raise ForbiddenAddress("The connection leads into a private network.")


def _origin_of(url: str) -> tuple[str, int] | None:
    try:
        return _origin(urlsplit(url))
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, int]:
    """The host and port of an address. Raises ValueError for what is no address of the web."""
    port = parts.port or _PORTS.get(parts.scheme)
    if port is None or parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(parts.scheme)
    return parts.hostname, port


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2]) or "file"


def _mime(answer: requests.Response) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() or "application/octet-stream"


def _check(answer: requests.Response) -> None:
    """Raises what an answer means that is no file. Storages say 403 for what they have no longer, too."""
    status = answer.status_code
    if status == 200:
        return
    about: dict[str, Any] = {"status": status, "path": _PATH}
    if status == 429:
        raise RateLimited("Chatwoot's storage asks us to slow down.", **about)
    if 400 <= status < 500:
        raise NotFound(f"Chatwoot does not give the file any more (status {status}).", **about)
    raise ServerFault(f"Chatwoot's storage answered {status}.", **about)


def _too_slow() -> Timeout:
    return Timeout("The file did not come in time.", path=_PATH)


def _too_large(limit_bytes: int) -> Rejected:
    return Rejected(f"The file is larger than {limit_bytes // 1024**2} MiB.", code="too_large", path=_PATH)


def _broken(error: Exception) -> ApiError:
    """What it means that no answer came. Never holds the address."""
    if isinstance(error, ForbiddenAddress):
        return Rejected("The file is in a private network.", code="private_address", path=_PATH)
    if isinstance(error, requests.exceptions.ReadTimeout):
        return _too_slow()
    if isinstance(error, ValueError):
        return Rejected("The file has an address that cannot be one.", code="no_address", path=_PATH)
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ConnectionError):
        return Unreachable("Chatwoot's storage cannot be reached.", path=_PATH)
    return ServerFault("Chatwoot's storage answered something unreadable.", path=_PATH)
