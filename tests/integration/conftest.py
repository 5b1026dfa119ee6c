"""What stands as long as the test process is taken down at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.stage import stages


@pytest.fixture(scope="session", autouse=True)
def _stages() -> Iterator[None]:
    yield
    stages.stop()
