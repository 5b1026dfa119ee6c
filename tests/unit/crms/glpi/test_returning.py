"""What technicians write becomes Markdown made of what is safe, and nothing of it is lost but the unsafe."""

from __future__ import annotations

import pytest

from crm_sync.crms.glpi import returning

BASE = "https://glpi.example.com"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ""),
        ("   \n ", ""),
        ("<p></p>", ""),
        ("plain", "plain"),
        ("one\ntwo", "one\\\ntwo"),
        ("a & b", "a & b"),
        ("3 < 5 and 7 > 6", "3 < 5 and 7 > 6"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<p>one<br>two</p>", "one\\\ntwo"),
        ("<p>a &lt; b &amp; c</p>", "a < b & c"),
        ("<p><b>bold</b> <i>it</i> <s>gone</s></p>", "**bold** *it* ~~gone~~"),
        ("<ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul>", "- one\n  - inner\n- two"),
        ("<ol><li>one</li><li>two</li></ol>", "1. one\n2. two"),
        ("<blockquote><p>said</p></blockquote>", "> said"),
        ("<h2>Title</h2><p>x</p>", "## Title\n\nx"),
        ("<pre>a\n  b</pre>", "```\na\n  b\n```"),
        ('<a href="https://example.com/x">there</a>', "[there](https://example.com/x)"),
        ('<a href="/front/ticket.form.php?id=3">it</a>', f"[it]({BASE}/front/ticket.form.php?id=3)"),
        (
            # As GLPI's own editor writes a picture.
            '<p><a href="/front/document.send.php?docid=7"><img alt="x" src="/front/document.send.php"></a></p>',
            f"[x]({BASE}/front/document.send.php?docid=7)",
        ),
        ('<img src="/front/document.send.php?docid=7">', f"[image]({BASE}/front/document.send.php?docid=7)"),
        ('<img alt="a photo">', "a photo"),
        ('<a href="mailto:ana@example.com">Ana</a>', "[Ana](mailto:ana@example.com)"),
        # GLPI 9.5 keeps the angle brackets of what it is sent encoded.
        ("&lt;p&gt;Olá &amp;amp; bom dia&lt;/p&gt;", "Olá & bom dia"),
    ],
)
def test_a_content_is_markdown_that_says_the_same(content: str, expected: str) -> None:
    assert returning.markdown(content, BASE) == expected


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>seen",
        "<p onclick=alert(1)>seen</p>",
        "<img src=x onerror=alert(1)>seen",
        '<a href="javascript:alert(1)">seen</a>',
        '<a href="JaVaScRiPt&#58;alert(1)">seen</a>',
        '<a href="data:text/html,<script>alert(1)</script>">seen</a>',
        '<iframe src="https://evil.example.com"></iframe>seen',
        "<style>alert(1)</style>seen",
        "<svg onload=alert(1)></svg>seen",
        '<form action="https://evil.example.com"><input value="alert(1)"></form>seen',
        "<!-- alert(1) -->seen",
        "&lt;script&gt;alert(1)&lt;/script&gt;seen",
        "<p>seen",
        "<p>seen</div></p></b>",
    ],
)
def test_nothing_that_acts_comes_through(content: str) -> None:
    made = returning.markdown(content, BASE)
    assert "seen" in made
    for part in ("alert(1)", "javascript", "<script", "<iframe", "<style", "<svg", "onerror", "evil"):
        assert part not in made.lower().replace("x onerror", "onerror"), made


def test_a_table_is_readable() -> None:
    made = returning.markdown(
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", BASE
    )
    assert made.splitlines()[0].split() == ["|", "a", "|", "b", "|"]
    assert made.splitlines()[-1].split() == ["|", "1", "|", "2", "|"]


@pytest.mark.parametrize(
    "content", ["x" * 400_000, "<p>" + "word " * 100_000 + "</p>", "<div>" * 3_000 + "x"]
)
def test_what_is_very_long_is_cut_to_what_chatwoot_takes(content: str) -> None:
    assert 0 < len(returning.markdown(content, BASE)) <= returning.TEXT_LIMIT


@pytest.mark.parametrize(
    ("text", "files", "author", "expected"),
    [
        ("Words.", [], None, "Words."),
        ("Words.", [], "tim", "**tim** (GLPI):\n\nWords."),
        ("", [("a.png", "https://x/1")], None, "Files:\n- [a.png](https://x/1)"),
        (
            "Words.",
            [("a.png", "https://x/1"), ("b.png", "https://x/2")],
            "tim",
            "**tim** (GLPI):\n\nWords.\n\nFiles:\n- [a.png](https://x/1)\n- [b.png](https://x/2)",
        ),
    ],
)
def test_a_message_holds_who_wrote_it_what_and_the_files(
    text: str, files: list[tuple[str, str]], author: str | None, expected: str
) -> None:
    assert returning.message(text, files, author=author, heading="Files:") == expected
