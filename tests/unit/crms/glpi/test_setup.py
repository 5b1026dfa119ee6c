"""Connecting to a GLPI: everything wrong is said in a sentence that names the setting to mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync.crms import manifest
from crm_sync.crms.base import HookView
from crm_sync.crms.glpi import app
from crm_sync.crms.glpi.setup import check, connect, setup, version_of
from crm_sync.errors import ConfigError
from tests.unit.crms.glpi.world import Glpi, answering, page


def hook(glpi: Glpi, **settings: Any) -> HookView:
    """A hook with these settings, the rest as it should be."""
    given = {
        "api_url": f"{glpi.url}/apirest.php",
        "app_token": glpi.sandbox.app_token,
        "user_token": glpi.sandbox.user_tokens["super"],
        **settings,
    }
    return HookView(1, "glpi", manifest.validated(app.manifest, given), {}, "http://chat.example.com", 3)


def trouble(view: HookView) -> ConfigError:
    """What the check says is wrong."""
    with pytest.raises(ConfigError) as caught:
        check(connect(view), view)
    return caught.value


def as_tech(glpi: Glpi, **settings: Any) -> HookView:
    """A hook of a technician's account."""
    return hook(glpi, user_token=glpi.sandbox.user_tokens["tech"], **settings)


def telling(**config: Any) -> Callable[..., Any]:
    """A fault: GLPI's configuration is another; everything else is as ever."""
    given = answering(200, {"cfg_glpi": config})

    def fault(application: Any, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].endswith("/getGlpiConfig"):
            return given(application, environ, start_response)
        return application(environ, start_response)

    return fault


# -- facts ---------------------------------------------------------------------------------------------------------


def test_a_check_finds_the_facts_and_changes_nothing(glpi: Glpi) -> None:
    before = glpi.sandbox.state.dump()
    view = hook(glpi)
    found = check(connect(view), view)

    assert found.facts == {
        "version": glpi.sandbox.state.flavour.version,
        "profile": "Super-Admin",
        "entity_id": 0,
        "user_id": 2,
        "login": "glpi",
        "notices": False,
        "texts_since": None,
        "default_profile_id": 1,
        "has_sla": False,
        "user_count": len(before["User"]),
        "category_names": {},
        "must_unsanitize": False,
        "document_max_bytes": 20 * 1024 * 1024,
        "document_types": None,
    }
    assert found.notes == ()
    after = glpi.sandbox.state.dump()
    assert {name: len(rows) for name, rows in after.items()} == {n: len(rows) for n, rows in before.items()}
    assert [row["timezone"] for row in after["User"]] == [row["timezone"] for row in before["User"]]


def test_technicians_texts_are_told_from_the_setup_on_that_first_wanted_them(glpi: Glpi) -> None:
    view = hook(glpi, enable_followup_pull=True)
    began = setup(connect(view), view).facts["texts_since"]
    assert abs(datetime.fromisoformat(began) - datetime.now(UTC)) < timedelta(minutes=1)
    kept = replace(view, facts={"texts_since": "2026-01-01T00:00:00+00:00"})
    assert setup(connect(kept), kept).facts["texts_since"] == "2026-01-01T00:00:00+00:00"
    off = replace(hook(glpi), facts=kept.facts)
    assert setup(connect(off), off).facts["texts_since"] is None


def test_a_check_and_a_setup_cost_few_calls_and_leave_no_session_behind(glpi: Glpi) -> None:
    category = glpi.insert("ITILCategory", name="Printer", completename="Printer")
    view = hook(glpi, category_id=category, observer_ids=[3], attachments="document")
    check(connect(view), view)
    calls = glpi.calls()
    assert (calls[0], calls[-1], len(calls)) == ("GET /initSession", "GET /killSession", 12)

    setup(connect(view), view)
    assert len(glpi.calls()) <= 19
    setup(connect(view), view)
    assert len(glpi.calls()) <= 15
    assert not glpi.sandbox.sessions.expire_all()


