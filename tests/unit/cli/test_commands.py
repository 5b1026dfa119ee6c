"""Every command keeps the same promises: --json, exit statuses, results and messages apart, no traceback."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from crm_sync import cli
from crm_sync.cli import output
from crm_sync.config import Config
from tests.commands import asked, crm_sync


def commands() -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, by their words."""

    def below(words: list[str], group: click.Group) -> Iterator[tuple[str, click.Command]]:
        ctx = click.Context(group)
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from below([*words, name], command)
            else:
                yield " ".join([*words, name]), command

    return below([], cli.crm)


def test_the_commands_are_those_that_were_promised() -> None:
    assert {words for words, _ in commands()} == {
        "up",
        "demo",
        "doctor",
        "accounts connect",
        "accounts list",
        "accounts show",
        "accounts remove",
        "accounts feature",
        "apps list",
        "apps show",
        "hooks add",
        "hooks list",
        "hooks show",
        "hooks set",
        "hooks test",
        "hooks pause",
        "hooks resume",
        "hooks remove",
        "events list",
        "events show",
        "events retry",
        "events skip",
        "links find",
        "pull",
        "stats",
        "sandbox chatwoot",
        "sandbox glpi",
        "sandbox krayin",
        "config",
        "secrets rotate",
    }


@pytest.mark.parametrize(("words", "command"), [pytest.param(*found, id=found[0]) for found in commands()])
def test_every_command_takes_json_and_says_what_it_does(words: str, command: click.Command) -> None:
    assert any("--json" in parameter.opts for parameter in command.params)
    answer = crm_sync(*words.split(), "--help")
    assert answer.status == 0
    assert command.help
    assert command.help.split("\n")[0][:40] in " ".join(answer.stdout.split())


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        "sandbox hubspot",
        "sandbox krayin --flavour 1.3",
        "sandbox glpi --flavour 9.5",
        "sandbox glpi --fail-rate 2",
        "accounts connect --account-id 1 --api-token x",
        "accounts connect --chatwoot-url http://x --account-id 0 --api-token x",
        "hooks add glpi",
        "hooks add glpi --account 1 --set api_url",
        "hooks add glpi --account 1 --set a=1 --set a=2",
        "hooks set 1",
        "events list --state lost",
        "events list --since yesterday",
        "events retry",
        "events retry 1 --state failed",
        "events retry 1 --hook 1",
        "events retry --state done",
        "events skip 1",
        "events skip 1 --why=",
        "links find",
        "links find --contact 1 --conversation 2",
        "links find --remote 12",
        "backfill 1",
    ],
)
def test_wrong_usage_ends_with_status_2_and_leaves_standard_output_alone(config: Config, words: str) -> None:
    answer = crm_sync(*words.split())
    assert answer.status == 2
    assert answer.stdout == ""
    assert "Error:" in answer.stderr
    # It was found out before anything was made.
    assert not (config.data_dir / "crm_sync.db").exists()


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        ("accounts show 5", "config_error", "There is no account 5"),
        ("accounts remove 5", "config_error", "There is no account 5"),
        ("hooks show 5", "config_error", "There is no hook 5"),
        ("hooks test 5", "config_error", "There is no hook 5"),
        ("hooks set 5 --set a=1", "config_error", "There is no hook 5"),
        ("hooks pause 5", "config_error", "There is no hook 5"),
        ("hooks resume 5", "config_error", "There is no hook 5"),
        ("hooks remove 5", "config_error", "There is no hook 5"),
        ("hooks add hubspot --account 5", "config_error", "There is no app called 'hubspot'"),
        ("events show 5", "crm_sync_error", "There is no event 5"),
        ("events skip 5 --why x", "crm_sync_error", "There is no event 5"),
        ("events retry 5", "crm_sync_error", "There is no event 5"),
        ("events retry 5 --dry-run", "crm_sync_error", "There is no event 5"),
    ],
)
def test_what_cannot_be_done_is_said_twice_for_people_and_for_scripts(
    config: Config, words: str, code: str, part: str
) -> None:
    answer = crm_sync(*words.split(), "--json")
    assert answer.status == 1
    assert answer.object["error"] == code
    assert part in answer.object["message"]
    assert answer.stderr.strip() == answer.object["message"]
    assert crm_sync(*words.split()).stdout == ""
    assert config.data_dir.exists()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/none", "database_unreachable"),
        ("nonsense", "config_error"),
        ("mongodb://127.0.0.1/x", "config_error"),
    ],
)
def test_a_database_that_cannot_be_had_is_told_without_its_password(
    clean_environment: pytest.MonkeyPatch, data_dir: Path, url: str, code: str
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    clean_environment.setenv("CRM_SYNC_DATABASE_URL", url)
    answer = crm_sync("stats", "--json")
    assert answer.status == 1
    assert answer.object["error"] == code
    assert "hunter2" not in answer.stdout + answer.stderr


def test_an_option_that_is_wrong_is_named_and_help_is_there_all_the_same(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    clean_environment.setenv("CRM_SYNC_LEASE_S", "long")
    answer = crm_sync("stats", "--json")
    assert (answer.status, answer.object["setting"]) == (1, "CRM_SYNC_LEASE_S")
    assert crm_sync("stats", "--help").status == 0


def test_a_fault_of_our_own_is_not_hidden(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("crm_sync.cli.config.load", break_down)
    with pytest.raises(ZeroDivisionError):
        crm_sync("config")
    assert config.data_dir.exists()


def test_the_program_is_called_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/program", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("crm-sync, version ")


def test_nobody_is_asked_when_nobody_is_at_a_terminal(config: Config) -> None:
    # Standard input is no terminal here; a question would abort the command.
    assert crm_sync("hooks", "remove", "1").stderr.startswith("There is no hook 1")
    assert config.data_dir.exists()


class Terminal(io.StringIO):
    """An input at which a person sits."""

    def isatty(self) -> bool:
        return True


def test_a_person_at_a_terminal_is_asked_unless_he_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with click.Context(click.Command("x")):
        output.confirm("Really?", yes=True)
        with pytest.raises(click.Abort):
            output.confirm("Really?", yes=False)


# -- config ----------------------------------------------------------------------------------------------------------


def test_the_options_are_listed_with_their_values_and_secrets_are_not(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    clean_environment.setenv("CRM_SYNC_ADMIN_PASSWORD", "hunter2hunter2")
    clean_environment.setenv("CRM_SYNC_SETTLE_S", "2.5")
    answer = crm_sync("config", "--json")
    options = {option["variable"]: option for option in answer.objects}
    assert options["CRM_SYNC_SETTLE_S"]["value"] == "2.5"
    assert options["CRM_SYNC_ADMIN_PASSWORD"]["value"] == "set"
    assert set(options["CRM_SYNC_BIND"]) == {"variable", "type", "default", "help", "secret", "value"}
    table = crm_sync("config").stdout
    assert all(variable in table for variable in options)
    assert "hunter2" not in answer.stdout + table


def test_the_markdown_table_has_a_line_for_each_option_and_no_values(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    clean_environment.setenv("CRM_SYNC_PUBLIC_URL", "https://sync.example.com")
    lines = crm_sync("config", "--markdown").stdout.splitlines()
    assert lines[0] == "| Variable | Type | Default | What it is |"
    assert len(lines) == 2 + len(crm_sync("config", "--json").objects)
    assert all(line.count(" |") == 4 for line in lines)
    assert "sync.example.com" not in "\n".join(lines)


# -- an empty journal ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["accounts list", "hooks list", "events list", "links find --contact 1"])
def test_a_list_that_is_empty_says_so_and_is_no_error(config: Config, words: str) -> None:
    answer = crm_sync(*words.split())
    assert (answer.status, answer.stdout) == (0, "")
    assert answer.stderr
    assert crm_sync(*words.split(), "--json").stdout == ""
    assert config.data_dir.exists()


def test_the_figures_of_a_service_that_never_ran_are_all_zero(config: Config) -> None:
    assert asked("stats") == {
        "events": {"pending": 0, "done": 0, "skipped": 0, "failed": 0},
        "oldest_pending_s": 0.0,
        "spool": 0,
        "hooks": [],
        "deliveries": {"stored": 0, "refused": {}, "ignored": {}},
        "write_backs_waiting": 0,
    }
    assert "0 pending, 0 done" in crm_sync("stats").stdout
    assert config.data_dir.exists()
