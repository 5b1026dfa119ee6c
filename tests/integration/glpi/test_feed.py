"""What GLPI tells of its changes: nothing missed and nothing asked for twice, whatever its clock and its rows do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync.crms.base import HookView, PulledPage, PullFrom
from crm_sync.crms.glpi import pull
from crm_sync.crms.glpi.client import GlpiClient
from crm_sync.sandbox.glpi import GlpiSandbox, create_app
from crm_sync.sandbox.server import SandboxServer

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@dataclass
class Feed:
    """A GLPI, its tickets, and who reads what changed."""

    glpi: GlpiSandbox
    client: GlpiClient
    hook: HookView
    moment: datetime = NOW
    watermark: datetime | None = None
    last: datetime | None = None

    def ticket(self, changed: datetime | str, **columns: Any) -> int:
        """A ticket that changed then, by GLPI's clock."""
        with self.glpi.state.lock:
            row = self.glpi.state["Ticket"].insert(
                {
                    "name": "x",
                    "content": "x",
                    "status": 2,
                    "date_mod": str(changed)[:19],
                    "is_deleted": 0,
                    **columns,
                }
            )
            return int(row["id"])

    def change(self, number: int, changed: datetime, **columns: Any) -> None:
        """The ticket changes then."""
        with self.glpi.state.lock:
            table = self.glpi.state["Ticket"]
            table.update(table.rows[number], {"date_mod": str(changed)[:19], **columns})

    def pages(self) -> Iterator[PulledPage]:
        """What a pull brings, its watermark kept as the engine does."""
        start = PullFrom(
            watermark=self.watermark, since=NOW - timedelta(days=1), last=self.last, now=self.moment
        )
        for page in pull.changes(self.client, self.hook, start):
            self.watermark = page.watermark
            yield page
        self.last = self.moment

    def ids(self) -> list[int]:
        """The tickets a pull brings."""
        return [int(record.remote_id) for page in self.pages() for record in page.records]

    def calls(self) -> int:
        """How many requests were made since the last time."""
        made = len(self.glpi.requests)
        self.glpi.reset_requests()
        return made


@pytest.fixture
def feed(flavour: str) -> Iterator[Feed]:
    """An empty GLPI, three hours behind UTC."""
    web = create_app(flavour=flavour)
    glpi: GlpiSandbox = web.extensions["sandbox"]
    with SandboxServer(web) as server:
        url = f"{server.url}/apirest.php"
        client = GlpiClient(url, glpi.app_token, glpi.user_tokens["super"])
        settings = {"enable_bidirectional_sync": True, "sync_interval_minutes": 15}
        hook = HookView(1, "glpi", settings, {"version": flavour, "login": "glpi"}, "http://chat", 1)
        feed = Feed(glpi, client, hook)
        # What a running server has done already.
        client.utc_offset()
        glpi.reset_requests()
        yield feed


def local(hours: float = 0, **more: float) -> datetime:
    """A moment by GLPI's clock, from now on."""
    return NOW.replace(tzinfo=None) - timedelta(hours=3) + timedelta(hours=hours, **more)


def test_nothing_changed_costs_one_request(feed: Feed) -> None:
    feed.ticket(local(-1))
    feed.ids()
    feed.moment += timedelta(minutes=5)
    feed.calls()
    feed.ids()
    assert feed.calls() == 1


def test_the_first_pull_begins_where_the_hook_began(feed: Feed) -> None:
    feed.ticket(local(-30))
    new = feed.ticket(local(-2))
    assert feed.ids() == [new]


def test_what_changes_is_told_by_the_clock_of_glpi_whatever_its_zone(feed: Feed) -> None:
    feed.ids()
    number = feed.ticket(local(minutes=1))
    feed.moment += timedelta(minutes=2)
    assert feed.ids() == [number]


