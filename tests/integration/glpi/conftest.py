"""A desk for each of GLPI's versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from crm_sync.config import Config
from crm_sync.sandbox.glpi import FLAVOURS
from tests.integration.glpi.desk import Desk, opened


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    """Each of GLPI's versions."""
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


@pytest.fixture
def another_desk(
    config: Config, flavour: str, settings: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[], Desk]]:
    """Makes further desks, each with a journal of its own."""
    with ExitStack() as stack:

        def make() -> Desk:
            path = tmp_path / f"data-{len(list(tmp_path.iterdir()))}"
            path.mkdir(mode=0o700)
            return stack.enter_context(opened(replace(config, data_dir=path), flavour, settings))

        yield make
