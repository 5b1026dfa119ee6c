"""The documentation says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_sync.cli import crm

ROOT = Path(__file__).parents[2]


def test_the_table_of_options_is_the_one_the_program_prints(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.delenv("XDG_DATA_HOME", raising=False)
    printed = CliRunner().invoke(crm, ["config", "--markdown"]).stdout
    assert printed.strip() in (ROOT / "docs" / "options.md").read_text(encoding="utf-8")


def test_every_command_the_documents_show_exists() -> None:
    known = CliRunner()
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for words in re.findall(r"crm-sync ((?:[a-z]+ ?){1,2})", document.read_text(encoding="utf-8")):
            command = words.split()
            while command and known.invoke(crm, [*command, "--help"]).exit_code != 0:
                command.pop()
            assert command, f"{document.name} shows crm-sync {words}"


def test_every_local_link_leads_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
