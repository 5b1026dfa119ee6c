"""Files are fetched from Chatwoot, wherever it keeps them, and from nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers

from crm_sync.chatwoot.files import Files, is_reachable
from crm_sync.crms.base import File
from crm_sync.errors import ApiError, NotFound, RateLimited, Rejected, ServerFault, Timeout, Unreachable
from crm_sync.sandbox.server import SandboxServer

#: Where Chatwoot would have to be for no private network to be its own.
OPEN = ("203.0.113.7", "8.8.8.8")
LOCAL = ("127.0.0.1",)


class Site:
    """Two servers: a Chatwoot, and a storage that says what it was sent."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.chatwoot = SandboxServer(self._app())
        self.storage = SandboxServer(self._app())

    def _app(self) -> Flask:
        app = Flask("site")

        @app.get("/file/<path:name>")
        def file(name: str) -> ResponseReturnValue:
            self.seen.append(dict(request.headers))
            return Response(b"0123456789", mimetype="image/png", headers={"X-Name": name})

        @app.get("/stream/<path:_name>")
        def stream(_name: str) -> ResponseReturnValue:
            return Response((b"x" * 1000 for _ in range(100)), mimetype="text/plain")

        @app.get("/hops/<int:left>")
        def hops(left: int) -> ResponseReturnValue:
            return redirect(f"/hops/{left - 1}" if left else "/file/a.png")

        @app.get("/to")
        def to() -> ResponseReturnValue:
            return Response(status=302, headers={"Location": request.args["url"]})

        @app.get("/nowhere")
        def nowhere() -> ResponseReturnValue:
            app_response = Response(status=302)
            app_response.get_wsgi_headers = lambda _environ: Headers([("Location", "http://[")])  # type: ignore[method-assign]
            return app_response

        @app.get("/status/<int:status>")
        def status(status: int) -> ResponseReturnValue:
            return Response("no", status)

        return app

    def files(self, neighbours: tuple[str, ...] | None = None) -> Files:
        """The files of this Chatwoot."""
        return Files(self.chatwoot.url, timeouts_s=(3, 10), neighbours=neighbours)


@pytest.fixture
def site() -> Iterator[Site]:
    """A Chatwoot and its storage."""
    made = Site()
    with made.chatwoot, made.storage:
        yield made


def test_a_file_is_fetched_with_its_name_and_type(site: Site) -> None:
    found = site.files().download(f"{site.chatwoot.url}/file/a%20label.png", 100)
    assert found == File("a label.png", "image/png", b"0123456789")


def test_a_file_is_followed_to_the_storage_and_no_token_goes_along(site: Site) -> None:
    url = f"{site.chatwoot.url}/to?url={site.storage.url}/file/x"
    assert site.files().download(url, 100).content == b"0123456789"
    assert not any("token" in name.lower() or name == "Authorization" for name in site.seen[0])


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_a_few_redirects_are_followed(site: Site, hops: int) -> None:
    assert site.files().download(f"{site.chatwoot.url}/hops/{hops}", 100).content == b"0123456789"


@pytest.mark.parametrize(
    "path",
    [
        "/hops/3",
        "/to?url=ftp://x.example/a",
        "/to?url=file:///etc/passwd",
        "/to?url=gopher://x",
        "/nowhere",
    ],
)
def test_what_leads_nowhere_is_refused(site: Site, path: str) -> None:
    with pytest.raises(Rejected):
        site.files().download(site.chatwoot.url + path, 100)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://elsewhere.example.com/a.png",
        "http://127.0.0.1/a.png",
        "http://127.0.0.1:1/a.png",
        "file:///etc/passwd",
        "not an address",
        "http://[",
        "",
    ],
)
def test_a_file_that_does_not_begin_at_chatwoot_is_not_fetched(site: Site, url: str) -> None:
    with pytest.raises(Rejected, match="not at Chatwoot's address"):
        site.files().download(url, 100)


def test_a_public_chatwoot_cannot_lead_us_into_a_private_network(site: Site) -> None:
    url = f"{site.chatwoot.url}/to?url={site.storage.url}/file/x"
    with pytest.raises(Rejected, match="private network"):
        site.files(OPEN).download(url, 100)
    assert site.seen == []


def test_a_public_chatwoot_may_redirect_to_itself(site: Site) -> None:
    assert site.files(OPEN).download(f"{site.chatwoot.url}/hops/1", 100).content == b"0123456789"


@pytest.mark.parametrize("path", ["/file/a.png", "/stream/a.txt"])
def test_what_is_too_large_is_given_up(site: Site, path: str) -> None:
    with pytest.raises(Rejected) as refused:
        site.files().download(site.chatwoot.url + path, 9)
    assert refused.value.code == "too_large"


def test_what_takes_too_long_is_given_up(site: Site) -> None:
    ticks = iter([0.0, 0.0, *[6.0] * 100])
    files = Files(site.chatwoot.url, timeouts_s=(3, 10), clock=lambda: next(ticks))
    with pytest.raises(Timeout):
        files.download(f"{site.chatwoot.url}/stream/a", 10**9)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (410, NotFound), (403, NotFound), (401, NotFound), (429, RateLimited), (500, ServerFault),
     (503, ServerFault), (206, ServerFault)],
)  # fmt: skip
def test_an_answer_without_a_file_is_an_error_of_the_tree(
    site: Site, status: int, error: type[ApiError]
) -> None:
    with pytest.raises(error) as raised:
        site.files().download(f"{site.chatwoot.url}/status/{status}", 100)
    assert type(raised.value) is error


def test_a_storage_that_is_away_is_tried_again_later(site: Site) -> None:
    site.storage.stop()
    with pytest.raises(Unreachable):
        site.files().download(f"{site.chatwoot.url}/to?url={site.storage.url}/file/x", 100)


@pytest.mark.parametrize(
    ("address", "neighbours", "reachable"),
    [
        ("8.8.8.8", OPEN, True),
        ("2001:4860:4860::8888", OPEN, True),
        ("10.0.0.7", ("8.8.8.8",), False),
        ("192.168.1.1", ("8.8.8.8",), False),
        ("100.64.0.1", ("8.8.8.8",), False),
        ("fd00::1", ("8.8.8.8",), False),
        ("::1", ("8.8.8.8",), False),
        ("::ffff:10.0.0.7", ("8.8.8.8",), False),
        ("::ffff:8.8.8.8", ("8.8.8.8",), True),
        ("127.0.0.1", ("8.8.8.8",), False),
        ("0.0.0.0", ("8.8.8.8",), False),
        ("10.0.0.7", ("10.0.0.2",), True),
        ("127.0.0.1", ("10.0.0.2",), False),
        ("127.0.0.1", LOCAL, True),
        ("10.0.0.7", LOCAL, True),
        ("169.254.169.254", ("10.0.0.2",), False),
        ("169.254.169.254", LOCAL, False),
        ("fe80::1%eth0", ("10.0.0.2",), False),
        ("::ffff:169.254.169.254", LOCAL, False),
        ("224.0.0.1", LOCAL, False),
    ],
)
def test_only_the_open_internet_and_chatwoots_own_network_are_reachable(
    address: str, neighbours: tuple[str, ...], *, reachable: bool
) -> None:
    assert is_reachable(address, neighbours) is reachable
