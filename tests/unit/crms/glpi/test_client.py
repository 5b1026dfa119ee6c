"""The client: one login for all threads, renewed when it must be; answers as the error tree; dates by GLPI's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests_mock as mocking

from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.crms.glpi.session import OFFSET_KEEP_S
from crm_sync.errors import (
    ApiError,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
)
from crm_sync.sandbox.server import html_page, lose, refuse
from tests.unit.crms.glpi.world import Glpi, answering, page

THREADS = 16
JSON = {"Content-Type": "application/json; charset=UTF-8"}
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def together(count: int, work: object) -> list[object]:
    """The work done by so many threads at once; what each returned or raised."""
    barrier = threading.Barrier(count)

    def one(_: int) -> object:
        barrier.wait(30)
        try:
            return work()  # type: ignore[operator]
        except ApiError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def losing_logouts(app: Any, environ: Any, start_response: Any) -> Any:
    """A fault: the answer to a logout is lost."""
    given = lose if environ["PATH_INFO"].endswith("/killSession") else None
    return given(app, environ, start_response) if given else app(environ, start_response)


# -- sessions ------------------------------------------------------------------------------------------------------


def test_one_login_serves_all_calls(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.client.item("User", 2)

    assert glpi.calls() == ["GET /initSession", "GET /Entity", "GET /User"]


def test_a_login_sends_both_tokens_and_keeps_what_glpi_gives_however_long_it_is() -> None:
    token = "a/+=" * 400
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": token}, headers=JSON)
        mock.get("http://glpi/apirest.php/User/2", json={"id": 2}, headers=JSON)
        client = GlpiClient("http://glpi/apirest.php", "app", "user")
        assert client.init_session() == token
        client.item("User", 2)

    login, call = mock.request_history
    assert (login.headers["App-Token"], login.headers["Authorization"]) == ("app", "user_token user")
    assert (call.headers["App-Token"], call.headers["Session-Token"]) == ("app", token)
    assert login.body is None


@pytest.mark.parametrize(
    ("call", "method", "body"),
    [
        (lambda client: client.item("User", 2), "GET", None),
        (lambda client: client.create("User", {"name": "é"}), "POST", {"input": {"name": "é"}}),
        (lambda client: client.update("User", 2, {"phone": "1"}), "PUT", {"input": {"phone": "1"}}),
        (lambda client: client.delete("User", 2), "DELETE", None),
    ],
)
def test_a_call_goes_out_by_its_verb_as_json_within_the_session(
    call: Callable[[GlpiClient], object], method: str, body: object
) -> None:
    answer = {"GET": {"id": 2}, "POST": {"id": 2}, "PUT": [{"2": True}], "DELETE": [{"2": True}]}[method]
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": "t"}, headers=JSON)
        path = "User" if method == "POST" else "User/2"
        mock.register_uri(method, f"http://glpi/apirest.php/{path}", json=answer, headers=JSON)
        call(GlpiClient("http://glpi/apirest.php", "a", "u"))

    sent = mock.request_history[-1]
    assert (sent.method, sent.headers["Session-Token"]) == (method, "t")
    assert (sent.json() if sent.body else None) == body
    assert sent.headers.get("Content-Type") == ("application/json" if body else None)


def test_a_block_of_its_own_session_logs_in_before_and_out_after(glpi: Glpi) -> None:
    with glpi.client.logged_in():
        glpi.client.item("Entity", 0)

    assert glpi.calls() == ["GET /initSession", "GET /Entity", "GET /killSession"]
    assert not glpi.sandbox.sessions.expire_all()


def test_a_block_of_its_own_session_logs_out_when_something_fails_in_it(glpi: Glpi) -> None:
    with pytest.raises(NotFound), glpi.client.logged_in():
        glpi.client.item("Ticket", 4711)

    assert glpi.calls() == ["GET /initSession", "GET /Ticket", "GET /killSession"]
    assert not glpi.sandbox.sessions.expire_all()


def test_a_block_of_its_own_session_says_what_failed_in_it_though_the_logout_fails_too(glpi: Glpi) -> None:
    glpi.strike(losing_logouts)
    with pytest.raises(NotFound), glpi.client.logged_in():
        glpi.client.item("Ticket", 4711)


def test_a_logout_that_fails_is_no_failure_of_its_block(glpi: Glpi) -> None:
    glpi.strike(losing_logouts)
    with glpi.client.logged_in():
        found = glpi.client.item("Entity", 0)
    assert found["id"] == 0


def test_a_block_of_its_own_session_is_not_entered_when_the_login_is_refused(glpi: Glpi) -> None:
    client = glpi.connect(user_token="wrong")
    with pytest.raises(Unauthorized), client.logged_in():
        pytest.fail("entered")
    assert glpi.calls() == ["GET /initSession"]


def test_one_login_serves_threads_that_begin_together(glpi: Glpi) -> None:
    found = together(THREADS, lambda: glpi.client.item("Entity", 0)["id"])

    assert found == [0] * THREADS
    assert glpi.calls().count("GET /initSession") == 1


def test_one_login_renews_the_session_of_threads_that_lose_it_together(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.expire()
    glpi.calls()

    assert together(THREADS, lambda: glpi.client.item("Entity", 0)["id"]) == [0] * THREADS
    assert glpi.calls().count("GET /initSession") == 1


def test_one_refused_login_is_the_answer_for_threads_that_wait_for_it(glpi: Glpi) -> None:
    client = glpi.connect(user_token="wrong")
    glpi.sandbox.faults.latency_ms = 200
    found = together(THREADS, lambda: client.item("Entity", 0))

    assert {type(item) for item in found} == {Unauthorized}
    assert len(glpi.calls()) < THREADS


def test_a_login_is_tried_again_after_one_that_failed(glpi: Glpi) -> None:
    glpi.sandbox.faults.down = True
    with pytest.raises(ServerFault):
        glpi.client.item("Entity", 0)
    glpi.sandbox.faults.down = False

    assert glpi.client.item("Entity", 0)["id"] == 0


@pytest.mark.parametrize("write", [False, True])
def test_an_expired_session_is_renewed_once_and_the_call_repeated_once(glpi: Glpi, *, write: bool) -> None:
    glpi.client.item("Entity", 0)
    glpi.expire()
    glpi.calls()
    if write:
        glpi.client.create("Ticket", {"name": "x", "content": "<p>x</p>"})
        assert glpi.calls() == ["POST /Ticket", "GET /initSession", "POST /Ticket"]
        assert len(glpi.sandbox.state.dump()["Ticket"]) == 1
    else:
        glpi.client.item("Entity", 0)
        assert glpi.calls() == ["GET /Entity", "GET /initSession", "GET /Entity"]


def test_a_session_that_is_gone_again_at_once_is_a_fault_of_glpi() -> None:
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": "t"}, headers=JSON)
        mock.get(
            "http://glpi/apirest.php/User/2",
            status_code=401,
            json=["ERROR_SESSION_TOKEN_INVALID", "no"],
            headers=JSON,
        )
        with pytest.raises(ServerFault, match="no longer knows our session"):
            GlpiClient("http://glpi/apirest.php", "a", "u").item("User", 2)
        assert mock.call_count == 4


def test_refused_credentials_are_told_apart_from_a_session_that_is_over(glpi: Glpi) -> None:
    for given, code in (
        ({"user_token": "wrong"}, "ERROR_GLPI_LOGIN_USER_TOKEN"),
        ({"app_token": "wrong"}, "ERROR_WRONG_APP_TOKEN_PARAMETER"),
        ({"app_token": ""}, "ERROR_APP_TOKEN_PARAMETERS_MISSING"),
    ):
        with pytest.raises(Unauthorized) as caught:
            glpi.connect(**given).item("Entity", 0)
        assert caught.value.code == code


def test_an_application_token_that_is_taken_back_is_noticed_within_a_session(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.sandbox.sessions.app_token = "another"
    with pytest.raises(Unauthorized):
        glpi.client.item("Entity", 0)


def test_an_api_that_is_switched_off_is_told_apart_from_a_wrong_parameter(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    with pytest.raises(Rejected):
        glpi.client.search("User", [{"field": 99999, "searchtype": "contains", "value": "x"}], (2,))
    glpi.sandbox.state.settings["api_enabled"] = False
    with pytest.raises(Unauthorized, match="switched off"):
        glpi.client.item("Entity", 0)


def test_a_session_older_than_an_entity_is_renewed_once(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    entity = glpi.insert("Entity", name="New", completename="New", entities_id=0)
    glpi.calls()
    glpi.client.create("Ticket", {"name": "x", "content": "<p>x</p>", "entities_id": entity})

    again = ["GET /initSession", "POST /Ticket"] if glpi.sandbox.state.flavour.is_11 else []
    assert glpi.calls() == ["POST /Ticket", *again]
    assert len(glpi.sandbox.state.dump()["Ticket"]) == 1


def test_a_refusal_right_after_the_login_is_final(glpi: Glpi) -> None:
    with pytest.raises(Rejected):
        glpi.client.create("Ticket", {"name": "x", "content": "<p>x</p>", "entities_id": 4711})

    assert glpi.calls() == ["GET /initSession", "POST /Ticket"]


def test_what_the_database_refuses_no_login_changes_so_it_is_not_repeated(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.calls()
    words = (
        "MySQL query error: Data too long for column 'name' at row 1 (1406) in SQL query \"INSERT INTO x\"."
    )
    glpi.strike(answering(400, ["ERROR_GLPI_ADD", words]))
    with pytest.raises(Rejected, match="Data too long"):
        glpi.client.create("Ticket", {"name": "x"})

    glpi.heal()
    assert glpi.client.item("Entity", 0)
    assert not [call for call in glpi.calls() if "initSession" in call]


@pytest.mark.parametrize(
    "words",
    [
        "MySQL query error: Deadlock found when trying to get lock; try restarting transaction (1213)",
        "Lock wait timeout exceeded; try restarting transaction",
        "MySQL server has gone away",
    ],
)
def test_a_passing_complaint_of_the_database_leaves_open_whether_a_record_was_written(
    glpi: Glpi, words: str
) -> None:
    glpi.client.item("Entity", 0)
    glpi.strike(answering(400, ["ERROR_GLPI_ADD", words]))
    with pytest.raises(OutcomeUnknown):
        glpi.client.create("Ticket", {"name": "x"})
    with pytest.raises(ServerFault):
        glpi.client.item("Entity", 0)


def test_rights_missing_are_asked_for_once_more_and_then_refused(glpi: Glpi) -> None:
    client = glpi.connect(user_token=glpi.sandbox.user_tokens["self"])
    client.active_entities()
    glpi.calls()
    with pytest.raises(Rejected) as caught:
        client.items("User")

    assert (caught.value.status, caught.value.code) == (403, "ERROR_RIGHT_MISSING")
    assert glpi.calls() == ["GET /User", "GET /initSession", "GET /User"]


def test_a_session_token_glpi_11_breaks_on_is_dropped(glpi: Glpi) -> None:
    """As after a change of version: GLPI 11 answers a page with status 500, GLPI 10 that it does not know it."""
    client = glpi.client
    client.item("Entity", 0)
    client._session = type(client._session)("not/a+token=" * 30)  # type: ignore[misc,call-arg,union-attr]
    glpi.calls()

    assert client.item("Entity", 0)["id"] == 0
    assert glpi.calls() == ["GET /Entity", "GET /initSession", "GET /Entity"]


def test_a_write_that_met_a_broken_glpi_is_not_repeated_but_the_session_is_dropped(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.strike(page(500, "POST"))
    with pytest.raises(OutcomeUnknown):
        glpi.client.create("Ticket", {"name": "x"})
    glpi.heal()
    glpi.calls()
    glpi.client.item("Entity", 0)

    assert glpi.calls() == ["GET /initSession", "GET /Entity"]


def test_a_logout_closes_the_session_and_a_later_call_opens_another(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.client.kill_session()
    glpi.client.kill_session()
    glpi.client.item("Entity", 0)

    assert [call.split("/")[1] for call in glpi.calls()] == [
        "initSession",
        "Entity",
        "killSession",
        "initSession",
        "Entity",
    ]


def test_no_token_shows_when_a_client_is_printed(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    told = f"{glpi.client!r} {glpi.client._session!r}"

    assert glpi.sandbox.app_token not in told
    assert glpi.client._session is not None
    assert glpi.client._session.token not in told


# -- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "read", "written"),
    [
        (refuse, ServerFault, OutcomeUnknown),
        (html_page, ServerFault, OutcomeUnknown),
        (lose, ApiError, OutcomeUnknown),
        (page(200), ServerFault, OutcomeUnknown),
        (page(502), ServerFault, OutcomeUnknown),
        (page(404), ServerFault, ServerFault),
        (page(301), ServerFault, ServerFault),
        (answering(502, {"error": "gateway"}), ServerFault, OutcomeUnknown),
        (answering(500, ["ERROR_SQL", "x"]), ServerFault, OutcomeUnknown),
    ],
)
def test_what_is_no_answer_of_the_api_is_tried_again_and_a_write_is_looked_up(
    glpi: Glpi, fault: object, read: type[ApiError], written: type[ApiError]
) -> None:
    glpi.client.item("Entity", 0)
    glpi.strike(fault)  # type: ignore[arg-type]
    with pytest.raises(read):
        glpi.client.item("User", 2)
    glpi.heal()
    glpi.client.item("Entity", 0)
    glpi.strike(fault)  # type: ignore[arg-type]
    with pytest.raises(written):
        glpi.client.create("Ticket", {"name": "x"})


@pytest.mark.parametrize(
    ("status", "body", "read", "written"),
    [
        (200, ["ERROR", "x"], Rejected, Rejected),
        (207, ["ERROR_GLPI_PARTIAL_ADD", [{"id": False, "message": "x"}]], Rejected, Rejected),
        (400, ["ERROR_GLPI_ADD", "x"], Rejected, Rejected),
        (400, ["ERROR_GLPI_ADD", ""], Duplicate, Duplicate),
        (400, ["ERROR_GLPI_UPDATE", None], NotFound, NotFound),
        (400, ["ERROR_RANGE_EXCEED_TOTAL", "x"], Rejected, Rejected),
        (400, ["ERROR_WRONG_APP_TOKEN_PARAMETER", "x"], Unauthorized, Unauthorized),
        (401, ["ERROR_GLPI_LOGIN_USER_TOKEN", "x"], Unauthorized, Unauthorized),
        (401, ["ERROR_SESSION_TOKEN_INVALID", "x"], ServerFault, ServerFault),
        (403, ["ERROR_RIGHT_MISSING", "x"], Rejected, Rejected),
        (404, ["ERROR_ITEM_NOT_FOUND", "x"], NotFound, NotFound),
        (400, {"error": "x"}, ServerFault, ServerFault),
        (500, ["ERROR_SQL", "x"], ServerFault, OutcomeUnknown),
        (503, ["ERROR", "x"], ServerFault, OutcomeUnknown),
    ],
)
def test_each_status_and_code_has_its_word(
    status: int, body: object, read: type[ApiError], written: type[ApiError]
) -> None:
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": "t"}, headers=JSON)
        mock.get("http://glpi/apirest.php/User/2", status_code=status, json=body, headers=JSON)
        mock.post("http://glpi/apirest.php/User", status_code=status, json=body, headers=JSON)
        client = GlpiClient("http://glpi/apirest.php", "a", "u")
        for kind, call in (
            (read, lambda: client.item("User", 2)),
            (written, lambda: client.create("User", {})),
        ):
            with pytest.raises(kind) as caught:
                call()
            assert caught.value.status in {status, None}


@pytest.mark.parametrize(
    ("status", "told", "words"),
    [
        (
            400,
            "MySQL query error: Data too long for column 'name' at row 1 (1406) in SQL query \"INSERT INTO Ana\"",
            "GLPI refused: MySQL query error: Data too long for column 'name' at row 1 (1406)",
        ),
        (
            400,
            "Duplicate entry '7-ana@example.com' for key 'unicity'",
            "GLPI refused: Duplicate entry … for key 'unicity'",
        ),
        (
            400,
            "Incorrect integer value: 'Ana Lima' for column `glpi`.`glpi_tickets`.`status` at row 1",
            "GLPI refused: Incorrect integer value: … for column `glpi`.`glpi_tickets`.`status` at row 1",
        ),
        (
            400,
            "Impossible record for Email = ana@example.comOther item exist[Lima Ana - ID: 2 - Entity: Root]",
            "GLPI refused: Impossible record for Email = … [ID: 2]",
        ),
        (
            400,
            "Enregistrement impossible pour Nom = LimaUn autre existe[Lima Ana - ID\u00a0: 2 - Entité\u00a0: x]",
            "GLPI refused: Enregistrement impossible pour Nom = … [ID: 2]",
        ),
        (400, "L&#039;adresse ana@example.com existe", "GLPI refused: L'adresse … existe"),
        (400, "A &lt; b; view documentation in your browser at http://x/#y", "GLPI refused: A < b"),
        (500, "SQL error near 'ana@example.com'", "GLPI answered 500 (ERROR_GLPI_ADD)."),
    ],
)
def test_what_glpi_quotes_of_people_and_of_its_database_is_not_repeated(
    glpi: Glpi, status: int, told: str, words: str
) -> None:
    glpi.client.init_session()
    glpi.strike(answering(status, ["ERROR_GLPI_ADD", told]))
    with pytest.raises(ApiError) as caught:
        glpi.client.create("User", {"name": "ana"})
    assert str(caught.value) == words


def test_a_request_that_is_too_large_is_refused_for_good(glpi: Glpi) -> None:
    glpi.client.item("Entity", 0)
    glpi.strike(page(413))
    with pytest.raises(Rejected, match="too large"):
        glpi.client.create("Ticket", {"name": "x"})


@pytest.mark.parametrize(("told", "after_s"), [("7", 7.0), ("soon", None), (None, None)])
def test_a_web_server_that_asks_to_slow_down_is_heard(told: str | None, after_s: float | None) -> None:
    headers = {"Retry-After": told} if told else {}
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", status_code=429, text="slow", headers=headers)
        with pytest.raises(RateLimited) as caught:
            GlpiClient("http://glpi/apirest.php", "a", "u").init_session()
    assert caught.value.retry_after_s == after_s


@pytest.mark.parametrize("text", ["", "{", "<html>", "null"])
def test_what_calls_itself_json_and_is_none_is_a_fault_of_glpi(text: str) -> None:
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", text=text, headers=JSON)
        with pytest.raises(ServerFault, match="a page instead of data"):
            GlpiClient("http://glpi/apirest.php", "a", "u").init_session()


def test_an_update_that_glpi_does_not_confirm_is_refused(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.strike(answering(200, [{"7": False, "message": "A rule says no"}]))
    with pytest.raises(Rejected, match="A rule says no"):
        glpi.client.update("Ticket", 7, {"status": 5})


@pytest.mark.parametrize("body", [None, {}, {"session_token": ""}, {"session_token": 5}, []])
def test_a_login_without_a_token_is_a_fault_of_glpi(glpi: Glpi, body: object) -> None:
    glpi.strike(answering(200, body))
    with pytest.raises(ServerFault):
        glpi.client.init_session()


@pytest.mark.parametrize(
    "call", ["active_profile", "my_profiles", "my_entities", "active_entities", "full_session", "config"]
)
def test_an_answer_without_what_was_asked_for_is_a_fault_of_glpi(glpi: Glpi, call: str) -> None:
    glpi.client.init_session()
    glpi.strike(answering(200, {}))
    with pytest.raises(ServerFault):
        getattr(glpi.client, call)()


def test_a_creation_without_an_id_leaves_open_whether_it_happened(glpi: Glpi) -> None:
    glpi.client.init_session()
    glpi.strike(answering(201, {"message": "fine"}))
    with pytest.raises(OutcomeUnknown, match="which Ticket"):
        glpi.client.create("Ticket", {"name": "x"})


# -- items ---------------------------------------------------------------------------------------------------------


def test_a_record_that_is_gone_is_not_found_whatever_is_done_with_it(glpi: Glpi) -> None:
    with pytest.raises(NotFound):
        glpi.client.item("Ticket", 4711)
    with pytest.raises(NotFound):
        glpi.client.update("Ticket", 4711, {"status": 5})
    with pytest.raises(NotFound):
        glpi.client.items("Ticket/4711/Ticket_User")
    glpi.client.delete("UserEmail", 4711)


def test_a_record_that_may_not_be_deleted_is_not_taken_for_gone(glpi: Glpi) -> None:
    client = glpi.connect(user_token=glpi.sandbox.user_tokens["self"])
    with pytest.raises(Rejected):
        client.delete("Entity", 0)


def test_an_actor_who_is_there_already_is_a_duplicate(glpi: Glpi) -> None:
    ticket = glpi.client.create("Ticket", {"name": "x", "content": "<p>x</p>", "_users_id_requester": 3})
    with pytest.raises(Duplicate):
        glpi.client.create("Ticket_User", {"tickets_id": ticket, "users_id": 3, "type": 1})


def test_a_search_that_finds_nothing_is_an_empty_list(glpi: Glpi) -> None:
    criterion = {"field": 5, "searchtype": "contains", "value": "^nobody@example.com$"}
    assert glpi.client.search("User", [criterion], (1, 2)) == []


def test_a_search_finds_by_id_oldest_first_and_looks_into_the_bin_on_demand(glpi: Glpi) -> None:
    for number in (1, 2):
        glpi.insert("Ticket", name=f"b{3 - number}", content="mark", status=2)
    glpi.insert("Ticket", name="c", content="mark", status=2, is_deleted=1)
    criteria = [{"field": 21, "searchtype": "contains", "value": "mark"}]

    assert [row["1"] for row in glpi.client.search("Ticket", criteria, (1, 2))] == ["b2", "b1"]
    assert [row["1"] for row in glpi.client.search("Ticket", criteria, (1, 2), binned=True)] == ["c"]


def test_all_followups_of_a_ticket_are_read_and_not_only_the_first_twenty(glpi: Glpi) -> None:
    ticket = glpi.insert("Ticket", name="x", content="x", status=2)
    for number in range(30):
        glpi.insert("ITILFollowup", itemtype="Ticket", items_id=ticket, content=f"<p>{number}</p>")
    rows = glpi.client.items(f"Ticket/{ticket}/ITILFollowup", {"sort": "id", "order": "DESC"}, limit=200)

    assert [row["content"] for row in rows] == [f"<p>{number}</p>" for number in reversed(range(30))]


# -- dates ---------------------------------------------------------------------------------------------------------


def test_a_time_is_told_by_the_clock_of_glpi(glpi: Glpi) -> None:
    assert glpi.client.local_date(NOON) == "2026-11-22 09:00:00"
    assert glpi.client.local_date(NOON.astimezone(tz=None)) == "2026-11-22 09:00:00"


def test_the_zone_is_measured_once_an_hour(glpi: Glpi) -> None:
    for seconds in (0.0, 1.0, OFFSET_KEEP_S - 1):
        glpi.clock.seconds = seconds
        glpi.client.local_date(NOON)
    assert glpi.calls() == ["GET /initSession", "GET /getFullSession"]

    glpi.expire()
    glpi.clock.seconds = OFFSET_KEEP_S + 1
    glpi.client.local_date(NOON)
    assert glpi.calls()[-1] == "GET /getFullSession"


def test_the_zone_is_measured_anew_in_a_new_session(glpi: Glpi) -> None:
    assert glpi.client.utc_offset() == timedelta(hours=-3)
    glpi.client.update("User", 2, {"timezone": "UTC"})
    assert glpi.client.utc_offset() == timedelta(hours=-3)
    glpi.client.log_in_anew()

    assert glpi.client.utc_offset() == timedelta(hours=-3 if glpi.sandbox.state.flavour.is_11 else 0)


def test_threads_measure_the_zone_together(glpi: Glpi) -> None:
    assert together(THREADS, glpi.client.utc_offset) == [timedelta(hours=-3)] * THREADS
    assert glpi.calls().count("GET /getFullSession") == 1


@pytest.mark.parametrize(
    ("ahead_s", "hours"), [(3600, 1.0), (-12600, -3.5), (20700, 5.75), (3610, 1.0), (-5, 0.0)]
)
def test_the_zone_is_a_quarter_of_an_hour_exact_though_clocks_differ(ahead_s: int, hours: float) -> None:
    local = (NOON + timedelta(seconds=ahead_s)).strftime("%Y-%m-%d %H:%M:%S")
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": "t"}, headers=JSON)
        mock.get(
            "http://glpi/apirest.php/getFullSession",
            json={"session": {"glpi_currenttime": local}},
            headers=JSON | {"Date": "Sun, 22 Nov 2026 12:00:00 GMT"},
        )
        client = GlpiClient("http://glpi/apirest.php", "a", "u")
        assert client.utc_offset() == timedelta(hours=hours)


@pytest.mark.parametrize("told", [None, "", "soon"])
def test_a_session_that_does_not_tell_the_time_is_a_fault_of_glpi(told: str | None) -> None:
    with mocking.Mocker() as mock:
        mock.get("http://glpi/apirest.php/initSession", json={"session_token": "t"}, headers=JSON)
        body = {"session": {"glpi_currenttime": told}}
        mock.get("http://glpi/apirest.php/getFullSession", json=body, headers=JSON)
        with pytest.raises(ServerFault, match="time"):
            GlpiClient("http://glpi/apirest.php", "a", "u").utc_offset()
