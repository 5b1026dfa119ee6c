"""The paths of the API and who answers them.

A path is looked up from the top, so that ``leads/search`` is not the lead ``search``; an id that is no number fails
before the controller is reached (58c, 66).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from crm_sync.sandbox.krayin import (
    activities,
    auth,
    definitions,
    leads,
    mails,
    organizations,
    persons,
    products,
    quotes,
    settings,
)
from crm_sync.sandbox.krayin.context import Context, Reply
from crm_sync.sandbox.krayin.errors import Crashed, NotAllowed, NotFound

Handler = Callable[..., Reply]


@dataclass(frozen=True)
class Route:
    """One method at one path."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    #: Whether it needs no token.
    public: bool = False

    def answer(self, ctx: Context, path: str) -> Reply:
        """What the handler says, the numbers of the path given to it."""
        found = self.pattern.fullmatch(path)
        numbers = found.groups() if found is not None else ()
        if not all(number.isdigit() for number in numbers):
            raise Crashed(early=True)
        return self.handler(ctx, *numbers)


def _route(method: str, path: str, handler: Handler, *, public: bool = False) -> Route:
    return Route(method, re.compile(path.replace("{id}", "([^/]+)")), handler, public)


def _crud(path: str, shape: Any) -> Iterator[Route]:
    """The five routes of a resource; ``shape`` is a module or a kind with the five functions."""
    yield _route("GET", path, shape.index)
    yield _route("POST", path, shape.store)
    yield _route("GET", f"{path}/{{id}}", shape.show)
    yield _route("PUT", f"{path}/{{id}}", shape.update)
    yield _route("DELETE", f"{path}/{{id}}", shape.destroy)


ROUTES: tuple[Route, ...] = (
    _route("POST", "login", auth.login, public=True),
    _route("GET", "get", auth.account),
    _route("DELETE", "logout", auth.logout),
    _route("GET", "leads/search", leads.search),
    _route("GET", "leads/get", leads.board),
    _route("POST", "leads/mass-update", leads.mass_update),
    _route("POST", "leads/mass-destroy", leads.mass_destroy),
    _route("PUT", "leads/stage/edit/{id}", leads.edit_stage),
    _route("PUT", "leads/attributes/edit/{id}", leads.edit_attributes),
    _route("PUT", "leads/product/{id}", leads.put_product),
    _route("DELETE", "leads/product/{id}", leads.delete_product),
    _route("GET", "leads/{id}/activities", leads.activities),
    _route("GET", "leads/{id}/quotes", quotes.of_lead),
    _route("POST", "leads/{id}/tags", leads.attach_tag),
    _route("DELETE", "leads/{id}/tags", leads.detach_tag),
    *_crud("leads", leads),
    _route("GET", "contacts/persons/search", persons.search),
    _route("GET", "contacts/persons/{id}/activities", persons.activities),
    _route("POST", "contacts/persons/{id}/tags", persons.attach_tag),
    _route("DELETE", "contacts/persons/{id}/tags", persons.detach_tag),
    *_crud("contacts/persons", persons),
    *_crud("contacts/organizations", organizations),
    _route("POST", "activities/mass-update", activities.mass_update),
    _route("POST", "activities/mass-destroy", activities.mass_destroy),
    _route("GET", "activities/file-download/{id}", activities.download),
    *_crud("activities", activities),
    _route("GET", "products/search", products.search),
    *_crud("products", products),
    _route("GET", "quotes/search", quotes.search),
    *_crud("quotes", quotes),
    *_crud("mails", mails),
    _route("GET", "settings/attributes", definitions.attribute_index),
    _route("POST", "settings/attributes", definitions.attribute_store),
    _route("GET", "settings/attributes/{id}", definitions.attribute_show),
    _route("PUT", "settings/attributes/{id}", definitions.attribute_update),
    _route("DELETE", "settings/attributes/{id}", definitions.attribute_destroy),
    _route("GET", "settings/pipelines", definitions.pipeline_index),
    _route("POST", "settings/pipelines", definitions.pipeline_store),
    _route("GET", "settings/pipelines/{id}", definitions.pipeline_show),
    _route("PUT", "settings/pipelines/{id}", definitions.pipeline_update),
    _route("DELETE", "settings/pipelines/{id}", definitions.pipeline_destroy),
    _route("GET", "settings/tags/search", settings.TAGS.search),
    _route("GET", "settings/users/search", settings.USERS.search),
    *_crud("settings/sources", settings.SOURCES),
    *_crud("settings/types", settings.TYPES),
    *_crud("settings/tags", settings.TAGS),
    *_crud("settings/groups", settings.GROUPS),
    *_crud("settings/roles", settings.ROLES),
    *_crud("settings/users", settings.USERS),
    *_crud("settings/webhooks", settings.WEBHOOKS),
    *_crud("settings/workflows", settings.WORKFLOWS),
)


def route_for(method: str, path: str) -> Route:
    """The route of a call.

    Raises:
        NotFound: there is no such path (16, 156).
        NotAllowed: the path is there, the method is not (17).
    """
    method = "GET" if method == "HEAD" else method
    there = [route for route in ROUTES if route.pattern.fullmatch(path)]
    for route in there:
        if route.method == method:
            return route
    if there:
        raise NotAllowed
    raise NotFound(route=True)
