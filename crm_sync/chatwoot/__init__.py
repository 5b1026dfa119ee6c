"""Everything crm_sync knows of Chatwoot: what its deliveries say, which of them are noise, and its API.

The engine and the CRMs see only the value objects of :mod:`crm_sync.events`; the changing shapes of
Chatwoot's payloads and answers end in this package.
"""
