"""What is shipped for running the service speaks of options and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from crm_sync.config import load, options
from crm_sync.supervisor.processes import STOP_TIMEOUT_S

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "file", ["Procfile", "deploy/Containerfile", "deploy/compose.yaml", "deploy/crm-sync.service"]
)
def test_each_option_that_is_named_exists(file: str) -> None:
    declared = {option.variable for option in options(load())}
    assert set(re.findall(r"CRM_SYNC_[A-Z_]+", (ROOT / file).read_text())) <= declared


def test_the_image_is_made_from_files_that_are_there_and_let_in() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy/Containerfile").read_text(), re.MULTILINE
    )
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names == set(let_in)
    assert all((ROOT / name).exists() for name in names)


def test_whoever_stops_the_service_waits_longer_than_its_parts_may_take() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    unit = (ROOT / "deploy/crm-sync.service").read_text()
    assert int(compose["services"]["crm_sync"]["stop_grace_period"].removesuffix("s")) > STOP_TIMEOUT_S
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) > STOP_TIMEOUT_S


def test_the_database_and_the_broker_survive_being_started_again() -> None:
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    assert services["redis"]["command"] == (
        ["redis-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
    )
    assert all(service["volumes"] for service in services.values())
