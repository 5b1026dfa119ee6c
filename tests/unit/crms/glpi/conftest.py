"""A client at a GLPI sandbox of each version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_sync.sandbox.glpi import FLAVOURS, create_app
from crm_sync.sandbox.server import SandboxServer
from tests.unit.crms.glpi.world import Glpi


@pytest.fixture(params=FLAVOURS)
def glpi(request: pytest.FixtureRequest) -> Iterator[Glpi]:
    """A GLPI of each version."""
    app = create_app(flavour=request.param)
    with SandboxServer(app) as server:
        yield Glpi(app.extensions["sandbox"], server.url)
