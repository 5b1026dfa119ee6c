"""Clients that others wrote for GLPI do their everyday work in the sandbox, as they do in a real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import glpi_api
import glpi_rest
import pytest

from crm_sync.sandbox.glpi import FLAVOURS, GlpiSandbox, create_app
from crm_sync.sandbox.server import SandboxServer


@dataclass
class Server:
    """A sandbox and its address."""

    sandbox: GlpiSandbox
    api_url: str

    def expire(self) -> None:
        """GLPI cleans its sessions up."""
        with self.sandbox.state.lock:
            self.sandbox.sessions.expire_all()


@pytest.fixture(params=FLAVOURS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A GLPI of each version."""
    app = create_app(flavour=request.param)
    with SandboxServer(app) as running:
        yield Server(app.extensions["sandbox"], f"{running.url}/apirest.php")


# -- glpi-api ------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(server: Server) -> Iterator[glpi_api.GLPI]:
    """glpi-api, logged in by a user's token."""
    sandbox = server.sandbox
    with glpi_api.connect(server.api_url, sandbox.app_token, sandbox.user_tokens["super"]) as client:
        yield client


def test_glpi_api_logs_in_by_token_and_by_password_and_out(server: Server) -> None:
    sandbox = server.sandbox
    for auth in (sandbox.user_tokens["tech"], ("tech", "tech")):
        client = glpi_api.GLPI(server.api_url, sandbox.app_token, auth)
        client.kill_session()
    for auth in ("wrong", ("tech", "wrong")):
        with pytest.raises(glpi_api.GLPIError, match="ERROR_GLPI_LOGIN"):
            glpi_api.GLPI(server.api_url, sandbox.app_token, auth)


def test_glpi_api_reads_the_session(api: glpi_api.GLPI, server: Server) -> None:
    assert api.get_active_profile()["name"] == "Super-Admin"
    assert [profile["name"] for profile in api.get_my_profiles()] == ["Super-Admin"]
    assert [entity["id"] for entity in api.get_my_entities()] == [0]
    assert api.get_active_entities()["id"] == 0
    api.set_active_entities(0, is_recursive=True)
    assert api.get_full_session()["glpiID"] == 2
    assert api.get_config()["cfg_glpi"]["version"] == server.sandbox.state.flavour.version


def test_glpi_api_creates_reads_changes_searches_and_deletes(api: glpi_api.GLPI) -> None:
    fields = {"name": "Printer", "content": "<p>It does not print</p>", "_users_id_requester": 3}
    [made] = api.add("Ticket", fields)
    number = made["id"]
    assert api.update("Ticket", {"id": number, "status": 5}) == [{str(number): True, "message": ""}]

    assert api.get_item("Ticket", number)["status"] == 5
    assert [row["id"] for row in api.get_all_items("Ticket", searchText={"name": "Printer"})] == [number]
    rows = api.get_multiple_items(
        {"itemtype": "Ticket", "items_id": number}, {"itemtype": "User", "items_id": 3}
    )
    assert [row["name"] for row in rows] == ["Printer", "post-only"]
    criteria = [{"field": "name", "searchtype": "contains", "value": "^Printer$"}]
    [found] = api.search("Ticket", criteria=criteria, forcedisplay=["id", "status"])
    assert (found["2"], found["12"]) == (number, 5)
    assert api.search("Ticket", criteria=[criteria[0] | {"value": "^Nothing$"}]) == []

    api.delete("Ticket", {"id": number}, force_purge=True)
    assert api.get_item("Ticket", number) is None


def test_glpi_api_works_with_sub_items(api: glpi_api.GLPI) -> None:
    [made] = api.add("Ticket", {"name": "x", "content": "<p>x</p>", "_users_id_requester": 3})
    number = made["id"]
    [followup] = api.add_sub_items(
        "Ticket", number, "ITILFollowup", {"itemtype": "Ticket", "items_id": number, "content": "<p>a</p>"}
    )

    assert [row["users_id"] for row in api.get_sub_items("Ticket", number, "Ticket_User")] == [3]
    assert [row["id"] for row in api.get_sub_items("Ticket", number, "ITILFollowup")] == [followup["id"]]


