"""Replays a recorded tape against a GLPI server and tells, call by call, what a client would notice.

Guarantees to the contract tests: the calls go out in the recorded order with ids and tokens of the server
under test in place of the recorded ones, and a case agrees only when status, error code, keys, JSON types
and every value that carries a meaning agree. Ids are compared through the map of what was created, dates by
being dates; tokens, addresses, durations and random names are compared by type alone.

    python -m crm_sync.sandbox.glpi.replay TAPE [--flavour 10.0.19] [--only NAMES.json] [--learn AGREED.json]

starts a sandbox of that flavour, prints one line a difference, and with ``--learn`` adds the cases that
agree to a list (which only ever grows).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from crm_sync.sandbox.glpi.app import create_app
from crm_sync.sandbox.glpi.flavour import FLAVOURS
from crm_sync.sandbox.glpi.schema import foreign_type
from crm_sync.sandbox.glpi.state import SERVER_UTC_OFFSET, moment
from crm_sync.sandbox.replay import PLACEHOLDER, Outcome, StillClock, filled, read_tape, run_command
from crm_sync.sandbox.server import SandboxServer

PREFIX = "/apirest.php"
TIMEOUT_S = 30

_DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
_DATES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_START = re.compile(r'"glpi_currenttime": "([^"]+)"')
#: Where a path names the type of its sub-items.
_CHILD = 2
_STEP = timedelta(minutes=10)
_SIZE = re.compile(r"^<(\d+) bytes>$")
_NUMBER_IN_TEXT = re.compile(r"\d+")
_POINTER = re.compile(r"; view documentation.*", re.DOTALL)
_STATEMENT = re.compile(r" in SQL query .*| (?:for column|for key) .*", re.DOTALL)

#: Values that say nothing: random, or a matter of the machine and the moment.
_OPAQUE = {
    "_logs",
    "body",
    "deleteUrl",
    "display_name",
    "filepath",
    "glpi_maxhistory",
    "glpicrontimer",
    "glpi_currenttime",
    "glpigroups_cache_date",
    "headers",
    "href",
    "ipv4_range_end",
    "last_login",
    "name_of_upload",
    "prefix",
    "session_token",
    "sha1sum",
    "tag",
    "url",
    "url_base",
    "url_base_api",
    "valid_id",
    "version_check",
}
_DURATIONS = re.compile(r"_delay_stat$|waiting_duration$")
_SEARCH_IDS = {"2": None, "4": "User", "5": "User", "66": "User", "21": None, "Ticket.id": "Ticket"}
_ACTOR_KEYS = re.compile(r"^_(users|groups|suppliers)_id_")


@dataclass
class Replay:
    """One run of a tape against one server."""

    url: str
    app_token: str
    user_tokens: Mapping[str, str]
    #: Called with the recorded second before each call, for a server whose clock can be set.
    at: Callable[[datetime], None] | None = None
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values["APP_TOKEN"] = self.app_token
        self.values.update({f"USER_TOKEN_{name.upper()}": token for name, token in self.user_tokens.items()})

    def run(self, tape: Path) -> Iterator[Outcome]:
        """Sends every call of the tape, in order."""
        entries = list(read_tape(tape))
        with requests.Session() as http:
            for entry, moment in zip(entries, timeline(entries), strict=True):
                if self.at is not None and moment is not None:
                    self.at(moment)
                yield self._one(http, entry)

    def _one(self, http: requests.Session, entry: Mapping[str, Any]) -> Outcome:
        path = self._path(entry["path"].removeprefix(PREFIX))
        kind = _kind(path)
        answer = http.request(
            entry["method"],
            self.url + path,
            params=self._query(entry["query"], kind),
            timeout=TIMEOUT_S,
            **self._payload(entry),
        )
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        self._learn(entry, kind, body)
        difference = ""
        if answer.status_code != entry["status"]:
            difference = f"status {answer.status_code}, recorded {entry['status']}: {str(body)[:90]}"
        else:
            difference = next(self._compare(entry["resp"], body, kind, ""), "")
        return Outcome(entry["case"], f"{entry['method']} {path}", difference)

    def _payload(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        headers = {name: filled(value, self.values) for name, value in entry["headers"].items()}
        found: dict[str, Any] = {"headers": headers}
        if entry["multipart"]:
            headers.pop("Content-Type", None)
            found["files"] = [self._part(*part) for part in entry["multipart"]]
        elif isinstance(entry["body"], (dict, list)):
            found["data"] = json.dumps(self._mapped(entry["body"], None)).encode()
        elif entry["body"] is not None:
            found["data"] = str(entry["body"]).encode()
        return found

    def _part(self, name: str, filename: str | None, content: str, mime: str) -> tuple[str, Any]:
        size = _SIZE.match(content)
        if size is not None:
            content = "x" * int(size.group(1))
        elif content.startswith("{"):
            content = json.dumps(self._mapped(json.loads(content), None))
        return name, (filename, content, mime)

    def _path(self, path: str) -> str:
        parts = path.split("/")
        for position in range(2, len(parts)):
            known = self.ids.get((_table(parts[position - 1]), parts[position]))
            parts[position] = parts[position] if known is None else str(known)
        return "/".join(parts)

    def _query(self, query: Any, kind: str) -> Any:
        if not isinstance(query, dict):
            return query
        found = {name: filled(str(value), self.values) for name, value in query.items()}
        for name, value in query.items():
            if name.endswith("[value]"):
                column = str(query.get(name.replace("[value]", "[field]")))
                found[name] = self._criterion(kind, column, str(value))
            elif name.startswith("searchText[") and name.endswith("s_id]"):
                owner = _owner(name[11:-1], str(query.get("searchText[itemtype]")).strip("^$"))
                found[name] = self._inside(owner or "", str(value))
            elif name.endswith("[items_id]"):
                owner = str(query.get(name.replace("items_id", "itemtype")))
                found[name] = self._inside(owner, str(value))
        return found

    def _criterion(self, kind: str, column: str, value: str) -> str:
        owners = {"2": kind, "4": "User", "9": "RequestType", "80": "Entity"}
        if kind == "User":
            owners["1"] = "User"
        owner = owners.get(column)
        return self._inside(owner, value) if owner else value

    def _inside(self, owner: str, value: str) -> str:
        """A value like ``^27$`` with the id in it translated."""
        number = _NUMBER_IN_TEXT.search(value)
        if number is None or re.search(r"[A-Za-z]", value):
            return value
        known = self.ids.get((_table(owner), number.group(0)))
        return value if known is None else value.replace(number.group(0), str(known))

    def _mapped(self, value: Any, key: str | None, itemtype: str | None = None) -> Any:
        if isinstance(value, dict):
            owner = str(value.get("itemtype")) if "itemtype" in value else None
            return {name: self._mapped(inner, name, owner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._mapped(inner, key, itemtype) for inner in value]
        if isinstance(value, str):
            value = filled(value, self.values)
        owner = _owner(key, itemtype)
        known = self.ids.get((_table(owner), str(value))) if owner else None
        if known is None:
            return value
        return known if isinstance(value, int) else str(known)

    def _learn(self, entry: Mapping[str, Any], kind: str, body: Any) -> None:
        wanted = entry["resp"]
        if isinstance(wanted, dict) and isinstance(body, dict) and "session_token" in wanted:
            name = str(wanted["session_token"]).strip("{}")
            self.values[name] = str(body.get("session_token"))
        if entry["method"] != "POST":
            return
        for recorded, ours in _rows_of(wanted, body):
            if recorded.get("id") and ours.get("id"):
                self.ids[(_table(kind), str(recorded["id"]))] = ours["id"]

    def _compare(self, want: Any, got: Any, kind: str, where: str) -> Iterator[str]:
        """Differences, the first one first; lazily, as only that one is shown."""
        if isinstance(want, str) and where == "" and not isinstance(got, (dict, list)):
            if bool(want.strip()) != bool(str(got).strip()):
                yield "empty or not differs"
            return
        if _type(want) != _type(got):
            yield f"{where or 'body'}: {_short(got)}, recorded {_short(want)}"
        elif isinstance(want, dict):
            yield from self._compare_objects(want, got, kind, where)
        elif isinstance(want, list):
            if where.endswith(".links"):
                want, got = [link["rel"] for link in want], [link["rel"] for link in got]
            if len(want) != len(got):
                yield f"{where or 'body'}: {len(got)} entries, recorded {len(want)}"
            for position, (inner, ours) in enumerate(zip(want, got, strict=False)):
                yield from self._compare(inner, ours, kind, f"{where}.{position}")
        elif not self._same(want, got, kind, where):
            yield f"{where or 'body'}: {_short(got)}, recorded {_short(want)}"

    def _compare_objects(
        self, want: Mapping[str, Any], got: Mapping[str, Any], kind: str, where: str
    ) -> Iterator[str]:
        want = {self._key(name, kind, value): value for name, value in want.items()}
        if set(want) != set(got):
            yield f"{where or 'body'}: keys {sorted(set(want) ^ set(got))[:6]} on one side only"
            return
        for name, value in want.items():
            if name in _OPAQUE or (where.startswith(".upload_result") and name in ("name", "id", "type")):
                continue
            yield from self._compare(value, got[name], kind, f"{where}.{name}")

    def _key(self, name: str, kind: str, value: Any) -> str:
        """The id that a PUT's or DELETE's answer uses as a key."""
        known = self.ids.get((_table(kind), name)) if isinstance(value, bool) else None
        return name if known is None else str(known)

    def _same(self, want: Any, got: Any, kind: str, where: str) -> bool:
        name = where.rpartition(".")[2]
        if isinstance(want, str):
            return self._same_text(want, got, where, name)
        if isinstance(want, bool) or want is None:
            return bool(want == got)
        if _DURATIONS.search(name):
            return True
        owner = self._owner_at(name, kind, where)
        if owner is not None:
            known = self.ids.get((_table(owner), str(want)))
            return known is None or known == got
        return bool(want == got)

    def _same_text(self, want: str, got: str, where: str, name: str) -> bool:
        if _DATE_TIME.match(want):
            return _DATE_TIME.match(got) is not None
        if PLACEHOLDER.search(want) or name in _OPAQUE:
            return True
        if ".data." in where and name in ("4", "5", "66") and want.isdigit():
            return got == str(self.ids.get(("User", want), want))
        if name in ("message", "1") and not where.startswith(".data"):
            return _meaning(want) == _meaning(got)
        return want == got

    def _owner_at(self, name: str, kind: str, where: str) -> str | None:
        if ".data." in where:
            return kind if name in ("2", "7", "21", f"{kind}.id") else None
        if name == "id" or name.isdigit():
            return kind if name == "id" and ".my" not in where else None
        return _owner(name, None) or ("?" if name == "items_id" else None)


def _rows_of(wanted: Any, body: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of two answers side by side, those of a bulk answer inside an error array included."""
    if isinstance(wanted, dict) and isinstance(body, dict):
        yield wanted, body
    elif isinstance(wanted, list) and isinstance(body, list):
        for inner, ours in zip(wanted, body, strict=False):
            yield from _rows_of(inner, ours)


