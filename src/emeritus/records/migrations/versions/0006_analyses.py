"""Analyses of studies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("study", sa.String(100), index=True),
        sa.Column("protocol_sha256", sa.String(64), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("analysis_sha256", sa.String(64), nullable=False),
        sa.Column("choices_sha256", sa.String(64), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("analyses")
