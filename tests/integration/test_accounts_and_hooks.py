"""Connecting a Chatwoot and a CRM: what is wrong is refused in words, and then nothing is stored or left behind."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
import structlog
from flask import Flask
from sqlalchemy import func, select

from crm_sync import service
from crm_sync.config import Config, load
from crm_sync.engine import accounts, apps, features, hooks, mailbox
from crm_sync.engine.accounts import Connected
from crm_sync.engine.ingest import Arrival, ingest
from crm_sync.engine.runtime import Runtime
from crm_sync.errors import ConfigError
from crm_sync.sandbox.chatwoot import ChatwootSandbox, create_app as chatwoot_app
from crm_sync.sandbox.glpi import GlpiSandbox, create_app as glpi_app
from crm_sync.sandbox.server import SandboxServer
from crm_sync.store import migrate
from crm_sync.store.models import Account, Event, EventState, Hook, SignatureMode
from crm_sync.telemetry import logging as telemetry
from tests.payloads import contact_created
from tests.servers import free_port, on_every_database

NOWHERE = "http://127.0.0.1:1"


@dataclass
class World:
    """A service that is not running, between a Chatwoot, a GLPI and some other web site."""

    runtime: Runtime
    chatwoot: ChatwootSandbox
    chatwoot_url: str
    glpi: GlpiSandbox
    glpi_url: str
    site_url: str
    log: io.StringIO

    def connect(self, **changes: Any) -> Connected:
        """Connect the account."""
        given: dict[str, Any] = {
            "chatwoot_url": self.chatwoot_url,
            "account_id": self.chatwoot.account_id,
            "api_token": self.chatwoot.api_token,
            **changes,
        }
        return accounts.connect(self.runtime.store, self.runtime.config, **given)

    def settings(self, **changes: str) -> dict[str, str]:
        """The GLPI's settings."""
        return {
            "api_url": f"{self.glpi_url}/apirest.php",
            "app_token": self.glpi.app_token,
            "user_token": self.glpi.user_tokens["super"],
            **changes,
        }

    def add(self, **changes: str) -> hooks.HookReport:
        """Add the hook."""
        return hooks.add(self.runtime, "glpi", 1, self.settings(**changes))

    def account(self) -> Account:
        """The account."""
        with self.runtime.store.read() as session:
            return session.get_one(Account, 1)

    def hook(self) -> Hook:
        """The hook."""
        with self.runtime.store.read() as session:
            return session.get_one(Hook, 1)

    def secret_of(self, column: str | None) -> str | None:
        """A stored secret."""
        return None if column is None else self.runtime.store.keyring.decrypt(column)

    def secrets(self) -> Mapping[str, Any]:
        """The hook's secrets."""
        return self.runtime.store.keyring.decrypt_json(self.hook().settings_secret)

    def stored(self, table: type[Account | Hook]) -> int:
        """How many rows there are."""
        with self.runtime.store.read() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def webhooks(self) -> list[str]:
        """The addresses that Chatwoot calls."""
        return [row.url for row in self.chatwoot.state.webhooks.values()]

    def written(self) -> list[tuple[str, str, int]]:
        """The calls that changed something in GLPI."""
        return [call for call in self.glpi.requests if call[0] not in {"GET", "HEAD"}]


