"""A tier's visiting hours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("tiers", sa.Column("hours", sa.Text()))


def downgrade() -> None:
    """Undo this step."""
    op.drop_column("tiers", "hours")
