"""crm_sync: what happens in Chatwoot becomes records in a CRM, exactly once."""

__version__ = "0.1.0"
