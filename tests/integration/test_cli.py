"""The commands on a real journal and a real Redis, with a Chatwoot and a GLPI around them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from crm_sync import clock, embedded, service
from crm_sync.cli import surroundings
from crm_sync.config import PREFIX, Config
from crm_sync.engine import mailbox
from crm_sync.engine.ingest import Arrival, ingest
from crm_sync.sandbox import chatwoot as chatwoot_sandbox, glpi as glpi_sandbox
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store.models import Account, Hook
from crm_sync.supervisor import EmbeddedRedis
from crm_sync.telemetry import metrics
from tests.commands import asked, crm_sync
from tests.payloads import contact_created
from tests.servers import free_port, on_every_database

PROGRAM = Path(sys.executable).with_name("crm-sync")
END_S = 60.0


@dataclass
class World:
    """A Chatwoot and a GLPI, and the configuration of a service between them."""

    config: Config
    chatwoot: chatwoot_sandbox.ChatwootSandbox
    chatwoot_url: str
    glpi: glpi_sandbox.GlpiSandbox
    glpi_url: str

    def connect(self, *more: str) -> dict[str, Any]:
        """Connect the account."""
        where = ["--chatwoot-url", self.chatwoot_url, "--account-id", str(self.chatwoot.account_id)]
        return asked("accounts", "connect", *where, "--api-token", self.chatwoot.api_token, *more)

    def settings(self, **changes: str) -> list[str]:
        """The GLPI's settings as --set options."""
        settings = {
            "api_url": f"{self.glpi_url}/apirest.php",
            "app_token": self.glpi.app_token,
            "user_token": self.glpi.user_tokens["super"],
            **changes,
        }
        return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]

    def add(self) -> int:
        """Connect the account and add the hook; its number."""
        account = self.connect()["account"]
        hook: int = asked("hooks", "add", "glpi", "--account", account, *self.settings())["hook"]
        return hook

    def send(self, contact_id: int = 1) -> int:
        """A delivery comes in; the event made of it."""
        runtime = service.build(self.config)
        with runtime.store.read() as session:
            account = session.get_one(Account, 1)
        (event,) = ingest(
            runtime.store, account, contact_created(contact_id, account=3), Arrival(), clock.now
        ).events
        runtime.store.close()
        return event

    def work(self, contact_id: int = 1, hook: int = 1) -> None:
        """A worker takes the mailbox of a contact."""
        runtime = service.build(self.config)
        mailbox.drain(runtime, f"{hook}:{contact_id}")
        runtime.store.close()


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    """Everything around a service that is not running."""
    chatwoot_app, glpi_app = chatwoot_sandbox.create_app(deliver=False), glpi_sandbox.create_app()
    state = glpi_app.extensions["sandbox"].state
    for user in state["User"].all():
        # As after a setup, which says nothing of it a second time.
        state["User"].update(user, {"timezone": "UTC"})
    with ExitStack() as stack:
        chatwoot_url = stack.enter_context(SandboxServer(chatwoot_app)).url
        glpi_url = stack.enter_context(SandboxServer(glpi_app)).url
        yield World(
            config, chatwoot_app.extensions["sandbox"], chatwoot_url, glpi_app.extensions["sandbox"], glpi_url
        )


def woken(redis_url: str) -> int:
    """How many wake-ups are in the queue."""
    with redis.Redis.from_url(redis_url) as client:
        return int(client.llen("crm_sync:events"))


# -- accounts ------------------------------------------------------------------------------------------------------


@on_every_database
def test_an_account_is_connected_listed_shown_and_removed_with_all_that_hangs_on_it(world: World) -> None:
    connected = world.connect()
    assert connected == {
        "account": 1,
        "webhook_url": connected["webhook_url"],
        "signature": "required",
    }
    assert connected["webhook_url"].startswith(f"http://{world.config.bind}/webhooks/chatwoot/")
    assert [row.url for row in world.chatwoot.state.webhooks.values()] == [connected["webhook_url"]]
    assert world.connect() == connected
    asked("hooks", "add", "glpi", "--account", 1, *world.settings())
    world.send()
    world.work()
    listed = asked("accounts", "list")
    assert (listed["account"], listed["chatwoot_url"], listed["hooks"]) == (1, world.chatwoot_url, [1])
    shown = asked("accounts", "show", 1)
    assert shown["webhook_url"] == connected["webhook_url"]
    assert world.chatwoot.api_token not in json.dumps([listed, shown])
    assert asked("accounts", "remove", 1) == {"account": 1, "removed": True, "notes": []}
    assert world.chatwoot.state.webhooks == {}
    assert asked("stats")["events"]["done"] == 0
    assert crm_sync("accounts", "list").stdout == ""