@pytest.fixture
def world(config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Everything, and all that is logged meanwhile."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(telemetry, "_registered", frozenset())
    monkeypatch.setenv("CRM_SYNC_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("CRM_SYNC_LOG_FORMAT", "json")
    monkeypatch.setenv("CRM_SYNC_CONNECT_TIMEOUT_S", "2")
    monkeypatch.setenv("CRM_SYNC_READ_TIMEOUT_S", "5")
    log = io.StringIO()
    telemetry.configure(load(), log)
    migrate(config)
    chatwoot, glpi, site = chatwoot_app(deliver=False), glpi_app(), Flask("site")

    @site.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @site.route("/<path:path>", methods=["GET", "POST"])
    def page(path: str) -> str:
        return f"<!DOCTYPE html><html><head><title>Welcome to {path}</title></head></html>"

    with ExitStack() as stack:
        runtime = service.build(load())
        stack.callback(runtime.redis.close)
        stack.callback(runtime.store.close)
        urls = [stack.enter_context(SandboxServer(app)).url for app in (chatwoot, glpi, site)]
        yield World(
            runtime,
            chatwoot.extensions["sandbox"],
            urls[0],
            glpi.extensions["sandbox"],
            urls[1],
            urls[2],
            log,
        )
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


# -- accounts: connect -------------------------------------------------------------------------------------------------


@on_every_database
def test_connecting_registers_one_webhook_and_reads_its_secret_however_often_it_is_repeated(
    world: World,
) -> None:
    first = world.connect()
    assert world.connect() == world.connect(chatwoot_url=f" {world.chatwoot_url}/ ") == first
    assert world.webhooks() == [first.webhook_url]
    (webhook,) = world.chatwoot.state.webhooks.values()
    account = world.account()
    assert world.stored(Account) == 1
    assert (first.account, first.signature) == (1, "required")
    assert (account.webhook_id, account.profile_id, account.name) == (webhook.id, 90, account.name)
    assert account.name
    assert world.secret_of(account.signing_secret) == webhook.secret
    assert account.previous_signing_secret is None
    assert set(webhook.subscriptions) >= {"contact_created", "message_created", "message_updated"}


def test_the_address_of_a_webhook_cannot_be_guessed(world: World) -> None:
    token = world.connect().webhook_url.rpartition("/")[2]
    assert len(token) >= 32
    assert token == world.account().webhook_token


def test_the_secret_that_was_replaced_is_kept_for_deliveries_on_their_way(world: World) -> None:
    world.connect()
    (webhook,) = world.chatwoot.state.webhooks.values()
    before = webhook.secret
    webhook.secret = "the-next-secret-of-chatwoot"
    for _ in range(2):
        world.connect()
        account = world.account()
        assert world.secret_of(account.signing_secret) == webhook.secret
        assert world.secret_of(account.previous_signing_secret) == before


def test_a_new_token_replaces_the_old_one(world: World) -> None:
    world.connect()
    world.chatwoot.tokens["another-admin-token"] = 90
    world.connect(api_token=" another-admin-token\n")
    assert world.secret_of(world.account().api_token_secret) == "another-admin-token"


def test_a_new_public_address_moves_the_webhook(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.connect().webhook_url
    monkeypatch.setenv("CRM_SYNC_PUBLIC_URL", "https://crm-sync.example.com/")
    world.runtime.config = load()
    after = world.connect().webhook_url
    assert after == f"https://crm-sync.example.com/webhooks/chatwoot/{before.rpartition('/')[2]}"
    assert world.webhooks() == [after]


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"api_token": "wrong-token"}, "api_token", "profile page of an administrator"),
        ({"api_token": ""}, "api_token", "access token"),
        ({"api_token": "tök-en"}, "api_token", "letters and digits"),
        ({"api_token": "…"}, "api_token", "letters and digits"),
        ({"api_token": "two\nlines"}, "api_token", "letters and digits"),
        ({"api_token": "sandbox-agent-token"}, "api_token", "administrator is needed"),
        ({"api_token": "sandbox-bot-token"}, "api_token", "administrator"),
        ({"account_id": 4}, "account_id", "it belongs to: 3"),
        ({"chatwoot_url": "chat.example.com"}, "chatwoot_url", "must start with http://"),
        ({"chatwoot_url": "ftp://chat.example.com"}, "chatwoot_url", "must start with http://"),
        ({"chatwoot_url": ""}, "chatwoot_url", "must start with http://"),
        ({"chatwoot_url": NOWHERE}, "chatwoot_url", "opens from this machine"),
        ({"chatwoot_url": "http://no-such-host.invalid"}, "chatwoot_url", "cannot be reached"),
        ({"chatwoot_url": "http://"}, "chatwoot_url", "must start with http://"),
        ({"chatwoot_url": "http://a..b"}, "chatwoot_url", "opens from this machine"),
        ({"chatwoot_url": "http://exa mple"}, "chatwoot_url", "opens from this machine"),
        ({"chatwoot_url": "SITE"}, "chatwoot_url", "not JSON"),
        ({"chatwoot_url": "CHATWOOT/app/accounts/3"}, "chatwoot_url", "where you open Chatwoot"),
        ({"chatwoot_url": "GLPI/apirest.php"}, "chatwoot_url", "where you open Chatwoot"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do_and_nothing_is_connected(
    world: World, changes: dict[str, Any], setting: str, words: str
) -> None:
    url = str(changes.get("chatwoot_url", ""))
    for word, place in (("SITE", world.site_url), ("CHATWOOT", world.chatwoot_url), ("GLPI", world.glpi_url)):
        url = url.replace(word, place)
    given = {**changes, "chatwoot_url": url} if "chatwoot_url" in changes else changes
    with pytest.raises(ConfigError) as caught:
        world.connect(**given)
    assert caught.value.setting == setting
    assert f"--{setting.replace('_', '-')}" in str(caught.value)
    assert words in str(caught.value)
    assert world.chatwoot.api_token not in str(caught.value)
    assert (world.stored(Account), world.webhooks()) == (0, [])


def test_a_failed_repetition_leaves_the_account_as_it_was(world: World) -> None:
    world.connect()
    before = world.account()
    with pytest.raises(ConfigError):
        world.connect(api_token="wrong-token")
    assert world.secret_of(world.account().api_token_secret) == world.chatwoot.api_token
    assert world.account().signing_secret == before.signing_secret


def test_an_address_that_chatwoot_refuses_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SYNC_PUBLIC_URL", "crm-sync.example.com")
    world.runtime.config = load()
    with pytest.raises(ConfigError, match=r"Set CRM_SYNC_PUBLIC_URL .*") as caught:
        world.connect()
    assert caught.value.setting == "CRM_SYNC_PUBLIC_URL"
    assert world.stored(Account) == 0


@pytest.mark.parametrize("mode", ["required", "optional", "off"])
def test_the_signature_mode_is_the_one_that_was_asked_for(world: World, mode: str) -> None:
    assert world.connect(signature=SignatureMode(mode)).signature == mode
    assert world.account().signature == mode
    assert world.account().signing_secret is not None


def test_signatures_that_were_switched_off_stay_so_when_the_account_is_connected_again(world: World) -> None:
    world.connect(signature=SignatureMode.OFF)
    assert world.connect().signature == "off"
    assert world.connect(signature=SignatureMode.REQUIRED).signature == "required"


@pytest.fixture
def older(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A Chatwoot before 4.12, which has no secrets."""
    monkeypatch.setattr(world.chatwoot.state, "secret", lambda: "")
    return world


def test_signatures_are_optional_when_chatwoot_has_no_secret(older: World) -> None:
    assert older.connect().signature == "optional"
    assert older.account().signing_secret is None


def test_signatures_that_chatwoot_does_not_make_cannot_be_required(older: World) -> None:
    with pytest.raises(ConfigError, match=r"4\.12 .* Use --signature off") as caught:
        older.connect(signature=SignatureMode.REQUIRED)
    assert caught.value.setting == "signature"
    assert (older.stored(Account), older.webhooks()) == (0, [])


def test_a_refused_mode_takes_no_webhook_away_that_is_in_use(older: World) -> None:
    url = older.connect().webhook_url
    with pytest.raises(ConfigError):
        older.connect(signature=SignatureMode.REQUIRED)
    assert older.webhooks() == [url]


def test_a_secret_that_appears_with_an_update_of_chatwoot_is_required_from_then_on(older: World) -> None:
    older.connect()
    (webhook,) = older.chatwoot.state.webhooks.values()
    webhook.secret = "made-by-the-update"
    assert older.connect().signature == "required"
    assert older.secret_of(older.account().signing_secret) == "made-by-the-update"


def test_a_webhook_that_a_person_registers_is_found_with_its_secret(world: World) -> None:
    first = world.connect(register=False)
    assert (first.signature, world.webhooks(), world.account().webhook_id) == ("optional", [], None)
    with pytest.raises(ConfigError, match="Register it there first") as caught:
        world.connect(register=False, signature=SignatureMode.REQUIRED)
    assert caught.value.setting == "signature"
    # People add a login for the server in front of us, or a slash.
    address = first.webhook_url.replace("://", "://front:door@") + "/"
    row = world.chatwoot.add_webhook(address, ["message_created"])
    second = world.connect(register=False)
    assert (second.webhook_url, second.signature) == (first.webhook_url, "required")
    assert world.secret_of(world.account().signing_secret) == row.secret
    assert row.subscriptions == ["message_created"]


# -- accounts: remove --------------------------------------------------------------------------------------------------


@on_every_database
def test_removing_takes_the_webhook_and_everything_that_hangs_on_the_account_away(world: World) -> None:
    world.connect()
    world.add()
    ingest(world.runtime.store, world.account(), contact_created(), Arrival(), world.runtime.now)
    assert accounts.remove(world.runtime.store, world.runtime.config, 1) == []
    assert world.webhooks() == []
    assert (world.stored(Account), world.stored(Hook)) == (0, 0)
    with pytest.raises(ConfigError, match="no account 1"):
        accounts.remove(world.runtime.store, world.runtime.config, 1)


def test_an_account_can_be_removed_when_its_chatwoot_is_gone(world: World) -> None:
    world.connect()
    world.chatwoot.faults.down = True
    (note,) = accounts.remove(world.runtime.store, world.runtime.config, 1)
    assert note.startswith("The webhook is still registered in Chatwoot: ")
    assert world.stored(Account) == 0


# -- hooks: add --------------------------------------------------------------------------------------------------------


@on_every_database
def test_a_hook_is_active_after_its_check_and_setup_and_its_secrets_are_apart(world: World) -> None:
    world.connect()
    added = world.add(entity_id="0")
    assert (added.state, added.state_reason) == ("active", None)
    hook = world.hook()
    assert world.secrets() == {
        "app_token": world.glpi.app_token,
        "user_token": world.glpi.user_tokens["super"],
    }
    assert not {"app_token", "user_token"} & set(hook.settings)
    assert hook.settings["request_source_id"] > 0  # found or made by the setup
    assert (hook.facts["version"], hook.facts["entity_id"]) == ("10.0.19", 0)
    keys = {row["attribute_key"] for row in world.chatwoot.state.definitions}
    assert {"glpi_ticket_id", "glpi_user_id"} <= keys
    assert set(hooks.visible_settings(hook)) <= apps.find("glpi").manifest.visible


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"api_url": None}, "api_url", "is missing"),
        ({"app_token": None}, "app_token", "is missing"),
        ({"user_token": None}, "user_token", "is missing"),
        ({"ticket_type": "two"}, "ticket_type", "must be a whole number"),
        ({"ticket_type": "7"}, "ticket_type", "must be one of 1, 2"),
        ({"enable_ticket_sync": "maybe"}, "enable_ticket_sync", "true or false"),
        ({"colour": "red"}, "colour", "has no setting called colour"),
        ({"api_url": NOWHERE + "/apirest.php"}, "api_url", "opens from this machine"),
        ({"api_url": "http://no-such-host.invalid/apirest.php"}, "api_url", "opens from this machine"),
        ({"api_url": "http://a..b/apirest.php"}, "api_url", "opens from this machine"),
        ({"api_url": "GLPI"}, "api_url", "It ends with /apirest.php"),
        ({"api_url": "glpi.example.com/apirest.php"}, "api_url", "It ends with /apirest.php"),
        ({"api_url": "SITE/apirest.php"}, "api_url", "opens from this machine"),
        ({"api_url": "CHATWOOT/apirest.php"}, "api_url", "opens from this machine"),
        ({"app_token": "wrong-app-token"}, "app_token", "does not know this application token"),
        ({"user_token": "wrong-user-token"}, "user_token", "API token"),
        ({"app_token": "…"}, "app_token", "Copy it once more"),
        ({"user_token": "名前"}, "user_token", "Copy it once more"),
        ({"entity_id": "99"}, "entity_id", "no entity 99"),
        ({"user_token": "SELF"}, "user_token", "lacks rights"),
    ],
)
def test_a_setting_that_is_wrong_is_named_with_what_to_do_and_nothing_is_stored(
    world: World, changes: dict[str, str | None], setting: str, words: str
) -> None:
    world.connect()
    places = {"GLPI": world.glpi_url, "SITE": world.site_url, "CHATWOOT": world.chatwoot_url}
    given: dict[str, str] = world.settings()
    for name, value in changes.items():
        if value is None:
            del given[name]
            continue
        for word, place in places.items():
            value = value.replace(word, place)  # noqa: PLW2901 - the placeholders of the table
        given[name] = value.replace("SELF", world.glpi.user_tokens["self"])
    with pytest.raises(ConfigError) as caught:
        hooks.add(world.runtime, "glpi", 1, given)
    said = str(caught.value)
    assert caught.value.setting == setting
    assert setting in said
    assert words in said
    assert said.endswith(".")
    for secret in (given.get("app_token", "-"), given.get("user_token", "-")):
        assert len(secret) < 8 or secret not in said + repr(caught.value) + world.log.getvalue()
    assert world.stored(Hook) == 0
    assert world.written() == []


@pytest.mark.parametrize(
    ("changes", "setting", "code", "words"),
    [
        (
            {"user_token": "wrong-user-token"},
            "user_token",
            "invalid_credentials",
            "GLPI refuse ces identifiants. ",
        ),
        (
            {"app_token": "wrong-app-token"},
            "app_token",
            "invalid_credentials",
            "GLPI refuse ces identifiants. ",
        ),
        (
            {"api_url": NOWHERE + "/apirest.php"},
            "api_url",
            "connection_failed",
            "n'est pas utilisable d'ici. ",
        ),
        ({"entity_id": "99"}, "entity_id", "entity_not_found", "GLPI n'a pas cette entité. entity_id: "),
        ({"category_id": "99"}, "category_id", "record_not_found", "GLPI n'a pas cet élément. category_id: "),
        ({"user_token": "SELF"}, "user_token", "rights_missing", "n'a pas tous les droits nécessaires. "),
        ({"title_template": "{x}"}, "title_template", "template_wrong", "ne peut pas être rempli. title_"),
        (
            {"use_contact": "yes", "link_computers": "yes"},
            "link_computers",
            "settings_conflict",
            "ensemble. ",
        ),
        ({"ticket_type": "7"}, "ticket_type", "setting_invalid", "doit être une de ces valeurs (1, 2)"),
        ({"observer_ids": "12"}, "observer_ids", "setting_invalid", "du JSON de la forme [valeur, valeur]"),
    ],
)
def test_what_is_wrong_is_said_in_the_language_of_the_people_with_a_code_for_programs(
    world: World, changes: dict[str, str], setting: str, code: str, words: str
) -> None:
    world.connect()
    world.runtime.config = replace(world.runtime.config, language="fr")
    given = {name: value.replace("SELF", world.glpi.user_tokens["self"]) for name, value in changes.items()}
    with pytest.raises(ConfigError) as caught:
        world.add(**given)
    assert (caught.value.setting, caught.value.code) == (setting, code)
    assert words in str(caught.value)
    assert world.stored(Hook) == 0


def test_settings_without_effect_are_kept_and_noted_when_added_changed_and_tried(world: World) -> None:
    world.connect()
    added = world.add(default_user_id="2")
    assert added.state == "active"
    assert added.notes[0].startswith("While enable_followup_sync is off default_user_id has no effect")
    changed = hooks.change(world.runtime, 1, {"enable_ticket_sync": "no"})
    assert "these settings have no effect: default_user_id." in changed.notes[0]
    assert changed.notes[0] in hooks.test(world.runtime, 1).notes
    assert world.hook().settings["default_user_id"] == 2
    untried = hooks.change(world.runtime, 1, {"sla_id": "3"}, run_setup=False)
    assert "no effect: default_user_id, sla_id." in untried.notes[0]


def test_a_change_to_settings_that_contradict_each_other_changes_nothing(world: World) -> None:
    world.connect()
    world.add(person_fields='{"nick":"nickname"}')
    before = world.hook()
    with pytest.raises(ConfigError, match="a Contact of GLPI has no nickname") as caught:
        hooks.change(world.runtime, 1, {"use_contact": "yes"}, run_setup=False)
    assert caught.value.setting == "person_fields"
    assert (world.hook().settings, world.hook().version) == (before.settings, before.version)


def test_a_setting_that_is_newer_than_its_hook_has_its_default(world: World) -> None:
    world.connect()
    world.add()
    with world.runtime.store.write() as session:
        row = session.get_one(Hook, 1)
        row.settings = {name: value for name, value in row.settings.items() if name != "language"}
    view = world.runtime.view(world.hook(), world.account())
    assert view.settings["language"] == "en"
    (event,) = _arrive(world)
    mailbox.drain(world.runtime, "1:1")
    assert _state(world, event) == "done"


def test_a_hook_is_not_added_to_an_account_whose_feature_is_off(world: World) -> None:
    world.connect()
    features.switch(world.runtime, 1, "crm_integration", on=False)
    with pytest.raises(ConfigError, match="accounts feature 1 crm_integration on") as caught:
        world.add()
    assert (caught.value.code, world.stored(Hook), world.glpi.requests) == ("feature_off", 0, [])
    features.switch(world.runtime, 1, "crm_integration", on=True)
    assert world.add().state == "active"


def test_a_setup_that_fails_on_resuming_has_its_code_and_sentence(world: World) -> None:
    world.connect()
    world.add()
    hooks.pause(world.runtime, 1)
    world.runtime.config = replace(world.runtime.config, language="pt_BR")
    world.glpi.faults.down = True
    resumed = hooks.resume(world.runtime, 1)
    assert (resumed.state, resumed.code) == ("needs_attention", "connection_failed")
    assert str(resumed.state_reason).startswith("Não é possível usar a API do GLPI a partir daqui. ")


def test_a_server_that_fails_is_told_and_nothing_is_stored(world: World) -> None:
    world.connect()
    world.glpi.faults.down = True
    with pytest.raises(ConfigError, match="api_url") as caught:
        world.add()
    assert caught.value.setting == "api_url"
    assert world.stored(Hook) == 0


def test_an_app_or_an_account_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(ConfigError, match=r"no app called 'sap'\. Installed: .*glpi"):
        hooks.add(world.runtime, "sap", 1, {})
    with pytest.raises(ConfigError, match=r"no account 1"):
        world.add()


def test_an_account_has_one_hook_of_an_app(world: World) -> None:
    world.connect()
    world.add()
    with pytest.raises(ConfigError, match="has a GLPI hook already"):
        world.add()
    assert world.stored(Hook) == 1


@on_every_database
def test_an_account_has_one_hook_of_an_app_when_two_people_add_it_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect()
    check = hooks._check

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(hooks, "_check", check)
        world.add()
        return check(*arguments)

    monkeypatch.setattr(hooks, "_check", meanwhile)
    with pytest.raises(ConfigError, match="has a GLPI hook already"):
        world.add()
    assert world.stored(Hook) == 1


def test_the_account_may_be_used_without_the_right_to_make_attributes(world: World) -> None:
    world.connect()
    world.chatwoot.state.users[90].role = "agent"
    added = world.add()
    assert added.state == "active"
    assert any("Custom attributes could not be defined" in note for note in added.notes)


# -- hooks: change, test, pause, resume, remove ------------------------------------------------------------------------


@on_every_database
def test_changed_settings_are_checked_set_up_and_used_by_new_clients(world: World) -> None:
    world.connect()
    world.add()
    before = world.hook()
    changed = hooks.change(world.runtime, 1, {"enable_followup_sync": "true", "default_ticket_type": "2"})
    after = world.hook()
    assert changed.state == "active"
    assert after.settings == {**before.settings, "enable_followup_sync": True, "ticket_type": 2}
    assert after.version > before.version
    assert world.secrets()["user_token"] == world.glpi.user_tokens["super"]


def test_an_empty_text_takes_a_setting_away_and_a_required_one_stays(world: World) -> None:
    world.connect()
    world.add(entity_id="0", enable_followup_sync="true")
    hooks.change(world.runtime, 1, {"entity_id": "", "enable_followup_sync": ""})
    assert "entity_id" not in world.hook().settings
    assert world.hook().settings["enable_followup_sync"] is False
    with pytest.raises(ConfigError, match="app_token is missing"):
        hooks.change(world.runtime, 1, {"app_token": ""})
    assert world.secrets()["app_token"] == world.glpi.app_token


@pytest.mark.parametrize(
    "given",
    [
        {"user_token": "wrong-user-token"},
        {"api_url": NOWHERE + "/apirest.php"},
        {"ticket_type": "9"},
        {"colour": "red"},
        {"entity_id": "99"},
        {"ticket_type": "2", "app_token": "wrong-app-token"},
    ],
)
@on_every_database
def test_a_change_that_fails_its_check_changes_nothing(world: World, given: dict[str, str]) -> None:
    world.connect()
    world.add()
    before, secrets = world.hook(), world.secrets()
    with pytest.raises(ConfigError):
        hooks.change(world.runtime, 1, given)
    after = world.hook()
    assert (after.settings, after.version, after.state, after.facts) == (
        before.settings,
        before.version,
        before.state,
        before.facts,
    )
    assert world.secrets() == secrets


def test_trying_a_hook_changes_nothing(world: World) -> None:
    world.connect()
    world.add()
    before, writes = world.hook(), len(world.written())
    assert hooks.test(world.runtime, 1).facts["version"] == "10.0.19"
    world.glpi.sessions.renew_token(2)
    with pytest.raises(ConfigError) as caught:
        hooks.test(world.runtime, 1)
    assert caught.value.setting == "user_token"
    after = world.hook()
    assert (after.version, after.state, len(world.written())) == (before.version, "active", writes)


def test_a_hook_that_is_paused_while_its_setup_runs_stays_so(world: World) -> None:
    world.connect()
    world.add()

    def pause(app: Any, environ: Any, start_response: Any) -> Any:
        hooks.pause(world.runtime, 1)
        return app(environ, start_response)

    world.glpi.faults.kinds, world.glpi.faults.fail_rate = (pause,), 1.0
    assert hooks.set_up(world.runtime, 1).state == "paused"
    assert hooks.report(world.runtime, 1).state == "paused"
    world.glpi.faults.fail_rate = 0.0
    assert hooks.resume(world.runtime, 1).state == "active"


def test_a_hook_that_is_paused_stays_so_when_its_settings_change_and_goes_on_when_it_is_resumed(
    world: World,
) -> None:
    world.connect()
    world.add()
    assert hooks.pause(world.runtime, 1).state == "paused"
    changed = hooks.change(world.runtime, 1, {"ticket_type": "2"})
    assert (changed.state, changed.state_reason) == ("paused", "Paused by an operator.")
    assert world.hook().settings["ticket_type"] == 2
    assert hooks.resume(world.runtime, 1).state == "active"
    assert world.hook().state_reason is None


def test_a_hook_is_removed_with_its_events_and_the_record_in_the_crm_stays(world: World) -> None:
    world.connect()
    world.add()
    (event,) = _arrive(world)
    mailbox.drain(world.runtime, "1:1")
    assert _state(world, event) == "done"
    with world.glpi.state.lock:
        users = len(world.glpi.state.dump()["User"])
    hooks.remove(world.runtime, 1)
    assert world.stored(Hook) == 0
    with world.glpi.state.lock:
        assert len(world.glpi.state.dump()["User"]) == users
    with pytest.raises(ConfigError, match="no hook 1"):
        hooks.remove(world.runtime, 1)


@on_every_database
def test_events_wait_after_the_token_was_revoked_and_go_on_when_it_is_mended(world: World) -> None:
    world.connect()
    world.add()
    world.glpi.sessions.renew_token(2)
    world.glpi.sessions.expire_all()
    (first,) = _arrive(world, 1)
    mailbox.drain(world.runtime, "1:1")
    assert (world.hook().state, _state(world, first)) == ("needs_attention", "pending")
    assert world.hook().state_reason
    assert world.glpi.user_tokens["super"] not in str(world.hook().state_reason)
    (second,) = _arrive(world, 2)
    mailbox.drain(world.runtime, "1:2")
    assert _state(world, second) == "pending"
    renewed = next(token for token, owner in world.glpi.sessions._owners.items() if owner == 2)
    world.runtime.redis.flushall()
    assert hooks.change(world.runtime, 1, {"user_token": renewed}).state == "active"
    assert world.runtime.redis.llen("crm_sync:events") == 2  # both contacts are woken
    for contact, event in ((1, first), (2, second)):
        mailbox.drain(world.runtime, f"1:{contact}")
        assert _state(world, event) == "done"


def test_a_setup_that_fails_on_resuming_is_told_and_the_events_go_on_waiting(world: World) -> None:
    world.connect()
    world.add()
    hooks.pause(world.runtime, 1)
    (event,) = _arrive(world)
    world.glpi.faults.down = True
    resumed = hooks.resume(world.runtime, 1)
    assert resumed.state == "needs_attention"
    assert resumed.state_reason
    mailbox.drain(world.runtime, "1:1")
    assert _state(world, event) == "pending"
    world.glpi.faults.down = False
    assert hooks.resume(world.runtime, 1).state == "active"
    mailbox.drain(world.runtime, "1:1")
    assert _state(world, event) == "done"


def _arrive(world: World, contact: int = 1) -> tuple[int, ...]:
    """A delivery comes in; its events."""
    return ingest(
        world.runtime.store, world.account(), contact_created(contact), Arrival(), world.runtime.now
    ).events


def _state(world: World, event: int) -> EventState:
    with world.runtime.store.read() as session:
        return EventState(session.get_one(Event, event).state)


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_no_secret_shows_in_settings_reprs_errors_or_logs(world: World) -> None:
    world.connect()
    world.add()
    world.glpi.faults.down = True
    _arrive(world)
    mailbox.drain(world.runtime, "1:1")
    with pytest.raises(ConfigError) as caught:
        hooks.change(world.runtime, 1, {"ticket_type": "2"})
    hook, account = world.hook(), world.account()
    view = world.runtime.view(hook, account)
    client = apps.find("glpi").connect(view)
    shown = [
        json.dumps([hook.settings, hook.facts, hooks.visible_settings(hook)]),
        repr([hook, account, view, client, world.runtime.chatwoot(account), hooks.report(world.runtime, 1)]),
        str(caught.value) + repr(caught.value) + repr(caught.value.__cause__),
        world.log.getvalue(),
    ]
    secrets = [world.chatwoot.api_token, world.glpi.app_token, world.glpi.user_tokens["super"]]
    secrets += [row.secret for row in world.chatwoot.state.webhooks.values()]
    for number, text in enumerate(shown):
        assert [secret for secret in secrets if secret in text] == [], number


def test_a_secret_that_a_library_logs_is_masked(world: World) -> None:
    with pytest.raises(ConfigError):
        world.connect(api_token="a-token-that-is-wrong", chatwoot_url=f"http://127.0.0.1:{free_port()}")
    logging.getLogger("some.library").warning("sent %s", "a-token-that-is-wrong")
    assert "sent [redacted]" in world.log.getvalue()
