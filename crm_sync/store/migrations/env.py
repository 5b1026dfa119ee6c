"""Runs migrations on the connection that crm_sync.store.migrate hands over."""

from typing import Any, Literal

from alembic import context

from crm_sync.store.models import Base, UtcDateTime


def plain_types(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Write our types as the plain ones they are stored as, so that a migration does not change with the code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    render_item=plain_types,
)
with context.begin_transaction():
    context.run_migrations()
