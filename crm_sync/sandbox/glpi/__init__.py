"""A stand-in for a GLPI server's legacy REST API that answers as the recorded servers do.

Guarantees to tests, demo and benches: a login is created once however many threads ask, tickets live and
die by the measured rules, every call is logged, and faults can be switched on while it runs. It follows
rules, never recorded answers: a call that was not recorded gets the answer the rules give.
"""

from crm_sync.sandbox.glpi.app import GlpiSandbox, create_app
from crm_sync.sandbox.glpi.flavour import FLAVOURS

__all__ = ["FLAVOURS", "GlpiSandbox", "create_app"]
