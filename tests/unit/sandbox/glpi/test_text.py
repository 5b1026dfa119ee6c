"""Texts: how 10.0 encodes them, how 11 does not, and how the database compares them."""

from __future__ import annotations

from typing import Any

import pytest

from crm_sync.sandbox.glpi import text
from crm_sync.sandbox.glpi.text import Pattern


@pytest.mark.parametrize(
    ("sent", "stored", "decoded"),
    [
        ("AT&T <x", "AT&#38;T &#60;x", "AT&T <x"),
        ("plain", "plain", "plain"),
        ("a &lt; b", "a &lt; b", "a < b"),
        ("<p>se a &lt; b</p>", "&#60;p&#62;se a &#38;lt; b&#60;/p&#62;", "<p>se a &lt; b</p>"),
        ("&amp; only", "&#38;amp; only", "&amp; only"),
        ("se a &lt; b &amp;&amp; c", "se a &lt; b &amp;&amp; c", "se a < b &amp;&amp; c"),
    ],
)
def test_10_encodes_text_unless_it_looks_encoded_already(sent: str, stored: str, decoded: str) -> None:
    assert text.encode(sent) == stored
    assert text.decode(stored) == decoded


def test_only_text_wrapped_in_a_tag_round_trips_on_10(glpi: Any) -> None:
    trapped = glpi.add("Ticket", name="x", content="a &lt; b")
    safe = glpi.add("Ticket", name="x", content="<p>a &lt; b</p>")

    raw = {"X-GLPI-Sanitized-Content": "false"}
    assert glpi.item("Ticket", trapped, **raw)["content"] == "a < b"
    assert glpi.item("Ticket", safe, **raw)["content"] == "<p>a &lt; b</p>"


def test_search_is_always_encoded_on_10_and_never_on_11(glpi: Any, glpi11: Any) -> None:
    for server, shown in ((glpi, "AT&#38;T"), (glpi11, "AT&T")):
        server.add("Ticket", name="AT&T", content="x")
        answer = server.get("/search/Ticket", headers={"X-GLPI-Sanitized-Content": "false"})
        assert answer.get_json()["data"][0]["1"] == shown


def test_newlines_are_kept_as_line_feeds(either: Any) -> None:
    ticket = either.add("Ticket", name="x", content="one\r\ntwo")

    assert either.item("Ticket", ticket)["content"] == "one\ntwo"


def test_scripts_come_back_verbatim(glpi11: Any) -> None:
    ticket = glpi11.add("Ticket", name="x", content="<script>alert(1)</script>")

    assert glpi11.item("Ticket", ticket)["content"] == "<script>alert(1)</script>"


def test_messages_are_escaped_as_the_version_does(glpi: Any, glpi11: Any) -> None:
    name = "o'k \\ <b>"

    assert (
        glpi.post("/Contact", name=name).get_json()["message"] == "Item successfully added: o'k  &#60;b&#62;"
    )
    message = glpi11.post("/Contact", name=name).get_json()["message"]
    assert message == "Item successfully added: o&#039;k \\ &lt;b&gt;"


def test_long_titles_are_cut_on_10_and_refused_on_11(glpi: Any, glpi11: Any) -> None:
    ticket = glpi.add("Ticket", name="é" * 300, content="x")
    assert glpi.item("Ticket", ticket)["name"] == "é" * 255

    assert glpi11.post("/Ticket", name="é" * 255, content="x").status_code == 201
    answer = glpi11.post("/Ticket", name="é" * 256, content="secret")
    assert answer.status_code == 400
    assert answer.get_json()[1].startswith("MySQL query error: Data too long for column 'name'")


def test_a_title_is_made_from_the_content(either: Any) -> None:
    ticket = either.add("Ticket", content="<p>" + "word " * 40 + "</p>")

    name = either.item("Ticket", ticket)["name"]
    assert name == ("word " * 14)[:70]


@pytest.mark.parametrize(
    ("pattern", "value", "found"),
    [
        ("silva", "Maria SILVA", True),
        ("^maria$", "Maria", True),
        ("^maria$", "Maria Silva", False),
        ("^conceicao$", "Conceição", True),
        ("^ma", "Maria", True),
        ("ria$", "Maria", True),
        ("ria$", "Marias", False),
        ("^m%a$", "Maria", True),
        ("m%x", "Maria", False),
        ("a_b", "a_b", True),
        ("a_b", "axb", False),
        ("NULL", None, True),
        ("null", "x", False),
        ("^$", None, True),
        ("^$", "", True),
        ("^$", "x", False),
        ("x", None, False),
        ("^", "anything", True),
    ],
)
def test_contains_understands_anchors_and_percent_only(
    pattern: str, value: str | None, *, found: bool
) -> None:
    compiled = Pattern(pattern)
    folded = None if value is None else text.fold(value)

    assert compiled.matches(folded) is found
    assert compiled.found_in({1: folded}) == ([1] if found else [])
