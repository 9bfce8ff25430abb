"""How long residents took to wake."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "wakes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("resident", sa.String(64), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("way", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
    )
    op.create_index("ix_wakes_resident", "wakes", ["resident"])


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("wakes")
