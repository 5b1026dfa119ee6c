"""Files as documents: what GLPI keeps, and what it refuses though it says success."""

from __future__ import annotations

import pytest

from crm_sync.crms.glpi.client import FILE_NAME_LIMIT, Uploaded
from crm_sync.errors import NotFound, OutcomeUnknown, Rejected
from tests.unit.crms.glpi.world import Glpi, answering, page


def test_a_file_is_stored_as_it_is_in_the_entity_of_its_record(glpi: Glpi) -> None:
    entity = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    uploaded = glpi.client.upload_document('Nota "ção".txt', b"a\x00\xff", "text/plain", entity_id=entity)

    assert uploaded == Uploaded(uploaded.id, None)
    [row] = glpi.sandbox.state.dump()["Document"]
    assert (row["id"], row["name"], row["entities_id"]) == (uploaded.id, 'Nota "ção".txt', entity)
    assert glpi.sandbox.state.files[row["sha1sum"]] == b"a\x00\xff"


@pytest.mark.parametrize("itemtype", ["Ticket", "ITILFollowup"])
def test_a_file_is_attached_to_the_record_that_is_named(glpi: Glpi, itemtype: str) -> None:
    number = glpi.insert("Ticket", name="x", content="x", status=2)
    if itemtype == "ITILFollowup":
        number = glpi.insert("ITILFollowup", itemtype="Ticket", items_id=number, content="x")
    uploaded = glpi.client.upload_document(
        "foto.png", b"png", "image/png", entity_id=0, itemtype=itemtype, item_id=number
    )

    [link] = glpi.sandbox.state.dump()["Document_Item"]
    assert (link["documents_id"], link["itemtype"], link["items_id"]) == (uploaded.id, itemtype, number)


def test_a_file_whose_type_glpi_refuses_is_told_and_its_empty_document_can_be_purged(glpi: Glpi) -> None:
    uploaded = glpi.client.upload_document("x.exe", b"MZ", "application/octet-stream", entity_id=0)
    assert uploaded.refused == "Filetype not allowed"

    glpi.client.delete("Document", uploaded.id, purge=True)
    with pytest.raises(NotFound):
        glpi.client.item("Document", uploaded.id)


def test_a_record_that_is_deleted_without_purge_lies_in_the_bin(glpi: Glpi) -> None:
    uploaded = glpi.client.upload_document("x.txt", b"x", "text/plain", entity_id=0)
    glpi.client.delete("Document", uploaded.id)
    assert glpi.client.item("Document", uploaded.id)["is_deleted"] == 1


@pytest.mark.parametrize(
    ("result", "refused"),
    [
        ({"filename": [{"name": "x", "size": 1}]}, None),
        ({"filename": [{"error": "Type de fichier non autoris&#233;"}]}, "Type de fichier non autorisé"),
        ({"filename": [{"error": 'MySQL error in SQL query "INSERT ana@example.com"'}]}, "MySQL error"),
        ({"filename": [{"error": ""}]}, "GLPI gives no reason."),
        ({"filename": ["x"]}, "GLPI says nothing of the file."),
        ({"filename": []}, "GLPI took no file."),
        ([], "GLPI took no file."),
        (None, "GLPI took no file."),
    ],
)
def test_only_a_file_that_glpi_reports_without_an_error_counts_as_taken(
    glpi: Glpi, result: object, refused: str | None
) -> None:
    glpi.client.init_session()
    glpi.strike(answering(201, {"id": 7, "message": "", "upload_result": result}))
    assert glpi.client.upload_document("x.txt", b"x", "text/plain", entity_id=0) == Uploaded(7, refused)


def test_a_file_too_large_to_be_sent_is_refused_for_good(glpi: Glpi) -> None:
    glpi.client.init_session()
    for fault in (page(413), answering(400, ["ERROR_UPLOAD_FILE_TOO_BIG_POST_MAX_SIZE", "Too big"])):
        glpi.strike(fault)
        with pytest.raises(Rejected):
            glpi.client.upload_document("x.txt", b"x", "text/plain", entity_id=0)


def test_an_upload_without_a_document_leaves_open_whether_it_happened(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.strike(answering(201, {"message": "fine"}))
    with pytest.raises(OutcomeUnknown, match="which Document"):
        glpi.client.upload_document("x.txt", b"x", "text/plain", entity_id=0)


def test_an_upload_into_a_session_that_is_over_is_sent_once_more(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.expire()
    uploaded = glpi.client.upload_document("x.txt", b"hello", "text/plain", entity_id=0)

    [row] = glpi.sandbox.state.dump()["Document"]
    assert (row["id"], glpi.sandbox.state.files[row["sha1sum"]]) == (uploaded.id, b"hello")


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a" * 300 + ".txt", "a" * (FILE_NAME_LIMIT - 4) + ".txt"),
        ("é" * 300 + ".txt", "é" * (FILE_NAME_LIMIT // 2 - 2) + ".txt"),
        ("x." + "txt" * 100, "x." + ("txt" * 100)[: FILE_NAME_LIMIT - 2]),
        ("a" * FILE_NAME_LIMIT, "a" * FILE_NAME_LIMIT),
    ],
)
def test_a_name_too_long_for_file_systems_is_cut_before_its_extension(
    glpi: Glpi, name: str, taken: str
) -> None:
    glpi.client.upload_document(name, b"x", "text/plain", entity_id=0)
    [row] = glpi.sandbox.state.dump()["Document"]
    assert row["name"] == taken
