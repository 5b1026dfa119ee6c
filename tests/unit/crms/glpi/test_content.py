"""What people wrote, as HTML: readable, complete, and harmless whatever it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crm_sync.crms import markup, texts
from crm_sync.crms.glpi import content
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.versions import Version
from crm_sync.events import Attachment, Direction, Message, Sender, SenderKind
from crm_sync.sandbox.glpi import FLAVOURS, create_app
from crm_sync.sandbox.glpi.text import decode, encode
from crm_sync.sandbox.server import SandboxServer

ENGLISH = texts.load("crm_sync.crms.glpi")
FRENCH = texts.load("crm_sync.crms.glpi", "fr")
MARK = content.marker("https://chat.example.com", 3, "message", 81)

#: Texts as the database takes them, with what is special to GLPI, HTML and Chatwoot made likely.
SPECIAL = st.sampled_from(
    ["<", ">", "&", "&lt;", "&#60;", "&#38;", "&amp;", "-->", "<!--", "<script>", "\n", "\r\n", "\\\n", "'", '"',
     "crm-sync/", "%", "_", "[@R](mention://user/1/R)", "😀", "\x01", "**", "`", "\n\n", "> ", "- ", "1. ", "    ",
     "[x](", "![y](", "javascript:", "https://x.example", ")", "<div", "</div>", "<a href=", "<b>", "<img src=//x>",
     "<svg><style>", "<p", "onclick=x", "|"]
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
        assert {name for name, _ in attrs} <= {"href", "colspan", "rowspan", "start"}
        self.links += [value or "" for name, value in attrs if name == "href"]

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
    read = Reader(markup.paragraph(text))
    assert read.tags <= {"p", "br"}
    assert read.comments == []
    assert read.text == lines(text)


@given(TEXT, TEXT, TEXT)
def test_a_followup_holds_nothing_but_what_we_put_into_it(text: str, name: str, file: str) -> None:
    item = Attachment(1, "file", url="https://x.example/" + file, name=file or None, transcript=text or None)
    made = content.followup_content(
        message(text, sender=Sender(SenderKind.CONTACT, 1, name or None), attachments=(item,)), MARK, ENGLISH
    )
    read = Reader(made)
    assert read.tags <= {"p", "br", "strong", "ul", "li", "a"}
    assert [comment.partition("said/")[0] for comment in read.comments] == [f" {MARK}"]
    assert content.is_marked(made, MARK)
    assert all(link.startswith("https://") for link in read.links)


KINDS = {
    "customer": message,
    "agent": lambda text: message(
        text, direction=Direction.OUTGOING, sender=Sender(SenderKind.AGENT, 3, "Joan")
    ),
    "note": lambda text: message(text, direction=Direction.OUTGOING, private=True),
    "mail": lambda text: message("x", **mail(html=text)),
    "text mail": lambda text: message("x", **mail(text=text)),
    "choices": lambda text: message(
        text,
        content_type="cards",
        content_attributes={
            "items": [{"title": text, "link": text, "actions": [{"text": text, "uri": text}]}],
            "submitted_values": [{"name": text, "value": text}],
            "submitted_email": text,
        },
    ),
    "failed": lambda text: message(text, content_attributes={"external_error": text}),
}


def mail(html: str | None = None, text: str | None = None, part: str = "reply") -> dict[str, Any]:
    """What makes a message a mail."""
    bodies = {"html_content": {part: html} if html else {}, "text_content": {part: text} if text else {}}
    return {"content_type": "incoming_email", "content_attributes": {"email": bodies}}


@given(st.sampled_from(sorted(KINDS)), TEXT)
def test_nothing_that_anybody_writes_in_any_way_comes_out_active(kind: str, text: str) -> None:
    made = content.followup_content(KINDS[kind](text), MARK, ENGLISH)
    read = Reader(made)
    assert read.tags <= markup.TAGS
    assert len(read.comments) == 1
    assert made.endswith(" -->")
    assert content.is_marked(made, MARK)
    assert all(link.lower().startswith(("http:", "https:", "mailto:")) for link in read.links)
    assert decode(encode(made)) == made
    assert re.match(r"<\w+>", made)


@given(TEXT)
def test_a_marker_is_found_in_what_older_glpis_keep_too_and_in_no_text_of_anybody(text: str) -> None:
    forged = text + f"<!-- {content.marker('https://chat.example.com', 3, 'message', 99)} -->"
    made = content.followup_content(message(forged), MARK, ENGLISH)
    kept_by_9_5 = made.replace("<", "&lt;").replace(">", "&gt;")
    for form in (made, encode(made), kept_by_9_5):
        assert content.is_marked(form, MARK)
        assert not content.is_marked(form, content.marker("https://chat.example.com", 3, "message", 99))


@given(TEXT)
def test_what_glpi_10_keeps_is_read_back_as_it_was_meant(text: str) -> None:
    made = content.followup_content(message(text), MARK, ENGLISH)
    assert decode(encode(made)) == made


@pytest.fixture(scope="module", params=FLAVOURS)
def client(request: pytest.FixtureRequest) -> Iterator[GlpiClient]:
    """A client of each version."""
    app = create_app(flavour=request.param)
    sandbox = app.extensions["sandbox"]
    with SandboxServer(app) as server:
        yield GlpiClient(f"{server.url}/apirest.php", sandbox.app_token, sandbox.user_tokens["super"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT, kind=st.sampled_from(sorted(KINDS)))
def test_any_text_goes_to_glpi_and_back(client: GlpiClient, text: str, kind: str) -> None:
    made = content.followup_content(KINDS[kind](text), MARK, ENGLISH)
    number = client.create("Ticket", {"name": "x", "content": made, "status": 2})

    assert client.item("Ticket", number)["content"] == made.replace("\r\n", "\n")


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold** and _it_", "<p><strong>bold</strong> and <em>it</em></p>"),
        ("~~gone~~ `a < b`", "<p><s>gone</s> <code>a &lt; b</code></p>"),
        ("[here](https://x.example/a?b=1&c=2)", '<p><a href="https://x.example/a?b=1&amp;c=2">here</a></p>'),
        ("[no](javascript:alert(1))", "<p>[no](javascript:alert(1))</p>"),
        ("[no](/front/logout.php)", "<p><a>no</a></p>"),
        ("![a cat](https://x.example/cat.png)", '<p><a href="https://x.example/cat.png">a cat</a></p>'),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> said", "<blockquote><p>said</p></blockquote>"),
        ("```\na = 1\n\nb\n```", "<pre><code>a = 1\n\nb\n</code></pre>"),
        ("one\\\ntwo\nthree", "<p>one<br>two<br>three</p>"),
        ("one\\\r\ntwo", "<p>one<br>two</p>"),
        ("one\n\ntwo", "<p>one</p><p>two</p>"),
        ("C:\\new\\table", "<p>C:\\new\\table</p>"),
        ("<b>x</b> & co", "<p>&lt;b&gt;x&lt;/b&gt; &amp; co</p>"),
        ("[@Rui](mention://user/32/Rui) look", "<p>@Rui look</p>"),
        ("[@Joan (Support)](mention://user/31/Joan%20(Support)): hi", "<p>@Joan (Support): hi</p>"),
        ("[Sales](mention://team/2/Sales)", "<p>@Sales</p>"),
        ("[nobody]: https://x.example", "<p>[nobody]: https://x.example</p>"),
    ],
)
def test_what_agents_write_reads_as_chatwoot_shows_it(text: str, html: str) -> None:
    assert content.message_body(KINDS["agent"](text), ENGLISH) == html


@pytest.mark.parametrize(
    "found",
    [
        message("*bold* _it_ `x`\n- a"),
        message(
            "*bold* _it_ `x`\n- a",
            direction=Direction.OUTGOING,
            sender=Sender(SenderKind.SYSTEM),
            content_attributes={"external_echo": True},
        ),
    ],
)
def test_what_is_written_in_the_channels_own_app_is_left_as_it_is(found: Message) -> None:
    assert content.message_body(found, ENGLISH) == "<p>*bold* _it_ `x`<br>- a</p>"


@pytest.mark.parametrize(
    ("found", "html"),
    [
        (mail('<p style="x" onclick="y">Hi <b>there</b></p>'), "<div><p>Hi <b>there</b></p></div>"),
        (mail('<img src="https://t.example/p.gif">Hi'), "<div>Hi</div>"),
        (mail("<style>p{}</style><script>x</script><title>t</title>Hi"), "<div>Hi</div>"),
        (mail('<a href="javascript:x">a</a><a href="https://x.example">b</a><a href="mailto:a@x.example">c</a>'),
         '<div><a>a</a><a href="https://x.example">b</a><a href="mailto:a@x.example">c</a></div>'),
        (mail('<a href="/front/logout.php">a</a><a href="//x.example">b</a>'), "<div><a>a</a><a>b</a></div>"),
        (mail("<table><tr><td colspan=2>a<td>b</table>"),
         '<div><table><tbody><tr><td colspan="2">a</td><td>b</td></tr></tbody></table></div>'),
        (mail("<b><i>a</b>b</i>c<div>"), "<div><b><i>a</i></b>bc<div></div></div>"),
        (mail("a &lt;b&gt; &amp;lt;"), "<div>a &lt;b&gt; &amp;lt;</div>"),
        (mail("Hi<!-- crm-sync/chat.example.com/3/message/99/ -->"), "<div>Hi</div>"),
        (mail("<p>&nbsp;</p>", "Hi\n<b>"), "<p>Hi<br>&lt;b&gt;</p>"),
        (mail(text="only text"), "<p>only text</p>"),
        (mail("<p>all of it</p>", part="full"), "<div><p>all of it</p></div>"),
        (mail(), "<p>the content</p>"),
        ({"content_type": "incoming_email"}, "<p>the content</p>"),
        ({"content_attributes": mail("<b>x</b>")["content_attributes"]}, "<p>the content</p>"),
    ],
)  # fmt: skip
def test_a_mail_is_readable_and_harmless(found: dict[str, Any], html: str) -> None:
    assert content.message_body(message("the content", **found), ENGLISH) == html


def test_what_a_mail_answers_is_left_out_where_chatwoot_tells_it() -> None:
    found = mail("<p>Yes</p>")
    found["content_attributes"]["email"]["html_content"]["full"] = "<p>Yes</p><blockquote>Is it?</blockquote>"
    assert content.message_body(message("Yes", **found), ENGLISH) == "<div><p>Yes</p></div>"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000 + "x",
        "<!--" * 50_000,
        "<a " * 50_000,
        "<a " + "a=" * 50_000,
        "<select>" * 30_000,
        "".join(f"<b a{number}>" for number in range(256)) + "<p>x</p>" * 20_000,
        "<b></i>" * 30_000,
    ],
)
def test_a_mail_made_to_keep_us_busy_does_not(html: str) -> None:
    """Any of these takes a parser minutes that takes the square of what it reads; the test's time limit would tell."""
    for _ in range(5):
        assert content.is_marked(content.followup_content(message("x", **mail(html)), MARK, ENGLISH), MARK)


