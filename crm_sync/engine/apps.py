"""The CRMs that are installed, found through the entry point group ``crm_sync.crms``."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from crm_sync.crms.base import App
from crm_sync.errors import ConfigError

GROUP = "crm_sync.crms"


@lru_cache
def installed() -> dict[str, App]:
    """Every installed app by its app_id."""
    apps: dict[str, App] = {}
    for entry in entry_points(group=GROUP):
        app: App = entry.load()
        apps[app.manifest.app_id] = app
    return apps


def find(app_id: str) -> App:
    """The app of this name; raises ConfigError listing those there are."""
    try:
        return installed()[app_id]
    except KeyError:
        known = ", ".join(sorted(installed())) or "none"
        raise ConfigError(
            f"There is no app called {app_id!r}. Installed: {known}.", setting="app_id"
        ) from None
