"""What PHP makes of a request's query and body before a controller sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Request

_BRACKETS = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Upload:
    """A file of a multipart body."""

    filename: str
    content: bytes
    mime: str


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Pairs like ``emails[0][value]=a@b.c`` as PHP nests them; lists where the keys count from 0 (100b)."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        head = name.split("[", 1)[0]
        keys = [head, *_BRACKETS.findall(name[len(head) :])]
        place = found
        for position, key in enumerate(keys):
            own = key or str(len(place))
            if position == len(keys) - 1:
                place[own] = value
            else:
                inner = place.get(own)
                if not isinstance(inner, dict):
                    inner = place[own] = {}
                place = inner
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    if list(inner) == [str(number) for number in range(len(inner))]:
        return list(inner.values())
    return inner


def cleaned(value: Any, *, empty_is_null: bool) -> Any:
    """A value as the middleware hands it on: texts trimmed, empty ones null where the flavour does that."""
    if isinstance(value, dict):
        return {key: cleaned(inner, empty_is_null=empty_is_null) for key, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner, empty_is_null=empty_is_null) for inner in value]
    if isinstance(value, str):
        trimmed = value.strip()
        return None if empty_is_null and not trimmed else trimmed
    return value


def read_query(request: Request, *, empty_is_null: bool) -> dict[str, Any]:
    """The query, nested and cleaned."""
    query: dict[str, Any] = cleaned(nested(request.args.items(multi=True)), empty_is_null=empty_is_null)
    return query


def read_body(request: Request, *, empty_is_null: bool) -> dict[str, Any]:
    """The body of JSON, a form or multipart, files included; one of another type is no body (100c)."""
    kind = request.mimetype
    found: Any = {}
    if kind == "application/json" or kind.endswith("+json"):
        try:
            found = json.loads(request.get_data() or b"{}")
        except ValueError:
            found = {}
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        found = nested(request.form.items(multi=True))
        for name, upload in request.files.items():
            found[name] = Upload(upload.filename or "", upload.read(), upload.mimetype)
            upload.close()
    if isinstance(found, list):
        found = {str(position): value for position, value in enumerate(found)}
    cleaned_body: dict[str, Any] = (
        cleaned(found, empty_is_null=empty_is_null) if isinstance(found, dict) else {}
    )
    return cleaned_body
