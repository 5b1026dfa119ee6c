"""A desk for each of Krayin's generations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_sync.config import Config
from crm_sync.sandbox.krayin import FLAVOURS
from tests.integration.krayin.desk import Desk, opened


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    """Each of Krayin's generations."""
    return str(request.param)


@pytest.fixture
def settings() -> dict[str, str]:
    """What a test wants set besides the credentials; parametrise it to change them."""
    return {}


@pytest.fixture
def desk(config: Config, flavour: str, settings: dict[str, str]) -> Iterator[Desk]:
    """A connected desk."""
    with opened(config, flavour, settings) as found:
        yield found
