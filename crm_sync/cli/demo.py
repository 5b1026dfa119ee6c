"""``crm-sync demo``: a day of support traffic through the whole service, and whether it adds up."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.text import Text

from crm_sync.cli import output
from crm_sync.cli.commands import Command
from crm_sync.config import PREFIX, Config, load
from crm_sync.demo import printing, stage as staging
from crm_sync.demo.run import FAIL_RATE, Result, run
from crm_sync.errors import CrmSyncError
from crm_sync.sandbox import day
from crm_sync.supervisor.processes import stopped_by_signals


class DoesNotAddUp(CrmSyncError):
    """Something was lost, doubled or misordered."""


@click.command(cls=Command)
@click.option(
    "--once", is_flag=True, help="Stop after the reconciliation; exit 0 only if everything adds up."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another day for another number.")
def demo(once: bool, seed: int) -> None:
    """Play a day of support traffic against sandboxes, with faults, and compare what came out."""
    config = load()
    stopping = threading.Event()
    bars = printing.Bars(output.console(stderr=True))
    with stopped_by_signals(stopping.set), _directory(config) as (data_dir, keep):
        engine = ", ".join(f"{name}={value}" for name, value in staging.ENGINE.items())
        bars.say(f"Starting the service, a Chatwoot, a GLPI and a Krayin in {data_dir}, with {engine}.")
        try:
            with staging.staged(staging.config_of(config, data_dir), seed=seed, stopping=stopping) as stage:
                steps = day.plan(seed)
                bars.say(f"Playing a day of {len(steps)} steps; {FAIL_RATE:.0%} of the CRMs' answers fail.")
                with bars:
                    result = run(stage, steps, bars, stopping)
                _show(result)
                if not once:
                    _stay(stage, stopping)
        except staging.Stopped:
            raise
        except BaseException:
            keep()
            bars.say(f"The files of this run are kept in {data_dir}.")
            raise
        if not result.report.adds_up:
            keep()
    if not result.report.adds_up:
        report = result.report
        raise DoesNotAddUp(
            f"It does not add up: {report.lost} lost, {report.duplicates} doubled, "
            f"{report.out_of_order} out of order; see {data_dir / staging.LOG_FILE}."
        )


def _show(result: Result) -> None:
    """Tables for people, and as the last line the figures for scripts."""
    printing.show(result, output.console(stderr=output.is_json()))
    output.emit(result.report.as_json())


def _stay(stage: staging.Stage, stopping: threading.Event) -> None:
    console = output.console(stderr=True)
    console.print(Text("\nStill running, until Ctrl-C:"))
    for name, url in stage.urls.items():
        console.print(Text(f"  {name:<20}{url}"))
    stopping.wait()


@contextmanager
def _directory(config: Config) -> Iterator[tuple[Path, _Keep]]:
    """Where the demo keeps its files: the directory that was named, or one that is gone afterwards, unless kept."""
    if os.environ.get(f"{PREFIX}DATA_DIR", "").strip():
        staging.check_directory(config.data_dir)
        yield config.data_dir, _Keep()
        return
    path = Path(tempfile.mkdtemp(prefix="crm_sync_demo_"))
    keep = _Keep()
    try:
        yield path, keep
    finally:
        if not keep.wanted:
            shutil.rmtree(path, ignore_errors=True)


class _Keep:
    """Remembers that somebody may want to look into the files."""

    def __init__(self) -> None:
        self.wanted = False

    def __call__(self) -> None:
        self.wanted = True