def test_glpi_api_uploads_and_downloads_and_is_told_of_refused_types(
    api: glpi_api.GLPI, server: Server, tmp_path: Path
) -> None:
    note, program = tmp_path / "note.txt", tmp_path / "program.exe"
    note.write_text("hello", encoding="utf-8")
    program.write_text("MZ", encoding="utf-8")

    uploaded = api.upload_document("A note", str(note))
    assert (
        Path(api.download_document(uploaded["id"], str(tmp_path), "back.txt")).read_text("utf-8") == "hello"
    )
    with (
        pytest.warns(UserWarning, match="document"),
        pytest.raises(glpi_api.GLPIError, match="Filetype not allowed"),
    ):
        api.upload_document("A program", str(program))
    assert [row["id"] for row in server.sandbox.state.dump()["Document"]] == [uploaded["id"]]


def test_glpi_api_is_told_why_something_is_refused(api: glpi_api.GLPI) -> None:
    with pytest.raises(glpi_api.GLPIError, match="ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM"):
        api.get_all_items("Nothing")
    api.add("User", {"name": "ana"})
    with pytest.raises(glpi_api.GLPIError, match="ERROR_GLPI_ADD"):
        api.add("User", {"name": "ana"})


def test_glpi_api_is_told_that_its_session_was_cleaned_up(server: Server) -> None:
    sandbox = server.sandbox
    client = glpi_api.GLPI(server.api_url, sandbox.app_token, sandbox.user_tokens["super"])
    server.expire()
    with pytest.raises(glpi_api.GLPIError, match="ERROR_SESSION_TOKEN_INVALID"):
        client.get_item("Ticket", 1)


# -- glpi-rest -----------------------------------------------------------------------------------------------------


@pytest.fixture
def rest(server: Server) -> Iterator[glpi_rest.GLPIClient]:
    """glpi-rest, logged in by a user's token."""
    sandbox = server.sandbox
    with glpi_rest.GLPIClient(
        server.api_url, sandbox.app_token, user_token=sandbox.user_tokens["super"]
    ) as client:
        yield client


def test_glpi_rest_logs_in_by_token_and_by_password_and_out(server: Server) -> None:
    token = server.sandbox.app_token
    for good in (
        {"user_token": server.sandbox.user_tokens["tech"]},
        {"username": "tech", "password": "tech"},
    ):
        with glpi_rest.GLPIClient(server.api_url, token, **good) as client:
            assert client.is_connected
    for bad in ({"user_token": "wrong"}, {"username": "tech", "password": "wrong"}):
        with pytest.raises(glpi_rest.GLPIAuthError):
            glpi_rest.GLPIClient(server.api_url, token, **bad).init_session()


def test_glpi_rest_creates_reads_changes_searches_and_deletes(rest: glpi_rest.GLPIClient) -> None:
    number = rest.add_item("Ticket", {"name": "Printer", "content": "<p>It does not print</p>"})["id"]
    rest.update_item("Ticket", number, {"status": 5})

    assert rest.get_item("Ticket", number)["status"] == 5
    assert [row["id"] for row in rest.get_items("Ticket", range="0-9")] == [number]
    criteria = [
        glpi_rest.SearchCriterion(1, "^Printer$"),
        glpi_rest.SearchCriterion(12, 5, "equals", "AND"),
    ]
    found = rest.search("Ticket", criteria, forcedisplay=[2, 12], sort=2, range_="0-9")
    assert (found.total_count, found.data[0]["2"], found.content_range) == (1, number, "0-0/1")
    none = rest.search("Ticket", [glpi_rest.SearchCriterion(1, "^Nothing$")])
    assert (none.total_count, none.data) == (0, [])

    rest.delete_item("Ticket", number)
    assert rest.get_item("Ticket", number)["is_deleted"] == 1
    rest.delete_item("Ticket", number, force_purge=True)
    with pytest.raises(glpi_rest.GLPINotFoundError):
        rest.get_item("Ticket", number)


def test_glpi_rest_reads_sub_items(rest: glpi_rest.GLPIClient) -> None:
    ticket = rest.add_item("Ticket", {"name": "x", "content": "<p>x</p>", "_users_id_requester": 3})["id"]
    rest.add_item("ITILFollowup", {"itemtype": "Ticket", "items_id": ticket, "content": "<p>a</p>"})

    assert [row["users_id"] for row in rest.get_items(f"Ticket/{ticket}/Ticket_User")] == [3]
    assert [row["content"] for row in rest.get_items(f"Ticket/{ticket}/ITILFollowup")] != []


def test_glpi_rest_goes_on_after_its_session_was_cleaned_up(
    rest: glpi_rest.GLPIClient, server: Server
) -> None:
    server.expire()
    assert rest.get_item("User", 2)["name"] == "glpi"
