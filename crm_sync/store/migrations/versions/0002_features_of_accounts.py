"""The features that an account has switched off"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "accounts", sa.Column("features_off", sa.JSON(), server_default=sa.text("'[]'"), nullable=False)
    )


def downgrade() -> None:
    # Not in a batch, which would make the table anew, and drop everything that hangs on the old one.
    op.drop_column("accounts", "features_off")
