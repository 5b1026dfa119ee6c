"""The page for users says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from crm_sync.crms.glpi import app, mapping
from crm_sync.crms.glpi.answers import CREDENTIAL_ERRORS
from crm_sync.crms.glpi.setup import RIGHTS
from crm_sync.events import Status

PAGE = (Path(__file__).parents[4] / "docs" / "crms" / "glpi.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.lstrip().startswith("| ")
]


def test_the_table_of_settings_is_that_of_the_app() -> None:
    told = {row[0].strip("`"): (row[1], row[2]) for row in ROWS if len(row) == 3}
    for item in app.manifest.form:
        default, words = told[item["name"]]
        assert words == item["description"]
        if "default" in item:
            assert default == str(item["default"]).lower()
    for name in app.manifest.aliases:
        assert f"`{name}`" in PAGE


def test_the_table_of_rights_is_that_of_the_check() -> None:
    assert [row[0] for row in ROWS if re.match(r"(User|Ticket|Followup): ", row[0])] == [
        words for _, _, words in RIGHTS
    ]


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


def test_every_attribute_is_named() -> None:
    assert all(f"`{item.key}`" in PAGE for item in app.manifest.attributes)


def test_the_sentences_of_refused_credentials_are_there() -> None:
    for code in (
        "ERROR_WRONG_APP_TOKEN_PARAMETER",
        "ERROR_GLPI_LOGIN_USER_TOKEN",
        "ERROR_APP_TOKEN_PARAMETERS_MISSING",
    ):
        assert CREDENTIAL_ERRORS[code][1] in PAGE
