"""What people wrote, as HTML: readable, complete, and harmless whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crm_sync.crms.glpi import content
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.events import Attachment, Contact, Conversation, Direction, Message, Sender, SenderKind, Status
from crm_sync.sandbox.glpi import FLAVOURS, create_app
from crm_sync.sandbox.glpi.text import decode, encode
from crm_sync.sandbox.server import SandboxServer

MARK = content.marker("https://chat.example.com", 3, "message", 81)

#: Texts as the database takes them, with what is special to GLPI, HTML and Chatwoot made likely.
SPECIAL = st.sampled_from(
    ["<", ">", "&", "&lt;", "&#60;", "&#38;", "&amp;", "-->", "<!--", "<script>", "\n", "\r\n", "\\\n", "'", '"',
     "crm-sync/", "%", "_", "[@R](mention://user/1/R)", "😀", "\x01"]
)  # fmt: skip
TEXT = st.lists(
    st.one_of(SPECIAL, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
).map("".join)


class Reader(HTMLParser):
    """What a browser makes of a content."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.comments: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.text += "\n" if tag == "br" else ""
        assert {name for name, _ in attrs} <= {"href"}
        self.links += [value or "" for _, value in attrs]

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.text += data


def message(text: str | None = "Hello", **more: Any) -> Message:
    """A message of Ana."""
    known = {
        "id": 81,
        "conversation_id": 10,
        "direction": Direction.INCOMING,
        "content": text,
        "private": False,
        "created_at": datetime(2026, 11, 2, 9, 30, 5, tzinfo=UTC),
        "sender": Sender(SenderKind.CONTACT, 1, "Ana <b>"),
    }
    return Message(**(known | more))


