"""The demo, as ``make demo ONCE=1`` runs it: the whole service, a day of traffic, faults, and the reconciliation."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from crm_sync.demo.comparison import Problem
from crm_sync.demo.reconcile import Report
from crm_sync.demo.run import Result
from crm_sync.demo.tally import Ended, Tally
from crm_sync.errors import ConfigError
from tests.commands import crm_sync

PROGRAM = Path(sys.executable).with_name("crm-sync")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_day_with_faults_and_a_killed_worker_adds_up(
    clean_environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    # Whatever else is set belongs to a service that the demo must not touch.
    clean_environment.setenv("CRM_SYNC_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/real")
    clean_environment.setenv("CRM_SYNC_REDIS_URL", "redis://127.0.0.1:1/0")
    done = subprocess.run(
        [PROGRAM, "demo", "--once"], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    figures = json.loads(done.stdout.splitlines()[-1])
    assert set(figures) == {
        "deliveries",
        "events",
        "done",
        "skipped",
        "failed",
        "lost",
        "duplicates",
        "out_of_order",
        "faults",
    }
    assert (figures["lost"], figures["duplicates"], figures["out_of_order"]) == (0, 0, 0)
    assert figures["events"] == figures["done"] + figures["skipped"] + figures["failed"]
    assert min(figures["deliveries"], figures["events"]) > 1000
    assert figures["faults"] > 1
    assert "Killed the worker" in done.stderr
    assert "Everything adds up" in done.stdout
    shown = {
        crm: {
            words: int(number)
            for words, number in re.findall(rf"^{crm}: (.+?) +(\d+)$", done.stdout, re.MULTILINE)
        }
        for crm in ("GLPI", "Krayin")
    }
    assert (len(shown["GLPI"]), len(shown["Krayin"])) == (4, 6), shown
    assert shown["Krayin"].pop("companies that are exactly one organization") >= 4
    files = shown["GLPI"].pop("attachments that are exactly one document")
    assert shown["Krayin"].pop("attachments that are exactly one file") == files
    assert files >= 5
    assert min(number for counts in shown.values() for number in counts.values()) >= 40, shown
    assert shown["GLPI"]["messages that are there exactly once"] >= 280
    assert shown["Krayin"]["messages that are there exactly once"] >= 280
    told = "moved 6 leads and won 3 of them; 6 are shown and told in Chatwoot, 0 writes came back as an echo"
    assert told in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_stops_and_leaves_nothing_running_when_it_is_interrupted(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean_environment.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(
        [PROGRAM, "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Starting the service")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 1
    assert json.loads(stdout) == {"error": "stopped", "message": "The demo was stopped before its end."}
    assert stderr.splitlines()[-1] == "The demo was stopped before its end."


def test_the_demo_refuses_a_directory_that_holds_a_journal(
    clean_environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    (data_dir / "crm_sync.db").touch()
    answer = crm_sync("demo", "--once", "--json")
    assert (answer.status, answer.object["setting"]) == (1, "CRM_SYNC_DATA_DIR")


def test_the_demo_says_why_its_service_does_not_start(
    clean_environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    def none() -> Path:
        raise ConfigError("There is no redis-server.")

    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    clean_environment.setattr("crm_sync.supervisor.redis.find_server", none)
    answer = crm_sync("demo", "--once", "--json")
    assert (answer.status, answer.object["message"]) == (1, "There is no redis-server.")
    assert f"The files of this run are kept in {data_dir}." in answer.stderr


@pytest.fixture
def result() -> Result:
    """What a day may come to in which not everything went well."""
    problems = tuple(Problem("lost", f"message {number} has no counterpart") for number in range(30))
    figures = {"deliveries": 9, "events": 4, "done": 2, "skipped": 1, "failed": 0, "pending": 1, "faults": 0}
    tally = Tally(
        sent=9,
        stored=4,
        ignored={"repeat": 3},
        refused={"unknown_token": 1},
        stored_by_event={"contact_created": 4, "ticket.updated": 2},
        states={"pending": 1, "done": 2, "skipped": 1, "failed": 0},
        by_crm={
            "glpi": Ended(
                states={"contact_created": {"done": 2}, "ticket.updated": {"done": 2}},
                outcomes={"User … created.": 2},
                reasons={("pending: waiting", "GLPI does not answer."): 1},
            ),
            "krayin": Ended(states={"contact_created": {"skipped": 3}}, outcomes={}, reasons={}),
        },
    )
    return Result(Report(matched={}, problems=problems, **figures), tally, 3.0)


@pytest.fixture
def played(clean_environment: pytest.MonkeyPatch, data_dir: Path, result: Result) -> None:
    """The day is over as soon as it begins, and somebody stops the demo right after it."""

    @contextmanager
    def staged(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(urls={"health": "http://127.0.0.1:1/health/ready"})

    def run(_stage: object, _steps: object, _bars: object, stopping: threading.Event) -> Result:
        stopping.set()
        return result

    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    clean_environment.setattr("crm_sync.demo.stage.staged", staged)
    clean_environment.setattr("crm_sync.cli.demo.run", run)


@pytest.mark.usefixtures("played")
def test_a_run_that_does_not_add_up_ends_with_status_1_and_shows_what_is_wrong() -> None:
    answer = crm_sync("demo", "--once")
    assert answer.status == 1
    assert json.loads(answer.stdout.splitlines()[-1])["lost"] == 31
    added_up = "9 deliveries sent = 4 stored + 3 ignored + 1 refused + 1 unaccounted for"
    assert f"{added_up}; 2 changes in the CRMs were pulled" in answer.stdout
    (table,) = re.findall(r"^event .*?^\d+ deliveries sent", answer.stdout, re.MULTILINE | re.DOTALL)
    assert [line.split() for line in table.splitlines()[1:-1]] == [
        ["contact_created", "4", "GLPI", "0", "2", "0", "0"],
        ["Krayin", "0", "0", "3", "0"],
        ["ticket.updated", "2", "GLPI", "0", "2", "0", "0"],
        ["all", "6", "GLPI", "0", "4", "0", "0"],
        ["Krayin", "0", "0", "3", "0"],
    ]
    assert re.search(r"^GLPI +User … created\. +2$", answer.stdout, re.MULTILINE)
    assert re.search(r"^GLPI +pending: waiting +GLPI does not answer\. +1$", answer.stdout, re.MULTILINE)
    assert "lost: message 0 has no counterpart" in answer.stdout
    assert "… and 10 more." in answer.stdout
    assert "It does not add up: 31 lost, 0 doubled, 0 out of order" in answer.stderr
    assert "Still running" not in answer.stderr


@pytest.mark.usefixtures("played")
def test_the_pages_stay_open_until_the_demo_is_stopped_unless_it_runs_once() -> None:
    answer = crm_sync("demo", "--json")
    assert "Still running, until Ctrl-C:" in answer.stderr
    assert "http://127.0.0.1:1/health/ready" in answer.stderr
    assert answer.objects[0]["lost"] == 31
