"""Templates are filled with what people wrote, which is never read; what cannot be filled is refused in words."""

from __future__ import annotations

import pytest

from crm_sync.crms.glpi import templates

VALUES = {"id": "812", "contact": "Ana {link} {{x}} %s", "message": "{id}", "link": "http://c/812"}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("Conversation #{id}", "Conversation #812"),
        ("{contact}: {message}", "Ana {link} {{x}} %s: {id}"),
        ("{phone}|{subject}|", "||"),
        ("{{id}} {{{id}}}", "{id} {812}"),
        ("", ""),
        ("no place", "no place"),
        ("{id}{id}", "812812"),
    ],
)
def test_a_template_is_filled_with_what_there_is(template: str, filled: str) -> None:
    templates.check(template)
    assert templates.fill(template, VALUES) == filled


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{name}", r"^\{name\} stands for nothing; there are \{id\}, \{inbox\}, .*\{link\}\.$"),
        ("{Id}", r"^\{Id\} stands for nothing"),
        ("{}", r"^\{\} stands for nothing"),
        ("{id.__class__}", r"stands for nothing"),
        ("{id!r:>10}", r"stands for nothing"),
        ("a {id", r"^The \{ at character 3 belongs to nothing; write it twice if it is to be seen\.$"),
        ("id} b", r"^The \} at character 3 belongs to nothing"),
        ("{{id}", r"^The \} at character 5"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_in_a_sentence(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        templates.check(template)


def test_a_title_has_no_place_for_the_link() -> None:
    with pytest.raises(ValueError, match="link"):
        templates.check("{link}", templates.TITLE_PLACEHOLDERS)