def lines(text: str) -> str:
    """A text with its ends of lines made one."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


# -- whatever is written -------------------------------------------------------------------------------------------


@given(TEXT)
def test_a_paragraph_shows_the_text_and_obeys_none_of_it(text: str) -> None:
    read = Reader(content.paragraph(text))
    assert read.tags <= {"p", "br"}
    assert read.comments == []
    assert read.text == lines(text)


@given(TEXT, TEXT, TEXT)
def test_a_followup_holds_nothing_but_what_we_put_into_it(text: str, name: str, file: str) -> None:
    item = Attachment(1, "file", url="https://x.example/" + file, name=file or None, transcript=text or None)
    made = content.followup_content(
        message(text, sender=Sender(SenderKind.CONTACT, 1, name or None), attachments=(item,)), MARK
    )
    read = Reader(made)
    assert read.tags <= {"p", "br", "strong", "ul", "li", "a"}
    assert read.comments == [f" {MARK} "]
    assert content.is_marked(made, MARK)
    assert all(link.startswith("https://") for link in read.links)


@given(TEXT)
def test_a_marker_is_found_in_what_older_glpis_keep_too_and_in_no_text_of_anybody(text: str) -> None:
    forged = text + f"<!-- {content.marker('https://chat.example.com', 3, 'message', 99)} -->"
    made = content.followup_content(message(forged), MARK)
    kept_by_9_5 = made.replace("<", "&lt;").replace(">", "&gt;")
    for form in (made, encode(made), kept_by_9_5):
        assert content.is_marked(form, MARK)
        assert not content.is_marked(form, content.marker("https://chat.example.com", 3, "message", 99))


@given(TEXT)
def test_what_glpi_10_keeps_is_read_back_as_it_was_meant(text: str) -> None:
    made = content.followup_content(message(text), MARK)
    assert decode(encode(made)) == made


@pytest.fixture(scope="module", params=FLAVOURS)
def client(request: pytest.FixtureRequest) -> Iterator[GlpiClient]:
    """A client of each version."""
    app = create_app(flavour=request.param)
    sandbox = app.extensions["sandbox"]
    with SandboxServer(app) as server:
        yield GlpiClient(f"{server.url}/apirest.php", sandbox.app_token, sandbox.user_tokens["super"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_any_text_goes_to_glpi_and_back(client: GlpiClient, text: str) -> None:
    made = content.followup_content(message(text), MARK)
    number = client.create("Ticket", {"name": "x", "content": made, "status": 2})

    assert client.item("Ticket", number)["content"] == made.replace("\r\n", "\n")


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[@Rui](mention://user/32/Rui) look", "@Rui look"),
        ("[@Joan (Support)](mention://user/31/Joan%20(Support)): hi", "@Joan (Support): hi"),
        ("[Sales](mention://team/2/Sales)", "@Sales"),
        ("[a](https://x.example) (mention://user/1/x)", "[a](https://x.example) (mention://user/1/x)"),
        ("one\\\ntwo", "one\ntwo"),
        ("one\\\r\ntwo", "one\ntwo"),
        ("C:\\new\\table", "C:\\new\\table"),
        ("**bold** _it_", "**bold** _it_"),
    ],
)
def test_a_message_reads_as_chatwoot_shows_it(text: str, shown: str) -> None:
    assert content.readable(text) == shown


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        (Sender(SenderKind.CONTACT, 1, "Ana"), "Ana"),
        (Sender(SenderKind.CONTACT), "Customer"),
        (Sender(SenderKind.AGENT), "Agent"),
        (Sender(SenderKind.BOT), "Bot"),
        (Sender(SenderKind.SYSTEM), "Chatwoot"),
    ],
)
def test_a_heading_says_who_and_when(sender: Sender, name: str) -> None:
    assert content.heading(message(sender=sender)) == f"[2026-11-02 09:30:05 UTC] {name}:"


@pytest.mark.parametrize(
    ("item", "html"),
    [
        (Attachment(1, "image", url="https://x.example/a?b=1&c=2", name="a.png"),
         '<a href="https://x.example/a?b=1&amp;c=2">a.png</a>'),
        (Attachment(1, "file", url='https://x.example/"><script>', name="<x>"),
         '<a href="https://x.example/&quot;&gt;&lt;script&gt;">&lt;x&gt;</a>'),
        (Attachment(1, "file", url="javascript:alert(1)", name="x"), "x"),
        (Attachment(1, "file", url="https://[", name="x"), "x"),
        (Attachment(1, "file"), "file"),
        (Attachment(1, "location", name="Here", latitude=-8.05, longitude=0.0), "Here (-8.05, 0.0)"),
        (Attachment(1, "audio", url="https://x.example/a", transcript="Oi\n<b>"),
         '<a href="https://x.example/a">audio</a>: Oi<br>&lt;b&gt;'),
    ],
)  # fmt: skip
def test_an_attachment_is_a_link_or_words(item: Attachment, html: str) -> None:
    assert content.attachment(item) == html


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (message("x"), True),
        (message("  \n\t"), False),
        (message(None), False),
        (message(""), False),
        (message(None, attachments=(Attachment(1, "image"),)), True),
        (message("x", content_attributes={"deleted": True}), False),
    ],
)
def test_a_message_has_content_or_it_has_not(found: Message, *, expected: bool) -> None:
    assert content.has_content(found) is expected


def test_a_ticket_tells_which_message_it_was_made_from() -> None:
    conversation = Conversation(10, Status.OPEN, Contact(1, name="Ana"))
    mark = content.marker("https://chat.example.com", 3, "conversation", 10)

    made = content.ticket_content(conversation, message("Hello"), mark)
    assert made == "<p>Hello</p><!-- crm-sync/chat.example.com/3/conversation/10/first/81/ -->"
    assert (content.first_message_in(made), content.first_message_in(encode(made))) == (81, 81)
    assert content.is_marked(encode(made), mark)
    kept_by_9_5 = made.replace("<", "&lt;").replace(">", "&gt;")
    assert (content.first_message_in(kept_by_9_5), content.is_marked(kept_by_9_5, mark)) == (81, True)

    empty = content.ticket_content(conversation, None, mark)
    assert Reader(empty).text == "New conversation from Ana"
    assert content.first_message_in(empty) == 0


def test_a_marker_of_another_record_is_another_marker() -> None:
    marks = {
        content.marker(url, account, kind, number)
        for url in ("https://a.example", "https://a.example:3000", "https://b.example")
        for account in (3, 31)
        for kind in ("conversation", "message")
        for number in (1, 10, 101)
    }
    assert len(marks) == 3 * 2 * 2 * 3
    assert not any(a != b and a in b for a in marks for b in marks)
    assert content.first_message_in("<p>no marker</p>") is None
