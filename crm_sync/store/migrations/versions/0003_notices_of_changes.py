"""Hooks get an address where their CRM may tell of changes"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("hooks") as hooks:
        hooks.add_column(sa.Column("notice_token", sa.String(length=64), nullable=True))
        hooks.add_column(sa.Column("notice_secret", sa.Text(), nullable=True))
        hooks.create_unique_constraint(op.f("uq_hooks_notice_token"), ["notice_token"])


def downgrade() -> None:
    with op.batch_alter_table("hooks") as hooks:
        hooks.drop_constraint(op.f("uq_hooks_notice_token"), type_="unique")
        hooks.drop_column("notice_secret")
        hooks.drop_column("notice_token")
