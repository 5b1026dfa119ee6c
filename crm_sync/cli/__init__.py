"""The command line: ``crm-sync …``, and the same commands as ``celery -A crm_sync crm …``.

Guarantees to whoever calls it: results on standard output, messages on standard error; exit status 0 when it was
done, 1 when it could not be done (and why, in one sentence), 2 for wrong usage; never a traceback for trouble that
can be foreseen. One module a command group; each command parses, calls the engine and prints.
"""

from __future__ import annotations

import click

from crm_sync.cli.commands import Root

__all__ = ["crm", "main"]

#: Where each command lives. Loaded when it is wanted: Celery loads this package into every worker.
COMMANDS = {
    "up": "crm_sync.cli.up:up",
    "demo": "crm_sync.cli.demo:demo",
    "doctor": "crm_sync.cli.doctor:doctor",
    "accounts": "crm_sync.cli.accounts:accounts",
    "apps": "crm_sync.cli.apps:apps",
    "hooks": "crm_sync.cli.hooks:hooks",
    "events": "crm_sync.cli.events:events",
    "links": "crm_sync.cli.links:links",
    "pull": "crm_sync.cli.pull:pull",
    "stats": "crm_sync.cli.stats:stats",
    "sandbox": "crm_sync.cli.sandbox:sandbox",
    "config": "crm_sync.cli.config:config",
    "secrets": "crm_sync.cli.secrets:secrets",
}


@click.command("crm", cls=Root, places=COMMANDS)
@click.version_option(package_name="crm-sync", prog_name="crm-sync")
def crm() -> None:
    """Turn what happens in Chatwoot into records in a CRM, exactly once."""


def main() -> None:
    """The program ``crm-sync``."""
    crm(prog_name="crm-sync")
