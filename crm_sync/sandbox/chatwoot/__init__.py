"""A stand-in for Chatwoot 4.15 and later: its API, its webhooks and its noise, as recorded."""

from crm_sync.sandbox.chatwoot.app import create_app
from crm_sync.sandbox.chatwoot.outbox import Delivery
from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox

__all__ = ["ChatwootSandbox", "Delivery", "create_app"]
