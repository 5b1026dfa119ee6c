"""Templates are filled, and never read what people wrote."""

from __future__ import annotations

import pytest

from crm_sync.crms.glpi import app, templates


@pytest.mark.parametrize(
    ("template", "values", "filled"),
    [
        ("Conversation #{id}", {"id": "812"}, "Conversation #812"),
        ("{inbox}: {subject}", {"inbox": "Support", "subject": "{id} {{x}}"}, "Support: {id} {{x}}"),
        ("{{id}} of {id}", {"id": "812"}, "{id} of 812"),
        ("{contact}{phone}", {"contact": "Ana"}, "Ana"),
        ("", {}, ""),
    ],
)
def test_a_template_is_filled(template: str, values: dict[str, str], filled: str) -> None:
    templates.check(template)
    assert templates.fill(template, values) == filled


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{name}", "{name} stands for nothing; there are {id}, {inbox}"),
        ("a { b", "The { at character 3 belongs to nothing; write it twice if it is to be seen."),
        ("a } b", "The } at character 3 belongs to nothing"),
        ("{ID}", "{ID} stands for nothing"),
        ("{id!r}", "{id!r} stands for nothing"),
        ("{id.__class__}", "{id.__class__} stands for nothing"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_in_words(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"(belongs to|stands for) nothing") as refused:
        templates.check(template)
    assert str(refused.value).startswith(words)


def test_every_placeholder_can_be_used() -> None:
    template = " ".join(f"{{{name}}}" for name in templates.PLACEHOLDERS)
    templates.check(template)
    assert templates.names(template) == set(templates.PLACEHOLDERS)


@pytest.mark.parametrize("setting", ["title_template", "content_template"])
def test_the_default_templates_can_be_filled(setting: str) -> None:
    templates.check(app.manifest.settings_schema["properties"][setting]["default"])


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{message}", "<p>Hello</p>"),
        ("From {contact}:{message}", "<p>From A &lt; B:</p><p>Hello</p>"),
        ("1 < 2\nnext\n\n{message}\n\n{phone}\n", "<p>1 &lt; 2<br>next</p><p>Hello</p>"),
        ("{message}{message}", "<p>Hello</p><p>Hello</p>"),
        ("{phone}", ""),
    ],
)
def test_a_template_becomes_paragraphs(template: str, made: str) -> None:
    values = {"contact": "A &lt; B"}
    assert templates.fill_html(template, values, {"message": "<p>Hello</p>"}) == made
