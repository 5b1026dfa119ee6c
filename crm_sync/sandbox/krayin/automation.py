"""Workflows: the webhooks they trigger (121-125), and the e-mails that a fresh installation sends to participants.

Delivery happens within the request that caused it, once, and its failures are nobody's business. The values are
spliced into the payload's JSON as they are: a quote in one of them breaks it, and the older generation then sends
nothing, the newer an empty body. That is why a payload is to hold ids and codes only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import requests

from crm_sync.sandbox.krayin import attributes, labels
from crm_sync.sandbox.krayin.context import Context
from crm_sync.sandbox.krayin.sql import Row, json_text, number_in
from crm_sync.sandbox.krayin.state import State

_PLACEHOLDER = re.compile(r"\{%(\w+)\.(\w+)%\}")
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_TIMEOUT_S = 30
_NO_DATE = "N/A"


@dataclass(frozen=True)
class Delivery:
    """One request to a webhook's receiver."""

    webhook: int
    method: str
    url: str
    headers: Mapping[str, str]
    body: str

    def send(self, state: State) -> None:
        """Sends it and notes what became of it; whatever goes wrong, the call that caused it goes on."""
        note: dict[str, Any] = {
            "webhook": self.webhook,
            "method": self.method,
            "url": self.url,
            "headers": dict(self.headers),
            "body": self.body,
        }
        try:
            answer = requests.request(
                self.method,
                self.url,
                data=self.body.encode(),
                headers=dict(self.headers),
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
            note["status"] = answer.status_code
        except requests.RequestException as error:
            note["error"] = type(error).__name__
        with state.lock:
            state.deliveries.append(note)


def notify(ctx: Context, event: str, entity_type: str, row: Row) -> None:
    """Prepares what the workflows for this event send, with the values of this moment."""
    for workflow in ctx.state["workflows"].rows.values():
        if workflow["event"] != event or not _applies(ctx.state, workflow, entity_type, row):
            continue
        for action in workflow["actions"] or []:
            if not isinstance(action, Mapping):
                continue
            if action.get("id") == "trigger_webhook":
                webhook = ctx.state.get("webhooks", action.get("value"))
                delivery = None if webhook is None else prepare(ctx.state, webhook, entity_type, row)
                if delivery is not None:
                    ctx.outgoing.append(partial(delivery.send, ctx.state))
            elif action.get("id") == "send_email_to_participants" and entity_type == "activities":
                _mail_participants(ctx.state, event, row)


def _mail_participants(state: State, event: str, activity: Row) -> None:
    """Notes whom the installation's own workflows would write to: customers too, when they take part."""
    to: list[str] = []
    for each in state["activity_participants"].where(activity_id=activity["id"]):
        user, person = state.get("users", each["user_id"]), state.get("persons", each["person_id"])
        to += [user["email"]] if user is not None else []
        to += [entry["value"] for entry in (person["emails"] or [])] if person is not None else []
    if to:
        state.mails_sent.append({"activity": activity["id"], "event": event, "to": to})


def prepare(state: State, webhook: Row, entity_type: str, row: Row) -> Delivery | None:
    """The request to a webhook's receiver, or None where the values broke the payload and nothing is sent."""

    def spliced(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: _value(state, entity_type, row, found), text)

    headers = {"User-Agent": "GuzzleHttp/7", **_pairs(webhook["headers"])}
    wanted = {name.lower(): value for name, value in headers.items()}.get("content-type")
    url = spliced(webhook["end_point"])
    try:
        payload = _payload(webhook, spliced)
    except ValueError:
        if state.flavour.webhooks_are_forms:
            return None
        payload = None
    if state.flavour.webhooks_are_forms:
        if isinstance(payload, str):
            payload = json.loads(payload)
        headers.setdefault("Content-Type", _FORM)
        body = _as_form(payload)
    else:
        query = urlencode(_pairs(webhook["query_params"]))
        url += f"{'&' if '?' in url else '?'}{query}" if query else ""
        kind = wanted or (_FORM if webhook["payload_type"] == _FORM.rpartition("/")[2] else _JSON)
        headers.setdefault("Content-Type", kind)
        body = "" if payload is None else _as_form(payload) if kind == _FORM else json_text(payload)
        if isinstance(payload, str):
            # The text of a raw payload becomes a JSON text once more (123b); its slashes are not escaped.
            body = json.dumps(payload)
    return Delivery(webhook["id"], str(webhook["method"]).upper(), url, headers, body)


def _payload(webhook: Row, spliced: Any) -> Any:
    """The payload with its values; ValueError when they broke its JSON."""
    payload = webhook["payload"]
    if payload is None:
        return None
    if isinstance(payload, str):
        text = spliced(payload)
        json.loads(text)
        return text
    return json.loads(spliced(json.dumps(payload, ensure_ascii=False)))


def _pairs(entries: Any) -> dict[str, str]:
    if isinstance(entries, Mapping):
        return {str(key): str(value) for key, value in entries.items()}
    found = [entry for entry in entries or [] if isinstance(entry, Mapping) and "key" in entry]
    return {str(entry["key"]): str(entry.get("value", "")) for entry in found}


def _as_form(payload: Any) -> str:
    return urlencode(_pairs(payload))


def _value(state: State, entity_type: str, row: Row, found: re.Match[str]) -> str:
    """What stands for a placeholder; what is no attribute stays as it is written (``{%leads.id%}``)."""
    kind, code = found.groups()
    known = state["attributes"].where(entity_type=entity_type)
    attribute = next((each for each in known if kind == entity_type and each["code"] == code), None)
    if attribute is None:
        return found.group(0)
    value = row[code] if code in row else attributes.value_of(state, attribute, row["id"])
    if attribute["type"] == "date" and not value:
        return _NO_DATE
    if attribute["type"] == "price":
        return labels.money(value)
    label = labels.label(state, attribute, value)
    return "" if label is None else str(label)


def _applies(state: State, workflow: Row, entity_type: str, row: Row) -> bool:
    conditions = [each for each in workflow["conditions"] or [] if isinstance(each, Mapping)]
    if not conditions:
        return True
    tests = [_holds(state, condition, entity_type, row) for condition in conditions]
    return any(tests) if workflow["condition_type"] == "or" else all(tests)


def _holds(state: State, condition: Mapping[str, Any], entity_type: str, row: Row) -> bool:
    """One condition, on the new state: nothing tells what changed."""
    code = str(condition.get("attribute"))
    value = row.get(code)
    if value is None:
        for attribute in state["attributes"].where(entity_type=entity_type):
            if attribute["code"] == code:
                value = attributes.value_of(state, attribute, row["id"])
    wanted, operator = condition.get("value"), condition.get("operator")
    listed = [str(each) for each in wanted] if isinstance(wanted, list) else [str(wanted)]
    contains = str(value) in listed if isinstance(wanted, list) else str(wanted) in str(value)
    number, limit = number_in(str(value)), number_in(str(wanted))
    outcomes = {
        "==": str(value) in listed,
        "!=": str(value) not in listed,
        "{}": contains,
        "!{}": not contains,
        ">": number > limit,
        "<": number < limit,
        ">=": number >= limit,
        "<=": number <= limit,
    }
    return outcomes.get(str(operator), False)
