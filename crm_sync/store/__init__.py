"""The journal and the links in SQL: models, sessions, secrets, migrations."""

from crm_sync.store.database import DatabaseDown, Store, open_store
from crm_sync.store.migrate import migrate

__all__ = ["DatabaseDown", "Store", "migrate", "open_store"]