def test_facts_that_the_account_may_not_see_are_none_and_cost_no_call(glpi: Glpi) -> None:
    view = as_tech(glpi, attachments="document")
    found = check(connect(view), view)

    assert (found.facts["default_profile_id"], found.facts["document_types"]) == (None, None)
    assert found.facts["has_sla"] is False
    assert not any("/Profile" in call or "/DocumentType" in call for call in glpi.calls())


def test_facts_that_glpi_refuses_although_the_profile_holds_the_right_are_none(glpi: Glpi) -> None:
    def fault(application: Any, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].rpartition("/")[2] in {"SLA", "Profile", "DocumentType", "User"}:
            given = answering(403, ["ERROR_RIGHT_MISSING", "No."])
            return given(application, environ, start_response)
        return application(environ, start_response)

    glpi.strike(fault)
    view = hook(glpi, attachments="document")
    facts = check(connect(view), view).facts
    names = ("has_sla", "default_profile_id", "document_types", "user_count")
    assert [facts[name] for name in names] == [None] * 4


def test_a_glpi_11_without_a_default_profile_is_told_what_that_costs_below_the_root(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    with glpi.sandbox.state.lock:
        table = glpi.sandbox.state["Profile"]
        for row in table.all():
            table.update(row, {"is_default": 0})
    view = hook(glpi, entity_id=shop)
    notes = check(connect(view), view).notes
    told = [note.rpartition("calls. ")[2] for note in notes]
    remedy = "Set a default profile under Administration > Profiles to save these."
    assert told == ([remedy] if glpi.sandbox.state.flavour.is_11 else [])


def test_an_sla_anywhere_is_known(glpi: Glpi) -> None:
    glpi.insert("SLA", name="Gold", type=0, number_time=4, definition_time="hour")
    view = hook(glpi)
    assert check(connect(view), view).facts["has_sla"] is True


def test_users_are_counted_without_those_in_the_bin(glpi: Glpi) -> None:
    view = hook(glpi)
    before = check(connect(view), view).facts["user_count"]
    for number in range(30):
        glpi.insert("User", name=f"u{number}", is_active=1, is_deleted=int(number == 0))
    assert check(connect(view), view).facts["user_count"] == before + 29


def test_the_names_of_the_categories_that_are_set_are_known(glpi: Glpi) -> None:
    flavour = glpi.sandbox.state.flavour
    hardware, printer, other = (
        glpi.insert("ITILCategory", name="x", completename=flavour.stored(name))
        for name in ("Hardware", "Hardware > Printer", "Other")
    )
    view = hook(glpi, category_id=hardware, category_by_inbox={"Shop": printer, "9": hardware})

    assert check(connect(view), view).facts["category_names"] == {
        str(hardware): "Hardware",
        str(printer): "Hardware > Printer",
    }
    assert other


def test_the_extensions_that_glpi_takes_are_known_where_files_become_documents(glpi: Glpi) -> None:
    view = hook(glpi, attachments="document")
    types = check(connect(view), view).facts["document_types"]
    assert {"png", "pdf", "ogg"} <= set(types)
    assert "exe" not in types


@pytest.mark.parametrize(("told", "expected"), [("1", True), (1, True), ("0", False), (None, False)])
def test_whether_old_rows_are_encoded_on_an_upgraded_glpi_is_known(
    glpi: Glpi, told: object, *, expected: bool
) -> None:
    glpi.strike(telling(version="11.0.6", must_unsanitize_db_data=told))
    view = hook(glpi)
    facts = check(connect(view), view).facts
    assert (facts["must_unsanitize"], facts["document_max_bytes"]) == (expected, None)


def test_white_space_around_tokens_does_no_harm(glpi: Glpi) -> None:
    tokens = {"app_token": glpi.sandbox.app_token, "user_token": glpi.sandbox.user_tokens["super"]}
    view = hook(glpi, **{name: f" {token}\n" for name, token in tokens.items()})
    assert check(connect(view), view).facts["user_id"] == 2


# -- the request source --------------------------------------------------------------------------------------------


def test_a_setup_makes_the_request_source_once(glpi: Glpi) -> None:
    view = hook(glpi)
    first, second = setup(connect(view), view), setup(connect(view), view)

    [source] = [row for row in glpi.sandbox.state.dump()["RequestType"] if row["name"] == "Chat"]
    assert first.settings == second.settings == {"request_source_id": source["id"]}


@pytest.mark.parametrize("settings", [{"request_source_id": 2}, {"enable_ticket_sync": False}])
def test_a_request_source_is_only_made_for_tickets_that_have_none(
    glpi: Glpi, settings: dict[str, Any]
) -> None:
    view = hook(glpi, **settings)
    assert setup(connect(view), view).settings == {}
    assert not [row for row in glpi.sandbox.state.dump()["RequestType"] if row["name"] == "Chat"]


def test_an_account_that_may_not_see_request_sources_is_told_so(glpi: Glpi) -> None:
    view = as_tech(glpi)
    found = setup(connect(view), view)

    assert found.settings == {}
    assert found.notes[0] == (
        "New tickets carry no request source, since this account may not see 'Chat': it lacks the right "
        "Dropdowns: Read. Grant the right, or set request_source_id."
    )


def test_an_account_that_may_not_make_a_request_source_is_told_so(glpi: Glpi) -> None:
    def fault(application: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST":
            return answering(400, ["ERROR_GLPI_ADD", "No."])(application, environ, start_response)
        return application(environ, start_response)

    glpi.strike(fault)
    view = hook(glpi)
    assert setup(connect(view), view).notes[0] == (
        "New tickets carry no request source, since this account may not make 'Chat': GLPI refused: No. "
        "Grant the right, or set request_source_id."
    )


# -- the time zone -------------------------------------------------------------------------------------------------


def zone_of_the_account(glpi: Glpi) -> object:
    """The time zone that GLPI keeps for the service account."""
    return next(row["timezone"] for row in glpi.sandbox.state.dump()["User"] if row["id"] == 2)


def test_the_account_lives_in_utc_where_glpi_follows_and_elsewhere_its_zone_is_measured(glpi: Glpi) -> None:
    view = hook(glpi)
    client = connect(view)
    [note] = setup(client, view).notes

    if glpi.sandbox.state.flavour.is_11:
        assert note == (
            "Dates go to GLPI in its server's time zone (UTC-03:00), which is measured once an hour. GLPI 11 does "
            "not follow the account's."
        )
        assert zone_of_the_account(glpi) != "UTC"
        assert client.utc_offset().total_seconds() == -3 * 3600
    else:
        assert note == "The account's time zone is set to UTC, so that GLPI's dates need no conversion."
        assert zone_of_the_account(glpi) == "UTC"
        assert client.utc_offset().total_seconds() == 0


def test_a_time_zone_that_is_set_already_is_not_set_again(glpi: Glpi) -> None:
    view = hook(glpi)
    setup(connect(view), view)
    glpi.calls()
    notes = setup(connect(view), view).notes

    assert not any(call.startswith("PUT") for call in glpi.calls())
    assert bool(notes) is glpi.sandbox.state.flavour.is_11


def test_a_database_without_time_zones_is_told_and_dates_are_measured(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["database_timezones"] = False
    view = hook(glpi)
    client = connect(view)
    [note] = setup(client, view).notes

    assert note.startswith(
        "Dates go to GLPI in its server's time zone (UTC-03:00), which is measured once an hour."
    )
    assert ("database:enable_timezones" in note) is not glpi.sandbox.state.flavour.is_11
    assert client.utc_offset().total_seconds() == -3 * 3600


def test_a_time_zone_that_may_not_be_set_is_told(glpi: Glpi) -> None:
    def fault(application: Any, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT":
            return answering(400, ["ERROR_GLPI_UPDATE", "No."])(application, environ, start_response)
        return application(environ, start_response)

    glpi.strike(fault)
    view = hook(glpi)
    [note] = setup(connect(view), view).notes
    if not glpi.sandbox.state.flavour.is_11:
        assert note.endswith("The account's own could not be set to UTC: GLPI refused: No.")


# -- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["9.4.6", "9.2", "0.90"])
def test_a_glpi_too_old_is_refused(glpi: Glpi, told: str) -> None:
    glpi.strike(telling(version=told))
    error = trouble(hook(glpi))
    assert (error.setting, error.code) == ("api_url", "version_not_supported")
    assert str(error) == f"api_url: this is GLPI {told}. crm_sync works with GLPI 9.5 and later."


@pytest.mark.parametrize(
    ("told", "note"),
    [
        ("9.5.13", "GLPI 9.5.13 is old"),
        ("", "GLPI does not tell its version"),
        ("10.0.6", ""),
        ("11.0.6", ""),
    ],
)
def test_what_is_limited_on_a_version_is_told(glpi: Glpi, told: str, note: str) -> None:
    glpi.strike(telling(version=told))
    view = hook(glpi)
    notes = check(connect(view), view).notes
    assert [words[: len(note)] for words in notes] == ([note] if note else [])


def test_the_names_of_categories_are_read_as_glpi_9_5_keeps_them(glpi: Glpi) -> None:
    printer = glpi.insert("ITILCategory", name="x", completename="Hardware &gt; Printer")
    view = hook(glpi, category_id=printer)
    glpi.strike(telling(version="9.5.13"))
    assert check(connect(view), view).facts["category_names"] == {str(printer): "Hardware > Printer"}


@pytest.mark.parametrize(
    ("told", "version"),
    [("10.0.19", (10, 0, 19)), ("9.5", (9, 5)), ("11.0.0-dev", (11, 0, 0)), ("", ()), ("dev", ())],
)
def test_a_version_is_numbers(told: str, version: tuple[int, ...]) -> None:
    assert version_of(told) == version


# -- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "setting", "code", "words"),
    [
        (
            {"user_token": "wrong"},
            "user_token",
            "invalid_credentials",
            "user_token: GLPI does not know this API token",
        ),
        (
            {"app_token": "wrong"},
            "app_token",
            "invalid_credentials",
            "app_token: GLPI does not know this application token.",
        ),
        (
            {"entity_id": 4711},
            "entity_id",
            "entity_not_found",
            "entity_id: GLPI has no entity 4711 that this account may use.",
        ),
        (
            {"api_url": "http://127.0.0.1:1/apirest.php"},
            "api_url",
            "connection_failed",
            "api_url: GLPI cannot be reached. Check that",
        ),
    ],
)
def test_what_is_wrong_is_named(
    glpi: Glpi, settings: dict[str, Any], setting: str, code: str, words: str
) -> None:
    error = trouble(hook(glpi, **settings))
    assert (error.setting, error.code) == (setting, code)
    assert str(error).startswith(words)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("category_id", 4711, "category_id: GLPI has no ITIL category 4711."),
        ("category_by_inbox", {"Shop": 4711}, "category_by_inbox (Shop): GLPI has no ITIL category 4711."),
        ("request_source_id", 4711, "request_source_id: GLPI has no request source 4711."),
        ("default_user_id", 4711, "default_user_id: GLPI has no user 4711."),
        ("observer_ids", [3, 4711], "observer_ids: GLPI has no user 4711."),
        ("group_by_team", {"Desk": 4711}, "group_by_team (Desk): GLPI has no group 4711."),
        ("sla_id", 4711, "sla_id: GLPI has no SLA 4711."),
    ],
)
def test_a_record_of_the_settings_that_glpi_has_not_is_named(
    glpi: Glpi, setting: str, value: Any, words: str
) -> None:
    error = trouble(hook(glpi, **{setting: value}))
    assert (str(error), error.setting, error.code) == (words, setting, "record_not_found")


def test_records_of_the_settings_that_are_there_and_of_no_use_are_named(glpi: Glpi) -> None:
    off = glpi.insert("User", name="off", is_active=0, is_deleted=0)
    binned = glpi.insert("User", name="binned", is_active=1, is_deleted=1)
    taking = glpi.insert("SLA", name="Gold", type=1)

    assert str(trouble(hook(glpi, observer_ids=[3, off]))) == (
        f"observer_ids: the user {off} is switched off in GLPI."
    )
    assert str(trouble(hook(glpi, default_user_id=binned))) == (
        f"default_user_id: the user {binned} is in GLPI's bin."
    )
    assert (
        str(trouble(hook(glpi, sla_id=taking)))
        == f"sla_id: the SLA {taking} is not about the time to resolve."
    )
    # An author need not log in.
    view = hook(glpi, default_user_id=off)
    assert check(connect(view), view).notes == ()


def test_records_of_the_settings_that_are_there_pass(glpi: Glpi) -> None:
    view = hook(
        glpi,
        category_id=glpi.insert("ITILCategory", name="x", completename="x"),
        category_by_inbox={"Shop": glpi.insert("ITILCategory", name="y", completename="y")},
        request_source_id=1,
        default_user_id=3,
        observer_ids=[3, 4],
        group_by_team={"Desk": glpi.insert("Group", name="Desk")},
        sla_id=glpi.insert("SLA", name="Gold", type=0),
    )
    assert check(connect(view), view).notes == ()


def test_records_of_the_settings_that_the_account_may_not_see_are_noted(glpi: Glpi) -> None:
    view = as_tech(glpi, category_by_inbox={"Shop": 4711}, request_source_id=4711, default_user_id=3)
    assert check(connect(view), view).notes == (
        "Whether GLPI has the ITIL category 4711 (category_by_inbox, Shop) this account may not see.",
        "Whether GLPI has the request source 4711 (request_source_id) this account may not see.",
    )


def test_a_record_in_an_entity_out_of_reach_is_noted(glpi: Glpi) -> None:
    def fault(application: Any, environ: Any, start_response: Any) -> Any:
        if "/getMultipleItems" in environ["PATH_INFO"] or environ["PATH_INFO"].endswith("/ITILCategory/7"):
            given = answering(403, ["ERROR_RIGHT_MISSING", "No."])
            return given(application, environ, start_response)
        return application(environ, start_response)

    glpi.strike(fault)
    view = hook(glpi, category_id=7)
    [note] = check(connect(view), view).notes
    assert note.startswith("Whether GLPI has the ITIL category 7")


def test_an_api_that_is_switched_off_is_named(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["api_enabled"] = False
    error = trouble(hook(glpi))
    assert (error.setting, error.code) == ("api_url", "connection_failed")
    assert "switched off (Setup > General > API)" in str(error)


def test_an_address_that_may_not_call_is_named(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["address_allowed"] = False
    error = trouble(hook(glpi))
    assert (error.setting, error.code) == ("app_token", "connection_failed")
    assert "No API client of GLPI allows the address of this machine." in str(error)


def test_a_page_instead_of_the_api_is_named(glpi: Glpi) -> None:
    glpi.strike(page(404))
    assert "answers 404 with something that is not the API" in str(trouble(hook(glpi)))


def test_an_api_that_lets_us_in_and_then_answers_nonsense_is_named(glpi: Glpi) -> None:
    view = hook(glpi)
    client = connect(view)
    client.init_session()
    glpi.strike(answering(200, {"session_token": "t"}))
    with pytest.raises(ConfigError, match="lets us in but does not answer as it should") as caught:
        check(client, view)
    assert (caught.value.setting, caught.value.code) == ("api_url", "connection_failed")


def test_sessions_that_do_not_last_are_named(glpi: Glpi) -> None:
    def fault(application: Any, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].endswith("/initSession"):
            return application(environ, start_response)
        return answering(401, ["ERROR_SESSION_TOKEN_INVALID", "no"])(application, environ, start_response)

    glpi.strike(fault)
    error = trouble(hook(glpi))
    assert (error.setting, error.code) == ("api_url", "session_expired")


def test_a_session_that_is_over_again_and_again_is_named(glpi: Glpi) -> None:
    over = answering(401, ["ERROR_SESSION_TOKEN_INVALID", "session_token semble incorrect"])

    def fault(app: Any, environ: Any, start_response: Any) -> Any:
        logs_in = environ["PATH_INFO"].endswith("/initSession")
        return app(environ, start_response) if logs_in else over(app, environ, start_response)

    view = hook(glpi)
    glpi.strike(fault)
    assert trouble(view).code == "session_expired"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"user_token": "wrong"}, "invalid_credentials"),
        ({"app_token": "wrong"}, "invalid_credentials"),
        ({"entity_id": 4711}, "entity_not_found"),
        ({"category_id": 4711}, "record_not_found"),
        ({"api_url": "http://127.0.0.1:1/apirest.php"}, "connection_failed"),
    ],
)
def test_what_is_wrong_has_a_code(glpi: Glpi, settings: dict[str, Any], code: str) -> None:
    assert trouble(hook(glpi, **settings)).code == code


