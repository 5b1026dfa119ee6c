"""Replays a recorded tape against a Krayin server and tells, call by call, what a client would notice.

Guarantees to the contract tests: the calls go out in the recorded order with ids and tokens of the server under test
in place of the recorded ones, at the recorded second, and a case agrees only when status, keys, JSON types and every
value that carries a meaning agree. Ids are compared through the map of what was created, dates by being dates, tokens
and random names by type alone.

    python -m crm_sync.sandbox.krayin.replay TAPE [--flavour 2.1.0] [--only NAMES.json] [--learn AGREED.json]

starts a sandbox of that flavour, prints one line a difference, and with ``--learn`` adds the cases that agree to a
list (which only ever grows). A case that was recorded twice counts twice, the second time as ``name#2``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from crm_sync.sandbox.krayin.app import KrayinSandbox, create_app
from crm_sync.sandbox.krayin.flavour import FLAVOURS
from crm_sync.sandbox.replay import PLACEHOLDER, Outcome, StillClock, filled, read_tape, run_command
from crm_sync.sandbox.server import SandboxServer

TIMEOUT_S = 30

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{6}Z)?$")
#: Values that say nothing: random, or a matter of the machine and the moment.
_OPAQUE = {
    "token",
    "unique_id",
    "message_id",
    "reference_ids",
    "path",
    "url",
    "first",
    "last",
    "prev",
    "next",
}
#: Keys whose numbers are ids, and of what.
_OWNERS = {
    "person_id": "persons",
    "lead_id": "leads",
    "organization_id": "organizations",
    "product_id": "products",
    "tag_id": "tags",
    "person": "persons",
    "organization": "organizations",
    "lead": "leads",
    "product": "products",
}
_BAD_TOKEN = "1|" + "x" * 40


@dataclass
class Replay:
    """One run of a tape against one server."""

    url: str
    token: str
    #: Called with the recorded second before each call, for a server whose clock can be set.
    at: Callable[[datetime], None] | None = None
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values.update(TOKEN=self.token, BAD_TOKEN=_BAD_TOKEN)

    def run(self, tape: Path) -> Iterator[Outcome]:
        """Sends every call of the tape, in order."""
        entries = list(read_tape(tape))
        seen: Counter[str] = Counter()
        with requests.Session() as http:
            for entry, moment in zip(entries, timeline(entries), strict=True):
                if self.at is not None and moment is not None:
                    self.at(moment)
                outcome = self._one(http, entry)
                if outcome.case is not None:
                    seen[outcome.case] += 1
                    if seen[outcome.case] > 1:
                        outcome.case += f"#{seen[outcome.case]}"
                yield outcome

    def _one(self, http: requests.Session, entry: Mapping[str, Any]) -> Outcome:
        path = self._path(entry["path"])
        answer = http.request(
            entry["method"],
            self.url + path,
            params=self._query(entry["query"]),
            headers={name: filled(value, self.values) for name, value in entry["headers"].items()},
            data=self._body(entry["body"]),
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        kind = _kind(path)
        self._learn(entry, kind, body)
        if answer.status_code != entry["status"]:
            difference = f"status {answer.status_code}, recorded {entry['status']}: {str(body)[:90]}"
        else:
            difference = next(self._compare(entry["resp"], body, kind, ""), "")
        return Outcome(entry["case"], f"{entry['method']} {path}", difference)

    def _path(self, path: str) -> str:
        parts = path.split("/")
        for position in range(1, len(parts)):
            owner = "leads" if parts[position - 1] in ("edit", "product") else parts[position - 1]
            parts[position] = str(self.ids.get((owner, parts[position]), parts[position]))
        return "/".join(parts)

    def _query(self, query: Any) -> Any:
        if not isinstance(query, dict):
            return query
        return {name: self._mapped(value, name) for name, value in query.items()}

    def _body(self, body: Any) -> bytes | None:
        if isinstance(body, (dict, list)):
            return json.dumps(self._mapped(body, None)).encode()
        return None if body is None else filled(str(body), self.values).encode()

    def _mapped(self, value: Any, key: str | None) -> Any:
        if isinstance(value, dict):
            owner = _OWNERS.get(key or "")
            inner = {name: self._mapped(each, name) for name, each in value.items()}
            if owner is not None and "id" in inner:
                inner["id"] = self.ids.get((owner, str(inner["id"])), inner["id"])
            return inner
        if isinstance(value, list):
            return [self._mapped(each, key) for each in value]
        known = self.ids.get((_OWNERS.get(key or "", ""), str(value)))
        if known is not None:
            return known if isinstance(value, int) else str(known)
        return filled(value, self.values) if isinstance(value, str) else value

    def _learn(self, entry: Mapping[str, Any], kind: str, body: Any) -> None:
        wanted = entry["resp"]
        if not isinstance(wanted, dict) or not isinstance(body, dict):
            return
        token = PLACEHOLDER.fullmatch(str(wanted.get("token")))
        if token is not None and body.get("token"):
            self.values[token.group(1)] = body["token"]
        recorded, ours = wanted.get("data"), body.get("data")
        if entry["method"] == "POST" and isinstance(recorded, dict) and isinstance(ours, dict):
            self._learn_ids(kind, recorded, ours)

    def _learn_ids(self, kind: str, recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        if recorded.get("id") and ours.get("id"):
            self.ids[(kind, str(recorded["id"]))] = ours["id"]
        for name, owner in _OWNERS.items():
            if isinstance(recorded.get(name), dict) and isinstance(ours.get(name), dict):
                self._learn_ids(owner, recorded[name], ours[name])

    def _compare(self, want: Any, got: Any, kind: str, where: str) -> Iterator[str]:
        """Differences, the first one first; lazily, as only that one is shown."""
        if isinstance(want, str) and not where and not isinstance(got, (dict, list)):
            if bool(want.strip()) != bool(str(got).strip()):
                yield "empty or not differs"
        elif _type(want) != _type(got):
            yield f"{where or 'body'}: {_short(got)}, recorded {_short(want)}"
        elif isinstance(want, dict):
            yield from self._compare_objects(want, got, kind, where)
        elif isinstance(want, list):
            if len(want) != len(got):
                yield f"{where or 'body'}: {len(got)} entries, recorded {len(want)}"
            for position, (inner, ours) in enumerate(zip(want, got, strict=False)):
                yield from self._compare(inner, ours, kind, f"{where}.{position}")
        elif not self._same(want, got, kind, where):
            yield f"{where or 'body'}: {_short(got)}, recorded {_short(want)}"

    def _compare_objects(
        self, want: Mapping[str, Any], got: Mapping[str, Any], kind: str, where: str
    ) -> Iterator[str]:
        if set(want) != set(got):
            yield f"{where or 'body'}: keys {sorted(set(want) ^ set(got))[:6]} on one side only"
            return
        for name, value in want.items():
            if name not in _OPAQUE:
                yield from self._compare(value, got[name], kind, f"{where}.{name}")

    def _same(self, want: Any, got: Any, kind: str, where: str) -> bool:
        *_, parent, name = ("", "", *(part for part in where.split(".") if not part.isdigit()))
        if isinstance(want, str):
            if PLACEHOLDER.search(want):
                return True
            return _DATE.match(got) is not None if _DATE.match(want) else want == got
        owner = _OWNERS.get(parent, kind) if name == "id" else _OWNERS.get(name)
        if owner is not None and want is not None:
            known = self.ids.get((owner, str(want)))
            return known is None or known == got
        return bool(want == got)


def _kind(path: str) -> str:
    """What a path creates: its last word."""
    return path.strip("/").rpartition("/")[2]


def _type(value: Any) -> str:
    return type(value).__name__


def _short(value: Any) -> str:
    return repr(value)[:80]


def timeline(entries: list[dict[str, Any]]) -> list[datetime | None]:
    """The second each call was made in, as far as the stamps in its answer and those before tell."""
    found: list[datetime | None] = []
    latest: datetime | None = None
    for entry in entries:
        for text in _STAMP.findall(json.dumps(entry["resp"])):
            stamp = datetime.fromisoformat(text).replace(microsecond=0, tzinfo=UTC)
            # Dates of another day are plans: when something closes or is to happen.
            if latest is None or (stamp > latest and stamp.date() == latest.date()):
                latest = stamp
        found.append(latest)
    return found


def replayed(tape: Path, flavour: str) -> tuple[KrayinSandbox, list[Outcome]]:
    """A fresh sandbox after a tape was run against it, and what became of the cases.

    Calls without a case name only prepare the ground.
    """
    app = create_app(flavour=flavour)
    sandbox: KrayinSandbox = app.extensions["sandbox"]
    with SandboxServer(app) as server:
        clock = StillClock()
        sandbox.state.clock = clock.now
        run = Replay(server.url, sandbox.token, at=clock.set)
        return sandbox, [outcome for outcome in run.run(tape) if outcome.case is not None]


def replay_against_sandbox(tape: Path, flavour: str) -> list[Outcome]:
    """What became of the cases of a tape on a fresh sandbox."""
    return replayed(tape, flavour)[1]


def main(arguments: list[str] | None = None) -> int:
    """The command of the module docstring; 0 when every case asked for agrees."""
    return run_command("Krayin", FLAVOURS, replay_against_sandbox, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