@on_every_database
def test_a_feature_of_an_account_is_switched_off_and_on_and_shown(world: World) -> None:
    world.connect()
    assert asked("accounts", "list")["features"] == {"crm_integration": True}
    off = asked("accounts", "feature", 1, "crm_integration", "off")
    assert off == {"account": 1, "feature": "crm_integration", "on": False}
    assert asked("accounts", "show", 1)["features"] == {"crm_integration": False}
    refused = crm_sync("hooks", "add", "glpi", "--account", 1, *world.settings(), "--json")
    assert (refused.status, refused.object["code"]) == (1, "feature_off")
    assert "crm_integration on." in crm_sync("accounts", "feature", 1, "crm_integration", "on").stdout
    assert asked("hooks", "add", "glpi", "--account", 1, *world.settings())["state"] == "active"
    assert crm_sync("accounts", "feature", 1, "crm_integration", "perhaps").status == 2
    assert crm_sync("accounts", "feature", 1, "telepathy", "off", "--json").object["setting"] == "flag"


def test_the_webhook_is_only_looked_for_when_somebody_else_registers_it(world: World) -> None:
    connected = world.connect("--no-register", "--signature", "off")
    assert connected["signature"] == "off"
    assert world.chatwoot.state.webhooks == {}


def test_nothing_is_connected_when_the_token_is_wrong(world: World) -> None:
    answer = crm_sync(
        "accounts",
        "connect",
        "--chatwoot-url",
        world.chatwoot_url,
        "--account-id",
        3,
        "--api-token",
        "nope",
        "--json",
    )
    assert answer.status == 1
    assert answer.object["setting"] == "api_token"
    assert crm_sync("accounts", "list", "--json").stdout == ""


def test_the_webhook_that_could_not_be_taken_away_is_told(world: World) -> None:
    world.connect()
    world.chatwoot.state.webhooks.clear()
    answer = crm_sync("accounts", "remove", 1)
    assert answer.status == 0
    assert answer.stderr.strip() == "The webhook was gone from Chatwoot already."


# -- hooks ---------------------------------------------------------------------------------------------------------


