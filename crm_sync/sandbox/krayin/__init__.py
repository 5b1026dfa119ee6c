"""A stand-in for Krayin's REST API that answers as the recorded servers of two generations do.

Guarantees to tests, demo and benches: every rule comes from a recorded case or from how the server is built, and a
call that was not recorded gets the answer the rules give. It lies where Krayin lies: a 500 that means a wrong
token, a crash that left a row behind, a search that forgot its condition, an update that wipes what it was not told.
"""

from crm_sync.sandbox.krayin.app import KrayinSandbox, create_app
from crm_sync.sandbox.krayin.flavour import FLAVOURS

__all__ = ["FLAVOURS", "KrayinSandbox", "create_app"]
