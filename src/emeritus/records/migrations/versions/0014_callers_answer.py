"""Callers who acknowledge, planned brown-outs, and which grants a caller calls by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("callers", sa.Column("grants", sa.JSON()))
    op.add_column("notices", sa.Column("kind", sa.Text()))
    op.create_table(
        "acknowledgements",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("caller", sa.String(64), index=True, nullable=False),
        sa.Column("announcement", sa.String(200), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "brown_outs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("starts", sa.Text(), nullable=False),
        sa.Column("ends", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("cancelled_at", sa.Text()),
        sa.Column("cancelled_for", sa.Text()),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("brown_outs")
    op.drop_table("acknowledgements")
    op.drop_column("notices", "kind")
    op.drop_column("callers", "grants")
