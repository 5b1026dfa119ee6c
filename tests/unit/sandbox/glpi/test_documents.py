"""Uploads, their refusals that look like success, and links."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest

from crm_sync.sandbox.glpi.documents import Upload


def _upload(
    glpi: Any, filename: str, content: bytes = b"hello", mime: str = "text/plain", **manifest: Any
) -> Any:
    data = {
        "uploadManifest": json.dumps({"input": {"name": "n", "_filename": [filename], **manifest}}),
        "filename[0]": (io.BytesIO(content), filename, mime),
    }
    return glpi.call("POST", "/Document", data=data, content_type="multipart/form-data")


def test_a_file_is_stored_and_comes_back(either: Any) -> None:
    answer = _upload(either, "note.txt", "conteúdo".encode())
    assert answer.status_code == 201
    result = answer.get_json()["upload_result"]["filename"][0]
    assert (result["display"], result["filesize"], result["type"]) == ("note.txt", "9 B", "text/plain")

    number = answer.get_json()["id"]
    row = either.item("Document", number)
    digest = hashlib.sha1("conteúdo".encode(), usedforsecurity=False).hexdigest()
    assert (row["filename"], row["mime"], row["sha1sum"]) == ("note.txt", "text/plain", digest)
    download = either.get(f"/Document/{number}", headers={"Accept": "application/octet-stream"})
    assert (download.data, download.headers["Content-Type"]) == (
        "conteúdo".encode(),
        "text/plain;charset=UTF-8",
    )
    assert either.get(f"/Document/{number}", alt="media").data == "conteúdo".encode()


@pytest.mark.parametrize(
    ("filename", "taken_on_10", "taken_on_11"),
    [
        ("a.ogg", True, True),
        ("a.png", True, True),
        ("a.exe", False, False),
        ("a.mp4", False, False),
        ("s.webp", False, True),
        ("bare", False, False),
    ],
)
def test_only_known_file_types_are_kept(
    glpi: Any, glpi11: Any, filename: str, *, taken_on_10: bool, taken_on_11: bool
) -> None:
    for server, taken in ((glpi, taken_on_10), (glpi11, taken_on_11)):
        answer = _upload(server, filename, mime="application/octet-stream")
        result = answer.get_json()["upload_result"]["filename"][0]
        row = server.item("Document", answer.get_json()["id"])
        assert answer.status_code == 201
        assert result.get("error") == (None if taken else "Filetype not allowed")
        assert (row["filename"] is not None) is taken


def test_files_are_measured(glpi: Any) -> None:
    limit = int(glpi.sandbox.state.flavour.stock["config"]["document_max_size"]) * 1024 * 1024
    sizes = {}
    for size in (limit, limit + 1, 2048):
        upload = Upload(glpi.sandbox.state, "big.txt", b"x" * size, "text/plain")
        sizes[size] = (upload.error, upload.result("http://x", "apirest.php")["filesize"])

    assert sizes[limit] == (None, f"{limit / 1024 / 1024:.2f} MiB")
    assert sizes[limit + 1][0] == "File is too big"
    assert sizes[2048] == (None, "2.00 KiB")


def test_a_refused_file_has_no_bytes(glpi: Any) -> None:
    number = _upload(glpi, "a.exe").get_json()["id"]
    assert glpi.get(f"/Document/{number}", alt="media").status_code == 404


def test_an_upload_can_link_itself(glpi: Any, glpi11: Any) -> None:
    for server, name in ((glpi, "Document: Ticket - broken"), (glpi11, "n")):
        ticket = server.add("Ticket", name="broken", content="x")
        server.clock.advance(5)
        answer = _upload(server, "a.txt", itemtype="Ticket", items_id=ticket)
        assert server.item("Document", answer.get_json()["id"])["name"] == name
        note = server.add("ITILFollowup", itemtype="Ticket", items_id=ticket, content="x")
        _upload(server, "b.txt", itemtype="ITILFollowup", items_id=note)
        own = server.get(f"/Ticket/{ticket}/Document_Item").get_json()
        assert [row["documents_id"] for row in own] == [1]
        shown = server.get(f"/Ticket/{ticket}", with_documents="true").get_json()["_documents"]
        assert [row["filename"] for row in shown] == ["a.txt", "b.txt"]
        assert server.item("Ticket", ticket)["date_mod"] == "2026-11-22 09:00:05"


def test_links_are_made_once_and_inside_one_entity(either: Any) -> None:
    document = _upload(either, "a.txt").get_json()["id"]
    ticket = either.add("Ticket", name="x", content="x")
    link = {"documents_id": document, "itemtype": "Ticket", "items_id": ticket}
    row = either.add("Document_Item", **link)
    assert either.post("/Document_Item", **link).get_json() == ["ERROR_GLPI_ADD", ""]
    assert (
        either.post("/Document_Item", documents_id=99, itemtype="Ticket", items_id=ticket).status_code == 400
    )
    note = either.add("ITILFollowup", itemtype="Ticket", items_id=ticket, content="x")
    assert (
        either.post(
            "/Document_Item", documents_id=document, itemtype="ITILFollowup", items_id=note
        ).status_code
        == 201
    )
    category = either.add("RequestType", name="x")
    assert (
        either.post(
            "/Document_Item", documents_id=document, itemtype="RequestType", items_id=category
        ).status_code
        == 201
    )

    customers = either.add("Entity", name="Customers", entities_id=0)
    either.call("POST", "/changeActiveEntities", json={"entities_id": 0, "is_recursive": True})
    far = either.add("Ticket", name="x", content="x", entities_id=customers)
    assert (
        either.post("/Document_Item", documents_id=document, itemtype="Ticket", items_id=far).status_code
        == 400
    )

    assert either.delete(f"/Document_Item/{row}").status_code == 200
    either.delete(f"/Document/{document}?force_purge=true")
    assert "Document_Item" not in either.app.test_client().get("/_sandbox/dump").get_json()
    assert either.get(f"/Ticket/{ticket}", with_documents="true").get_json()["_documents"] == []


def test_a_multipart_call_needs_its_parts(either: Any) -> None:
    empty = either.call("POST", "/Document", data={}, content_type="multipart/form-data; boundary=x")
    assert empty.get_json()[0] == "ERROR_UPLOAD_FILE_TOO_BIG_POST_MAX_SIZE"
    for manifest in ("", "[]"):
        data = {"uploadManifest": manifest, "filename[0]": (io.BytesIO(b"x"), "a.txt")}
        answer = either.call("POST", "/Document", data=data, content_type="multipart/form-data")
        assert answer.get_json()[0] == "ERROR_JSON_PAYLOAD_INVALID"
    assert either.add("Document", name="without a file") == 1
