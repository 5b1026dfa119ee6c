"""What every command has in common: ``--json``, and errors that end as one sentence and an exit status."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from crm_sync.cli import output, troubles
from crm_sync.config import load
from crm_sync.errors import ConfigError
from crm_sync.telemetry import logging as telemetry_logging


class Command(click.Command):
    """A command that can answer in JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                # Early, so that whatever else is wrong is told in JSON too.
                is_eager=True,
                expose_value=False,
                callback=output.want_json,
                help="Answer in JSON: one object, or one object a line.",
            )
        )


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


class Root(Group):
    """The outermost group: finds commands by their place, and has the last word on errors."""

    def __init__(self, *args: Any, places: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order a person meets them."""
        return [*self._places, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, loaded now."""
        place = self._places.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; trouble that can be foreseen ends with exit status 1 and its sentence."""
        try:
            _configure_logging()
            return super().invoke(ctx)
        except Exception as error:
            trouble = troubles.in_words(error)
            if trouble is None:
                raise
            output.fail(trouble)
            ctx.exit(1)


def _configure_logging() -> None:
    """Only what a person at a terminal should see, unless more (or less) is asked for."""
    try:
        config = load()
    except ConfigError:
        # The command itself says so, if it needs the options at all.
        return
    quiet = replace(config, log_level="WARNING") if config.log_level == "INFO" else config
    telemetry_logging.configure(quiet)