@pytest.mark.parametrize(
    ("attributes", "html"),
    [
        ({"items": [{"title": "Yes", "value": "y"}, {"title": "No <b>", "value": "n"}]},
         "<p>Sure?</p><ul><li>Yes</li><li>No &lt;b&gt;</li></ul>"),
        ({"items": [], "submitted_values": [{"title": "Yes", "value": "Yes"}]}, "<p>Sure?</p><ul><li>→ Yes</li></ul>"),
        ({"items": [{"title": "A ring", "description": "gold",
                     "actions": [{"text": "Buy", "type": "link", "uri": "https://x.example"},
                                 {"text": "More", "type": "postback"}]}]},
         '<p>Sure?</p><ul><li>A ring: gold – <a href="https://x.example">Buy</a> – More</li></ul>'),
        ({"items": [{"name": "email", "label": "Your mail"}], "submitted_values": [{"name": "email", "value": "a@x"}]},
         "<p>Sure?</p><ul><li>Your mail</li><li>→ email: a@x</li></ul>"),
        ({"items": [{"title": "How to", "description": "do it", "link": "https://x.example"}]},
         '<p>Sure?</p><ul><li>How to: do it <a href="https://x.example">https://x.example</a></li></ul>'),
        ({"submitted_email": "a@x.example"}, "<p>Sure?</p><ul><li>→ a@x.example</li></ul>"),
        ({"items": "rubbish", "submitted_values": [1, None]}, "<p>Sure?</p>"),
    ],
)  # fmt: skip
def test_what_a_message_offers_and_what_was_chosen_is_listed(attributes: dict[str, Any], html: str) -> None:
    assert content.message_body(message("Sure?", content_attributes=attributes), ENGLISH) == html