def test_nothing_is_missed_when_the_zone_of_glpi_moves_back(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    with monkeypatch.context() as patched:
        # The account's zone was UTC until now.
        patched.setattr(feed.client, "utc_offset", lambda: timedelta(0))
        feed.ids()
    numbers = []
    for quarter in range(16):
        numbers.append(feed.ticket(local(minutes=15 * quarter + 5)))
        feed.moment = NOW + timedelta(minutes=15 * (quarter + 1))
        found += feed.ids()
    assert set(found) == set(numbers)


def test_what_both_sides_know_is_told_without_a_time_of_change(feed: Feed) -> None:
    ours = feed.ticket(local(-1), users_id_lastupdater=2, urgency=4, impact=4)
    theirs = feed.ticket(local(-1), users_id_lastupdater=4, status=5)
    states = {int(record.remote_id): record.state for page in feed.pages() for record in page.records}
    assert states[ours] == {"binned": False, "status": 2, "urgency": 4, "impact": 4}
    assert states[theirs]["changed"] == str(local(-1))
    assert states[theirs]["status"] == 5


def test_two_hundred_tickets_of_one_second_are_all_told(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "PAGE", 30)
    same = {feed.ticket(local(-1)) for _ in range(200)}
    later = {feed.ticket(local(-1, seconds=1)) for _ in range(40)}
    assert set(feed.ids()) == same | later


def test_a_ticket_that_moves_while_pages_are_read_is_told_and_hides_no_other(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "PAGE", 10)
    numbers = [feed.ticket(local(-2, seconds=second)) for second in range(50)]
    told: list[int] = []
    for count, page in enumerate(feed.pages()):
        told += [int(record.remote_id) for record in page.records]
        if count < 5:
            # What was read already moves to the end; without it, what is not yet read moves up.
            for number in numbers[count * 4 : count * 4 + 3]:
                feed.change(number, local(-1, seconds=count))
    assert set(told) == set(numbers)


def test_a_change_that_is_committed_late_is_told(feed: Feed) -> None:
    feed.ticket(local(-0.5))
    feed.ids()
    late = feed.ticket(local(-0.6))
    assert late in feed.ids()


def test_a_clock_that_is_set_back_ten_minutes_hides_nothing(feed: Feed) -> None:
    feed.ticket(local(minutes=10))
    feed.ids()
    behind = feed.ticket(local(minutes=1))
    feed.moment += timedelta(minutes=1)
    assert behind in feed.ids()


def test_the_hour_that_comes_twice_hides_nothing(feed: Feed) -> None:
    feed.ticket(local(minutes=50))
    feed.ids()
    # The clocks went back an hour: ten minutes later it is fifty minutes earlier.
    repeated = feed.ticket(local(minutes=0))
    feed.moment += timedelta(minutes=10)
    assert repeated in feed.ids()


def test_a_ticket_of_the_future_does_not_stop_the_feed(feed: Feed) -> None:
    feed.ticket("2038-01-01 00:00:00")
    feed.ids()
    number = feed.ticket(local(minutes=1))
    feed.moment += timedelta(minutes=2)
    assert number in feed.ids()


def test_the_bin_is_looked_into_once_an_hour_and_whenever_there_is_news(feed: Feed) -> None:
    feed.ids()
    binned = feed.ticket(local(minutes=1), is_deleted=1)
    feed.moment += timedelta(minutes=5)
    assert feed.ids() == []
    feed.moment += timedelta(minutes=60)
    assert feed.ids() == [binned]
    another = feed.ticket(local(1, minutes=6), is_deleted=1)
    news = feed.ticket(local(1, minutes=7))
    feed.moment += timedelta(minutes=5)
    assert set(feed.ids()) >= {another, news}


def test_the_bin_is_looked_through_from_the_last_pull_on_however_long_that_is_ago(feed: Feed) -> None:
    feed.ids()
    binned = feed.ticket(local(1), is_deleted=1)
    feed.moment += timedelta(hours=30)
    assert binned in feed.ids()


@pytest.mark.parametrize("switched_on", ["enable_followup_pull", "pull_assignee"])
def test_a_ticket_that_we_changed_last_may_hold_news_where_no_column_shows_it(
    feed: Feed, switched_on: str
) -> None:
    feed.hook = replace(feed.hook, settings={**feed.hook.settings, switched_on: True})
    feed.ticket(local(-1), users_id_lastupdater=2)
    (record,) = [record for page in feed.pages() for record in page.records]
    assert record.state["changed"] == str(local(-1))


def test_a_ticket_in_the_bin_says_so_and_one_that_came_back_does_not(feed: Feed) -> None:
    number = feed.ticket(local(-1), is_deleted=1)
    states = [record.state for page in feed.pages() for record in page.records]
    assert states == [{"binned": True}]
    feed.change(number, local(), is_deleted=0)
    assert [record.state["binned"] for page in feed.pages() for record in page.records] == [False]


def test_ten_thousand_tickets_of_which_a_hundred_changed_cost_one_page_and_a_look_into_the_bin(
    feed: Feed,
) -> None:
    for number in range(1000):
        feed.ticket(local(-20, seconds=number))
    feed.ids()
    feed.calls()
    changed = {feed.ticket(local(minutes=1, seconds=number % 7)) for number in range(100)}
    feed.moment += timedelta(minutes=2)
    assert set(feed.ids()) >= changed
    assert feed.calls() == 2


def test_an_older_glpi_is_asked_for_one_order_only() -> None:
    assert pull._sorting(HookView(1, "glpi", {}, {"version": "9.5.7"}, "", 1)) == {"sort": 19, "order": "ASC"}


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({"enable_bidirectional_sync": True, "sync_interval_minutes": 5}, 300.0),
        ({"enable_bidirectional_sync": False, "sync_interval_minutes": 5}, None),
        (
            {
                "enable_bidirectional_sync": True,
                "enable_ticket_sync": False,
                "sync_interval_minutes": 5,
            },
            None,
        ),
        ({}, None),
    ],
)
def test_the_settings_say_how_often_glpi_is_asked(settings: dict[str, Any], seconds: float | None) -> None:
    assert pull.interval_s(settings) == seconds
