"""When each object of the vault was last read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "scrub_marks",
        sa.Column("key", sa.String(800), primary_key=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("scrub_marks")