@on_every_database
def test_a_hook_is_added_shown_tried_changed_paused_resumed_and_removed(world: World) -> None:
    world.connect()
    added = asked("hooks", "add", "glpi", "--account", 1, *world.settings(enable_followup_sync="true"))
    assert added == {"hook": 1, "state": "active", "state_reason": None}
    listed = asked("hooks", "list", "--account", 1)
    assert (listed["app_id"], listed["name"], listed["state"]) == ("glpi", "GLPI", "active")
    shown = asked("hooks", "show", 1)
    assert shown["settings"]["enable_followup_sync"] is True
    assert shown["facts"]["version"] == "10.0.19"
    assert world.glpi.app_token not in json.dumps(shown)
    assert asked("hooks", "test", 1)["ok"] is True
    assert asked("hooks", "set", 1, "--set", "ticket_type=2")["state"] == "active"
    assert asked("hooks", "set", 1, "--no-setup", "--set", "ticket_type=1")["state"] == "active"
    assert asked("hooks", "pause", 1)["state"] == "paused"
    assert asked("stats")["hooks"][0]["state_reason"] == "Paused by an operator."
    assert asked("hooks", "resume", 1)["state"] == "active"
    assert asked("hooks", "remove", 1) == {"hook": 1, "removed": True}
    assert crm_sync("hooks", "list", "--account", 1, "--json").stdout == ""


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"app_token": "wrong"}, "app_token"),
        ({"user_token": "wrong"}, "user_token"),
        ({"ticket_type": "3"}, "ticket_type"),
        ({"ticket_type": "two"}, "ticket_type"),
        ({"api_url": "http://127.0.0.1:1/apirest.php"}, "api_url"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_nothing_is_stored_when_a_setting_is_wrong(
    world: World, changes: dict[str, str], setting: str
) -> None:
    world.connect()
    answer = crm_sync("hooks", "add", "glpi", "--account", 1, *world.settings(**changes), "--json")
    assert (answer.status, answer.object["setting"]) == (1, setting)
    assert crm_sync("hooks", "list", "--json").stdout == ""


def test_what_is_wrong_has_a_code_for_programs_and_a_sentence_in_peoples_language(
    world: World, clean_environment: pytest.MonkeyPatch
) -> None:
    world.connect()
    clean_environment.setenv("CRM_SYNC_LANGUAGE", "pt_BR")
    answer = crm_sync("hooks", "add", "glpi", "--account", 1, *world.settings(user_token="wrong"), "--json")
    assert answer.object == {
        "error": "config_error",
        "message": answer.stderr.strip(),
        "setting": "user_token",
        "code": "invalid_credentials",
    }
    assert answer.stderr.startswith(
        "O GLPI recusa essas credenciais. user_token: GLPI does not know this API token"
    )
    stored = ("hooks", "add", "glpi", "--account", 1, *world.settings(user_token="wrong"), "--no-setup")
    assert asked(*stored)["state"] == "setting_up"
    report, error = crm_sync("hooks", "resume", 1, "--json").objects
    assert report["code"] == error["code"] == "invalid_credentials"


def test_a_hook_is_stored_untried_without_its_setup_and_is_told_when_the_setup_fails(world: World) -> None:
    world.connect()
    wrong = world.settings(user_token="wrong")
    added = asked("hooks", "add", "glpi", "--account", 1, *wrong, "--no-setup")
    assert (added["state"], added["state_reason"]) == ("setting_up", "Waiting for its setup.")
    assert crm_sync("hooks", "test", 1).status == 1
    answer = crm_sync("hooks", "resume", 1, "--json")
    assert answer.status == 1
    report, error = answer.objects
    assert (report["state"], error["error"]) == ("needs_attention", "needs_attention")
    assert report["state_reason"] == error["message"] == answer.stderr.strip()


def test_what_the_setup_could_not_do_is_noted(world: World) -> None:
    world.connect()
    rights_of_a_technician = world.settings(user_token=world.glpi.user_tokens["tech"])
    answer = crm_sync("hooks", "add", "glpi", "--account", 1, *rights_of_a_technician, "--json")
    assert (answer.status, answer.object["state"]) == (0, "active")
    assert "request source" in answer.object["notes"][0]
    assert answer.stderr.strip() == answer.object["notes"][0]


def test_a_hook_of_an_app_that_is_not_installed_any_more_can_still_be_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add()
    monkeypatch.setattr("crm_sync.engine.apps.installed", dict)
    assert asked("hooks", "list")["name"] == "glpi (not installed)"
    assert asked("hooks", "show", 1)["settings"] == {}


def test_people_read_tables_and_sentences(world: World) -> None:
    world.add()
    world.send()
    world.work()
    for words, parts in {
        "accounts list": ("Aurora Store", world.chatwoot_url),
        "accounts show 1": ("webhook_url", "/webhooks/chatwoot/"),
        "hooks list": ("glpi", "active"),
        "hooks show 1": ("facts", "10.0.19"),
        "hooks test 1": ("Hook 1 is let in",),
        "hooks pause 1": ("Hook 1 is paused: Paused by an operator.",),
        "hooks resume 1": ("Hook 1 is active.",),
        "hooks set 1 --set ticket_type=2": ("Hook 1 is active.",),
        "events list": ("contact_created", "contact 1", "done"),
        "events show 1": ("attempts", "/search/User"),
        "links find --contact 1": ("glpi.user:", "linked"),
        "stats": ("1 done", "glpi"),
        "secrets rotate": ("4 secrets are encrypted",),
        "doctor --online": ("hook 1 (glpi) is let in",),
    }.items():
        answer = crm_sync(*words.split())
        assert answer.status == 0, answer.stderr
        assert all(part in answer.stdout for part in parts), answer.stdout


# -- events --------------------------------------------------------------------------------------------------------


@on_every_database
def test_events_are_listed_shown_retried_and_skipped(world: World, redis_url: str) -> None:
    world.add()
    first, second = world.send(1), world.send(2)
    assert [event["id"] for event in crm_sync("events", "list", "--json").objects] == [first, second]
    assert asked("events", "list", "--mailbox", "1:2", "--state", "pending", "--hook", 1)["id"] == second
    assert asked("events", "list", "--since", "1h", "--limit", 1)["id"] == second
    assert "1 older ones are not shown" in crm_sync("events", "list", "--limit", 1).stderr
    assert asked("events", "show", first)["delivery"]["source"] == "webhook"

    would = asked("events", "retry", first, second, "--dry-run")
    assert would == {"retried": 0, "events": [first, second], "dry_run": True}
    assert woken(redis_url) == 0
    assert asked("events", "retry", first)["retried"] == 1
    assert woken(redis_url) == 1

    skipped = asked("events", "skip", first, "--why", "  A test.  ")
    assert (skipped["state"], skipped["reason"], skipped["outcome"]) == ("skipped", "operator", "A test.")
    assert crm_sync("events", "skip", first, "--why", "again").status == 1
    assert crm_sync("events", "retry", first).status == 1
    assert asked("events", "retry", "--state", "failed") == {"retried": 0, "events": [], "dry_run": False}
    assert asked("events", "retry", "--state", "pending", "--dry-run")["events"] == [second]
    assert crm_sync("events", "retry", second).stdout == "1 event will be tried again.\n"


def test_a_hook_is_pulled_now_and_says_what_came(world: World) -> None:
    hook = world.add()
    answer = crm_sync("pull", hook)
    assert (answer.status, answer.stdout) == (1, "")
    assert "enable_bidirectional_sync" in answer.stderr
    asked("hooks", "set", hook, "--set", "enable_bidirectional_sync=true")
    assert asked("pull", hook) == {"hook": hook, "seen": 0, "linked": 0, "events": 0, "repeated": 0}
    assert "0 changed records" in crm_sync("pull", hook).stdout
    (figures,) = asked("stats")["hooks"]
    assert figures["pulled_at"] is not None
    assert asked("hooks", "show", hook)["pulled_at"] == figures["pulled_at"]


def test_why_nothing_can_be_pulled_is_said_in_a_sentence(world: World) -> None:
    hook = world.add()
    asked("hooks", "set", hook, "--set", "enable_bidirectional_sync=true")
    for words, fragment in ((99, "There is no hook 99"), (hook, "")):
        world.glpi.faults.down = words == hook
        answer = crm_sync("pull", words)
        assert answer.status == 1
        assert fragment in answer.stderr
        assert "Traceback" not in answer.stderr
    world.glpi.faults.down = False
    asked("hooks", "pause", hook)
    assert "is paused, so it is not pulled" in crm_sync("pull", hook).stderr


def test_the_address_for_notices_is_shown_and_what_signs_them_is_not(world: World) -> None:
    hook = world.add()
    shown = asked("hooks", "show", hook)
    runtime = service.build(world.config)
    with runtime.store.read() as session:
        row = session.get_one(Hook, hook)
    secret = runtime.store.keyring.decrypt(row.notice_secret or "")
    runtime.store.close()
    assert shown["notice_url"].endswith(f"/hooks/{row.notice_token}/glpi")
    assert secret not in json.dumps(shown) + crm_sync("hooks", "show", hook).stdout


def test_it_is_said_when_retried_events_wait_for_their_hook(world: World) -> None:
    world.add()
    event = world.send()
    asked("hooks", "pause", 1)
    assert "Hook 1 is paused, so its events wait." in crm_sync("events", "retry", event).stderr


def test_a_command_is_done_without_any_redis_and_says_that_nobody_was_woken(
    world: World, clean_environment: pytest.MonkeyPatch
) -> None:
    world.add()
    event = world.send()
    clean_environment.setenv("CRM_SYNC_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    answer = crm_sync("events", "retry", event, "--json")
    assert (answer.status, answer.object["retried"]) == (0, 1)
    assert answer.stderr.strip().startswith("No Redis answers, so no worker was woken")


def test_the_embedded_redis_of_the_data_directory_is_found(config: Config) -> None:
    embedded_only = replace(config, redis_url="")
    assert surroundings.redis_url(embedded_only) is None
    with EmbeddedRedis(config.data_dir) as server:
        assert surroundings.redis_url(embedded_only) == server.url
    assert embedded.url_of(config.data_dir) == server.url
    assert surroundings.redis_url(embedded_only) is None


def test_what_the_receiver_refused_and_ignored_is_counted_by_reason(world: World) -> None:
    directory = metrics.directory_of(world.config.data_dir)
    metrics.reset(directory)
    count = "from crm_sync.telemetry import metrics as m; m.DELIVERIES_IGNORED.labels('repeat').inc(2); "
    count += "m.DELIVERIES_REFUSED.labels('unknown_token').inc(); m.DELIVERIES.labels('webhook', 'x').inc(3)"
    subprocess.run(
        [sys.executable, "-c", count], env={**os.environ, metrics.DIRECTORY: str(directory)}, check=True
    )
    found = asked("stats")["deliveries"]
    assert found == {"stored": 3, "ignored": {"repeat": 2}, "refused": {"unknown_token": 1}}
    assert "3 stored, 1 refused (1 unknown_token), 2 ignored (2 repeat)" in crm_sync("stats").stdout


def test_a_link_is_found_by_either_of_its_records(world: World) -> None:
    world.add()
    world.send(5)
    world.work(5)
    link = asked("links", "find", "--contact", 5)
    assert asked("links", "find", "--remote", link["remote"]) == link
    assert crm_sync("links", "find", "--conversation", 5, "--json").stdout == ""


# -- programs ------------------------------------------------------------------------------------------------------


def end(process: subprocess.Popen[str], number: int) -> int:
    """Ask a program to end, as a service manager or a person does; its exit status."""
    process.send_signal(number)
    try:
        process.communicate(timeout=END_S)
    finally:
        process.kill()
    return process.returncode


def answers(url: str) -> bool:
    return requests.get(url, timeout=END_S).ok


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@pytest.mark.parametrize(
    ("words", "keys", "number"),
    [
        (["chatwoot", "--account-id", "7"], {"ready", "api_token", "account_id"}, signal.SIGTERM),
        (
            ["glpi", "--flavour", "11.0.6", "--latency-ms", "1", "--seed", "2"],
            {"ready", "api_url", "app_token", "user_tokens"},
            signal.SIGINT,
        ),
        (
            ["krayin", "--flavour", "2.2.3", "--rate-limit", "60"],
            {"ready", "api_url", "token", "email", "password"},
            signal.SIGTERM,
        ),
    ],
)
def test_a_sandbox_tells_its_credentials_first_and_ends_cleanly(
    words: list[str], keys: set[str], number: int
) -> None:
    with subprocess.Popen(
        [PROGRAM, "sandbox", *words, "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        found = first_line(process)
        assert set(found) == keys
        assert answers(f"{found['ready']}/_sandbox/dump")
        if "user_tokens" in found:
            assert set(found["user_tokens"]) == {"super", "tech", "self", "obs"}
        assert end(process, number) == 0


def test_a_sandbox_says_when_its_port_is_taken() -> None:
    with SandboxServer(glpi_sandbox.create_app()) as server:
        answer = crm_sync("sandbox", "glpi", "--port", server.port, "--json")
    assert answer.status == 1
    assert f"Port {server.port} is taken" in answer.object["message"]


def test_the_service_says_when_it_is_ready_and_ends_cleanly(
    clean_environment: pytest.MonkeyPatch, data_dir: Path
) -> None:
    clean_environment.setenv("CRM_SYNC_DATA_DIR", str(data_dir))
    command = [PROGRAM, "up", "--bind", "127.0.0.1:0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        url = first_line(process)["ready"]
        assert answers(f"{url}/health/ready")
        assert surroundings.redis_url(replace(Config(), data_dir=data_dir)) is not None
        assert end(process, signal.SIGTERM) == 0


def test_the_commands_are_there_under_celery_too(config: Config) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "celery", "-A", "crm_sync", "crm", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=END_S)

    done = run("stats", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"]["pending"] == 0
    assert run("hooks", "show", "4", "--json").returncode == 1
    assert run("hooks", "show").returncode == 2
    assert os.environ[f"{PREFIX}DATA_DIR"] == str(config.data_dir)
