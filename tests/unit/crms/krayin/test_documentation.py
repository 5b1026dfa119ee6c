"""The page for users says what the code does."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import yaml

from crm_sync.cli.apps import as_markdown
from crm_sync.crms import manifest
from crm_sync.crms.krayin import app, mapping
from crm_sync.crms.krayin.answers import WINDOW_S
from crm_sync.crms.krayin.setup import CALLS, SOURCE_NAME

PAGE = (Path(__file__).parents[4] / "docs" / "crms" / "krayin.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_the_tables_of_settings_and_attributes_are_those_the_program_prints() -> None:
    for table in as_markdown(app.manifest, "en"):
        assert table in PAGE, (
            "renew it by what is printed: .venv/bin/crm-sync apps show krayin --language en --markdown"
        )


def test_the_examples_of_settings_are_accepted() -> None:
    given = {}
    for words in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for quoted, plain in re.findall(r"--set (?:'([^']+)'|(\S+))", words):
            name, _, text = (quoted or plain).partition("=")
            given[name] = text
    assert {"api_url", "api_token", "stage_by_status"} <= set(given)
    assert app.validate(manifest.validated(app.manifest, manifest.typed(app.manifest, given))) == ()


def test_names_and_numbers_of_the_page_are_those_of_the_code() -> None:
    for name in (mapping.PERSON_MARKER, mapping.LEAD_MARKER):
        assert f"`{name}`" in PAGE
    assert mapping.PLACEHOLDER_DOMAIN in PAGE
    assert SOURCE_NAME in PAGE
    assert f"{CALLS} at most" in WORDS
    assert f"The CRM takes {CALLS} calls in {WINDOW_S:g} seconds." in WORDS


def test_the_sentences_are_those_that_are_printed() -> None:
    folder = Path(mapping.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    source += (folder.parents[1] / "engine" / "limits.py").read_text(encoding="utf-8")
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    sentences = re.findall(r"^\| `([^`]* [^`]*)` \|", PAGE, re.MULTILINE)
    assert len(sentences) >= 10
    for sentence in sentences:
        for part in re.split(r"…|\b\d+\b|with an error", sentence):
            assert part.strip(" .") in joined, part


def test_every_code_of_an_error_has_a_sentence() -> None:
    raw = files("crm_sync.crms.krayin").joinpath("locales", "en.yml").read_text(encoding="utf-8")
    codes = set(yaml.safe_load(raw)["errors"])
    source = "".join(path.read_text(encoding="utf-8") for path in Path(mapping.__file__).parent.glob("*.py"))
    used = set(re.findall(r'code="(\w+)"', source))
    assert used - {manifest.INVALID} == codes