def test_a_server_that_lets_nobody_in_from_here_is_no_matter_of_credentials(glpi: Glpi) -> None:
    glpi.sandbox.state.settings["address_allowed"] = False
    assert trouble(hook(glpi)).code == "connection_failed"


def test_every_right_that_is_missing_is_named(glpi: Glpi) -> None:
    error = trouble(hook(glpi, user_token=glpi.sandbox.user_tokens["self"]))

    assert (error.setting, error.code) == ("user_token", "rights_missing")
    assert str(error) == (
        "user_token: the profile Self-Service of this account lacks rights: Users: Read, Users: Create, "
        "Users: Update, Tickets: Update, Tickets: See all tickets. Grant them in GLPI under Administration > "
        "Profiles, or use another account."
    )


def test_a_technician_may_do_all_the_work_but_make_contacts(glpi: Glpi) -> None:
    view = as_tech(glpi, enable_followup_sync=True, attachments="document", link_computers=True)
    assert check(connect(view), view).facts["profile"] == "Technician"
    assert "lacks rights: Contacts / Suppliers: Read" in str(trouble(as_tech(glpi, use_contact=True)))


@pytest.mark.parametrize("entity", [0, 1])
def test_an_entity_of_the_settings_is_taken_even_the_first(glpi: Glpi, entity: int) -> None:
    if entity:
        entity = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    view = hook(glpi, entity_id=entity)
    assert check(connect(view), view).facts["entity_id"] == entity


def test_an_account_that_may_not_choose_profiles_is_told_what_that_costs_below_the_root(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    view = as_tech(glpi, entity_id=shop)
    notes = check(connect(view), view).notes

    if glpi.sandbox.state.flavour.is_11:
        [note] = notes
        assert note.startswith("GLPI 11 takes nobody as a requester")
        assert note.endswith("Grant the right Profiles: Read to save these.")
    else:
        assert notes == ()
    at_the_root = as_tech(glpi)
    assert check(connect(at_the_root), at_the_root).notes == ()


def test_an_entity_below_a_profile_that_is_not_recursive_is_out_of_reach(glpi: Glpi) -> None:
    shop = glpi.insert("Entity", name="Shop", completename="Root > Shop", entities_id=0)
    with glpi.sandbox.state.lock:
        table = glpi.sandbox.state["Profile_User"]
        [row] = table.where("users_id", 4)
        table.update(row, {"is_recursive": 0})

    assert trouble(as_tech(glpi, entity_id=shop)).code == "entity_not_found"