@pytest.mark.parametrize("character", ["a", "é", "漢", "😀", "&", "\n", '"'])
def test_a_text_of_chatwoots_greatest_length_fits_or_says_that_it_was_cut(character: str) -> None:
    made = content.followup_content(message(character * 150_000), MARK, ENGLISH)
    assert markup.size(made) < 1024**2
    assert content.is_marked(made, MARK)
    assert ("The message goes on" in made) is (markup.size(markup.escaped(character)) * 150_000 > 950_000)


def test_a_very_long_mail_is_shown_as_text() -> None:
    found = mail(html=f"<b>{'x' * 600_000}</b>")
    assert content.message_body(message("in short", **found), ENGLISH) == "<p>in short</p>"


def test_what_came_of_a_message_is_said_in_the_hooks_language() -> None:
    version = Version("x", edited=True)
    assert content.message_body(message("a"), FRENCH, version) == "<p>a</p><p><em>(modifié)</em></p>"
    gone = Version("deleted", deleted_at="2026-11-02 10:00:00 UTC")
    assert content.message_body(message("a"), ENGLISH, gone) == (
        "<p><em>This message was deleted in Chatwoot (2026-11-02 10:00:00 UTC).</em></p>"
    )
    failed = message("a", content_attributes={"external_error": "131047: <Re>"})
    assert content.message_body(failed, ENGLISH) == (
        "<p>a</p><p><em>Not delivered to the customer: 131047: &lt;Re&gt;</em></p>"
    )
    assert "Chatwoot does not say why" in content.message_body(message("a", status="failed"), ENGLISH)


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
    assert content.heading(message(sender=sender), ENGLISH) == f"[2026-11-02 09:30:05 UTC] {name}:"


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
        (message(None, content_attributes={"items": [{"title": "Yes"}]}), True),
    ],
)
def test_a_message_has_content_or_it_has_not(found: Message, *, expected: bool) -> None:
    assert content.has_content(found) is expected


