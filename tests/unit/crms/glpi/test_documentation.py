"""The page for users says what the code does."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from crm_sync.cli.apps import as_markdown
from crm_sync.crms import manifest
from crm_sync.crms.glpi import app, mapping, templates
from crm_sync.crms.glpi.answers import CREDENTIAL_ERRORS
from crm_sync.crms.glpi.rights import RIGHTS
from crm_sync.crms.glpi.settings import CONTACT_FIELDS, USER_FIELDS
from crm_sync.engine.features import FEATURE_OFF
from crm_sync.errors import ConfigError
from crm_sync.events import Status

PAGE = (Path(__file__).parents[4] / "docs" / "crms" / "glpi.md").read_text(encoding="utf-8")
GIVEN = {"api_url": "https://glpi.example.com/apirest.php", "app_token": "a", "user_token": "u"}
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.lstrip().startswith("| ")
]


def test_the_tables_of_settings_and_attributes_are_those_the_program_prints() -> None:
    for table in as_markdown(app.manifest, "en"):
        assert table in PAGE, (
            "renew it by what is printed: .venv/bin/crm-sync apps show glpi --language en --markdown"
        )
    for name in app.manifest.aliases:
        assert f"`{name}`" in PAGE


def test_the_examples_of_settings_are_accepted() -> None:
    given = {}
    for words in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for quoted, plain in re.findall(r"--set (?:'([^']+)'|(\S+))", words):
            name, _, text = (quoted or plain).partition("=")
            if text:
                given[name] = text
    assert {"api_url", "group_by_team", "observer_ids", "person_fields", "title_template"} <= set(given)
    assert app.validate(manifest.validated(app.manifest, manifest.typed(app.manifest, given))) == ()


def test_the_sentence_about_json_is_the_one_that_is_printed() -> None:
    with pytest.raises(ConfigError) as caught:
        manifest.validated(app.manifest, {**GIVEN, "group_by_team": {"Billing": 0}})
    printed = str(caught.value).split(" Group that")[0]
    assert f"`{printed}`" in " ".join(PAGE.split())


def test_the_tables_of_places_and_fields_are_those_of_the_code() -> None:
    told = {row[0]: row[1] for row in ROWS if len(row) == 2}
    places = [row[0].strip("`{}") for row in ROWS if re.fullmatch(r"`\{\w+\}`", row[0])]
    assert places == list(templates.PLACEHOLDERS)
    assert [name for name in places if "not in titles" not in told[f"`{{{name}}}`"]] == list(
        templates.TITLE_PLACEHOLDERS
    )
    assert set(re.findall(r"`(\w+)`", told["off (User)"])) == USER_FIELDS
    assert set(re.findall(r"`(\w+)`", told["on (Contact)"])) == CONTACT_FIELDS
    fields = app.manifest.settings_schema["properties"]["ticket_fields"]["additionalProperties"]["enum"]
    (line,) = re.findall(r"Fields that `ticket_fields` may fill: (.*)\.", PAGE)
    assert re.findall(r"`(\w+)`", line) == fields


def test_the_table_of_rights_is_that_of_the_check() -> None:
    names = {right.words.partition(":")[0] for right in RIGHTS}
    told = [row[0] for row in ROWS if row[0].partition(":")[0] in names]
    assert told == [right.words for right in RIGHTS]


def test_the_tables_of_states_and_priorities_are_those_of_the_mapping() -> None:
    told = {row[0]: row[1].split(",")[0] for row in ROWS if len(row) == 2}
    assert {status: told[status.value] for status in Status} == {
        status: str(number) for status, number in mapping.STATUS.items()
    }
    assert told["pending, handled by a bot"] == str(mapping.NEW)
    for priority, level in mapping.PRIORITY.items():
        assert told["medium, none" if priority in {"medium", None} else str(priority)] == str(level)


def test_the_sentences_are_those_that_are_printed() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (Path(mapping.__file__).parent).glob("*.py")
    )
    for path in ("crms/http.py", "chatwoot/files.py"):
        source += (Path(mapping.__file__).parents[2] / path).read_text(encoding="utf-8")
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    sentences = [match[1] for row in ROWS if (match := re.match(r"`([^`]+)`$", row[0])) and " " in match[1]]
    assert len(sentences) >= 15
    for sentence in sentences:
        # What stands in for something else, in the page and in the code, is left out.
        for part in re.split(r"…|200|404|GLPI cannot", sentence):
            assert part.strip(" .") in joined.replace("{self.system}", "GLPI"), part


def test_every_code_has_a_sentence_and_is_told() -> None:
    raw = files("crm_sync.crms.glpi").joinpath("locales", "en.yml").read_text(encoding="utf-8")
    codes = set(yaml.safe_load(raw)["errors"])
    source = "".join(path.read_text(encoding="utf-8") for path in Path(mapping.__file__).parent.glob("*.py"))
    used = set(re.findall(r'(?:code=|failing\()"(\w+)"', source))
    assert "settings_conflict" in used
    assert used <= codes | {manifest.INVALID}
    (listed,) = re.findall(r"says the same to a program\s*\(([^)]+)\)", PAGE)
    assert set(re.findall(r"`(\w+)`", listed)) == {
        *codes - {"ticket_creation_failed"},
        manifest.MISSING,
        manifest.INVALID,
        manifest.UNKNOWN,
        FEATURE_OFF,
    }


def test_the_sentences_of_refused_credentials_are_there() -> None:
    for code in (
        "ERROR_WRONG_APP_TOKEN_PARAMETER",
        "ERROR_GLPI_LOGIN_USER_TOKEN",
        "ERROR_APP_TOKEN_PARAMETERS_MISSING",
    ):
        assert CREDENTIAL_ERRORS[code][1] in PAGE