def _kind(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    if parts[0] in ("search", "listSearchOptions") and len(parts) > 1:
        return parts[1]
    return parts[_CHILD] if len(parts) > _CHILD else parts[0]


def _table(kind: str) -> str:
    return "ITILFollowup" if kind == "TicketFollowup" else kind


def _owner(key: str | None, itemtype: Any) -> str | None:
    if key is None:
        return None
    if key == "items_id":
        return str(itemtype) if itemtype else None
    return foreign_type(key.removeprefix("_"))


def _meaning(text: str) -> str:
    """A message without what depends on ids, addresses and the statement that failed."""
    return _NUMBER_IN_TEXT.sub("#", _STATEMENT.sub("", _POINTER.sub("", text)))


def _type(value: Any) -> str:
    return type(value).__name__


def _short(value: Any) -> str:
    return repr(value)[:80]


def timeline(entries: list[dict[str, Any]]) -> list[datetime | None]:
    """The second each call was made in, as far as the dates in the answers tell.

    Rows sorted by date come in the recorded order only when a replay lives through the same seconds.
    """
    known: list[datetime | None] = []
    latest: datetime | None = None
    for entry in entries:
        dates = [moment(text) for text in _DATES.findall(json.dumps(entry["resp"]))]
        start = _START.search(json.dumps(entry["resp"])) if latest is None else None
        if start is not None:
            latest = moment(start.group(1))
        if latest is not None:
            near = [date for date in dates if latest < date < latest + _STEP]
            latest = max(near, default=latest)
            known.append(latest if near or start else None)
        else:
            known.append(None)
    following: datetime | None = latest
    found: list[datetime | None] = []
    for shown in reversed(known):
        following = shown or following
        found.append(following)
    return [None if at is None else at.replace(tzinfo=UTC) - SERVER_UTC_OFFSET for at in reversed(found)]


def replay_against_sandbox(tape: Path, flavour: str) -> list[Outcome]:
    """Runs a tape against a fresh sandbox; calls without a case name only prepare the ground."""
    app = create_app(flavour=flavour)
    sandbox = app.extensions["sandbox"]
    with SandboxServer(app) as server:
        clock = StillClock()
        sandbox.state.clock = clock.now
        run = Replay(server.url + PREFIX, sandbox.app_token, sandbox.user_tokens, at=clock.set)
        return [outcome for outcome in run.run(tape) if outcome.case is not None]


def main(arguments: list[str] | None = None) -> int:
    """The command of the module docstring; 0 when every case asked for agrees."""
    return run_command("GLPI", FLAVOURS, replay_against_sandbox, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