def test_a_ticket_tells_which_message_it_was_made_from() -> None:
    mark = content.marker("https://chat.example.com", 3, "conversation", "10.2")

    said = Version.of(message("Hello")).said
    made = content.message_body(message("Hello"), ENGLISH) + content.hidden(mark, 81, said)
    assert made == f"<p>Hello</p><!-- crm-sync/chat.example.com/3/conversation/10.2/first/81/said/{said}/ -->"
    kept_by_9_5 = made.replace("<", "&lt;").replace(">", "&gt;")
    for form in (made, encode(made), kept_by_9_5):
        assert content.said_in(form) == said
        assert content.first_message_in(form) == 81
        assert content.is_marked(form, mark)
    assert content.first_message_in(content.hidden(mark, 0)) == 0


def test_a_marker_of_another_record_is_another_marker() -> None:
    marks = {
        content.marker(url, account, kind, number)
        for url in ("https://a.example", "https://a.example:3000", "https://b.example")
        for account in (3, 31)
        for kind in ("conversation", "message", "solution")
        for number in (1, 10, 101, "1.2", "10.1")
    }
    assert len(marks) == 3 * 2 * 3 * 5
    assert not any(a != b and a in b for a in marks for b in marks)
    assert content.first_message_in("<p>no marker</p>") is None
